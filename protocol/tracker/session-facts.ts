/**
 * What is known of the answer under way or just ended, and of the session between answers. One per tracker, written
 * by the exchange, read by everyone.
 */
import { COM_CHANGE_USER, COM_RESET_CONNECTION, COM_STMT_EXECUTE, COM_STMT_FETCH } from '../commands.ts';
import {
  SERVER_STATUS_AUTOCOMMIT,
  SERVER_STATUS_CURSOR_EXISTS,
  SERVER_STATUS_IN_TRANS,
  SERVER_STATUS_IN_TRANS_READONLY,
  SERVER_STATUS_LAST_ROW_SENT,
} from '../status-flags.ts';
import { readErrSqlState, sqlStateText } from './packet-heads.ts';

export class SessionFacts {
  /** Rows of the answer, over all its results. */
  rows = 0;
  /** Results of the answer that ended in OK or EOF: 2 for a procedure that makes one result set. */
  results = 0;
  /** Bytes of the answer with its headers; a packet counts in full from when its header was seen. */
  responseBytes = 0;
  /** The number of the ERR that ended the answer; 0 when there was none. */
  errorNumber = 0;
  #sqlState = 0;

  /** The status flags last seen, those of the connection phase at first. */
  statusFlags: number;
  /**
   * `statusFlags` holds for now. It does not after a statement ended in ERR, which carries no flags: a deadlock
   * ends a transaction, a procedure may leave one open. The next OK or EOF makes it current again.
   */
  isStatusCurrent = true;
  /**
   * Statements prepared through COM_STMT_PREPARE and not closed. A client that closes what it never opened lowers it;
   * below 0 while a statement is closed before the answer to its preparation has come.
   */
  openStatements = 0;
  /** Cursors that may be open: an upper bound, since the server announces only the end of a cursor read to its end. */
  openCursors = 0;

  constructor(statusFlags: number) {
    this.statusFlags = statusFlags;
  }

  /** The SQLSTATE of the ERR that ended the answer, HY000 when it had none. Allocates. */
  get sqlState(): string {
    return sqlStateText(this.#sqlState);
  }
  /** A transaction was open when the server last said so. */
  get isInTransaction(): boolean {
    return (this.statusFlags & (SERVER_STATUS_IN_TRANS | SERVER_STATUS_IN_TRANS_READONLY)) !== 0;
  }
  /** `autocommit` was on when the server last said so. */
  get isAutocommit(): boolean {
    return (this.statusFlags & SERVER_STATUS_AUTOCOMMIT) !== 0;
  }

  responseBegan(): void {
    this.rows = 0;
    this.results = 0;
    this.responseBytes = 0;
    this.errorNumber = 0;
    this.#sqlState = 0;
  }

  statusSeen(status: number): void {
    this.statusFlags = status;
    this.isStatusCurrent = true;
  }

  /** `mayChangeTransaction`: whether the command that failed could have begun or ended a transaction before. */
  errorSeen(
    number: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    mayChangeTransaction: boolean,
  ): void {
    this.errorNumber = number;
    this.#sqlState = readErrSqlState(buffer, offset, length);
    if (mayChangeTransaction) this.isStatusCurrent = false;
  }

  /** The answer to `command` ends well, with `status`. */
  commandSucceeded(command: number, status: number): void {
    switch (command) {
      case COM_STMT_EXECUTE:
        if ((status & SERVER_STATUS_CURSOR_EXISTS) !== 0) this.openCursors++;
        return;
      case COM_STMT_FETCH:
        if ((status & SERVER_STATUS_LAST_ROW_SENT) !== 0 && this.openCursors > 0) this.openCursors--;
        return;
      case COM_CHANGE_USER:
      case COM_RESET_CONNECTION:
        this.openStatements = 0;
        this.openCursors = 0;
    }
  }

  /** `mayBeInPreparation`: the statement may be one whose COM_STMT_PREPARE is not answered yet. */
  statementClosed(mayBeInPreparation: boolean): void {
    if (this.openStatements > 0 || mayBeInPreparation) this.openStatements--;
    if (this.openStatements === 0) this.openCursors = 0;
  }

  /** Nothing is in flight any more. */
  allAnswered(): void {
    if (this.openStatements < 0) this.openStatements = 0;
  }
}
