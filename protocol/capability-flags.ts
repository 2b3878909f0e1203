/**
 * Capability flags: what server and client offer each other in the initial handshake and its response. A
 * feature is in use on a connection only when both offered it.
 *
 * "We" is the router. A relay session forwards both sides' offers unchanged unless a comment says otherwise;
 * on a managed session the router makes both offers itself.
 *
 * Source: MySQL source documentation, group__group__cs__capabilities__flags (mysql_com.h);
 * MariaDB knowledge base, "Connecting", capabilities.
 */

/** Use the improved, "long" password hash. MariaDB calls this bit CLIENT_MYSQL. Relayed; its absence in an
 * initial handshake is how we know that the last four reserved bytes are MariaDB's extended capabilities. */
export const CLIENT_LONG_PASSWORD = 0x0000_0001;
/** Affected rows are matched rows, not changed rows. Relayed, never looked at. */
export const CLIENT_FOUND_ROWS = 0x0000_0002;
/** All column flags fit. Relayed, never looked at. */
export const CLIENT_LONG_FLAG = 0x0000_0004;
/** A database name is in the HandshakeResponse41. We read the name. */
export const CLIENT_CONNECT_WITH_DB = 0x0000_0008;
/** Do not allow `database.table.column`. Relayed, never looked at. */
export const CLIENT_NO_SCHEMA = 0x0000_0010;
/** zlib compression after authentication. Relayed; when agreed the command phase is opaque to us. */
export const CLIENT_COMPRESS = 0x0000_0020;
/** ODBC behaviour, without effect since 3.22. Relayed, never looked at. */
export const CLIENT_ODBC = 0x0000_0040;
/** LOAD DATA LOCAL INFILE. Relayed; the command-phase tracker follows the file's packets. */
export const CLIENT_LOCAL_FILES = 0x0000_0080;
/** Spaces allowed before "(". Relayed, never looked at. */
export const CLIENT_IGNORE_SPACE = 0x0000_0100;
/** The 4.1 protocol. Demanded: without it we refuse the client, see handshake-response41.ts. */
export const CLIENT_PROTOCOL_41 = 0x0000_0200;
/** `interactive_timeout` applies instead of `wait_timeout`. Relayed, never looked at. */
export const CLIENT_INTERACTIVE = 0x0000_0400;
/** TLS. In a server's offer: it can; in a client's: this packet is an SSLRequest. Relayed or, on a route that
 * ends TLS itself, ours. */
export const CLIENT_SSL = 0x0000_0800;
/** The client library does not raise SIGPIPE; never meaningful on the wire. Relayed, never looked at. */
export const CLIENT_IGNORE_SIGPIPE = 0x0000_1000;
/** Status flags are in OK and EOF packets. We read them when it is agreed. */
export const CLIENT_TRANSACTIONS = 0x0000_2000;
/** Once "4.1 protocol", unused. Relayed, never looked at. */
export const CLIENT_RESERVED = 0x0000_4000;
/** Authentication with 20 bytes of data instead of 8 (in the headers: CLIENT_RESERVED2). We read the second
 * part of the auth data and the counted auth response when it is offered. */
export const CLIENT_SECURE_CONNECTION = 0x0000_8000;
/** Several statements in one COM_QUERY. Relayed; the tracker judges SERVER_MORE_RESULTS_EXISTS instead. */
export const CLIENT_MULTI_STATEMENTS = 0x0001_0000;
/** Several result sets for COM_QUERY. Relayed; see above. */
export const CLIENT_MULTI_RESULTS = 0x0002_0000;
/** Several result sets for COM_STMT_EXECUTE. Relayed; see above. */
export const CLIENT_PS_MULTI_RESULTS = 0x0004_0000;
/** Authentication plugins are named. We read the name; authentication itself stays end to end. */
export const CLIENT_PLUGIN_AUTH = 0x0008_0000;
/** Connection attributes are in the HandshakeResponse41. We read them and may add our own. */
export const CLIENT_CONNECT_ATTRS = 0x0010_0000;
/** The auth response is counted by a length-encoded integer. We read either form. */
export const CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 0x0020_0000;
/** The client can tell its user that the password has expired. Relayed, never looked at. */
export const CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS = 0x0040_0000;
/** OK packets carry changes of session state. We keep those bytes raw; the tracker needs the flag to find
 * where an OK packet's text ends. */
export const CLIENT_SESSION_TRACK = 0x0080_0000;
/** A result set ends in an OK packet with header 0xfe, and no EOF stands between columns and rows. The
 * tracker's count of packets depends on it. */
export const CLIENT_DEPRECATE_EOF = 0x0100_0000;
/** A result set may come without its column definitions. The tracker reads the extra byte. */
export const CLIENT_OPTIONAL_RESULTSET_METADATA = 0x0200_0000;
/** zstd compression after authentication. Relayed; when agreed the command phase is opaque to us. */
export const CLIENT_ZSTD_COMPRESSION_ALGORITHM = 0x0400_0000;
/** COM_QUERY and COM_STMT_EXECUTE carry named attributes. The tracker skips them to find the statement. */
export const CLIENT_QUERY_ATTRIBUTES = 0x0800_0000;
/** Multi-factor authentication: AuthNextFactor may follow. The connection phase recognises the packet. */
export const CLIENT_MULTI_FACTOR_AUTHENTICATION = 0x1000_0000;
/** Reserved for extending the 32 bits. Masked out of what we offer ourselves: nobody has defined it. */
export const CLIENT_CAPABILITY_EXTENSION = 0x2000_0000;
/** Client only: check the server's certificate. Never meaningful on the wire. Relayed, never looked at. */
export const CLIENT_SSL_VERIFY_SERVER_CERT = 0x4000_0000;
/** Client only: keep options after a failed connect. Never meaningful on the wire. Relayed, never looked at. */
export const CLIENT_REMEMBER_OPTIONS = 0x8000_0000;

/** MariaDB, extended word: progress reports as ERR packets numbered 0xffff. The tracker must not take such a
 * packet for the end of a response. */
export const MARIADB_CLIENT_PROGRESS = 0x0000_0001;
/** MariaDB, extended word: COM_MULTI, withdrawn in 10.3. Relayed; the tracker turns opaque on COM_MULTI. */
export const MARIADB_CLIENT_COM_MULTI = 0x0000_0002;
/** MariaDB, extended word: COM_STMT_BULK_EXECUTE. Relayed; the tracker knows the command. */
export const MARIADB_CLIENT_STMT_BULK_OPERATIONS = 0x0000_0004;
/** MariaDB, extended word: extended type information in column definitions. Relayed, never looked at. */
export const MARIADB_CLIENT_EXTENDED_METADATA = 0x0000_0008;
/** MariaDB, extended word: column definitions may be left out of a prepared statement's result. The tracker
 * reads the extra byte. */
export const MARIADB_CLIENT_CACHE_METADATA = 0x0000_0010;
/** MariaDB, extended word: a bulk execution answers with one result per row. Relayed; the tracker follows it. */
export const MARIADB_CLIENT_BULK_UNIT_RESULTS = 0x0000_0020;

/** Either algorithm of the compressed protocol. */
export const COMPRESSION_CAPABILITIES = CLIENT_COMPRESS | CLIENT_ZSTD_COMPRESSION_ALGORITHM;

/** Flags of the 32-bit word by MySQL's name, lowest bit first. */
export const CAPABILITY_FLAGS = {
  CLIENT_LONG_PASSWORD,
  CLIENT_FOUND_ROWS,
  CLIENT_LONG_FLAG,
  CLIENT_CONNECT_WITH_DB,
  CLIENT_NO_SCHEMA,
  CLIENT_COMPRESS,
  CLIENT_ODBC,
  CLIENT_LOCAL_FILES,
  CLIENT_IGNORE_SPACE,
  CLIENT_PROTOCOL_41,
  CLIENT_INTERACTIVE,
  CLIENT_SSL,
  CLIENT_IGNORE_SIGPIPE,
  CLIENT_TRANSACTIONS,
  CLIENT_RESERVED,
  CLIENT_SECURE_CONNECTION,
  CLIENT_MULTI_STATEMENTS,
  CLIENT_MULTI_RESULTS,
  CLIENT_PS_MULTI_RESULTS,
  CLIENT_PLUGIN_AUTH,
  CLIENT_CONNECT_ATTRS,
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS,
  CLIENT_SESSION_TRACK,
  CLIENT_DEPRECATE_EOF,
  CLIENT_OPTIONAL_RESULTSET_METADATA,
  CLIENT_ZSTD_COMPRESSION_ALGORITHM,
  CLIENT_QUERY_ATTRIBUTES,
  CLIENT_MULTI_FACTOR_AUTHENTICATION,
  CLIENT_CAPABILITY_EXTENSION,
  CLIENT_SSL_VERIFY_SERVER_CERT,
  CLIENT_REMEMBER_OPTIONS,
} as const;

/** Whether every bit of `flag` is set in `capabilities`. */
export function hasCapability(capabilities: number, flag: number): boolean {
  return (capabilities & flag) >>> 0 === flag;
}

/** What both sides offered: the features in use. Always unsigned. */
export function intersectCapabilities(clientCapabilities: number, serverCapabilities: number): number {
  return (clientCapabilities & serverCapabilities) >>> 0;
}

/** The names of the flags set, lowest bit first, for logs. */
export function capabilityNames(capabilities: number): readonly string[] {
  return Object.entries(CAPABILITY_FLAGS)
    .filter(([, flag]) => hasCapability(capabilities, flag))
    .map(([name]) => name);
}
