/**
 * Where an answer stands, and with which phase the answer to each command starts.
 * Small integers rather than strings: they are compared for every packet.
 */
import {
  COM_BINLOG_DUMP,
  COM_BINLOG_DUMP_GTID,
  COM_CHANGE_USER,
  COM_CREATE_DB,
  COM_DEBUG,
  COM_DROP_DB,
  COM_FIELD_LIST,
  COM_INIT_DB,
  COM_PING,
  COM_PROCESS_INFO,
  COM_PROCESS_KILL,
  COM_QUERY,
  COM_QUIT,
  COM_REFRESH,
  COM_REGISTER_SLAVE,
  COM_RESET_CONNECTION,
  COM_SET_OPTION,
  COM_SHUTDOWN,
  COM_STATISTICS,
  COM_STMT_BULK_EXECUTE,
  COM_STMT_CLOSE,
  COM_STMT_EXECUTE,
  COM_STMT_FETCH,
  COM_STMT_PREPARE,
  COM_STMT_RESET,
  COM_STMT_SEND_LONG_DATA,
} from '../commands.ts';

/** Only ERR can be understood: a command we do not know, or one that turns the connection into something else. */
export const PHASE_FOREIGN = 0;
/** Not a phase of an answer: the command has none. */
export const PHASE_NO_REPLY = 1;
/** One OK, EOF or ERR. */
export const PHASE_SINGLE = 2;
/** The head of a result: OK, ERR, LOCAL INFILE request, or a count of columns. */
export const PHASE_RESULT = 3;
/** A known number of column (or parameter) definitions. */
export const PHASE_DEFINITIONS = 4;
/** The EOF after definitions; never under CLIENT_DEPRECATE_EOF. */
export const PHASE_DEFINITIONS_EOF = 5;
/** Rows until EOF or OK. */
export const PHASE_ROWS = 6;
/** COM_STMT_FETCH before its first row. */
export const PHASE_FETCH = 7;
/** The head of COM_STMT_PREPARE's answer. */
export const PHASE_PREPARE = 8;
/** COM_FIELD_LIST: an unknown number of definitions until EOF or OK. */
export const PHASE_FIELD_LIST = 9;
/** COM_STATISTICS: one packet of plain text. */
export const PHASE_STATISTICS = 10;
/** COM_CHANGE_USER: the authentication exchange. */
export const PHASE_AUTHENTICATION = 11;
/** COM_BINLOG_DUMP: events without end. */
export const PHASE_EVENTS = 12;

/** The phase in which the answer to `command` starts; commands without an entry are PHASE_FOREIGN. */
export function firstPhase(command: number): number {
  return FIRST_PHASES[command] ?? PHASE_FOREIGN;
}

/** Phases in which most packets need no look beyond their first byte. */
export function isBulkPhase(phase: number): boolean {
  return (BULK_PHASES & (1 << phase)) !== 0;
}

const BULK_PHASES =
  (1 << PHASE_DEFINITIONS) |
  (1 << PHASE_ROWS) |
  (1 << PHASE_FETCH) |
  (1 << PHASE_FIELD_LIST) |
  (1 << PHASE_EVENTS);

const SINGLE_REPLY_COMMANDS = [
  COM_INIT_DB,
  COM_CREATE_DB,
  COM_DROP_DB,
  COM_REFRESH,
  COM_SHUTDOWN,
  COM_PROCESS_KILL,
  COM_DEBUG,
  COM_PING,
  COM_REGISTER_SLAVE,
  COM_STMT_RESET,
  COM_SET_OPTION,
  COM_RESET_CONNECTION,
] as const;

const FIRST_PHASES = createFirstPhases();

function createFirstPhases(): Uint8Array {
  const phases = new Uint8Array(256);
  for (const command of [COM_QUIT, COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA]) phases[command] = PHASE_NO_REPLY;
  for (const command of [COM_QUERY, COM_STMT_EXECUTE, COM_PROCESS_INFO, COM_STMT_BULK_EXECUTE]) {
    phases[command] = PHASE_RESULT;
  }
  for (const command of SINGLE_REPLY_COMMANDS) phases[command] = PHASE_SINGLE;
  phases[COM_STMT_PREPARE] = PHASE_PREPARE;
  phases[COM_STMT_FETCH] = PHASE_FETCH;
  phases[COM_FIELD_LIST] = PHASE_FIELD_LIST;
  phases[COM_STATISTICS] = PHASE_STATISTICS;
  phases[COM_CHANGE_USER] = PHASE_AUTHENTICATION;
  phases[COM_BINLOG_DUMP] = PHASE_EVENTS;
  phases[COM_BINLOG_DUMP_GTID] = PHASE_EVENTS;
  return phases;
}
