/**
 * The PROXY protocol: the first bytes of a connection, in which a proxy says for whom it connects.
 *
 * Version 1 is a line of text, version 2 a binary header (proxy-protocol-v2.ts):
 *
 *     PROXY TCP4 192.0.2.7 198.51.100.1 41234 3306\r\n
 *     PROXY TCP6 2001:db8::7 2001:db8::1 41234 3306\r\n
 *     PROXY UNKNOWN …\r\n
 *
 * Source: haproxy.org, doc/proxy-protocol.txt, sections 2.1 and 2.2.
 */
import { Buffer } from 'node:buffer';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError } from './errors.ts';
import { formatIpAddress, parseIpAddress } from './ip-address.ts';
import { readProxyHeaderV2, SIGNATURE_V2 } from './proxy-protocol-v2.ts';

export type ProxyEndpoint = {
  /** In the one spelling of ip-address.ts. */
  readonly address: string;
  readonly port: number;
};

export type ProxyHeader =
  | { readonly kind: 'proxied'; readonly source: ProxyEndpoint; readonly destination: ProxyEndpoint }
  /** The connection is the proxy's own (a health check), or the proxy does not know for whom it connects. */
  | { readonly kind: 'own' };

export type ProxyRead =
  /** So far it could become a header. */
  | { readonly kind: 'incomplete' }
  /** These are the first bytes of something else. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly consumedBytes: number };

/**
 * Reads the header at the beginning of what a connection has sent so far; what follows it belongs to the client.
 *
 * @param maxBytes a header that is longer is refused; at least 107, the longest of version 1
 * @throws ProtocolError when it begins as a header and is none
 */
export function readProxyHeader(received: Buffer, maxBytes: number): ProxyRead {
  if (startsAlike(received, SIGNATURE_V2)) return readProxyHeaderV2(received, maxBytes);
  if (startsAlike(received, SIGNATURE_V1)) return readVersion1(received);
  return { kind: 'absent' };
}

function readVersion1(received: Buffer): ProxyRead {
  const end = received.subarray(0, MAX_LINE_BYTES).indexOf('\r\n', 0, 'latin1');
  if (end === -1) {
    if (received.length < MAX_LINE_BYTES) return { kind: 'incomplete' };
    throw malformed(`no end of line within ${MAX_LINE_BYTES} bytes`);
  }
  const line = received.toString('latin1', 0, end);
  return { kind: 'header', header: parseLine(line), consumedBytes: end + 2 };
}

function parseLine(line: string): ProxyHeader {
  const [signature, protocol, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] =
    line.split(' ');
  // "The receiver must ignore anything presented before the CRLF" for UNKNOWN.
  if (signature === 'PROXY' && protocol === 'UNKNOWN') return { kind: 'own' };
  if (signature !== 'PROXY' || (protocol !== 'TCP4' && protocol !== 'TCP6') || more.length > 0)
    throw malformed('the line is not "PROXY TCP4|TCP6|UNKNOWN …"');
  const addressBytes = protocol === 'TCP4' ? 4 : 16;
  return {
    kind: 'proxied',
    source: { address: parseAddress(source, addressBytes), port: parsePort(sourcePort) },
    destination: { address: parseAddress(destination, addressBytes), port: parsePort(destinationPort) },
  };
}

function parseAddress(text: string, addressBytes: number): string {
  const address = parseIpAddress(text);
  if (address?.length !== addressBytes) throw malformed('an address is none of its family');
  return formatIpAddress(address);
}

function parsePort(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 0xffff)) throw malformed('a port is no number from 0 to 65535');
  return port;
}

/** Whether as much as there is of both is the same; true for nothing at all. */
function startsAlike(received: Buffer, signature: Buffer): boolean {
  const length = Math.min(received.length, signature.length);
  return received.subarray(0, length).equals(signature.subarray(0, length));
}

function malformed(detail: string): ProtocolError {
  return new ProtocolError(CLIENT_HANDSHAKE_FAULT, `PROXY protocol: ${detail}`);
}

/** "PROXY" and its blank. */
const SIGNATURE_V1 = Buffer.from('PROXY ', 'latin1');
/** The CRLF included. */
const MAX_LINE_BYTES = 107;
