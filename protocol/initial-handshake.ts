import { Buffer } from 'node:buffer';
import {
  CLIENT_LONG_PASSWORD,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  hasCapability,
} from './capability-flags.ts';
import { Cursor } from './cursor.ts';
import { type Fault, ProtocolError, SERVER_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::HandshakeV10, the server's first packet.
 *
 *     int<1>       protocol version         10
 *     string<NUL>  server version
 *     int<4>       thread id
 *     string[8]    auth-plugin-data-part-1
 *     int<1>       filler                   0
 *     int<2>       capability_flags_1       the lower half
 *     int<1>       character_set
 *     int<2>       status_flags
 *     int<2>       capability_flags_2       the upper half
 *     int<1>       auth_plugin_data_len     0 without CLIENT_PLUGIN_AUTH
 *     string[10]   reserved                 zeros; MariaDB: six zeros, then int<4> extended capabilities
 *                                           when CLIENT_LONG_PASSWORD is not set
 *   with CLIENT_SECURE_CONNECTION
 *     $length      auth-plugin-data-part-2  max(13, auth_plugin_data_len - 8) bytes
 *   with CLIENT_PLUGIN_AUTH
 *     string<NUL>  auth_plugin_name         servers before 5.5.10 forgot the NUL
 *
 * An ERR packet may come in its place (err-packet.ts).
 */
export interface InitialHandshake {
  /** As sent; MariaDB 10 prefixes `5.5.5-`. Latin-1, so that any byte survives re-encoding. */
  readonly serverVersion: string;
  /** The server's thread id, what `CONNECTION_ID()` shows. */
  readonly connectionId: number;
  /** Both parts, together with the trailing NUL servers send: usually 20 bytes + NUL. At least 8 bytes. */
  readonly authPluginData: Buffer;
  readonly capabilityFlags: number;
  /** MariaDB's extended word, 0 where there is none. */
  readonly mariadbCapabilityFlags: number;
  /** The default collation's number, lower eight bits. */
  readonly characterSet: number;
  readonly statusFlags: number;
  /** Latin-1; empty without CLIENT_PLUGIN_AUTH. */
  readonly authPluginName: string;
}

/** @throws ProtocolError also for servers older than MySQL 4.1, which offer no CLIENT_PROTOCOL_41. */
export function decodeInitialHandshake(payload: Uint8Array): InitialHandshake {
  const cursor = new Cursor(payload, 'InitialHandshake', SERVER_FAULT);
  const version = cursor.readUint1('protocol version');
  if (version !== PROTOCOL_VERSION) {
    throw new ProtocolError(
      NOT_MYSQL,
      `the server's first packet has protocol version ${version}, not ${PROTOCOL_VERSION}`,
    );
  }
  const serverVersion = cursor.readNulBytes('server version').toString('latin1');
  const connectionId = cursor.readUint4('thread id');
  const part1 = cursor.readBytes(PART_1_BYTES, 'auth-plugin-data-part-1');
  cursor.skip(1, 'filler');
  const lowerFlags = cursor.readUint2('capability_flags_1');
  const characterSet = cursor.readUint1('character_set');
  const statusFlags = cursor.readUint2('status_flags');
  const capabilityFlags = (lowerFlags | (cursor.readUint2('capability_flags_2') << 16)) >>> 0;
  if (!hasCapability(capabilityFlags, CLIENT_PROTOCOL_41)) {
    throw new ProtocolError(NOT_MYSQL, `server ${serverVersion} does not speak the 4.1 protocol`);
  }
  const hasPluginAuth = hasCapability(capabilityFlags, CLIENT_PLUGIN_AUTH);
  const announcedBytes = cursor.readUint1('auth_plugin_data_len');
  cursor.skip(6, 'reserved');
  const lastReserved = cursor.readUint4('reserved');
  const part2Bytes = Math.max(PART_2_MIN_BYTES, (hasPluginAuth ? announcedBytes : 0) - PART_1_BYTES);
  const part2 = hasCapability(capabilityFlags, CLIENT_SECURE_CONNECTION)
    ? cursor.readBytes(part2Bytes, 'auth-plugin-data-part-2')
    : Buffer.alloc(0);
  return {
    serverVersion,
    connectionId,
    authPluginData: Buffer.concat([part1, part2]),
    capabilityFlags,
    mariadbCapabilityFlags: hasCapability(capabilityFlags, CLIENT_LONG_PASSWORD) ? 0 : lastReserved,
    characterSet,
    statusFlags,
    authPluginName: hasPluginAuth ? readAuthPluginName(cursor) : '',
  };
}

/**
 * The payload. What the flags do not announce is left out: clear a flag and its fields go too.
 *
 * With CLIENT_SECURE_CONNECTION `authPluginData` must have 21 to 255 bytes (20 + NUL), without it 8.
 */
export function encodeInitialHandshake(handshake: InitialHandshake): Buffer {
  const flags = handshake.capabilityFlags;
  const hasPluginAuth = hasCapability(flags, CLIENT_PLUGIN_AUTH);
  const isMariadb = !hasCapability(flags, CLIENT_LONG_PASSWORD);
  const writer = new Writer()
    .writeUint1(PROTOCOL_VERSION)
    .writeNulBytes(Buffer.from(handshake.serverVersion, 'latin1'))
    .writeUint4(handshake.connectionId)
    .writeBytes(handshake.authPluginData.subarray(0, PART_1_BYTES))
    .writeZeros(1)
    .writeUint2(flags & 0xffff)
    .writeUint1(handshake.characterSet)
    .writeUint2(handshake.statusFlags)
    .writeUint2(flags >>> 16)
    .writeUint1(hasPluginAuth ? handshake.authPluginData.length : 0)
    .writeZeros(6)
    .writeUint4(isMariadb ? handshake.mariadbCapabilityFlags : 0);
  if (hasCapability(flags, CLIENT_SECURE_CONNECTION)) {
    writer.writeBytes(handshake.authPluginData.subarray(PART_1_BYTES));
  }
  if (hasPluginAuth) writer.writeNulBytes(Buffer.from(handshake.authPluginName, 'latin1'));
  return writer.finish();
}

function readAuthPluginName(cursor: Cursor): string {
  const name = cursor.hasNulAhead() ? cursor.readNulBytes('auth_plugin_name') : cursor.readRest();
  return name.toString('latin1');
}

/** First byte of the payload; 9 was MySQL 3.20. */
export const PROTOCOL_VERSION = 10;

const PART_1_BYTES = 8;
const PART_2_MIN_BYTES = 13;
const NOT_MYSQL: Fault = { code: 'CR_SERVER_HANDSHAKE_ERR', side: 'server' };
