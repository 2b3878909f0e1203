import type { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { SERVER_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::AuthMoreData: a packet from the server's half of a plugin to the client's.
 *
 *     int<1>       0x01
 *     string<EOF>  authentication method data
 *
 * MySQL wraps every such packet so; MariaDB only those whose first byte could be mistaken for another packet.
 */
export interface AuthMoreData {
  readonly pluginData: Buffer;
}

export function decodeAuthMoreData(payload: Uint8Array): AuthMoreData {
  const cursor = new Cursor(payload, 'AuthMoreData', SERVER_FAULT);
  cursor.expectUint1(AUTH_MORE_DATA, 'status');
  return { pluginData: cursor.readRest() };
}

export function encodeAuthMoreData(data: AuthMoreData): Buffer {
  return new Writer().writeUint1(AUTH_MORE_DATA).writeBytes(data.pluginData).finish();
}

/** First byte of the payload. */
export const AUTH_MORE_DATA = 0x01;

/** caching_sha2_password, server: the scramble matched the cache, an OK packet follows at once. */
export const CACHING_SHA2_FAST_AUTH_OK = 0x03;
/** caching_sha2_password, server: send the password itself, through TLS or encrypted by the public key. */
export const CACHING_SHA2_FULL_AUTH = 0x04;
/** caching_sha2_password, client: a single byte that asks for the public key. */
export const CACHING_SHA2_REQUEST_PUBLIC_KEY = 0x02;
