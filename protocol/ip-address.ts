/**
 * IP addresses as text and as bytes in network order.
 */
import { Buffer } from 'node:buffer';

/** The 4 or 16 bytes of an address; undefined for what is none. Zones (`fe80::1%eth0`) are none. */
export function parseIpAddress(text: string): Buffer | undefined {
  return text.includes(':') ? parseIPv6(text) : parseIPv4(text);
}

/** As `inet_ntop` writes it (RFC 5952): an address has one spelling only, so it can be compared as text. */
export function formatIpAddress(address: Uint8Array): string {
  if (address.length === IPV4_BYTES) return address.join('.');
  const groups = Array.from({ length: IPV6_GROUPS }, (_, group) => {
    const high = address[2 * group] ?? 0;
    return (high << 8) | (address[2 * group + 1] ?? 0);
  });
  if (isIPv4Mapped(address)) return `::ffff:${address.subarray(IPV6_BYTES - IPV4_BYTES).join('.')}`;
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The same for an IPv4 address that an IPv6 socket writes as `::ffff:10.0.0.1`. */
export function withoutMapping(text: string): string {
  return /^::ffff:\d/i.test(text) && text.includes('.') ? text.slice('::ffff:'.length) : text;
}

function parseIPv4(text: string): Buffer | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1);
  // Leading zeros are refused: some read them as octal.
  if (parts.some((part) => Number(part) > 255 || (part.length > 1 && part.startsWith('0')))) return undefined;
  return Buffer.from(parts.map(Number));
}

function parseIPv6(text: string): Buffer | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf(halves[0] ?? '', halves.length === 1), groupsOf(halves[1] ?? '', true)];
  if (head === undefined || tail === undefined) return undefined;
  const missing = IPV6_BYTES - head.length - tail.length;
  // `::` stands for at least one group.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Buffer.concat([head, Buffer.alloc(missing), tail]);
}

/** The bytes of groups with colons between; the last one of an address may be an IPv4 address. */
function groupsOf(text: string, isEnd: boolean): Buffer | undefined {
  if (text === '') return Buffer.alloc(0);
  const groups = text.split(':');
  const parts = groups.map((group, index) => {
    if (isEnd && index === groups.length - 1 && group.includes('.')) return parseIPv4(group);
    return /^[0-9a-f]{1,4}$/i.test(group) ? Buffer.from(group.padStart(4, '0'), 'hex') : undefined;
  });
  const known = parts.filter((part) => part !== undefined);
  return known.length === parts.length ? Buffer.concat(known) : undefined;
}

function isIPv4Mapped(address: Uint8Array): boolean {
  return IPV4_MAPPED.every((byte, index) => address[index] === byte);
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue;
    if (index - start > longest.length) longest = { start, length: index - start };
    start = index + 1;
  }
  return longest;
}

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
const IPV4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;
