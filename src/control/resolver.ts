/**
 * From host names to IP addresses, without getaddrinfo.
 *
 * getaddrinfo runs on libuv's four pool threads, and a slow name server there holds up every other name, file and
 * key derivation of the process. c-ares asks over its own sockets. What it does not do is done here: /etc/hosts and the search list.
 */
import type { RecordWithTtl, SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { isErrno } from '../shared/errno.ts';
import { namesToAsk, parseHostsFile, parseResolvConf } from './name-files.ts';

export type Lookup =
  /** `ttlMs` is how long the answer may be used; Infinity for a literal address. */
  | { readonly kind: 'found'; readonly host: string; readonly ttlMs: number }
  | { readonly kind: 'not-found'; readonly code: string };

/** All addresses of a name, in a stable order: IPv4 where there is any, else IPv6. */
export type AddressLookup =
  | { readonly kind: 'found'; readonly hosts: readonly string[]; readonly ttlMs: number }
  | { readonly kind: 'not-found'; readonly code: string };

/** An SRV record. */
export type ServiceRecord = {
  readonly host: string;
  readonly port: number;
  /** The lower is used first. */
  readonly priority: number;
  readonly weight: number;
};

/** All SRV records of a name. Their time to live is not known: `SrvRecord` of node:dns has none. */
export type ServiceLookup =
  | { readonly kind: 'found'; readonly services: readonly ServiceRecord[] }
  | { readonly kind: 'not-found'; readonly code: string };

export type NameResolver = {
  /** An IP address for `name`; of several, `preferred` if it is still among them, so that a member stays put. */
  lookup(name: string, preferred: string | null): Promise<Lookup>;
  lookupAll(name: string): Promise<AddressLookup>;
  lookupServices(name: string): Promise<ServiceLookup>;
  /** From the next question on. */
  configure(settings: ResolverSettings): void;
  close(): void;
};

export type ResolverSettings = {
  /** Name servers as `address` or `address:port`; empty for those of resolv.conf. */
  readonly servers: readonly string[];
  /** Time for one question to one server; it is repeated once. Up to four times as long while answers are late. */
  readonly timeoutMs: number;
  /** Bounds for the time an answer is used. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
};

export type NameResolverOptions = Partial<ResolverSettings> & {
  /** Default /etc/hosts. */
  readonly hostsPath?: string;
  /** Default /etc/resolv.conf. */
  readonly resolvConfPath?: string;
};

export function createNameResolver(options: NameResolverOptions = {}): NameResolver {
  const hosts = createWatchedFile(options.hostsPath ?? '/etc/hosts', parseHostsFile);
  const rules = createWatchedFile(options.resolvConfPath ?? '/etc/resolv.conf', parseResolvConf);
  let settings: ResolverSettings = {
    servers: options.servers ?? [],
    timeoutMs: options.timeoutMs ?? QUESTION_TIMEOUT_MS,
    minTtlMs: options.minTtlMs ?? MIN_TTL_MS,
    maxTtlMs: options.maxTtlMs ?? MAX_TTL_MS,
  };
  /** How many times `timeoutMs` a question gets: more, while name servers are slow. */
  let patience = 1;
  let dns = createDns(settings, patience);
  const former: Resolver[] = [];
  /** Questions that are under way end by themselves. */
  const renew = (): void => {
    former.push(dns);
    if (former.length > MAX_FORMER) former.shift()?.cancel();
    dns = createDns(settings, patience);
  };
  /** Answers that are always late would never be had: c-ares drops each when it asks again. */
  const adapt = (code: string | null, tookMs: number): void => {
    const isSlow = code === 'ETIMEOUT';
    if (isSlow) patience = Math.min(2 * patience, MAX_PATIENCE);
    else if (patience > 1 && tookMs < settings.timeoutMs) {
      patience = 1;
      renew();
    }
  };
  /**
   * Asks for each full name there is for `name` until one has records. A completion that a name server fails on is not
   * passed over for the next one, which may be somebody else; but it does not stand before the name as it was written: one
   * search domain whose servers are broken would hide every complete name behind it.
   */
  const search = async <T>(name: string, question: Question<T>): Promise<Answer<T>> => {
    let code = 'ENOTFOUND';
    let isSure = true;
    for (const fullName of namesToAsk(name, rules.read())) {
      if (!isSure && fullName !== name) continue;
      const asked = dns;
      const askedAtMs = performance.now();
      const answer = await ask(() => question(asked, fullName));
      if (asked === dns) adapt(answer.kind === 'records' ? null : answer.code, performance.now() - askedAtMs);
      if (answer.kind === 'records') return answer;
      if (SURE_CODES.has(answer.code)) {
        if (isSure) code = answer.code;
        continue;
      }
      if (isSure) code = answer.code;
      isSure = false;
      if (!SERVER_ERRORS.has(answer.code) || fullName === name || !name.includes('.')) {
        // The name servers may have changed since this resolver read them, or its sockets have gone bad.
        if (asked === dns) renew();
        break;
      }
    }
    return { kind: 'nothing', code };
  };

  const lookupAll = async (name: string): Promise<AddressLookup> => {
    if (isIP(name) !== 0) return { kind: 'found', hosts: [name], ttlMs: Number.POSITIVE_INFINITY };
    const listed = hosts.read().get(name.toLowerCase().replace(/\.$/, ''));
    if (listed !== undefined) return { kind: 'found', hosts: oneFamily(listed), ttlMs: HOSTS_TTL_MS };
    const answer = await search(name, addressQuestion);
    if (answer.kind === 'nothing') return { kind: 'not-found', code: answer.code };
    const ttlMs = Math.min(...answer.records.map(({ ttl }) => ttl)) * 1000;
    return {
      kind: 'found',
      hosts: answer.records.map(({ address }) => address),
      ttlMs: Math.min(Math.max(ttlMs, settings.minTtlMs), settings.maxTtlMs),
    };
  };

  return {
    lookupAll,
    async lookup(name, preferred) {
      const all = await lookupAll(name);
      if (all.kind === 'not-found') return all;
      const [first] = all.hosts;
      const host = preferred !== null && all.hosts.includes(preferred) ? preferred : first;
      return host === undefined
        ? { kind: 'not-found', code: 'ENODATA' }
        : { kind: 'found', host, ttlMs: all.ttlMs };
    },
    async lookupServices(name) {
      const answer = await search(name, serviceQuestion);
      if (answer.kind === 'nothing') return { kind: 'not-found', code: answer.code };
      const services = answer.records.map(({ name: host, port, priority, weight }) => ({
        host: host.replace(/\.$/, ''),
        port,
        priority,
        weight,
      }));
      return { kind: 'found', services };
    },
    configure(next) {
      if (isDeepStrictEqual(next, settings)) return;
      settings = next;
      renew();
    },
    close() {
      for (const one of [...former, dns]) one.cancel();
    },
  };
}

function createDns({ servers, timeoutMs }: ResolverSettings, patience: number): Resolver {
  const dns = new Resolver({ timeout: timeoutMs * patience, tries: 2 });
  if (servers.length > 0) dns.setServers(servers);
  return dns;
}

/** What is asked of one full name. An empty answer and an error come to the same. */
type Question<T> = (dns: Resolver, name: string) => Promise<readonly T[]>;

type Answer<T> =
  | { readonly kind: 'records'; readonly records: readonly T[] }
  | { readonly kind: 'nothing'; readonly code: string };

async function ask<T>(question: () => Promise<readonly T[]>): Promise<Answer<T>> {
  try {
    const records = await question();
    return records.length === 0 ? { kind: 'nothing', code: 'ENODATA' } : { kind: 'records', records };
  } catch (error) {
    return { kind: 'nothing', code: codeOf(error) };
  }
}

/** IPv4 first: a member that has both answers on both, and group members listen on IPv4 unless told otherwise. */
async function addressQuestion(dns: Resolver, name: string): Promise<readonly RecordWithTtl[]> {
  const ipv4 = await ask(() => dns.resolve4(name, { ttl: true }));
  if (ipv4.kind === 'records') return sorted(ipv4.records);
  if (!SURE_CODES.has(ipv4.code)) throw new NoRecords(ipv4.code);
  return sorted(await dns.resolve6(name, { ttl: true }));
}

function serviceQuestion(dns: Resolver, name: string): Promise<readonly SrvRecord[]> {
  return dns.resolveSrv(name);
}

class NoRecords extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Name servers turn their answers round; who goes by the order of the list wants the same one each time. */
function sorted(records: readonly RecordWithTtl[]): readonly RecordWithTtl[] {
  return records.toSorted((a, b) => NATURAL_ORDER.compare(a.address, b.address));
}

function oneFamily(addresses: readonly string[]): readonly string[] {
  const ipv4 = addresses.filter((address) => isIP(address) === 4);
  return ipv4.length > 0 ? ipv4 : addresses;
}

function codeOf(error: unknown): string {
  return isErrno(error) ? String(error.code) : String(error);
}

/** A small file, parsed again when it has changed. Read synchronously: that needs no pool thread either. */
function createWatchedFile<T>(path: string, parse: (text: string) => T): { read(): T } {
  let parsed: { readonly stamp: string; readonly value: T } | null = null;
  return {
    read() {
      const stats = statSync(path, { throwIfNoEntry: false });
      const stamp = stats === undefined ? '' : `${stats.ino} ${stats.mtimeMs} ${stats.size}`;
      if (parsed === null || parsed.stamp !== stamp) {
        parsed = { stamp, value: parse(stats === undefined ? '' : readFileSync(path, 'utf8')) };
      }
      return parsed.value;
    },
  };
}

const NATURAL_ORDER = new Intl.Collator('en', { numeric: true });
const MAX_FORMER = 4;
const MAX_PATIENCE = 4;
const QUESTION_TIMEOUT_MS = 1000;
/** A name in /etc/hosts costs one stat to look up. */
const HOSTS_TTL_MS = 5000;
const MIN_TTL_MS = 1000;
const MAX_TTL_MS = 30_000;
/** The name server has answered, and has no such name or no such record. */
const SURE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
/** It has answered that it cannot say. */
const SERVER_ERRORS: ReadonlySet<string> = new Set(['ESERVFAIL', 'EREFUSED']);
