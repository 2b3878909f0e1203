import t, { type Test } from 'tap';
import * as C from '../../protocol/capability-flags.ts';
import * as COM from '../../protocol/commands.ts';
import { missingParts, waitFor } from '../../src/sandbox/index.ts';
import { withoutBytes } from './tracker/conversation.ts';
import { type Lab, openLab, RAW_ACCOUNT, record, replaySessions } from './tracker/lab.ts';
import { Probe } from './tracker/probe.ts';
import { command, packet } from './tracker/raw-client.ts';

const DIALECTS = {
  'with EOFs':
    C.CLIENT_MULTI_STATEMENTS | C.CLIENT_MULTI_RESULTS | C.CLIENT_PS_MULTI_RESULTS | C.CLIENT_LOCAL_FILES,
  'without EOFs':
    C.CLIENT_DEPRECATE_EOF |
    C.CLIENT_MULTI_STATEMENTS |
    C.CLIENT_MULTI_RESULTS |
    C.CLIENT_PS_MULTI_RESULTS |
    C.CLIENT_LOCAL_FILES |
    C.CLIENT_SESSION_TRACK,
  'with EOFs and optional metadata':
    C.CLIENT_OPTIONAL_RESULTSET_METADATA |
    C.CLIENT_MULTI_STATEMENTS |
    C.CLIENT_MULTI_RESULTS |
    C.CLIENT_PS_MULTI_RESULTS |
    C.CLIENT_LOCAL_FILES,
  'without EOFs and with optional metadata':
    C.CLIENT_OPTIONAL_RESULTSET_METADATA |
    C.CLIENT_DEPRECATE_EOF |
    C.CLIENT_MULTI_STATEMENTS |
    C.CLIENT_MULTI_RESULTS |
    C.CLIENT_PS_MULTI_RESULTS |
    C.CLIENT_LOCAL_FILES,
} as const;

const CURSOR_TYPE_READ_ONLY = 1;
const BINLOG_DUMP_NON_BLOCK = 1;
const IDLE = 'idle, no transaction, 0 statements, 0 cursors';

const missing = await missingParts('mysql');
if (missing === false) await tryCommands();
else t.pass('the tracker before a real server', { skip: missing });

async function tryCommands(): Promise<void> {
  const lab = await openLab(t);
  for (const [name, flags] of Object.entries(DIALECTS)) {
    await t.test(`every command, ${name}`, (t) => tryDialect(t, lab, name, flags));
  }
  await t.test('commands sent without waiting', (t) => tryPipelining(t, lab));
  await t.test('a stream of binary log events', (t) => tryBinaryLog(t, lab));
  await t.test('a session the server closes while it is idle', (t) => tryIdleTimeout(t, lab));
  await t.test('a session that is killed while it is idle', (t) => tryIdleKill(t, lab));
  await t.test('commands that are refused', (t) => tryRefusals(t, lab));
  await t.test('all of it again in other chunks', async (t) => replaySessions(t, lab.relay));
}

async function tryDialect(t: Test, lab: Lab, name: string, flags: number): Promise<void> {
  const probe = await Probe.open(t, lab, flags);
  const { tracker } = probe.session.recorder;
  const ended = (kind: string, facts: string) => [`begin ${kind}`, `end ${kind} ${facts}`];
  const query = (sql: string, facts: string) =>
    probe.expect(sql, [command(COM.COM_QUERY, sql)], ended('QUERY', facts));
  const plain = (number: number, kind: string, payload: string | Iterable<number> = '') =>
    probe.expect(kind, [command(number, payload)], ended(kind, 'results=1 rows=0'));

  await plain(COM.COM_INIT_DB, 'INIT_DB', 'test');
  await query('SELECT id, v FROM t', 'results=1 rows=4');
  await query('SELECT 1 WHERE FALSE', 'results=1 rows=0');
  await query('CALL two_results(); SELECT 1; DO 1', 'results=5 rows=4');
  await query('SELECT 1; SELEC', 'error=1064/42000 rows=1');
  await probe.expect(
    'FIELD_LIST',
    [command(COM.COM_FIELD_LIST, 't\0')],
    ended('FIELD_LIST', 'results=1 rows=0'),
  );
  await probe.expect('STATISTICS', [command(COM.COM_STATISTICS)], ended('STATISTICS', 'results=0 rows=0'));
  await plain(COM.COM_SET_OPTION, 'SET_OPTION', [1, 0]);
  await query('SELECT 1; SELECT 2', 'error=1064/42000 rows=0');
  await plain(COM.COM_SET_OPTION, 'SET_OPTION', [0, 0]);
  await plain(COM.COM_DEBUG, 'DEBUG');
  await plain(COM.COM_REGISTER_SLAVE, 'REGISTER_SLAVE', [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

  if ((flags & C.CLIENT_OPTIONAL_RESULTSET_METADATA) !== 0) {
    await query('SET resultset_metadata = NONE', 'results=1 rows=0');
    await query('SELECT id, v FROM t', 'results=1 rows=4');
    await query('CALL two_results(); SELECT 1', 'results=4 rows=4');
  }
  const prepare = (sql: string) =>
    probe.expect(sql, [command(COM.COM_STMT_PREPARE, sql)], ended('STMT_PREPARE', 'results=0 rows=0'));
  await prepare('SELECT id, v FROM t WHERE id < ? OR id < ?');
  await prepare('SELECT id FROM t');
  await prepare('DO ?');
  await prepare('DO 1');
  await prepare('CALL with_out(1, ?)');
  t.equal(tracker.facts.openStatements, 5);
  await probe.expect(
    'SELEC',
    [command(COM.COM_STMT_PREPARE, 'SELEC')],
    ended('STMT_PREPARE', 'error=1064/42000 rows=0'),
  );
  const tinyParameters = (...values: readonly number[]) => [0, 1, ...values.flatMap(() => [1, 0]), ...values];
  const execute = (statement: number, cursor: number, parameters: readonly number[], facts: string) =>
    probe.expect(
      `statement ${statement}`,
      [command(COM.COM_STMT_EXECUTE, [statement, 0, 0, 0, cursor, 1, 0, 0, 0, ...parameters])],
      ended('STMT_EXECUTE', facts),
    );
  const fetchRows = (statement: number, count: number, facts: string) =>
    probe.expect(
      'fetch',
      [command(COM.COM_STMT_FETCH, [statement, 0, 0, 0, count, 0, 0, 0])],
      ended('STMT_FETCH', facts),
    );

  await execute(1, 0, tinyParameters(3, 4), 'results=1 rows=3');
  await execute(3, 0, tinyParameters(3), 'results=1 rows=0');
  await execute(5, 0, tinyParameters(3), 'results=3 rows=2');
  await execute(99, 0, [], 'error=1243/HY000 rows=0');
  await execute(2, CURSOR_TYPE_READ_ONLY, [], 'results=1 rows=0');
  t.equal(tracker.facts.openCursors, 1);
  await fetchRows(2, 3, 'results=1 rows=3');
  t.equal(tracker.facts.openCursors, 1);
  await fetchRows(2, 3, 'results=1 rows=1');
  t.equal(tracker.facts.openCursors, 0, 'the cursor was read to its end');
  await fetchRows(2, 3, 'error=1421/HY000 rows=0');
  await execute(1, CURSOR_TYPE_READ_ONLY, tinyParameters(1, 1), 'results=1 rows=0');
  await fetchRows(1, 3, 'results=1 rows=0');
  await execute(4, CURSOR_TYPE_READ_ONLY, [], 'results=1 rows=0');
  await execute(5, CURSOR_TYPE_READ_ONLY, tinyParameters(3), 'results=3 rows=2');
  await probe.expect(
    'long data',
    [
      command(COM.COM_STMT_SEND_LONG_DATA, [3, 0, 0, 0, 0, 0, 0x61]),
      command(COM.COM_STMT_SEND_LONG_DATA, [99, 0, 0, 0, 0, 0, 0x61]),
      command(COM.COM_STMT_EXECUTE, [3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0]),
    ],
    ['begin STMT_SEND_LONG_DATA', 'begin STMT_SEND_LONG_DATA', ...ended('STMT_EXECUTE', 'results=1 rows=0')],
  );
  await plain(COM.COM_STMT_RESET, 'STMT_RESET', [1, 0, 0, 0]);
  await probe.expect('close', [command(COM.COM_STMT_CLOSE, [1, 0, 0, 0])], ['begin STMT_CLOSE']);
  await probe.expect('close again', [command(COM.COM_STMT_CLOSE, [1, 0, 0, 0])], ['begin STMT_CLOSE']);

  const sql =
    "LOAD DATA LOCAL INFILE 'x' INTO TABLE loaded FIELDS TERMINATED BY ','; SELECT 1 FROM t LIMIT 2";
  probe.client.send(command(COM.COM_QUERY, sql));
  await waitFor({ what: 'the LOCAL INFILE request', timeoutMs: 20_000, intervalMs: 1 }, async () =>
    probe.session.recorder.log.at(-1) === 'first QUERY' ? true : undefined,
  );
  t.equal(tracker.isIdle, false, 'a file is expected');
  await probe.expect(
    'LOAD DATA LOCAL INFILE',
    [packet(2, Buffer.from('1,2\n3,4\n')), packet(3, Buffer.from('5,6\n')), packet(4, Buffer.alloc(0))],
    ['end QUERY results=2 rows=2'],
  );
  await plain(COM.COM_RESET_CONNECTION, 'RESET_CONNECTION');
  t.equal(tracker.facts.openStatements, 0);
  await prepare('DO 1');
  // The server asks for another answer, to a new challenge, even though this account has no password.
  const asked = probe.session.recorder.log.length + 2;
  probe.client.send(command(COM.COM_CHANGE_USER, changeUser(RAW_ACCOUNT.user, 'caching_sha2_password')));
  await waitFor({ what: 'AuthSwitchRequest', timeoutMs: 20_000, intervalMs: 1 }, async () =>
    probe.session.recorder.log.length === asked ? true : undefined,
  );
  await probe.expect(
    'AuthSwitchResponse',
    [packet(2, Buffer.alloc(0))],
    ['end CHANGE_USER results=1 rows=0'],
  );
  t.equal(tracker.facts.openStatements, 0);
  t.equal(tracker.opaqueReason, undefined);
  record(probe.session, `${name.replaceAll(' ', '-')}.txt`, `every command, ${name}`);
  probe.client.close();
}

/** What mysqld 9.7 does not know, has withdrawn, or refuses; the session goes on after each. */
async function tryRefusals(t: Test, lab: Lab): Promise<void> {
  const probe = await Probe.open(t, lab, C.CLIENT_DEPRECATE_EOF);
  const refused = [
    COM.COM_SLEEP,
    COM.COM_CREATE_DB,
    COM.COM_DROP_DB,
    COM.COM_REFRESH,
    COM.COM_PROCESS_INFO,
    COM.COM_CONNECT,
    COM.COM_PROCESS_KILL,
    COM.COM_TIME,
    COM.COM_DELAYED_INSERT,
    COM.COM_TABLE_DUMP,
    COM.COM_CONNECT_OUT,
    COM.COM_DAEMON,
  ];
  for (const number of refused) {
    const name = COM.commandName(number)?.slice(4) ?? '';
    await probe.expect(
      name,
      [command(number, 'test')],
      [`begin ${name}`, `end ${name} error=1047/08S01 rows=0`],
    );
  }
  await probe.expect(
    'an empty packet',
    [packet(0, Buffer.alloc(0))],
    ['begin SLEEP', 'end SLEEP error=1047/08S01 rows=0'],
  );
  await probe.expect(
    'COM_CLONE',
    [command(COM.COM_CLONE)],
    ['begin CLONE', 'end CLONE error=1524/HY000 rows=0'],
  );
  record(probe.session, 'refused-commands.txt', 'commands that are refused');
  // mysqld answers these and closes.
  for (const number of [COM.COM_SUBSCRIBE_GROUP_REPLICATION_STREAM, 0x77, COM.COM_STMT_BULK_EXECUTE]) {
    const last = await Probe.open(t, lab, C.CLIENT_DEPRECATE_EOF);
    last.client.send(command(number, 'test'));
    await last.settle(3, `command ${number}`);
    t.match(last.session.recorder.log.at(-1), /^end .* error=1047\/08S01/);
    last.client.close();
  }
  probe.client.close();
}

async function tryPipelining(t: Test, lab: Lab): Promise<void> {
  const probe = await Probe.open(t, lab, C.CLIENT_DEPRECATE_EOF | C.CLIENT_MULTI_RESULTS);
  await probe.expect(
    'COM_INIT_DB',
    [command(COM.COM_INIT_DB, 'test')],
    ['begin INIT_DB', 'end INIT_DB results=1 rows=0'],
  );
  const before = probe.session.recorder.log.length;
  probe.client.send(
    command(COM.COM_STMT_PREPARE, 'SELECT id FROM t WHERE id < ? AND v <> ?'),
    command(COM.COM_STMT_SEND_LONG_DATA, [1, 0, 0, 0, 1, 0, 0x7a]),
    command(COM.COM_STMT_EXECUTE, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0xfc, 0, 3]),
    command(COM.COM_QUERY, 'CALL two_results()'),
    command(COM.COM_QUERY, 'SELEC'),
    command(COM.COM_STMT_CLOSE, [1, 0, 0, 0]),
    command(COM.COM_STATISTICS),
    command(COM.COM_PING),
  );
  await probe.settle(before + 14, 'all answers');
  const ends = probe.session.recorder.log.slice(before).filter((line) => line.startsWith('end '));
  t.match(ends, [
    /^end STMT_PREPARE results=0 rows=0/,
    /^end STMT_EXECUTE results=1 rows=2/,
    /^end QUERY results=3 rows=3/,
    /^end QUERY error=1064/,
    /^end STATISTICS/,
    /^end PING/,
  ]);
  await probe.ping('the pipeline');
  t.equal(probe.session.recorder.tracker.facts.openStatements, 0);
  record(probe.session, 'pipelined.txt', 'commands sent without waiting');
  probe.client.close();
}

async function tryBinaryLog(t: Test, lab: Lab): Promise<void> {
  const [status] = await lab.server.query('SHOW BINARY LOG STATUS');
  const file = String(status?.['File']);
  // mysqld closes after a dump, however it ended.
  for (const [name, expected] of [
    [file, 'end BINLOG_DUMP results=1 rows=0'],
    ['no-such-file.000001', 'end BINLOG_DUMP error=1236/HY000 rows=0'],
  ] as const) {
    const dump = await openDump(t, lab, name, BINLOG_DUMP_NON_BLOCK);
    await dump.ended();
    t.match(withoutBytes(dump.session.recorder.log).slice(-2), ['first BINLOG_DUMP', `${expected} left=0`]);
  }
  const endless = await openDump(t, lab, file, 0);
  await lab.server.query('CREATE TABLE test.seen_by_the_dump (a INT)');
  await waitFor({ what: 'the event', timeoutMs: 20_000, intervalMs: 1 }, async () =>
    endless.client.takeReceived().includes('seen_by_the_dump') ? true : undefined,
  );
  const { tracker } = endless.session.recorder;
  t.equal(tracker.isIdle, false, 'a dump that waits for events is not idle');
  await lab.server.query(`KILL CONNECTION ${endless.session.facts.connectionId}`);
  await endless.ended();
  t.equal(tracker.isOpaque, false);
}

async function openDump(t: Test, lab: Lab, file: string, flags: number): Promise<Probe> {
  const probe = await Probe.open(t, lab, 0);
  const sql = "SET @source_binlog_checksum = 'NONE', @master_binlog_checksum = 'NONE'";
  await probe.expect(sql, [command(COM.COM_QUERY, sql)], ['begin QUERY', 'end QUERY results=1 rows=0']);
  const position = [4, 0, 0, 0];
  const serverId = [9, 0, 0, 0];
  probe.client.send(command(COM.COM_BINLOG_DUMP, [...position, flags, 0, ...serverId, ...Buffer.from(file)]));
  return probe;
}

async function tryIdleTimeout(t: Test, lab: Lab): Promise<void> {
  const probe = await Probe.open(t, lab, 0);
  const sql = 'SET wait_timeout = 1';
  await probe.expect(sql, [command(COM.COM_QUERY, sql)], ['begin QUERY', 'end QUERY results=1 rows=0']);
  await probe.ended();
  t.same(probe.session.recorder.finish().slice(-2), ['unsolicited 4031', IDLE]);
  record(probe.session, 'idle-timeout.txt', 'a session closed for its inactivity');
}

async function tryIdleKill(t: Test, lab: Lab): Promise<void> {
  const probe = await Probe.open(t, lab, 0);
  await probe.ping('login');
  await lab.server.query(`KILL CONNECTION ${probe.session.facts.connectionId}`);
  await probe.ended();
  t.equal(probe.session.recorder.tracker.isOpaque, false);
  t.equal(probe.session.recorder.log.length, 3, 'mysqld says nothing about it');
}

function changeUser(user: string, authPluginName: string): Buffer {
  return Buffer.concat([
    Buffer.from(`${user}\0`),
    Buffer.of(0),
    Buffer.from('test\0'),
    Buffer.of(0xff, 0),
    Buffer.from(`${authPluginName}\0`),
  ]);
}
