/**
 * Errors the router sends itself, or judges when a server sends them. Everything else is relayed unread.
 *
 * A server sends numbers 1000 to 1999 and from 3000 on; 2000 to 2999 are the client library's. The router
 * speaks for a server that could not be reached, so it does send a few of the 2000s: client libraries pass
 * number, state and text on as they come.
 *
 * Texts are MySQL's (share/messages_to_clients.txt, libmysql/errmsg.cc), with `%s` where MySQL puts a value.
 */
export interface ErrorCode {
  readonly number: number;
  /** Five characters; HY000 where MySQL assigns none. */
  readonly sqlState: string;
  readonly message: string;
}

export const ERRORS = {
  /** Sent when a limit on sessions is reached; judged at dialling (a full server: try the next). */
  ER_CON_COUNT_ERROR: { number: 1040, sqlState: '08004', message: 'Too many connections' },
  /** Sent when a client's packet of the connection phase cannot be read. */
  ER_HANDSHAKE_ERROR: { number: 1043, sqlState: '08S01', message: 'Bad handshake' },
  /** Relayed. Judged on a control session: wrong credentials are not an unreachable member. */
  ER_ACCESS_DENIED_ERROR: {
    number: 1045,
    sqlState: '28000',
    message: "Access denied for user '%s'@'%s' (using password: %s)",
  },
  /** Sent for a command the router cannot carry on a managed session. */
  ER_UNKNOWN_COM_ERROR: { number: 1047, sqlState: '08S01', message: 'Unknown command' },
  /** Sent when the router stops; judged on an RW session (probe the member at once). */
  ER_SERVER_SHUTDOWN: { number: 1053, sqlState: '08S01', message: 'Server shutdown in progress' },
  /** Sent to a client address over its error limit; judged at dialling (the server has blocked us). */
  ER_HOST_IS_BLOCKED: {
    number: 1129,
    sqlState: 'HY000',
    message: "Host '%s' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'",
  },
  /** Judged at dialling: the server does not know the router's address. */
  ER_HOST_NOT_PRIVILEGED: {
    number: 1130,
    sqlState: 'HY000',
    message: "Host '%s' is not allowed to connect to this MySQL server",
  },
  /** Named in logs when a session is cut. */
  ER_ABORTING_CONNECTION: {
    number: 1152,
    sqlState: '08S01',
    message: "Aborted connection %s to db: '%s' user: '%s' (%s)",
  },
  /** Sent when a client's packet is over the limit of whoever must gather it. */
  ER_NET_PACKET_TOO_LARGE: {
    number: 1153,
    sqlState: '08S01',
    message: "Got a packet bigger than 'max_allowed_packet' bytes",
  },
  /** Sent when a client's sequence id is not the next, or it speaks out of turn. */
  ER_NET_PACKETS_OUT_OF_ORDER: { number: 1156, sqlState: '08S01', message: 'Got packets out of order' },
  /** Sent when a compressed packet cannot be read. */
  ER_NET_UNCOMPRESS_ERROR: {
    number: 1157,
    sqlState: '08S01',
    message: "Couldn't uncompress communication packet",
  },
  ER_NET_READ_ERROR: {
    number: 1158,
    sqlState: '08S01',
    message: 'Got an error reading communication packets',
  },
  /** Sent to a client that did not finish its handshake in time. */
  ER_NET_READ_INTERRUPTED: {
    number: 1159,
    sqlState: '08S01',
    message: 'Got timeout reading communication packets',
  },
  ER_NET_ERROR_ON_WRITE: {
    number: 1160,
    sqlState: '08S01',
    message: 'Got an error writing communication packets',
  },
  ER_NET_WRITE_INTERRUPTED: {
    number: 1161,
    sqlState: '08S01',
    message: 'Got timeout writing communication packets',
  },
  /** Judged: an account's own limit, another member would say the same only by chance. */
  ER_TOO_MANY_USER_CONNECTIONS: {
    number: 1203,
    sqlState: '42000',
    message: "User %s already has more than 'max_user_connections' active connections",
  },
  /** Sent to a client of before MySQL 4.1. */
  ER_NOT_SUPPORTED_AUTH_MODE: {
    number: 1251,
    sqlState: '08004',
    message:
      'Client does not support authentication protocol requested by server; consider upgrading MySQL client',
  },
  /** Judged on an RW session: `read_only` or `super_read_only` is on (probe the member at once). */
  ER_OPTION_PREVENTS_STATEMENT: {
    number: 1290,
    sqlState: 'HY000',
    message: 'The MySQL server is running with the %s option so it cannot execute this statement',
  },
  /** Judged on a split session: a write went where only reads go. */
  ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: {
    number: 1792,
    sqlState: '25006',
    message: 'Cannot execute statement in a READ ONLY transaction.',
  },
  /** Sent when a packet of the command phase cannot be read on a managed session. */
  ER_MALFORMED_PACKET: { number: 1835, sqlState: 'HY000', message: 'Malformed communication packet.' },
  /** Judged on an RW session: the storage engine is read-only (probe the member at once). */
  ER_READ_ONLY_MODE: { number: 1836, sqlState: 'HY000', message: 'Running in read-only mode' },
  /** Judged at dialling: the member is `offline_mode`. */
  ER_SERVER_OFFLINE_MODE: {
    number: 3032,
    sqlState: 'HY000',
    message: 'The server is currently in offline mode',
  },
  /** Judged on an RW session: Group Replication refused the commit (probe the member at once). */
  ER_RUN_HOOK_ERROR: {
    number: 3100,
    sqlState: 'HY000',
    message: "Error on observer while running replication hook '%s'.",
  },
  /** Judged on an RW session: Group Replication hands over to another primary (probe the member at once). */
  ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING: {
    number: 4094,
    sqlState: 'HY000',
    message:
      "All queries have been blocked while function 'group_replication_set_as_primary()' is executing.",
  },
  /** Relayed. Named when TLS is demanded by the server and the route cannot give it. */
  ER_SECURE_TRANSPORT_REQUIRED: {
    number: 3159,
    sqlState: 'HY000',
    message: 'Connections using insecure transport are prohibited while --require_secure_transport=ON.',
  },
  /** Judged: the server closed an idle session (`wait_timeout`); no fault of the member. */
  ER_CLIENT_INTERACTION_TIMEOUT: {
    number: 4031,
    sqlState: 'HY000',
    message:
      'The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.',
  },
  /** Sent when no destination was found within the hold. */
  CR_CONN_HOST_ERROR: {
    number: 2003,
    sqlState: 'HY000',
    message: "Can't connect to remote MySQL server",
  },
  /** Judged when a control session breaks. */
  CR_SERVER_GONE_ERROR: { number: 2006, sqlState: 'HY000', message: 'MySQL server has gone away' },
  /** Sent when the server's greeting cannot be read. */
  CR_SERVER_HANDSHAKE_ERR: { number: 2012, sqlState: 'HY000', message: 'Error in server handshake' },
  /** Sent on a managed session whose server went away in the middle of a command. */
  CR_SERVER_LOST: {
    number: 2013,
    sqlState: 'HY000',
    message: 'Lost connection to MySQL server during query',
  },
  /** Sent when TLS is demanded and not available, or fails. */
  CR_SSL_CONNECTION_ERROR: { number: 2026, sqlState: 'HY000', message: 'SSL connection error: %s' },
  /** Sent when a server's packet cannot be read. */
  CR_MALFORMED_PACKET: { number: 2027, sqlState: 'HY000', message: 'Malformed packet' },
} as const satisfies Readonly<Record<string, ErrorCode>>;

export type ErrorName = keyof typeof ERRORS;

const NAME_BY_NUMBER: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRORS).map(([name, error]) => [error.number, name]),
);

/** MySQL's name of an error number, for logs and labels; `undefined` for numbers we do not judge. */
export function errorName(number: number): string | undefined {
  return NAME_BY_NUMBER.get(number);
}
