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
import { checkConnectionAttributes } from './connection-attributes.ts';
import { Cursor, type TextEncoding } from './cursor.ts';
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
 *     string<lenenc>  the pairs of connection-attributes.ts
 *   with CLIENT_ZSTD_COMPRESSION_ALGORITHM
 *     int<1>          zstd_compression_level
 *
 * Only the client's own flags decide which fields are there. Bytes behind the last field are ignored, as
 * mysqld does.
 */
export interface HandshakeResponse41 extends SslRequest {
  /** How the texts below were decoded, and are encoded again: `latin1` where the bytes are not UTF-8 (the
   * client's character set is another), so that not a byte is lost. */
  readonly textEncoding: TextEncoding;
  readonly username: string;
  /** The client's first answer; empty without a password. */
  readonly authResponse: Buffer;
  /** `undefined` without CLIENT_CONNECT_WITH_DB. */
  readonly database: string | undefined;
  /** The plugin `authResponse` was made with; empty without CLIENT_PLUGIN_AUTH. */
  readonly authPluginName: string;
  /** As they came, see connection-attributes.ts; `undefined` without CLIENT_CONNECT_ATTRS. */
  readonly attributes: Buffer | undefined;
  /** 1 to 22; `undefined` without CLIENT_ZSTD_COMPRESSION_ALGORITHM. */
  readonly zstdLevel: number | undefined;
}

/** @throws ProtocolError ER_NOT_SUPPORTED_AUTH_MODE for a HandshakeResponse320, ER_HANDSHAKE_ERROR otherwise. */
export function decodeHandshakeResponse41(payload: Uint8Array): HandshakeResponse41 {
  if (isHandshakeResponse320(payload)) {
    throw new ProtocolError(TOO_OLD, 'the client answered with HandshakeResponse320, of before MySQL 4.1');
  }
  const response = decodeWith(payload, 'utf8');
  // What is no UTF-8 shows as U+FFFD, which may also have been sent as itself.
  if (textsOf(response).every((text) => !text.includes('\ufffd'))) return response;
  const asLatin1 = decodeWith(payload, 'latin1');
  return textsOf(asLatin1).every((text) => isUtf8(Buffer.from(text, 'latin1'))) ? response : asLatin1;
}

function decodeWith(payload: Uint8Array, textEncoding: TextEncoding): HandshakeResponse41 {
  const cursor = new Cursor(payload, 'HandshakeResponse41', CLIENT_HANDSHAKE_FAULT);
  const fields = readSslRequestFields(cursor);
  const flags = fields.capabilityFlags;
  return {
    capabilityFlags: flags,
    mariadbCapabilityFlags: fields.mariadbCapabilityFlags,
    maxPacketBytes: fields.maxPacketBytes,
    characterSet: fields.characterSet,
    textEncoding,
    username: cursor.readNulText('username', textEncoding),
    authResponse: readAuthResponse(cursor, flags),
    database: hasCapability(flags, CLIENT_CONNECT_WITH_DB)
      ? readUnterminated(cursor, 'database', textEncoding)
      : undefined,
    authPluginName: hasCapability(flags, CLIENT_PLUGIN_AUTH)
      ? readUnterminated(cursor, 'client_plugin_name', textEncoding)
      : '',
    attributes: hasCapability(flags, CLIENT_CONNECT_ATTRS) ? readAttributes(cursor) : undefined,
    zstdLevel: hasCapability(flags, CLIENT_ZSTD_COMPRESSION_ALGORITHM) ? readZstdLevel(cursor) : undefined,
  };
}

function textsOf({ username, database, authPluginName }: HandshakeResponse41): readonly string[] {
  return [username, database ?? '', authPluginName];
}

/**
 * The payload. The flags decide which fields are written; a flag without its value writes an empty one, so
 * that an added attribute needs CLIENT_CONNECT_ATTRS to be set too.
 */
export function encodeHandshakeResponse41(response: HandshakeResponse41): Buffer {
  const flags = response.capabilityFlags;
  const text = (value: string): Buffer => Buffer.from(value, response.textEncoding);
  const writer = writeSslRequestFields(new Writer(512), response).writeNulBytes(text(response.username));
  writeAuthResponse(writer, flags, response.authResponse);
  if (hasCapability(flags, CLIENT_CONNECT_WITH_DB)) writer.writeNulBytes(text(response.database ?? ''));
  if (hasCapability(flags, CLIENT_PLUGIN_AUTH)) writer.writeNulBytes(text(response.authPluginName));
  if (hasCapability(flags, CLIENT_CONNECT_ATTRS)) {
    writer.writeLenencBytes(response.attributes ?? NO_ATTRIBUTES);
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

/** What ends with the packet needs no NUL, as for mysqld. */
function readUnterminated(cursor: Cursor, field: string, encoding: TextEncoding): string {
  return cursor.hasNulAhead() ? cursor.readNulText(field, encoding) : cursor.readRestText(encoding);
}

/** A client may announce attributes, or a level, and send nothing: mysqld takes that for none. */
function readZstdLevel(cursor: Cursor): number {
  return cursor.remainingBytes === 0 ? 0 : cursor.readUint1('zstd_compression_level');
}

function readAttributes(cursor: Cursor): Buffer {
  if (cursor.remainingBytes === 0) return NO_ATTRIBUTES;
  const block = cursor.readLenencBytes('connection attributes');
  checkConnectionAttributes(block);
  return block;
}

const NO_ATTRIBUTES = Buffer.alloc(0);
const TOO_OLD: Fault = { code: 'ER_NOT_SUPPORTED_AUTH_MODE', side: 'client' };
