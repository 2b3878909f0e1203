import { Buffer } from 'node:buffer';
import { CLIENT_SESSION_TRACK, hasCapability } from './capability-flags.ts';
import { Cursor } from './cursor.ts';
import { SERVER_FAULT } from './errors.ts';
import { SERVER_SESSION_STATE_CHANGED } from './status-flags.ts';
import { Writer } from './writer.ts';

/**
 * OK_Packet.
 *
 *     int<1>          0x00, or 0xfe where it ends a result set under CLIENT_DEPRECATE_EOF
 *     int<lenenc>     affected_rows
 *     int<lenenc>     last_insert_id
 *     int<2>          status_flags
 *     int<2>          warnings
 *   with CLIENT_SESSION_TRACK
 *     string<lenenc>  info                        left out when it is empty and no state changed
 *     string<lenenc>  session state information   with SERVER_SESSION_STATE_CHANGED
 *   else
 *     string<EOF>     info
 *
 * CLIENT_PROTOCOL_41 is taken for granted.
 */
export interface OkPacket {
  readonly header: typeof OK_HEADER | typeof OK_HEADER_END_OF_ROWS;
  readonly affectedRows: bigint;
  readonly lastInsertId: bigint;
  readonly statusFlags: number;
  readonly warnings: number;
  /** For people, in the connection's character set. */
  readonly info: Buffer;
  /** The changes, undecoded; `undefined` where the packet has none. */
  readonly sessionStateInfo: Buffer | undefined;
}

/** What stands before the text: enough for whoever follows the session's state. */
export type OkPacketHead = Omit<OkPacket, 'info' | 'sessionStateInfo'>;

export function decodeOkPacket(payload: Uint8Array, sharedCapabilities: number): OkPacket {
  const cursor = new Cursor(payload, 'OkPacket', SERVER_FAULT);
  const head = readOkPacketHead(cursor);
  if (!hasCapability(sharedCapabilities, CLIENT_SESSION_TRACK)) {
    return { ...head, info: cursor.readRest(), sessionStateInfo: undefined };
  }
  const info = cursor.remainingBytes > 0 ? cursor.readLenencBytes('info') : Buffer.alloc(0);
  const hasChanges = (head.statusFlags & SERVER_SESSION_STATE_CHANGED) !== 0;
  return {
    ...head,
    info,
    sessionStateInfo: hasChanges ? cursor.readLenencBytes('session state information') : undefined,
  };
}

/** Decodes the head of a payload that may have been cut off behind it. */
export function decodeOkPacketHead(payload: Uint8Array): OkPacketHead {
  return readOkPacketHead(new Cursor(payload, 'OkPacket', SERVER_FAULT));
}

export function encodeOkPacket(ok: OkPacket, sharedCapabilities: number): Buffer {
  const writer = new Writer()
    .writeUint1(ok.header)
    .writeLenencInt(ok.affectedRows)
    .writeLenencInt(ok.lastInsertId)
    .writeUint2(ok.statusFlags)
    .writeUint2(ok.warnings);
  if (!hasCapability(sharedCapabilities, CLIENT_SESSION_TRACK)) return writer.writeBytes(ok.info).finish();
  const hasChanges = (ok.statusFlags & SERVER_SESSION_STATE_CHANGED) !== 0;
  if (hasChanges || ok.info.length > 0) writer.writeLenencBytes(ok.info);
  if (hasChanges) writer.writeLenencBytes(ok.sessionStateInfo ?? Buffer.alloc(0));
  return writer.finish();
}

function readOkPacketHead(cursor: Cursor): OkPacketHead {
  const header = cursor.readUint1('header');
  if (header !== OK_HEADER && header !== OK_HEADER_END_OF_ROWS) {
    return cursor.fail(`the header is 0x${header.toString(16)}`);
  }
  return {
    header,
    affectedRows: cursor.readLenencInt('affected_rows'),
    lastInsertId: cursor.readLenencInt('last_insert_id'),
    statusFlags: cursor.readUint2('status_flags'),
    warnings: cursor.readUint2('warnings'),
  };
}

/** First byte of the payload. */
export const OK_HEADER = 0x00;
/** First byte of the OK that stands where an EOF packet stood. */
export const OK_HEADER_END_OF_ROWS = 0xfe;
