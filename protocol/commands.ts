/**
 * Command numbers: the first byte of the first packet of an exchange in the command phase.
 * Source: MySQL source documentation, enum_server_command (my_command.h); MariaDB's mysql_com.h for the two
 * marked so.
 */

/** Internal to the server; a client that sends it gets an ERR. */
export const COM_SLEEP = 0x00;
/** Ends the session. No reply, the server closes. */
export const COM_QUIT = 0x01;
export const COM_INIT_DB = 0x02;
export const COM_QUERY = 0x03;
/** Answers with bare column definitions and an EOF or OK, not with a result set. */
export const COM_FIELD_LIST = 0x04;
export const COM_CREATE_DB = 0x05;
export const COM_DROP_DB = 0x06;
export const COM_REFRESH = 0x07;
/** Answers with an EOF packet; withdrawn in MySQL 8.0 for the SHUTDOWN statement. */
export const COM_SHUTDOWN = 0x08;
/** Answers with one packet of plain text. */
export const COM_STATISTICS = 0x09;
/** Answers with a result set; withdrawn in MySQL 9. */
export const COM_PROCESS_INFO = 0x0a;
export const COM_CONNECT = 0x0b;
export const COM_PROCESS_KILL = 0x0c;
/** Answers with an EOF packet. */
export const COM_DEBUG = 0x0d;
export const COM_PING = 0x0e;
export const COM_TIME = 0x0f;
export const COM_DELAYED_INSERT = 0x10;
/** Authenticates anew: an exchange as in the connection phase follows. */
export const COM_CHANGE_USER = 0x11;
/** Answers with an endless stream of events. */
export const COM_BINLOG_DUMP = 0x12;
export const COM_TABLE_DUMP = 0x13;
export const COM_CONNECT_OUT = 0x14;
/** Registers a replica. MySQL's name for it is older than the word. */
export const COM_REGISTER_SLAVE = 0x15;
/** Answers with a header, then parameter definitions, then column definitions. */
export const COM_STMT_PREPARE = 0x16;
export const COM_STMT_EXECUTE = 0x17;
/** No reply. */
export const COM_STMT_SEND_LONG_DATA = 0x18;
/** No reply. */
export const COM_STMT_CLOSE = 0x19;
export const COM_STMT_RESET = 0x1a;
/** Answers with an EOF packet (an OK packet under CLIENT_DEPRECATE_EOF). */
export const COM_SET_OPTION = 0x1b;
/** Answers with bare rows and an EOF or OK. */
export const COM_STMT_FETCH = 0x1c;
export const COM_DAEMON = 0x1d;
/** Answers with an endless stream of events. */
export const COM_BINLOG_DUMP_GTID = 0x1e;
/** Clears the session without authenticating anew. */
export const COM_RESET_CONNECTION = 0x1f;
/** Turns the connection into the clone plugin's own protocol. */
export const COM_CLONE = 0x20;
/** Turns the connection into a Group Replication stream. */
export const COM_SUBSCRIBE_GROUP_REPLICATION_STREAM = 0x21;
/** MariaDB: executes a prepared statement for many rows of parameters. */
export const COM_STMT_BULK_EXECUTE = 0xfa;
/** MariaDB 10.2 only: several commands in one packet. */
export const COM_MULTI = 0xfe;

/** Commands by MySQL's name. */
export const COMMANDS = {
  COM_SLEEP,
  COM_QUIT,
  COM_INIT_DB,
  COM_QUERY,
  COM_FIELD_LIST,
  COM_CREATE_DB,
  COM_DROP_DB,
  COM_REFRESH,
  COM_SHUTDOWN,
  COM_STATISTICS,
  COM_PROCESS_INFO,
  COM_CONNECT,
  COM_PROCESS_KILL,
  COM_DEBUG,
  COM_PING,
  COM_TIME,
  COM_DELAYED_INSERT,
  COM_CHANGE_USER,
  COM_BINLOG_DUMP,
  COM_TABLE_DUMP,
  COM_CONNECT_OUT,
  COM_REGISTER_SLAVE,
  COM_STMT_PREPARE,
  COM_STMT_EXECUTE,
  COM_STMT_SEND_LONG_DATA,
  COM_STMT_CLOSE,
  COM_STMT_RESET,
  COM_SET_OPTION,
  COM_STMT_FETCH,
  COM_DAEMON,
  COM_BINLOG_DUMP_GTID,
  COM_RESET_CONNECTION,
  COM_CLONE,
  COM_SUBSCRIBE_GROUP_REPLICATION_STREAM,
  COM_STMT_BULK_EXECUTE,
  COM_MULTI,
} as const;

export type CommandName = keyof typeof COMMANDS;

const NAME_BY_NUMBER: ReadonlyMap<number, string> = new Map(
  Object.entries(COMMANDS).map(([name, number]) => [number, name]),
);

/** MySQL's name of a command number, for logs and labels; `undefined` when MySQL has none. */
export function commandName(command: number): string | undefined {
  return NAME_BY_NUMBER.get(command);
}
