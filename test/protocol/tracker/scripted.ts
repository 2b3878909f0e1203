/**
 * One conversation for each thing the tracker must know, written down packet by packet, with what it must tell.
 * What real servers send is in recorded/; these are for what is rare, or easier to read.
 */
import * as C from '../../../protocol/capability-flags.ts';
import type { TrackerCapabilities } from '../../../protocol/command-tracker.ts';
import * as COM from '../../../protocol/commands.ts';
import { type Conversation, joinSegments, Script } from './conversation.ts';
import {
  AUTOCOMMIT,
  binaryRow,
  CURSOR_EXISTS,
  column,
  eof,
  err,
  IN_TRANS,
  IN_TRANS_READONLY,
  int2,
  int4,
  LAST_ROW_SENT,
  longOk,
  MORE_RESULTS,
  ok,
  okEof,
  type Payload,
  PS_OUT_PARAMS,
  prepareOk,
  text,
  textRow,
} from './packets.ts';

const MODERN = agreed(C.CLIENT_PROTOCOL_41 | C.CLIENT_DEPRECATE_EOF);
const OLDER = agreed(C.CLIENT_PROTOCOL_41);
const OPTIONAL = agreed(C.CLIENT_PROTOCOL_41 | C.CLIENT_DEPRECATE_EOF | C.CLIENT_OPTIONAL_RESULTSET_METADATA);
const OPTIONAL_OLDER = agreed(C.CLIENT_PROTOCOL_41 | C.CLIENT_OPTIONAL_RESULTSET_METADATA);
const MARIADB = agreed(
  C.CLIENT_PROTOCOL_41 | C.CLIENT_DEPRECATE_EOF,
  C.MARIADB_CLIENT_PROGRESS | C.MARIADB_CLIENT_CACHE_METADATA | C.MARIADB_CLIENT_STMT_BULK_OPERATIONS,
);

const IDLE = 'idle, no transaction, 0 statements, 0 cursors';
const IDLE_AFTER_ERROR = 'idle, no transaction?, 0 statements, 0 cursors';

export const SCRIPTED: readonly Conversation[] = [
  // ---- results
  says(
    'a result set with an OK at its end',
    MODERN,
    query('SELECT 1').server([1], column('1'), textRow('1'), okEof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', IDLE],
  ),
  says(
    'a result set with EOFs',
    OLDER,
    query('SELECT 1').server([1], column('1'), eof(), textRow('1'), textRow('2'), eof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=2 left=0', IDLE],
  ),
  says('no rows', MODERN, query('SELECT 1 LIMIT 0').server([1], column('1'), okEof()), [
    'begin QUERY',
    'first QUERY',
    'end QUERY results=1 rows=0 left=0',
    IDLE,
  ]),
  says('an OK', MODERN, query('BEGIN').server(ok(IN_TRANS | AUTOCOMMIT)), [
    'begin QUERY',
    'first QUERY',
    'end QUERY results=1 rows=0 left=0',
    'idle, in transaction, 0 statements, 0 cursors',
  ]),
  says(
    'a read-only transaction',
    MODERN,
    query('START TRANSACTION READ ONLY').server(ok(IN_TRANS_READONLY | 1)),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY results=1 rows=0 left=0',
      'idle, in transaction, 0 statements, 0 cursors',
    ],
  ),
  says(
    'an OK with long integers, text and session state',
    MODERN,
    query('UPDATE t').server(longOk(IN_TRANS)),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY results=1 rows=0 left=0',
      'idle, in transaction, 0 statements, 0 cursors',
    ],
  ),
  says('an ERR', MODERN, query('SELEC').server(err()), [
    'begin QUERY',
    'first QUERY',
    'end QUERY error=1064/42000 rows=0 left=0',
    IDLE_AFTER_ERROR,
  ]),
  says(
    'an ERR without SQLSTATE',
    MODERN,
    query('SELEC').server([0xff, ...int2(1040), ...Buffer.from('Too many')]),
    ['begin QUERY', 'first QUERY', 'end QUERY error=1040/HY000 rows=0 left=0', IDLE_AFTER_ERROR],
  ),
  says(
    'an ERR in a transaction leaves it open as far as we know',
    MODERN,
    query('BEGIN')
      .server(ok(IN_TRANS))
      .command(COM.COM_QUERY, 'X')
      .server(err(1213, '40001', 'Deadlock')),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY results=1 rows=0 left=0',
      'begin QUERY',
      'first QUERY',
      'end QUERY error=1213/40001 rows=0 left=0',
      'idle, in transaction?, 0 statements, 0 cursors',
    ],
  ),
  says(
    'the next OK makes the status current again',
    MODERN,
    query('X').server(err()).command(COM.COM_PING).server(ok()),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY error=1064/42000 rows=0 left=0',
      'begin PING',
      'first PING',
      'end PING results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  says(
    'an ERR in the middle of the rows',
    MODERN,
    query('SELECT').server([1], column('1'), textRow('1'), err(1317, '70100', 'interrupted')),
    ['begin QUERY', 'first QUERY', 'end QUERY error=1317/70100 rows=1 left=0', IDLE_AFTER_ERROR],
  ),
  says(
    'an ERR in the middle of the definitions',
    OLDER,
    query('SELECT').server([2], column('1'), err(1317, '70100', '')),
    ['begin QUERY', 'first QUERY', 'end QUERY error=1317/70100 rows=0 left=0', IDLE_AFTER_ERROR],
  ),
  says(
    'rows that start with NULL, an empty string, and every length prefix',
    MODERN,
    query('SELECT').server(
      [1],
      column('1'),
      textRow(null),
      textRow(''),
      [0xfc, ...int2(3), 1, 2, 3],
      [0xfd, 3, 0, 0, 1, 2, 3],
      [0x00],
      [0xfa, ...new Array<number>(250).fill(0xff)],
      okEof(),
    ),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=6 left=0', IDLE],
  ),
  says(
    'without CLIENT_DEPRECATE_EOF, a packet of nine bytes that starts with 0xfe is a row',
    OLDER,
    query('SELECT').server([1], column('1'), eof(), [0xfe, 0, 0, 0, 0, 0, 0, 0, 0], eof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', IDLE],
  ),
  says(
    '251 columns',
    MODERN,
    query('SELECT').server([0xfc, ...int2(251)], ...times(251, column('c')), textRow('1'), okEof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', IDLE],
  ),
  says(
    'sequence ids wrap after 255',
    MODERN,
    query('SELECT').server([1], column('1'), ...times(600, textRow('1')), okEof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=600 left=0', IDLE],
  ),
  says(
    'a query without bytes is COM_QUERY all the same; an empty packet is COM_SLEEP',
    MODERN,
    query('')
      .server(err(1065, '42000', 'Query was empty'))
      .sequence(0)
      .client('')
      .server(err(1047, '08S01', 'Unknown command')),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY error=1065/42000 rows=0 left=0',
      'begin SLEEP',
      'first SLEEP',
      'end SLEEP error=1047/08S01 rows=0 left=0',
      IDLE_AFTER_ERROR,
    ],
  ),

  // ---- several results
  says(
    'several statements, the last one fails',
    MODERN,
    query('SELECT 1; DO 1; X').server(
      [1],
      column('1'),
      textRow('1'),
      okEof(AUTOCOMMIT | MORE_RESULTS),
      ok(AUTOCOMMIT | MORE_RESULTS),
      err(),
    ),
    ['begin QUERY', 'first QUERY', 'end QUERY error=1064/42000 rows=1 left=0', IDLE_AFTER_ERROR],
  ),
  says(
    'a procedure with two result sets',
    OLDER,
    query('CALL p()').server(
      [1],
      column('1'),
      eof(),
      textRow('1'),
      eof(AUTOCOMMIT | MORE_RESULTS),
      [1],
      column('1'),
      eof(AUTOCOMMIT | MORE_RESULTS),
      eof(AUTOCOMMIT | MORE_RESULTS),
      ok(),
    ),
    ['begin QUERY', 'first QUERY', 'end QUERY results=3 rows=1 left=0', IDLE],
  ),
  says(
    'a prepared CALL with OUT parameters',
    MODERN,
    new Script()
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 1, 0, 0, 0))
      .server([1], column('o'), binaryRow(5), okEof(MORE_RESULTS | PS_OUT_PARAMS), ok()),
    ['begin STMT_EXECUTE', 'first STMT_EXECUTE', 'end STMT_EXECUTE results=2 rows=1 left=0', IDLE],
  ),
  says(
    'the same with EOFs, of which only the one before the parameters announces more',
    OLDER,
    new Script()
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 1, 0, 0, 0))
      .server([1], column('o'), eof(MORE_RESULTS | PS_OUT_PARAMS), binaryRow(5), eof(), ok()),
    ['begin STMT_EXECUTE', 'first STMT_EXECUTE', 'end STMT_EXECUTE results=2 rows=1 left=0', IDLE],
  ),
  says(
    'SERVER_MORE_RESULTS_EXISTS means nothing where only one result can be',
    MODERN,
    new Script().command(COM.COM_PING).server(ok(AUTOCOMMIT | MORE_RESULTS)),
    ['begin PING', 'first PING', 'end PING results=1 rows=0 left=0', IDLE],
  ),

  // ---- optional metadata
  says(
    'metadata that is there',
    OPTIONAL,
    query('SELECT').server([1, 1], column('1'), textRow('1'), okEof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', IDLE],
  ),
  says('metadata left out', OPTIONAL, query('SELECT').server([1, 0], textRow('1'), okEof()), [
    'begin QUERY',
    'first QUERY',
    'end QUERY results=1 rows=1 left=0',
    IDLE,
  ]),
  says(
    'metadata left out, with EOFs',
    OPTIONAL_OLDER,
    query('SELECT').server([1, 0], eof(), textRow('1'), eof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', IDLE],
  ),
  says(
    'COM_STMT_PREPARE with metadata left out, with EOFs',
    OPTIONAL_OLDER,
    new Script().command(COM.COM_STMT_PREPARE, 'SELECT ?').server(prepareOk(1, 1, 0), eof(), eof()),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'idle, no transaction, 1 statements, 0 cursors',
    ],
  ),
  says(
    'COM_STMT_PREPARE with metadata left out',
    OPTIONAL,
    new Script().command(COM.COM_STMT_PREPARE, 'SELECT ?').server(prepareOk(1, 1, 0)),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'idle, no transaction, 1 statements, 0 cursors',
    ],
  ),

  // ---- prepared statements
  says(
    'COM_STMT_PREPARE, its two blocks, execution, long data, reset, close',
    OLDER,
    new Script()
      .command(COM.COM_STMT_PREPARE, 'SELECT ?, ?')
      .server(prepareOk(1, 2), column('?'), column('?'), eof(), column('a'), eof())
      .command(COM.COM_STMT_SEND_LONG_DATA, Buffer.of(1, 0, 0, 0, 0, 0, 65))
      .command(COM.COM_STMT_SEND_LONG_DATA, Buffer.of(1, 0, 0, 0, 1, 0, 66))
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 1, 0, 0, 0))
      .server([1], column('a'), eof(), binaryRow(1), binaryRow(0), eof())
      .command(COM.COM_STMT_RESET, Buffer.of(1, 0, 0, 0))
      .server(ok())
      .command(COM.COM_STMT_CLOSE, Buffer.of(1, 0, 0, 0)),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin STMT_SEND_LONG_DATA',
      'begin STMT_SEND_LONG_DATA',
      'begin STMT_EXECUTE',
      'first STMT_EXECUTE',
      'end STMT_EXECUTE results=1 rows=2 left=0',
      'begin STMT_RESET',
      'first STMT_RESET',
      'end STMT_RESET results=1 rows=0 left=0',
      'begin STMT_CLOSE',
      IDLE,
    ],
  ),
  says(
    'the blocks of COM_STMT_PREPARE without EOFs: both, one, the other, none',
    MODERN,
    new Script()
      .command(COM.COM_STMT_PREPARE, 'SELECT ?')
      .server(prepareOk(2, 1), column('?'), column('a'), column('b'))
      .command(COM.COM_STMT_PREPARE, 'DO ?')
      .server(prepareOk(0, 2), column('?'), column('?'))
      .command(COM.COM_STMT_PREPARE, 'SELECT 1')
      .server(prepareOk(1, 0), column('1'))
      .command(COM.COM_STMT_PREPARE, 'DO 1')
      .server(prepareOk(0, 0))
      .command(COM.COM_STMT_PREPARE, 'X')
      .server(err()),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE error=1064/42000 rows=0 left=0',
      'idle, no transaction, 4 statements, 0 cursors',
    ],
  ),
  says(
    'a cursor, with EOFs',
    OLDER,
    new Script()
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 1, 1, 0, 0, 0))
      .server([1], column('a'), eof(CURSOR_EXISTS))
      .command(COM.COM_STMT_FETCH, Buffer.of(1, 0, 0, 0, 2, 0, 0, 0))
      .server(binaryRow(1), binaryRow(2), eof(CURSOR_EXISTS))
      .command(COM.COM_STMT_FETCH, Buffer.of(1, 0, 0, 0, 2, 0, 0, 0))
      .server(eof(LAST_ROW_SENT)),
    [
      'begin STMT_EXECUTE',
      'first STMT_EXECUTE',
      'end STMT_EXECUTE results=1 rows=0 left=0',
      'begin STMT_FETCH',
      'first STMT_FETCH',
      'end STMT_FETCH results=1 rows=2 left=0',
      'begin STMT_FETCH',
      'first STMT_FETCH',
      'end STMT_FETCH results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  says(
    'a cursor, without EOFs, left open',
    MODERN,
    new Script()
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 1, 1, 0, 0, 0))
      .server([1], column('a'), okEof(CURSOR_EXISTS))
      .command(COM.COM_STMT_FETCH, Buffer.of(1, 0, 0, 0, 2, 0, 0, 0))
      .server(binaryRow(1), binaryRow(2), okEof(CURSOR_EXISTS))
      .command(COM.COM_STMT_FETCH, Buffer.of(9, 0, 0, 0, 2, 0, 0, 0))
      .server(err(1243, 'HY000', 'Unknown prepared statement handler')),
    [
      'begin STMT_EXECUTE',
      'first STMT_EXECUTE',
      'end STMT_EXECUTE results=1 rows=0 left=0',
      'begin STMT_FETCH',
      'first STMT_FETCH',
      'end STMT_FETCH results=1 rows=2 left=0',
      'begin STMT_FETCH',
      'first STMT_FETCH',
      'end STMT_FETCH error=1243/HY000 rows=0 left=0',
      'idle, no transaction, 0 statements, 1 cursors',
    ],
  ),

  // ---- LOCAL INFILE
  says(
    'LOAD DATA LOCAL INFILE',
    MODERN,
    query('LOAD DATA')
      .server([0xfb, ...Buffer.from('/tmp/file')])
      .client('1,2\n')
      .client('3,4\n')
      .client('')
      .server(ok()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=0 left=0', IDLE],
  ),
  says(
    'LOAD DATA LOCAL INFILE of an empty file, then another statement in the same query',
    OLDER,
    query('LOAD DATA; SELECT 1')
      .server([0xfb, 0x66])
      .client('')
      .server(ok(MORE_RESULTS), [1], column('1'), eof(), textRow('1'), eof()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=2 rows=1 left=0', IDLE],
  ),
  says(
    'LOAD DATA LOCAL INFILE of so many packets that sequence ids wrap',
    MODERN,
    times(300, '1,2\n')
      .reduce((script, part) => script.client(part), query('LOAD DATA').server([0xfb, 0x66]))
      .client('')
      .server(ok()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=0 left=0', IDLE],
  ),
  says(
    'LOAD DATA LOCAL INFILE refused before the file is sent; the client sends it all the same',
    MODERN,
    query('LOAD DATA')
      .server([0xfb, 0x66])
      .client('1,2\n')
      .sequence(3)
      .server(err(1317, '70100', 'interrupted'))
      .sequence(3)
      .client('3,4\n')
      .client('')
      .command(COM.COM_PING)
      .server(ok()),
    [
      'begin QUERY',
      'first QUERY',
      'end QUERY error=1317/70100 rows=0 left=0',
      'begin PING',
      'first PING',
      'end PING results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  says(
    'a file that is still expected is not idle',
    MODERN,
    query('LOAD DATA').server([0xfb, 0x66]).client('1,2\n'),
    ['begin QUERY', 'first QUERY', 'busy 1, no transaction, 0 statements, 0 cursors'],
  ),
  says(
    'a LOCAL INFILE request with another command behind',
    MODERN,
    query('LOAD DATA').command(COM.COM_PING).sequence(1).server([0xfb, 0x66]),
    ['begin QUERY', 'begin PING', 'first QUERY', 'opaque infile-pipelined', 'opaque'],
  ),

  // ---- the other commands
  ...[
    COM.COM_INIT_DB,
    COM.COM_CREATE_DB,
    COM.COM_DROP_DB,
    COM.COM_REFRESH,
    COM.COM_PROCESS_KILL,
    COM.COM_PING,
    COM.COM_REGISTER_SLAVE,
    COM.COM_STMT_RESET,
  ].map((command) =>
    says(
      `${COM.commandName(command)} is answered by an OK`,
      OLDER,
      new Script().command(command, 'x').server(ok()),
      [
        `begin ${shortName(command)}`,
        `first ${shortName(command)}`,
        `end ${shortName(command)} results=1 rows=0 left=0`,
        IDLE,
      ],
    ),
  ),
  ...[COM.COM_SET_OPTION, COM.COM_DEBUG, COM.COM_SHUTDOWN].flatMap((command) => [
    says(
      `${COM.commandName(command)} is answered by an EOF`,
      OLDER,
      new Script().command(command, Buffer.of(0, 0)).server(eof(IN_TRANS)),
      [
        `begin ${shortName(command)}`,
        `first ${shortName(command)}`,
        `end ${shortName(command)} results=1 rows=0 left=0`,
        'idle, in transaction, 0 statements, 0 cursors',
      ],
    ),
    says(
      `${COM.commandName(command)} is answered by an OK like an EOF`,
      MODERN,
      new Script().command(command).server(okEof(IN_TRANS)),
      [
        `begin ${shortName(command)}`,
        `first ${shortName(command)}`,
        `end ${shortName(command)} results=1 rows=0 left=0`,
        'idle, in transaction, 0 statements, 0 cursors',
      ],
    ),
  ]),
  says(
    'COM_STATISTICS is answered by bare text',
    MODERN,
    new Script().command(COM.COM_STATISTICS).server(Array.from(Buffer.from('Uptime: 1'))),
    ['begin STATISTICS', 'first STATISTICS', 'end STATISTICS results=0 rows=0 left=0', IDLE],
  ),
  says(
    'COM_PROCESS_INFO is answered by a result set',
    OLDER,
    new Script().command(COM.COM_PROCESS_INFO).server([1], column('Id'), eof(), textRow('1'), eof()),
    ['begin PROCESS_INFO', 'first PROCESS_INFO', 'end PROCESS_INFO results=1 rows=1 left=0', IDLE],
  ),
  says(
    'COM_FIELD_LIST is answered by definitions',
    OLDER,
    new Script().command(COM.COM_FIELD_LIST, 't\0').server(column('a'), column('b'), eof()),
    ['begin FIELD_LIST', 'first FIELD_LIST', 'end FIELD_LIST results=1 rows=0 left=0', IDLE],
  ),
  says(
    'COM_FIELD_LIST without EOFs',
    MODERN,
    new Script().command(COM.COM_FIELD_LIST, 't\0').server(column('a'), okEof()),
    ['begin FIELD_LIST', 'first FIELD_LIST', 'end FIELD_LIST results=1 rows=0 left=0', IDLE],
  ),
  says('COM_QUIT has no answer', MODERN, new Script().command(COM.COM_QUIT), ['begin QUIT', IDLE]),
  says(
    'COM_RESET_CONNECTION and COM_CHANGE_USER forget statements',
    MODERN,
    new Script()
      .command(COM.COM_STMT_PREPARE, 'DO 1')
      .server(prepareOk(0, 0))
      .command(COM.COM_RESET_CONNECTION)
      .server(ok()),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin RESET_CONNECTION',
      'first RESET_CONNECTION',
      'end RESET_CONNECTION results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  says(
    'an unknown command that is refused',
    MODERN,
    new Script().command(0x77, 'x').server(err(1047, '08S01', 'Unknown command')),
    ['begin 0x77', 'first 0x77', 'end 0x77 error=1047/08S01 rows=0 left=0', IDLE],
  ),
  says('an unknown command that is accepted', MODERN, new Script().command(0x77, 'x').server(ok()), [
    'begin 0x77',
    'first 0x77',
    'opaque unknown-command',
    'opaque',
  ]),

  // ---- authentication
  says(
    'COM_CHANGE_USER with a switch of the plugin and more data',
    MODERN,
    new Script()
      .command(COM.COM_STMT_PREPARE, 'DO 1')
      .server(prepareOk(0, 0))
      .command(COM.COM_CHANGE_USER, 'user\0')
      .server([0xfe, ...Buffer.from('caching_sha2_password\0'), ...times(20, 1).flat(), 0])
      .client(Buffer.alloc(32, 7))
      .server([0x01, 0x04])
      .client(Buffer.of(2))
      .server([0x01, ...Buffer.from('-----BEGIN PUBLIC KEY-----')])
      .client(Buffer.alloc(256, 3))
      .server(ok()),
    [
      'begin STMT_PREPARE',
      'first STMT_PREPARE',
      'end STMT_PREPARE results=0 rows=0 left=0',
      'begin CHANGE_USER',
      'first CHANGE_USER',
      'end CHANGE_USER results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  says(
    'COM_CHANGE_USER that succeeds from the cache, and one that is refused after a second factor',
    OLDER,
    new Script()
      .command(COM.COM_CHANGE_USER, 'user\0')
      .server([0x01, 0x03], ok())
      .command(COM.COM_CHANGE_USER, 'user\0')
      .server([0x02, 0x61])
      .client('secret\0')
      .server(err(1045, '28000', 'Access denied')),
    [
      'begin CHANGE_USER',
      'first CHANGE_USER',
      'end CHANGE_USER results=1 rows=0 left=0',
      'begin CHANGE_USER',
      'first CHANGE_USER',
      'end CHANGE_USER error=1045/28000 rows=0 left=0',
      IDLE_AFTER_ERROR,
    ],
  ),

  // ---- streams
  says(
    'COM_BINLOG_DUMP is never idle, whatever the replica acknowledges',
    MODERN,
    new Script()
      .command(COM.COM_BINLOG_DUMP, Buffer.alloc(10))
      .server([0x00, 1, 2, 3], [0x00, 0xef, 1, 2, 3])
      .raw('client', [5, 0, 0, 0, 0xef, 1, 2, 3, 4])
      .server([0x00, 4, 5, 6]),
    ['begin BINLOG_DUMP', 'first BINLOG_DUMP', 'busy 1, no transaction, 0 statements, 0 cursors'],
  ),
  says(
    'COM_BINLOG_DUMP_GTID that ends, and one that fails',
    OLDER,
    new Script()
      .command(COM.COM_BINLOG_DUMP_GTID, Buffer.alloc(10))
      .server([0x00, 1, 2, 3], eof())
      .command(COM.COM_BINLOG_DUMP_GTID, Buffer.alloc(10))
      .server([0x00, 1, 2, 3], err(1236, 'HY000', 'purged'))
      .command(COM.COM_PING)
      .server(ok()),
    [
      'begin BINLOG_DUMP_GTID',
      'first BINLOG_DUMP_GTID',
      'end BINLOG_DUMP_GTID results=1 rows=0 left=0',
      'begin BINLOG_DUMP_GTID',
      'first BINLOG_DUMP_GTID',
      'end BINLOG_DUMP_GTID error=1236/HY000 rows=0 left=0',
      'begin PING',
      'first PING',
      'end PING results=1 rows=0 left=0',
      IDLE,
    ],
  ),
  ...[COM.COM_CLONE, COM.COM_SUBSCRIBE_GROUP_REPLICATION_STREAM].map((command) =>
    says(
      `${COM.commandName(command)} turns into another protocol unless refused`,
      MODERN,
      new Script()
        .command(command)
        .server(err(3862, 'HY000', 'no'))
        .command(command)
        .server(ok()),
      [
        `begin ${shortName(command)}`,
        `first ${shortName(command)}`,
        `end ${shortName(command)} error=3862/HY000 rows=0 left=0`,
        `begin ${shortName(command)}`,
        `first ${shortName(command)}`,
        'opaque foreign-protocol',
        'opaque',
      ],
    ),
  ),

  // ---- pipelining
  says(
    'long data, execution and two queries sent without waiting',
    MODERN,
    joined(
      new Script()
        .command(COM.COM_STMT_SEND_LONG_DATA, Buffer.of(1, 0, 0, 0, 0, 0, 65))
        .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 1, 0, 0, 0))
        .command(COM.COM_QUERY, 'SELECT 1')
        .command(COM.COM_STMT_CLOSE, Buffer.of(1, 0, 0, 0))
        .command(COM.COM_QUERY, 'X')
        .sequence(1)
        .server(ok())
        .sequence(1)
        .server([1], column('1'), textRow('1'), okEof())
        .sequence(1)
        .server(err()),
    ),
    [
      'begin STMT_SEND_LONG_DATA',
      'begin STMT_EXECUTE',
      'begin QUERY',
      'begin STMT_CLOSE',
      'begin QUERY',
      'first STMT_EXECUTE',
      'end STMT_EXECUTE results=1 rows=0 left=2',
      'first QUERY',
      'end QUERY results=1 rows=1 left=1',
      'first QUERY',
      'end QUERY error=1064/42000 rows=0 left=0',
      IDLE_AFTER_ERROR,
    ],
  ),
  says(
    'a hundred commands, then their answers',
    MODERN,
    times(100, 0).reduce(
      (script) => script.sequence(1).server(ok()),
      times(100, 0).reduce((script) => script.command(COM.COM_PING), new Script()),
    ),
    [
      ...times(100, 'begin PING'),
      ...times(100, 0).flatMap((_, index) => ['first PING', `end PING results=1 rows=0 left=${99 - index}`]),
      IDLE,
    ],
  ),
  says(
    'a command sent while an answer is still coming',
    MODERN,
    new Script()
      .command(COM.COM_QUERY, 'SELECT 1')
      .server([1], column('1'))
      .raw('client', [1, 0, 0, 0, COM.COM_PING])
      .server(textRow('1'), okEof())
      .sequence(1)
      .server(ok()),
    [
      'begin QUERY',
      'first QUERY',
      'begin PING',
      'end QUERY results=1 rows=1 left=1',
      'first PING',
      'end PING results=1 rows=0 left=0',
      IDLE,
    ],
  ),

  // ---- errors nobody asked for
  says('an ERR with no command in flight', MODERN, new Script().server(err(4031, 'HY000', 'inactivity')), [
    'unsolicited 4031',
    IDLE,
  ]),
  says(
    'an ERR that crosses a command is not its answer',
    MODERN,
    new Script()
      .command(COM.COM_PING)
      .sequence(0)
      .server(err(1053, '08S01', 'shutdown'))
      .sequence(1)
      .server(ok()),
    ['begin PING', 'unsolicited 1053', 'first PING', 'end PING results=1 rows=0 left=0', IDLE],
  ),

  // ---- MariaDB
  says(
    'progress reports are not the end of an answer',
    MARIADB,
    query('ALTER TABLE t').server(progress(1), progress(2), ok()),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=0 left=0', IDLE],
  ),
  says('a progress report that was not agreed', MODERN, query('ALTER TABLE t').server(progress(1)), [
    'begin QUERY',
    'first QUERY',
    'opaque progress-not-agreed',
    'opaque',
  ]),
  says(
    'cached metadata, and bulk execution that returns rows',
    MARIADB,
    new Script()
      .command(COM.COM_STMT_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 1, 0, 0, 0))
      .server([1, 0], binaryRow(1), okEof())
      .command(COM.COM_STMT_BULK_EXECUTE, Buffer.of(1, 0, 0, 0, 0, 0))
      .server([1, 1], column('id'), binaryRow(1), binaryRow(2), okEof()),
    [
      'begin STMT_EXECUTE',
      'first STMT_EXECUTE',
      'end STMT_EXECUTE results=1 rows=1 left=0',
      'begin STMT_BULK_EXECUTE',
      'first STMT_BULK_EXECUTE',
      'end STMT_BULK_EXECUTE results=1 rows=2 left=0',
      IDLE,
    ],
  ),

  // ---- nonsense
  says('a wrong sequence id of the server', MODERN, query('X').sequence(2).server(ok()), [
    'begin QUERY',
    'opaque sequence',
    'opaque',
  ]),
  says(
    'a wrong sequence id among the rows',
    MODERN,
    query('X').server([1], column('1'), textRow('1')).sequence(9).server(textRow('2')),
    ['begin QUERY', 'first QUERY', 'opaque sequence', 'opaque'],
  ),
  says(
    'a wrong sequence id of the client',
    MODERN,
    new Script().sequence(1).client(Buffer.of(COM.COM_PING)),
    ['opaque sequence', 'opaque'],
  ),
  says('an OK with no command in flight', MODERN, new Script().server(ok()), [
    'opaque unasked-response',
    'opaque',
  ]),
  says(
    'rows with no command in flight',
    MODERN,
    query('SELECT 1').server([1], column('1'), textRow('1'), okEof(), textRow('2')),
    ['begin QUERY', 'first QUERY', 'end QUERY results=1 rows=1 left=0', 'opaque unasked-response', 'opaque'],
  ),
  says('an OK cut short', MODERN, query('X').server([0, 0, 0, 2]), [
    'begin QUERY',
    'first QUERY',
    'opaque malformed-packet',
    'opaque',
  ]),
  says(
    'an OK whose integers leave no room for flags',
    MODERN,
    query('X').server([0, 0xfd, 1, 2, 3, 0, 2, 0]),
    ['begin QUERY', 'first QUERY', 'opaque malformed-packet', 'opaque'],
  ),
  says('an OK with NULL for an integer', MODERN, query('X').server([0, 0xfb, 0, 2, 0, 0, 0]), [
    'begin QUERY',
    'first QUERY',
    'opaque malformed-packet',
    'opaque',
  ]),
  says('an EOF cut short', OLDER, query('X').server([1], column('1'), [0xfe]), [
    'begin QUERY',
    'first QUERY',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says('an ERR cut short', OLDER, query('X').server([0xff, 1]), [
    'begin QUERY',
    'first QUERY',
    'opaque malformed-packet',
    'opaque',
  ]),
  says('an empty packet for an answer', OLDER, query('X').server([]), [
    'begin QUERY',
    'first QUERY',
    'opaque malformed-packet',
    'opaque',
  ]),
  says('a count of columns with something behind it', MODERN, query('X').server([1, 1]), [
    'begin QUERY',
    'first QUERY',
    'opaque malformed-packet',
    'opaque',
  ]),
  says('an EOF for the head of a result', MODERN, query('X').server(okEof()), [
    'begin QUERY',
    'first QUERY',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says('an EOF among definitions', OLDER, query('X').server([2], column('1'), eof()), [
    'begin QUERY',
    'first QUERY',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says('rows where an EOF must be', OLDER, query('X').server([1], column('1'), textRow('1')), [
    'begin QUERY',
    'first QUERY',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says('a row for an answer to COM_PING', OLDER, new Script().command(COM.COM_PING).server(textRow('1')), [
    'begin PING',
    'first PING',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says(
    'a stray packet in an authentication',
    OLDER,
    new Script().command(COM.COM_CHANGE_USER, 'u').server([5]),
    ['begin CHANGE_USER', 'first CHANGE_USER', 'opaque unexpected-packet', 'opaque'],
  ),
  says('a stray packet among events', OLDER, new Script().command(COM.COM_BINLOG_DUMP, 'u').server([5]), [
    'begin BINLOG_DUMP',
    'first BINLOG_DUMP',
    'opaque unexpected-packet',
    'opaque',
  ]),
  says(
    'an answer to COM_STMT_PREPARE cut short',
    OLDER,
    new Script().command(COM.COM_STMT_PREPARE, 'u').server([0, 1, 0, 0, 0, 0]),
    ['begin STMT_PREPARE', 'first STMT_PREPARE', 'opaque malformed-packet', 'opaque'],
  ),

  // ---- what was agreed
  says('compression', agreed(C.CLIENT_PROTOCOL_41 | C.CLIENT_COMPRESS), query('X').server(ok()), [
    'opaque compression',
    'opaque',
  ]),
  says('zstd compression', agreed(C.CLIENT_PROTOCOL_41 | C.CLIENT_ZSTD_COMPRESSION_ALGORITHM), query('X'), [
    'opaque compression',
    'opaque',
  ]),
  says('the protocol before 4.1', agreed(C.CLIENT_DEPRECATE_EOF), query('X').server(ok()), [
    'opaque old-protocol',
    'opaque',
  ]),
];

function says(
  name: string,
  capabilities: TrackerCapabilities,
  script: Script,
  expected: readonly string[],
): Conversation {
  return { name, agreed: capabilities, segments: script.segments, expected };
}

function agreed(sharedCapabilities: number, sharedMariadbCapabilities = 0): TrackerCapabilities {
  return { sharedCapabilities, sharedMariadbCapabilities, statusFlags: AUTOCOMMIT };
}

function query(sql: string): Script {
  return new Script().command(COM.COM_QUERY, sql);
}

/** The same script with neighbouring packets of one side in one segment. */
function joined(script: Script): Script {
  const result = new Script();
  for (const { side, bytes } of joinSegments(script.segments)) result.raw(side, bytes);
  return result;
}

/** An ERR numbered 65535: stage 1 of 2, some per mille, and a text. */
function progress(perMille: number): Payload {
  return [0xff, 0xff, 0xff, 1, 1, 2, ...int4(perMille).slice(0, 3), ...text('copying')];
}

function times<T>(count: number, value: T): T[] {
  return new Array<T>(count).fill(value);
}

function shortName(command: number): string {
  return COM.commandName(command)?.slice('COM_'.length) ?? '';
}
