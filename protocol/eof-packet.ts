import type { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { SERVER_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * EOF_Packet, under CLIENT_PROTOCOL_41.
 *
 *     int<1>  0xfe
 *     int<2>  warnings
 *     int<2>  status_flags
 */
export interface EofPacket {
  readonly warnings: number;
  readonly statusFlags: number;
}

export function decodeEofPacket(payload: Uint8Array): EofPacket {
  const cursor = new Cursor(payload, 'EofPacket', SERVER_FAULT);
  cursor.expectUint1(EOF_HEADER, 'header');
  const warnings = cursor.readUint2('warnings');
  const statusFlags = cursor.readUint2('status_flags');
  if (cursor.remainingBytes > 0) return cursor.fail(`${cursor.remainingBytes} bytes behind the last field`);
  return { warnings, statusFlags };
}

export function encodeEofPacket(eof: EofPacket): Buffer {
  return new Writer(EOF_BYTES)
    .writeUint1(EOF_HEADER)
    .writeUint2(eof.warnings)
    .writeUint2(eof.statusFlags)
    .finish();
}

/** First byte of the payload; a longer payload that begins so is a row, or an OK packet. */
export const EOF_HEADER = 0xfe;
/** Payload length. */
export const EOF_BYTES = 5;
