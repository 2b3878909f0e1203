/**
 * From host names to IP addresses, without getaddrinfo.
 *
 * getaddrinfo runs on libuv's four pool threads, and a slow name server there holds up every other name, file and
 * key derivation of the process. c-ares asks over its own sockets. What it does not do is done here: /etc/hosts and the search list.
 */
import { Resolver } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { namesToAsk, parseHostsFile, parseResolvConf } from './name-files.ts';

export type Lookup =
  /** `ttlMs` is how long the answer may be used; Infinity for a literal address. */
  | { readonly kind: 'found'; readonly host: string; readonly ttlMs: number }
  | { readonly kind: 'not-found'; readonly code: string };

export type NameResolver = {
  /** An IP address for `name`; of several, `preferred` if it is still among them, so that a member stays put. */
  lookup(name: string, preferred: string | null): Promise<Lookup>;
  close(): void;
};

export type NameResolverOptions = {
  /** Default /etc/hosts. */
  readonly hostsPath?: string;
  /** Default /etc/resolv.conf. */
  readonly resolvConfPath?: string;
  /** Name servers as `address` or `address:port`; default: those of resolv.conf. */
  readonly servers?: readonly string[];
  /** Time for one question to one server; it is repeated once. Default 1000. */
  readonly timeoutMs?: number;
};

export function createNameResolver(options: NameResolverOptions = {}): NameResolver {
  const hosts = createWatchedFile(options.hostsPath ?? '/etc/hosts', parseHostsFile);
  const search = createWatchedFile(options.resolvConfPath ?? '/etc/resolv.conf', parseResolvConf);
  const createDns = (): Resolver => {
    const dns = new Resolver({ timeout: options.timeoutMs ?? QUESTION_TIMEOUT_MS, tries: 2 });
    if (options.servers !== undefined) dns.setServers(options.servers);
    return dns;
  };
  let dns = createDns();

  return {
    async lookup(name, preferred) {
      if (isIP(name) !== 0) return { kind: 'found', host: name, ttlMs: Number.POSITIVE_INFINITY };
      const listed = hosts.read().get(name.toLowerCase().replace(/\.$/, ''));
      if (listed !== undefined) return found(listed, HOSTS_TTL_MS, preferred);
      let code = 'ENOTFOUND';
      for (const fullName of namesToAsk(name, search.read())) {
        const answer = await ask(dns, fullName);
        if (answer.kind === 'addresses') return found(answer.addresses, answer.ttlMs, preferred);
        code = answer.code;
        if (!SURE_CODES.has(code)) {
          // The name servers may have changed since this resolver read them, or its sockets have gone bad.
          dns.cancel();
          dns = createDns();
          break;
        }
      }
      return { kind: 'not-found', code };
    },
    close: () => dns.cancel(),
  };
}

type Answer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlMs: number }
  | { readonly kind: 'nothing'; readonly code: string };

/** IPv4 first: a member that has both answers on both, and group members listen on IPv4 unless told otherwise. */
async function ask(dns: Resolver, name: string): Promise<Answer> {
  let failure: Answer = { kind: 'nothing', code: 'ENOTFOUND' };
  for (const family of ['resolve4', 'resolve6'] as const) {
    try {
      const records = await dns[family](name, { ttl: true });
      if (records.length === 0) continue;
      const ttlSeconds = Math.min(...records.map((record) => record.ttl));
      return {
        kind: 'addresses',
        addresses: records.map((record) => record.address),
        ttlMs: clampTtlMs(ttlSeconds * 1000),
      };
    } catch (error) {
      failure = { kind: 'nothing', code: codeOf(error) };
      if (!SURE_CODES.has(failure.code)) return failure;
    }
  }
  return failure;
}

function found(addresses: readonly string[], ttlMs: number, preferred: string | null): Lookup {
  const ipv4 = addresses.find((address) => isIP(address) === 4);
  const host = preferred !== null && addresses.includes(preferred) ? preferred : (ipv4 ?? addresses[0]);
  return host === undefined ? { kind: 'not-found', code: 'ENODATA' } : { kind: 'found', host, ttlMs };
}

function clampTtlMs(ttlMs: number): number {
  return Math.min(Math.max(ttlMs, MIN_TTL_MS), MAX_TTL_MS);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
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

const QUESTION_TIMEOUT_MS = 1000;
/** A name in /etc/hosts costs one stat to look up. */
const HOSTS_TTL_MS = 5000;
const MIN_TTL_MS = 1000;
const MAX_TTL_MS = 30_000;
/** The name server has answered, and has no such name or no such record. */
const SURE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
