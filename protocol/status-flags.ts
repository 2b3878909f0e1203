/**
 * Server status flags: two bytes in the initial handshake and in every OK and EOF packet.
 * Source: MySQL source documentation, SERVER_STATUS_flags_enum (mysql_com.h).
 */

/** A transaction is open. The tracker never calls the session idle while it is set. */
export const SERVER_STATUS_IN_TRANS = 0x0001;
/** `autocommit` is on. Without it every statement may open a transaction. */
export const SERVER_STATUS_AUTOCOMMIT = 0x0002;
/** Another result follows: the response is not over. */
export const SERVER_MORE_RESULTS_EXISTS = 0x0008;
/** No good index was used. Never looked at. */
export const SERVER_QUERY_NO_GOOD_INDEX_USED = 0x0010;
/** No index was used. Never looked at. */
export const SERVER_QUERY_NO_INDEX_USED = 0x0020;
/** A cursor was opened: the rows come with COM_STMT_FETCH, and no rows follow now. */
export const SERVER_STATUS_CURSOR_EXISTS = 0x0040;
/** The cursor's last row was sent. */
export const SERVER_STATUS_LAST_ROW_SENT = 0x0080;
/** A database was dropped. Never looked at. */
export const SERVER_STATUS_DB_DROPPED = 0x0100;
/** Backslash does not escape (sql_mode NO_BACKSLASH_ESCAPES). Needed by whoever reads SQL text. */
export const SERVER_STATUS_NO_BACKSLASH_ESCAPES = 0x0200;
/** A prepared statement's columns have changed. Never looked at. */
export const SERVER_STATUS_METADATA_CHANGED = 0x0400;
/** The query was slow. Never looked at. */
export const SERVER_QUERY_WAS_SLOW = 0x0800;
/** This result set holds OUT parameters. Followed by at least one more result. */
export const SERVER_PS_OUT_PARAMS = 0x1000;
/** The open transaction is READ ONLY; only ever set together with SERVER_STATUS_IN_TRANS. */
export const SERVER_STATUS_IN_TRANS_READONLY = 0x2000;
/** This OK packet carries changes of session state. */
export const SERVER_SESSION_STATE_CHANGED = 0x4000;
/** MariaDB: sql_mode ANSI_QUOTES is on. Needed by whoever reads SQL text. */
export const SERVER_STATUS_ANSI_QUOTES = 0x8000;
