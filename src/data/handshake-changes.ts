/**
 * What the router changes in the two packets that introduce server and client to each other: flags it does not let through,
 * and the client's identity among the connection attributes.
 */
import { CLIENT_SSL, COMPRESSION_CAPABILITIES } from '../../protocol/capability-flags.ts';
import {
  type ConnectionAttribute,
  replaceConnectionAttributes,
} from '../../protocol/connection-attributes.ts';
import { type Fault, ProtocolError } from '../../protocol/errors.ts';
import type { HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import type { InitialHandshake } from '../../protocol/initial-handshake.ts';
import type { BoundRoute } from '../shared/messages.ts';
import type { Connection } from './connection.ts';

/** TLS of one connection as MySQL names it: `Ssl_version`, `Ssl_cipher`. */
export type TlsFacts = { readonly version: string; readonly cipher: string };

/** Flags a route keeps from both sides. */
export function maskedFlags({ compression, consistency }: BoundRoute): number {
  // The router's own statement would have to be compressed as well.
  return compression === 'disabled' || consistency !== null ? COMPRESSION_CAPABILITIES : 0;
}

/** `ssl` is what the client is offered of TLS; undefined leaves it to the server. */
export function changeOffer(offer: InitialHandshake, masked: number, ssl?: boolean): InitialHandshake {
  return { ...offer, capabilityFlags: changeFlags(offer.capabilityFlags, masked, ssl) };
}

/**
 * Who sets such a flag unasked, as PHP's mysqlnd does, compresses from its first command on, and would wait for an answer in vain.
 *
 * @param withheld what the client was not offered
 * @throws ProtocolError when it compresses nevertheless
 */
export function checkCompression(clientFlags: number, withheld: number): void {
  if ((clientFlags & withheld & COMPRESSION_CAPABILITIES) === 0) return;
  throw new ProtocolError(
    COMPRESSES_UNASKED,
    'compression is not offered here, and the client compresses nevertheless',
  );
}

/**
 * `ssl` is whether the server gets it through TLS; undefined where it gets it as the client sent it.
 *
 * @throws ProtocolError when the client goes by more than it was offered
 */
export function changeResponse(
  response: HandshakeResponse41,
  masked: number,
  identity: readonly ConnectionAttribute[] | null,
  ssl?: boolean,
): HandshakeResponse41 {
  checkCompression(response.capabilityFlags, masked);
  return {
    ...response,
    capabilityFlags: changeFlags(response.capabilityFlags, masked, ssl),
    attributes: withIdentity(response.attributes, identity),
  };
}

/** Who the client is, as MySQL Router names it. */
export function clientIdentity(client: Connection, tls: TlsFacts | null): readonly ConnectionAttribute[] {
  const facts =
    tls === null ? [] : [attribute('ssl_version', tls.version), attribute('ssl_cipher', tls.cipher)];
  const address = client.remoteAddress.replace(IPV4_IN_IPV6, '');
  return [attribute('ip', address), attribute('port', String(client.remotePort)), ...facts];
}

/** A client that sends these names itself is not believed. One that sends no attributes may be too old to be given some. */
function withIdentity(
  attributes: Buffer | undefined,
  identity: readonly ConnectionAttribute[] | null,
): Buffer | undefined {
  if (attributes === undefined || identity === null) return attributes;
  return replaceIdentity(attributes, identity);
}

/** `attributes` with `identity`, and with nothing else under its names. */
export function replaceIdentity(attributes: Buffer, identity: readonly ConnectionAttribute[]): Buffer {
  const all = replaceConnectionAttributes(attributes, RESERVED, identity);
  return all.length <= MAX_ATTRIBUTE_BYTES ? all : replaceConnectionAttributes(attributes, RESERVED, []);
}

function changeFlags(flags: number, masked: number, ssl: boolean | undefined): number {
  const kept = flags & ~masked;
  if (ssl === undefined) return kept >>> 0;
  return (ssl ? kept | CLIENT_SSL : kept & ~CLIENT_SSL) >>> 0;
}

function attribute(name: 'ip' | 'port' | 'ssl_version' | 'ssl_cipher', value: string): ConnectionAttribute {
  return { name: `_client_${name}`, value };
}

const COMPRESSES_UNASKED: Fault = { code: 'CR_SERVER_HANDSHAKE_ERR', side: 'client' };
const RESERVED = ['_client_ip', '_client_port', '_client_ssl_version', '_client_ssl_cipher'];
const IPV4_IN_IPV6 = /^::ffff:(?=\d+\.)/i;
/** A server refuses a login with more (sql_authentication.cc). */
const MAX_ATTRIBUTE_BYTES = 65_535;
