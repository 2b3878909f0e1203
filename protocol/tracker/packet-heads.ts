/**
 * The first bytes of the packets that end a result, read in place.
 *
 *     OK    0x00 or 0xfe, affected_rows int<lenenc>, last_insert_id int<lenenc>, status_flags int<2>, warnings int<2>, …
 *     EOF   0xfe, warnings int<2>, status_flags int<2>
 *     ERR   0xff, error_code int<2>, '#', sql_state string[5], error_message string<EOF>
 *
 * Offsets are those of the payload. Callers make sure that min(length, HEAD_BYTES) bytes are there.
 * Source: MySQL source documentation, page_protocol_basic_ok_packet, _eof_packet and _err_packet.
 */

/** As much of a payload as any decision needs: an OK's status flags end at 21 with the longest integers. */
export const HEAD_BYTES = 24;

/** A head that is too short for its kind. */
export const MALFORMED = -1;

/** The status flags of an OK packet, or `MALFORMED`. */
export function readOkStatus(buffer: Uint8Array, offset: number, length: number): number {
  // By far the most common: both integers below 251.
  if (length >= 7 && (buffer[offset + 1] ?? 0) < 0xfb && (buffer[offset + 2] ?? 0) < 0xfb) {
    return readUint16(buffer, offset + 3);
  }
  let position = 1;
  for (let field = 0; field < 2; field++) {
    if (position >= length) return MALFORMED;
    const width = lengthEncodedIntegerBytes(buffer[offset + position] ?? 0xff);
    if (width === MALFORMED) return MALFORMED;
    position += width;
  }
  return position + 4 <= length ? readUint16(buffer, offset + position) : MALFORMED;
}

/** The status flags of an EOF packet, or `MALFORMED`. */
export function readEofStatus(buffer: Uint8Array, offset: number, length: number): number {
  return length >= 5 ? readUint16(buffer, offset + 3) : MALFORMED;
}

/** The error number of an ERR packet, or `MALFORMED`. */
export function readErrNumber(buffer: Uint8Array, offset: number, length: number): number {
  return length >= 3 ? readUint16(buffer, offset + 1) : MALFORMED;
}

/** The SQLSTATE of an ERR packet as a small integer for `sqlStateText`; 0 when there is none. */
export function readErrSqlState(buffer: Uint8Array, offset: number, length: number): number {
  if (length < 9 || buffer[offset + 3] !== HASH) return 0;
  let packed = 0;
  for (let index = 4; index < 9; index++) {
    const digit = base36Digit(buffer[offset + index] ?? 0);
    if (digit === MALFORMED) return 0;
    packed = packed * 36 + digit;
  }
  return packed + 1;
}

/** The text of a SQLSTATE read by `readErrSqlState`; HY000 where the packet had none. */
export function sqlStateText(packed: number): string {
  return packed === 0 ? 'HY000' : (packed - 1).toString(36).toUpperCase().padStart(5, '0');
}

/** Bytes of a length-encoded integer, told from its first byte; `MALFORMED` for 0xfb (NULL) and 0xff. */
export function lengthEncodedIntegerBytes(first: number): number {
  if (first < 0xfb) return 1;
  if (first === 0xfc) return 3;
  if (first === 0xfd) return 4;
  return first === 0xfe ? 9 : MALFORMED;
}

export function readUint16(buffer: Uint8Array, offset: number): number {
  return (buffer[offset] ?? 0) | ((buffer[offset + 1] ?? 0) << 8);
}

function base36Digit(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  return character >= 0x41 && character <= 0x5a ? character - 0x41 + 10 : MALFORMED;
}

const HASH = 0x23;
