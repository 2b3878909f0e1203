import { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { ERRORS, type ErrorName } from './error-codes.ts';
import { SERVER_FAULT } from './errors.ts';
import { encodePacket } from './packet-header.ts';
import { Writer } from './writer.ts';

/**
 * ERR_Packet.
 *
 *     int<1>       0xff
 *     int<2>       error_code
 *   once capabilities are known, with CLIENT_PROTOCOL_41
 *     string[1]    '#'
 *     string[5]    sql_state
 *
 *     string<EOF>  error_message
 *
 * Before their initial handshake mysqld and mariadbd know no capabilities and leave the state out; a client
 * that finds one there takes it for a part of the text. Decoding goes by the '#' and five digits or capitals.
 */
export interface ErrPacket {
  readonly errorCode: number;
  /** Five characters, Latin-1; `undefined` where the packet has none. */
  readonly sqlState: string | undefined;
  /** UTF-8, for people. */
  readonly message: string;
}

export function decodeErrPacket(payload: Uint8Array): ErrPacket {
  const cursor = new Cursor(payload, 'ErrPacket', SERVER_FAULT);
  cursor.expectUint1(ERR_HEADER, 'header');
  const errorCode = cursor.readUint2('error_code');
  const rest = cursor.readRest();
  const sqlState = STATE_PATTERN.exec(rest.toString('latin1', 0, STATE_BYTES))?.[1];
  const message = rest.toString('utf8', sqlState === undefined ? 0 : STATE_BYTES);
  return { errorCode, sqlState, message };
}

/** The payload; a state of `undefined` leaves marker and state out. */
export function encodeErrPacket(err: ErrPacket): Buffer {
  const writer = new Writer().writeUint1(ERR_HEADER).writeUint2(err.errorCode);
  if (err.sqlState !== undefined) {
    writer.writeUint1(STATE_MARKER).writeBytes(Buffer.from(err.sqlState, 'latin1'));
  }
  return writer.writeBytes(Buffer.from(err.message, 'utf8')).finish();
}

/** One of MySQL's own errors; `message` stands in for its text, which may contain `%s`. */
export function createErrPacket(name: ErrorName, message: string = ERRORS[name].message): ErrPacket {
  const { number, sqlState } = ERRORS[name];
  return { errorCode: number, sqlState, message };
}

/**
 * The whole packet for a client that has not been sent an initial handshake: sequence id 0, no SQLSTATE.
 * The client shows HY000.
 */
export function encodeErrBeforeHandshake(err: ErrPacket): Buffer {
  return encodePacket(encodeErrPacket({ ...err, sqlState: undefined }), 0);
}

/**
 * The whole packet for a client that has been sent an initial handshake; `sequenceId` follows the last packet
 * either side sent.
 */
export function encodeErr(err: ErrPacket, sequenceId: number): Buffer {
  return encodePacket(encodeErrPacket(err), sequenceId);
}

/** First byte of the payload. */
export const ERR_HEADER = 0xff;

const STATE_MARKER = 0x23;
/** Marker and state. */
const STATE_BYTES = 6;
const STATE_PATTERN = /^#([0-9A-Z]{5})$/;
