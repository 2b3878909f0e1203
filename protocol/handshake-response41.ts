import { Buffer, isUtf8 } from 'node:buffer';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_CONNECT_WITH_DB,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_ZSTD_COMPRESSION_ALGORITHM,
  hasCapability,
} from './capability-flags.ts';
import { Cursor } from './cursor.ts';
import { CLIENT_HANDSHAKE_FAULT, type Fault, ProtocolError } from './errors.ts';
import { readSslRequestFields, type SslRequest, writeSslRequestFields } from './ssl-request.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::HandshakeResponse41, the client's answer to the initial handshake.
 *
 *     the fields of SSLRequest, 32 bytes    without CLIENT_SSL, or inside TLS
 *     string<NUL>     username
 *   with CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
 *     string<lenenc>  auth_response
 *   else with CLIENT_SECURE_CONNECTION
 *     int<1> + bytes  auth_response
 *   else
 *     string<NUL>     auth_response
 *   with CLIENT_CONNECT_WITH_DB
 *     string<NUL>     database
 *   with CLIENT_PLUGIN_AUTH
 *     string<NUL>     client_plugin_name    some clients leave it, or its NUL, out
 *   with CLIENT_CONNECT_ATTRS
 *     int<lenenc>     bytes of all pairs together, then string<lenenc> key, string<lenenc> value, …
 *   with CLIENT_ZSTD_COMPRESSION_ALGORITHM
 *     int<1>          zstd_compression_level
 *
 * Only the client's own flags decide which fields are there. Bytes behind the last field are ignored, as
 * mysqld does.
 */
export interface HandshakeResponse41 extends SslRequest {
  /** How the texts below were decoded, and are encoded again: `latin1` where the bytes are not UTF-8 (the
   * client's character set is another), so that not a byte is lost. */
  readonly textEncoding: 'utf8' | 'latin1';
  readonly username: string;
  /** The client's first answer; empty without a password. */
  readonly authResponse: Buffer;
  /** `undefined` without CLIENT_CONNECT_WITH_DB. */
  readonly database: string | undefined;
  /** The plugin `authResponse` was made with; empty without CLIENT_PLUGIN_AUTH. */
  readonly authPluginName: string;
  /** In the client's order; `undefined` without CLIENT_CONNECT_ATTRS. */
  readonly attributes: readonly ConnectionAttribute[] | undefined;
  /** 1 to 22; `undefined` without CLIENT_ZSTD_COMPRESSION_ALGORITHM. */
  readonly zstdLevel: number | undefined;
}

export interface ConnectionAttribute {
  readonly name: string;
  readonly value: string;
}

/** @throws ProtocolError ER_NOT_SUPPORTED_AUTH_MODE for a HandshakeResponse320, ER_HANDSHAKE_ERROR otherwise. */
export function decodeHandshakeResponse41(payload: Uint8Array): HandshakeResponse41 {
  if (isHandshakeResponse320(payload)) {
    throw new ProtocolError(TOO_OLD, 'the client answered with HandshakeResponse320, of before MySQL 4.1');
  }
  const cursor = new Cursor(payload, 'HandshakeResponse41', CLIENT_HANDSHAKE_FAULT);
  const fields = readSslRequestFields(cursor);
  const flags = fields.capabilityFlags;
  const username = cursor.readNulBytes('username');
  const authResponse = readAuthResponse(cursor, flags);
  const database = hasCapability(flags, CLIENT_CONNECT_WITH_DB) ? cursor.readNulBytes('database') : undefined;
  const authPluginName = hasCapability(flags, CLIENT_PLUGIN_AUTH)
    ? readAuthPluginName(cursor)
    : Buffer.alloc(0);
  const pairs = hasCapability(flags, CLIENT_CONNECT_ATTRS) ? readAttributes(cursor) : undefined;
  const zstdLevel = hasCapability(flags, CLIENT_ZSTD_COMPRESSION_ALGORITHM)
    ? cursor.readUint1('zstd_compression_level')
    : undefined;

  const texts = [username, database ?? Buffer.alloc(0), authPluginName, ...(pairs ?? []).flat()];
  const textEncoding = texts.every((text) => isUtf8(text)) ? 'utf8' : 'latin1';
  return {
    ...fields,
    textEncoding,
    username: username.toString(textEncoding),
    authResponse,
    database: database?.toString(textEncoding),
    authPluginName: authPluginName.toString(textEncoding),
    attributes: pairs?.map(([name, value]) => ({
      name: name.toString(textEncoding),
      value: value.toString(textEncoding),
    })),
    zstdLevel,
  };
}

/**
 * The payload. The flags decide which fields are written; a flag without its value writes an empty one, so
 * that an added attribute needs CLIENT_CONNECT_ATTRS to be set too.
 */
export function encodeHandshakeResponse41(response: HandshakeResponse41): Buffer {
  const flags = response.capabilityFlags;
  const text = (value: string): Buffer => Buffer.from(value, response.textEncoding);
  const writer = writeSslRequestFields(new Writer(256), response).writeNulBytes(text(response.username));
  writeAuthResponse(writer, flags, response.authResponse);
  if (hasCapability(flags, CLIENT_CONNECT_WITH_DB)) writer.writeNulBytes(text(response.database ?? ''));
  if (hasCapability(flags, CLIENT_PLUGIN_AUTH)) writer.writeNulBytes(text(response.authPluginName));
  if (hasCapability(flags, CLIENT_CONNECT_ATTRS)) {
    const pairs = new Writer();
    for (const { name, value } of response.attributes ?? []) {
      pairs.writeLenencBytes(text(name)).writeLenencBytes(text(value));
    }
    writer.writeLenencBytes(pairs.finish());
  }
  if (hasCapability(flags, CLIENT_ZSTD_COMPRESSION_ALGORITHM)) writer.writeUint1(response.zstdLevel ?? 0);
  return writer.finish();
}

/**
 * Whether a client's first payload is Protocol::HandshakeResponse320: two bytes of flags, without
 * CLIENT_PROTOCOL_41, where a newer client sends four. It is recognised only to be refused by name.
 */
export function isHandshakeResponse320(payload: Uint8Array): boolean {
  const [lower, upper] = payload;
  return (
    lower !== undefined && upper !== undefined && !hasCapability(lower | (upper << 8), CLIENT_PROTOCOL_41)
  );
}

function readAuthResponse(cursor: Cursor, flags: number): Buffer {
  if (hasCapability(flags, CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA))
    return cursor.readLenencBytes('auth_response');
  if (hasCapability(flags, CLIENT_SECURE_CONNECTION)) {
    return cursor.readBytes(cursor.readUint1('auth_response length'), 'auth_response');
  }
  return cursor.readNulBytes('auth_response');
}

function writeAuthResponse(writer: Writer, flags: number, authResponse: Buffer): void {
  if (hasCapability(flags, CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)) {
    writer.writeLenencBytes(authResponse);
  } else if (hasCapability(flags, CLIENT_SECURE_CONNECTION)) {
    writer.writeUint1(authResponse.length).writeBytes(authResponse);
  } else {
    writer.writeNulBytes(authResponse);
  }
}

function readAuthPluginName(cursor: Cursor): Buffer {
  return cursor.hasNulAhead() ? cursor.readNulBytes('client_plugin_name') : cursor.readRest();
}

function readAttributes(cursor: Cursor): (readonly [Buffer, Buffer])[] {
  const block = cursor.readLenencBytes('connection attributes');
  const pairs = new Cursor(block, 'HandshakeResponse41 attributes', CLIENT_HANDSHAKE_FAULT);
  const attributes: (readonly [Buffer, Buffer])[] = [];
  while (pairs.remainingBytes > 0) {
    attributes.push([pairs.readLenencBytes('key'), pairs.readLenencBytes('value')]);
  }
  return attributes;
}

const TOO_OLD: Fault = { code: 'ER_NOT_SUPPORTED_AUTH_MODE', side: 'client' };
