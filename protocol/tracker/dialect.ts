/**
 * How packets differ by what was agreed in the connection phase.
 *
 *     OK    0x00 or 0xfe, affected_rows int<lenenc>, last_insert_id int<lenenc>, status_flags int<2>, …
 *     EOF   0xfe, warnings int<2>, status_flags int<2>
 *
 * With CLIENT_DEPRECATE_EOF results end in an OK that starts with 0xfe, and definitions in nothing at all.
 */
import {
  CLIENT_DEPRECATE_EOF,
  CLIENT_OPTIONAL_RESULTSET_METADATA,
  hasCapability,
  MARIADB_CLIENT_CACHE_METADATA,
  MARIADB_CLIENT_PROGRESS,
} from '../capability-flags.ts';
import { MAX_PAYLOAD_BYTES } from '../packet-header.ts';
import { readEofStatus, readOkStatus } from './packet-heads.ts';

/** What was agreed in the connection phase, as far as the command phase depends on it. */
export interface TrackerCapabilities {
  /** What both sides offered: see `intersectCapabilities`. */
  readonly sharedCapabilities: number;
  /** MariaDB's extended capabilities both sides offered; 0 with MySQL. */
  readonly sharedMariadbCapabilities: number;
  /** Status flags of the OK that ended the connection phase. */
  readonly statusFlags: number;
}

/** Bits of a dialect. */
export const DEPRECATES_EOF = 1;
/** A byte behind the count of columns says whether definitions follow. */
export const FLAGS_METADATA = 2;
/** The same in COM_STMT_PREPARE's answer. */
export const FLAGS_PREPARE_METADATA = 4;
/** MariaDB's progress reports may come before an answer. */
export const REPORTS_PROGRESS = 8;

export function readDialect(agreed: TrackerCapabilities): number {
  const { sharedCapabilities, sharedMariadbCapabilities } = agreed;
  let dialect = 0;
  if (hasCapability(sharedCapabilities, CLIENT_DEPRECATE_EOF)) dialect |= DEPRECATES_EOF;
  if (hasCapability(sharedCapabilities, CLIENT_OPTIONAL_RESULTSET_METADATA)) {
    dialect |= FLAGS_METADATA | FLAGS_PREPARE_METADATA;
  }
  if (hasCapability(sharedMariadbCapabilities, MARIADB_CLIENT_CACHE_METADATA)) dialect |= FLAGS_METADATA;
  if (hasCapability(sharedMariadbCapabilities, MARIADB_CLIENT_PROGRESS)) dialect |= REPORTS_PROGRESS;
  return dialect;
}

/**
 * Whether a packet among rows or definitions ends them. A row may start with 0xfe too: when its first value has
 * 16 MiB or more, and then its packet is full.
 */
export function isTerminator(dialect: number, first: number, length: number): boolean {
  return (
    first === 0xfe && length < ((dialect & DEPRECATES_EOF) !== 0 ? MAX_PAYLOAD_BYTES : LONGEST_EOF_BYTES)
  );
}

/** The status flags of an OK or EOF, or `MALFORMED`. */
export function readTerminatorStatus(
  dialect: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
): number {
  const isEof = buffer[offset] === 0xfe && (dialect & DEPRECATES_EOF) === 0;
  return isEof ? readEofStatus(buffer, offset, length) : readOkStatus(buffer, offset, length);
}

/** Without CLIENT_DEPRECATE_EOF a packet that starts with 0xfe and is at least this long is a row. */
const LONGEST_EOF_BYTES = 9;
