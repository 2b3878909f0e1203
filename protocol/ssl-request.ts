import type { Buffer } from 'node:buffer';
import { CLIENT_LONG_PASSWORD, hasCapability } from './capability-flags.ts';
import { Cursor } from './cursor.ts';
import { CLIENT_HANDSHAKE_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::SSLRequest: the first fields of a HandshakeResponse41, in plaintext, with CLIENT_SSL set. TLS
 * begins with the very next byte; the client sends its HandshakeResponse41 again, whole, inside TLS.
 *
 *     int<4>      client_flag       with CLIENT_SSL
 *     int<4>      max_packet_size
 *     int<1>      character_set
 *     string[23]  filler            zeros; MariaDB: 19 zeros, then int<4> extended capabilities when
 *                                   CLIENT_LONG_PASSWORD is not set
 */
export interface SslRequest {
  readonly capabilityFlags: number;
  /** MariaDB's extended word, 0 where there is none. */
  readonly mariadbCapabilityFlags: number;
  /** The longest payload the client takes, in bytes. */
  readonly maxPacketBytes: number;
  /** The connection's collation number, lower eight bits. */
  readonly characterSet: number;
}

/** Bytes after the 32 known ones are ignored, as mysqld does. */
export function decodeSslRequest(payload: Uint8Array): SslRequest {
  return readSslRequestFields(new Cursor(payload, 'SSLRequest', CLIENT_HANDSHAKE_FAULT));
}

export function encodeSslRequest(request: SslRequest): Buffer {
  return writeSslRequestFields(new Writer(SSL_REQUEST_BYTES), request).finish();
}

/** The fields SSLRequest and HandshakeResponse41 have in common. */
export function readSslRequestFields(cursor: Cursor): SslRequest {
  const capabilityFlags = cursor.readUint4('client_flag');
  const maxPacketBytes = cursor.readUint4('max_packet_size');
  const characterSet = cursor.readUint1('character_set');
  cursor.skip(FILLER_BYTES - 4, 'filler');
  const lastFiller = cursor.readUint4('filler');
  const mariadbCapabilityFlags = hasCapability(capabilityFlags, CLIENT_LONG_PASSWORD) ? 0 : lastFiller;
  return { capabilityFlags, mariadbCapabilityFlags, maxPacketBytes, characterSet };
}

/** The counterpart of `readSslRequestFields`. */
export function writeSslRequestFields(writer: Writer, request: SslRequest): Writer {
  const isMariadb = !hasCapability(request.capabilityFlags, CLIENT_LONG_PASSWORD);
  return writer
    .writeUint4(request.capabilityFlags)
    .writeUint4(request.maxPacketBytes)
    .writeUint1(request.characterSet)
    .writeZeros(FILLER_BYTES - 4)
    .writeUint4(isMariadb ? request.mariadbCapabilityFlags : 0);
}

/** Payload length of an SSLRequest. */
export const SSL_REQUEST_BYTES = 32;

const FILLER_BYTES = 23;
