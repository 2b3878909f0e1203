/**
 * How operators write durations, sizes and addresses, in both directions. Parsers return null for what they do not
 * understand; schema.ts knows the rule to tell the operator.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { unreachable } from '../../routing/unreachable.ts';
import type { Listen, Network, Seed } from './config.ts';

/** One or more numbers with a unit: "250ms", "1.5s", "1m30s". */
export const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
/** A whole number with a unit: "64KiB". Decimal units are left out: half the world reads KB as 1024. */
export const SIZE_PATTERN = /^\d+(?:B|KiB|MiB|GiB)$/;

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_PER_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** Milliseconds of "9s" or of 0; null also for what is not a whole number of milliseconds. */
export function parseDuration(value: string | number): number | null {
  if (value === 0 || value === '0') return 0;
  if (typeof value === 'number' || !DURATION_PATTERN.test(value)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    if (!isKeyOf(MS_PER_UNIT, unit)) return null;
    totalMs += Number(amount) * MS_PER_UNIT[unit];
  }
  // 0.1s and its like are not exact in binary; anything a thousandth away from a whole millisecond was not meant as one.
  const wholeMs = Math.round(totalMs);
  return Math.abs(totalMs - wholeMs) < 0.001 && Number.isSafeInteger(wholeMs) ? wholeMs : null;
}

/** The shortest way to write a duration: 90000 is "90s", 60000 is "1m". */
export function formatDuration(ms: number): string {
  return ms === 0 ? '0' : inLargestUnit(ms, MS_PER_UNIT);
}

/** Bytes of "64KiB" or of 65536. */
export function parseSize(value: string | number): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null;
  if (/^\d+$/.test(value)) return parseSize(Number(value));
  if (!SIZE_PATTERN.test(value)) return null;
  const [, amount, unit] = /^(\d+)(.*)$/.exec(value) ?? [];
  return isKeyOf(BYTES_PER_UNIT, unit) ? parseSize(Number(amount) * BYTES_PER_UNIT[unit]) : null;
}

/** The shortest way to write a size: 65536 is "64KiB". */
export function formatSize(bytes: number): string {
  return bytes === 0 ? '0B' : inLargestUnit(bytes, BYTES_PER_UNIT);
}

/** "host", "host:3306" or "[::1]:3306"; without a port, 3306 as MySQL's clients take it. */
export function parseSeed(text: string): { readonly host: string; readonly port: number } | null {
  const parts = splitHostPort(text);
  if (parts === null || !isHost(parts.host)) return null;
  const port = parts.port ?? 3306;
  return port === 0 ? null : { host: parts.host, port };
}

/** A name or an address in DNS's sense; null for what is none. */
export function parseHostName(text: string): string | null {
  return isHost(text) ? text : null;
}

/** "10.0.0.53" or "10.0.0.53:5353" or "[::1]:53", as the resolver takes it. */
export function parseNameServer(text: string): string | null {
  const parts = splitHostPort(isIPv6(text) ? `[${text}]` : text);
  if (parts === null || !(isIPv4(parts.host) || isIPv6(parts.host)) || parts.port === 0) return null;
  return formatHostPort({ host: parts.host, port: parts.port ?? 53 });
}

/** A seed on one line, as an operator may write it too: "db:3306", "srv://db?service=mysql", "kubernetes://ns/db". */
export function formatSeed(seed: Seed): string {
  switch (seed.kind) {
    case 'address':
      return formatHostPort(seed);
    case 'dns': {
      const { name, port, srv, service, targetPrefix } = seed;
      if (!srv) return `dns://${name}:${port}`;
      return `srv://${name}${query({ service: service === 'mysql' ? '' : service, targetPrefix })}`;
    }
    case 'kubernetes': {
      const { namespace, service, port, clusterDomain, kubeconfig, podSelector } = seed;
      const facts = {
        port: port === null ? '' : String(port),
        podSelector,
        clusterDomain: clusterDomain === 'cluster.local' ? '' : clusterDomain,
        kubeconfig: kubeconfig ?? '',
      };
      return `kubernetes://${namespace ?? ''}/${service}${query(facts)}`;
    }
    default:
      return unreachable(seed);
  }
}

function query(facts: Readonly<Record<string, string>>): string {
  const parts = Object.entries(facts).filter(([, value]) => value !== '');
  return parts.length === 0
    ? ''
    : `?${parts.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')}`;
}

/** "host:port", "[::]:port" or ":port", which is every IPv4 address. Port 0 asks the system for a free one. */
export function parseListen(text: string): Listen | null {
  const parts = splitHostPort(text);
  if (parts === null || parts.port === null) return null;
  const host = parts.host === '' ? '0.0.0.0' : parts.host;
  return isHost(host) ? { host, port: parts.port } : null;
}

/** "10.0.0.0/8", "fd00::/8", or one address. */
export function parseNetwork(text: string): Network | null {
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const allBits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : -1;
  const prefixBits = bits === undefined ? allBits : Number(bits);
  return allBits === -1 || prefixBits > allBits ? null : { address, prefixBits };
}

export function formatNetwork({ address, prefixBits }: Network): string {
  return `${address}/${prefixBits}`;
}

/** "host:port", with brackets around IPv6. */
export function formatHostPort(at: Listen): string {
  return at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
}

/** Whether both addresses cannot be bound at once, or could but would share their clients by chance. */
export function listensCollide(a: Listen, b: Listen): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  const [hostA, hostB] = [bindHost(a.host), bindHost(b.host)];
  if (hostA === hostB || hostA === '::' || hostB === '::') return true;
  const isAnyIPv4 = hostA === '0.0.0.0' || hostB === '0.0.0.0';
  return isAnyIPv4 && !isIPv6(hostA) && !isIPv6(hostB);
}

function splitHostPort(text: string): { readonly host: string; readonly port: number | null } | null {
  const bracketed = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text);
  if (bracketed !== null && !isIPv6(bracketed[1] ?? '')) return null;
  const match = bracketed ?? /^([^:[\]]*)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return null;
  const port = match[2] === undefined ? null : Number(match[2]);
  return port !== null && port > 65_535 ? null : { host: match[1] ?? '', port };
}

/** An IP address or a name as DNS and /etc/hosts know it; 10.0.0.256 is neither. */
function isHost(host: string): boolean {
  if (isIPv4(host) || isIPv6(host)) return true;
  const labels = host.replace(/\.$/, '').split('.');
  const last = labels.at(-1) ?? '';
  return (
    host.length <= 253 &&
    labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label)) &&
    !/^\d+$/.test(last)
  );
}

/** One spelling for one address to bind. */
function bindHost(host: string): string {
  if (host === 'localhost') return '127.0.0.1';
  if (!isIPv6(host) || host.includes('%')) return host.toLowerCase();
  return new URL(`http://[${host}]`).hostname.slice(1, -1);
}

function inLargestUnit(amount: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, size]) => amount % size === 0);
  const [unit, size] = fitting.at(-1) ?? ['', 1];
  return `${amount / size}${unit}`;
}

function isKeyOf<T extends object>(table: T, key: string | undefined): key is string & keyof T {
  return key !== undefined && Object.hasOwn(table, key);
}

/** "a=1, b=2" as a map; null where an item is none, or a key comes twice. */
export function parsePairs(written: string, valuePattern: RegExp): ReadonlyMap<string, string> | null {
  const parsed = new Map<string, string>();
  for (const item of written.split(',').map((part) => part.trim())) {
    if (item === '') continue;
    const [key = '', value = '', ...rest] = item.split('=').map((part) => part.trim());
    if (key === '' || rest.length > 0 || !valuePattern.test(value) || parsed.has(key)) return null;
    parsed.set(key, value);
  }
  return parsed;
}
