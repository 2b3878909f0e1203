/**
 * Version 2 of the PROXY protocol, integers in network order:
 *
 *     12  signature      0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
 *      1  version and command   0x20 LOCAL, 0x21 PROXY
 *      1  family and protocol   0x00 unspecified, 0x11 TCP over IPv4, 0x21 TCP over IPv6, 0x31 a UNIX stream, …
 *      2  length of what follows
 *      n  addresses       source, destination, source port, destination port: 12, 36 or 216 bytes
 *         TLVs            type 1, length 2, value
 *
 * Source: haproxy.org, doc/proxy-protocol.txt, section 2.2.
 */
import { Buffer } from 'node:buffer';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError } from './errors.ts';
import { formatIpAddress, parseIpAddress } from './ip-address.ts';
import type { ProxyEndpoint, ProxyHeader, ProxyRead } from './proxy-protocol.ts';

export const SIGNATURE_V2 = Buffer.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
]);

/** Called by `readProxyHeader` with bytes that begin as the signature does. @throws ProtocolError */
export function readProxyHeaderV2(received: Buffer, maxBytes: number): ProxyRead {
  if (received.length < FIXED_BYTES) return { kind: 'incomplete' };
  const consumedBytes = FIXED_BYTES + received.readUInt16BE(LENGTH_AT);
  if (consumedBytes > maxBytes) throw malformed(`${consumedBytes} bytes are more than ${maxBytes}`);
  const version = received.readUInt8(COMMAND_AT) >> 4;
  if (version !== 2) throw malformed(`version ${version} is not known`);
  if (received.length < consumedBytes) return { kind: 'incomplete' };
  return { kind: 'header', header: decode(received.subarray(0, consumedBytes)), consumedBytes };
}

/**
 * The header of a connection made for `source`, who had connected to `destination`. Where only one is an IPv6 address, the
 * other is written as one (`::ffff:10.0.0.1`); where one is no address at all, LOCAL is said.
 */
export function encodeProxyHeaderV2(header: ProxyHeader): Buffer {
  if (header.kind === 'own') return encode(COMMAND_LOCAL, FAMILY_UNSPECIFIED, []);
  const addresses = [header.source.address, header.destination.address].map(parseIpAddress);
  const [source, destination] = addresses.some((address) => address?.length === IPV6_BYTES)
    ? addresses.map(toIPv6)
    : addresses;
  if (source === undefined || destination === undefined) return encode(COMMAND_LOCAL, FAMILY_UNSPECIFIED, []);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(header.source.port, 0);
  ports.writeUInt16BE(header.destination.port, 2);
  const family = source.length === IPV4_BYTES ? FAMILY_TCP4 : FAMILY_TCP6;
  return encode(COMMAND_PROXY, family, [source, destination, ports]);
}

function decode(header: Buffer): ProxyHeader {
  const command = header.readUInt8(COMMAND_AT) & 0x0f;
  const family = header.readUInt8(FAMILY_AT);
  if (command !== COMMAND_LOCAL && command !== COMMAND_PROXY)
    throw malformed(`command ${command} is not known`);
  const addressBytes = ADDRESS_BYTES.get(family);
  // LOCAL says nothing of anybody, whatever stands behind it; UNIX, UDP and unspecified say nothing that counts here.
  if (command === COMMAND_LOCAL || addressBytes === undefined) return { kind: 'own' };
  const tlvsAt = FIXED_BYTES + 2 * addressBytes + 4;
  if (header.length < tlvsAt) throw malformed('it is too short for its addresses');
  checkTlvs(header, tlvsAt);
  const endpoint = (addressAt: number, portAt: number): ProxyEndpoint => ({
    address: formatIpAddress(header.subarray(addressAt, addressAt + addressBytes)),
    port: header.readUInt16BE(portAt),
  });
  return {
    kind: 'proxied',
    source: endpoint(FIXED_BYTES, tlvsAt - 4),
    destination: endpoint(FIXED_BYTES + addressBytes, tlvsAt - 2),
  };
}

/** Their lengths must fit, and a checksum must be right; nothing else in them is of use here. */
function checkTlvs(header: Buffer, tlvsAt: number): void {
  for (let at = tlvsAt; at < header.length; ) {
    if (header.length - at < TLV_HEADER_BYTES) throw malformed('a TLV is cut off');
    const valueAt = at + TLV_HEADER_BYTES;
    const end = valueAt + header.readUInt16BE(at + 1);
    if (end > header.length) throw malformed('a TLV is longer than the header');
    if (header.readUInt8(at) === TLV_CRC32C) checkChecksum(header, valueAt, end);
    at = end;
  }
}

/** CRC32c over the whole header with the checksum taken as 0. */
function checkChecksum(header: Buffer, valueAt: number, end: number): void {
  if (end - valueAt !== 4) throw malformed('its checksum has not 4 bytes');
  const blanked = Buffer.from(header);
  blanked.fill(0, valueAt, end);
  if (crc32c(blanked) !== header.readUInt32BE(valueAt)) throw malformed('its checksum is wrong');
}

/** The Castagnoli polynomial, bit by bit: a header has some hundred bytes. Source: RFC 3720, appendix B.4. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

function encode(command: number, family: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const fixed = Buffer.alloc(FIXED_BYTES);
  SIGNATURE_V2.copy(fixed);
  fixed.writeUInt8((2 << 4) | command, COMMAND_AT);
  fixed.writeUInt8(family, FAMILY_AT);
  fixed.writeUInt16BE(body.length, LENGTH_AT);
  return Buffer.concat([fixed, body]);
}

function toIPv6(address: Buffer | undefined): Buffer | undefined {
  if (address?.length !== IPV4_BYTES) return address;
  return Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), address]);
}

function malformed(detail: string): ProtocolError {
  return new ProtocolError(CLIENT_HANDSHAKE_FAULT, `PROXY protocol: ${detail}`);
}

const FIXED_BYTES = 16;
const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const FAMILY_UNSPECIFIED = 0x00;
const FAMILY_TCP4 = 0x11;
const FAMILY_TCP6 = 0x21;
/** Bytes of one address, by family. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [FAMILY_TCP4, IPV4_BYTES],
  [FAMILY_TCP6, IPV6_BYTES],
]);
const TLV_HEADER_BYTES = 3;
const TLV_CRC32C = 0x03;
