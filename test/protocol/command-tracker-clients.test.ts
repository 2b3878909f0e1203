import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { MAX_PAYLOAD_BYTES } from '../../protocol/packet-header.ts';
import { ACCOUNTS, missingParts, waitFor } from '../../src/sandbox/index.ts';
import {
  comparison,
  killWhenRunning,
  type Lab,
  loadData,
  OTHER_ACCOUNT,
  openLab,
  record,
  replaySessions,
  seenIn,
} from './tracker/lab.ts';
import type { TrackedSession } from './tracker/tracked-relay.ts';

const missing = await missingParts('mysql');
if (missing === false) await compareWithClients();
else t.pass('the tracker beside client libraries', { skip: missing });

async function compareWithClients(): Promise<void> {
  const lab = await openLab(t);
  await t.test('mysql2 and the tracker see the same of small commands', (t) => compareSmallCommands(t, lab));
  await t.test('mysql2 and the tracker see the same of large ones', (t) => compareLargeCommands(t, lab));
  await t.test('mysql2 and the tracker see the same of sessions that end badly', (t) =>
    compareBadEnds(t, lab),
  );
  await t.test('the mysql client and the tracker see the same', (t) => compareCommandLineClient(t, lab));
  await t.test('all of it again in other chunks', async (t) => replaySessions(t, lab.relay));
}

async function compareSmallCommands(t: Test, { server, relay }: Lab): Promise<void> {
  const connection = await server.connect({
    port: relay.port,
    database: 'test',
    multipleStatements: true,
  });
  const session = await relay.latestSession();
  const { tracker } = session.recorder;
  const compare = comparison(t, server, session);
  const query = (sql: string) => compare(sql, async () => seenIn(await connection.query(sql)));

  await query('SELECT 1');
  await query('SELECT * FROM t');
  await query('SELECT 1 WHERE FALSE');
  await query("UPDATE t SET v = 'b' WHERE id < 3");
  await query('SELEC 1');
  await query("SELECT id, IF(id = 3, JSON_EXTRACT('{', '$'), 1) FROM t");
  await compare('ping', async () => seenIn(await connection.ping()));
  await query('BEGIN');
  await query("INSERT INTO t VALUES (20, '')");
  await query("INSERT INTO t VALUES (1, '')");
  await query('SELECT 1 FROM t');
  await query('ROLLBACK');
  await query('START TRANSACTION READ ONLY');
  t.equal(tracker.facts.isInTransaction, true);
  await query('COMMIT');
  await query('SET autocommit = 0');
  t.equal(tracker.facts.isAutocommit, false);
  await query('SELECT COUNT(*) FROM t');
  await query('SET autocommit = 1');
  t.equal(tracker.facts.isAutocommit, true);
  await query('BEGIN; CREATE TABLE c1 (a INT); SELECT 1; DO 1; SELECT id FROM t WHERE id < 3');
  await query('SELECT 1; SELEC 2; SELECT 3');
  await query('CALL two_results()');
  await query('CALL leaves_open()');
  t.equal(
    tracker.facts.isStatusCurrent,
    false,
    'the procedure left a transaction open, and no packet says so',
  );
  await query('ROLLBACK');
  await query('CALL no_such_procedure()');
  await compare('LOAD DATA LOCAL INFILE', async () =>
    seenIn(await loadData(connection, ['1,2\n3,4\n', '5,6\n'])),
  );
  await compare('LOAD DATA LOCAL INFILE of nothing', async () => seenIn(await loadData(connection, [])));
  await compare('LOAD DATA LOCAL INFILE into nothing', () =>
    loadData(connection, ['1,2\n'], 'no_such_table').then((result) => seenIn(result)),
  );
  await compare('LOAD DATA LOCAL INFILE of nonsense', () =>
    loadData(connection, ['x,y\n'.repeat(3)]).then((result) => seenIn(result)),
  );
  await compare('LOAD DATA LOCAL INFILE and more', () =>
    loadData(connection, ['1,2\n'], 'loaded', '; SELECT 1').then((result) => seenIn(result)),
  );

  await compare('prepare and execute', async () =>
    seenIn(await connection.execute('SELECT * FROM t WHERE id < ?', [4]), 2),
  );
  await compare('execute again', async () =>
    seenIn(await connection.execute('SELECT * FROM t WHERE id < ?', [3])),
  );
  t.equal(tracker.facts.openStatements, 1);
  await compare('prepared CALL with OUT parameters', async () =>
    seenIn(await connection.execute('CALL with_out(?, @out)', [4]), 2),
  );
  await compare('a statement that cannot be prepared', () =>
    connection.execute('SELEC ?', [1]).then((result) => seenIn(result)),
  );
  await compare('a prepared statement that fails', async () => {
    const statement = await connection.prepare('INSERT INTO t VALUES (?, ?)');
    t.equal(tracker.facts.openStatements, 3);
    return seenIn(await statement.execute([1, '']), 2);
  });
  const statement = await connection.prepare('SELECT ?');
  await statement.close();
  await waitForCommand(session, 'STMT_CLOSE');
  t.equal(tracker.facts.openStatements, 3);
  await compare('change user', async () =>
    seenIn(await connection.changeUser({ ...OTHER_ACCOUNT, database: 'test' })),
  );
  t.equal(tracker.facts.openStatements, 0);
  await query('SELECT CURRENT_USER()');
  await compare('change user again, from the cache', async () =>
    seenIn(await connection.changeUser({ ...ACCOUNTS.root, database: 'test' })),
  );
  await query('BEGIN');
  await compare('reset', async () => seenIn(await connection.reset()));
  await query('SELECT 1');
  await compare('a killed query', async () => {
    const killed = connection.query('SELECT SLEEP(100) FROM t');
    await killWhenRunning(server, session, 'QUERY');
    return seenIn(await killed);
  });
  record(session, 'mysql2.txt', 'mysql2');
  await connection.end();
  await waitForCommand(session, 'QUIT');
}

async function compareLargeCommands(t: Test, { server, relay }: Lab): Promise<void> {
  const connection = await server.connect({ port: relay.port, database: 'test' });
  const compare = comparison(t, server, await relay.latestSession());
  await compare('1000 rows', async () => seenIn(await connection.query('SELECT * FROM large')));
  await compare('1000 rows, prepared', async () =>
    seenIn(await connection.execute('SELECT * FROM large'), 2),
  );
  await compare('300 columns', async () =>
    seenIn(await connection.query(`SELECT ${new Array(300).fill('1').join()}`)),
  );
  for (const extra of [-1, 0, 1, MAX_PAYLOAD_BYTES]) {
    // A value below 16 MiB has four bytes before it in its row.
    const valueBytes = MAX_PAYLOAD_BYTES - 4 + extra;
    await compare(`a row ${extra} bytes over a full packet`, async () =>
      seenIn(await connection.query('SELECT REPEAT("x", ?) FROM t WHERE id < 3', [valueBytes])),
    );
    const sql = `SELECT LENGTH('${'x'.repeat(MAX_PAYLOAD_BYTES - 18 + extra)}')`;
    t.equal(sql.length + 1, MAX_PAYLOAD_BYTES + extra);
    await compare(`a statement ${extra} bytes over a full packet`, async () =>
      seenIn(await connection.query(sql)),
    );
  }
  await compare('a parameter of 16 MiB', async () =>
    seenIn(await connection.execute('SELECT ?', [Buffer.alloc(0x100_0000, 'x')]), 2),
  );
  for (const extra of [0, 1, 5]) {
    // One byte less, and mysql2 3.24 counts a packet it does not send: mysqld then takes the file for ended.
    const line = `1,2,${'x'.repeat(MAX_PAYLOAD_BYTES - 5 + extra)}\n`;
    await compare(`a part of a file ${extra} bytes over a full packet`, async () =>
      seenIn(await loadData(connection, [line, '3,4\n'])),
    );
  }
  await connection.end();
}

async function compareBadEnds(t: Test, { server, relay }: Lab): Promise<void> {
  const connection = await server.connect({ port: relay.port, database: 'test' });
  const session = await relay.latestSession();
  const query = t.rejects(connection.query('SELECT SLEEP(100) FROM t'));
  await killWhenRunning(server, session, 'CONNECTION');
  await query;
  t.equal(session.recorder.tracker.isOpaque, false, 'a killed session stays understood');
  connection.destroy();

  const other = await server.connect({ port: relay.port, database: 'test' });
  const denied = await relay.latestSession();
  const compare = comparison(t, server, denied);
  await compare('change to a user who is refused', () =>
    other.changeUser({ user: 'other', password: 'wrong', database: 'test' }).then((result) => seenIn(result)),
  );
  other.destroy();
}

/** What the mysql client prints, and the tracker's rows, for one script run through it. */
async function compareCommandLineClient(t: Test, { sandbox, relay }: Lab): Promise<void> {
  await writeFile(join(sandbox.directory, 'numbers.csv'), '10,20\n30,40\n');
  const script = [
    'SELECT id, v FROM t ORDER BY id;',
    'BEGIN;',
    "LOAD DATA LOCAL INFILE 'numbers.csv' INTO TABLE loaded FIELDS TERMINATED BY ',';",
    'SELECT a FROM loaded WHERE a IN (10, 30);',
    'ROLLBACK;',
    'delimiter //',
    'CALL two_results(); SELECT 7//',
    'delimiter ;',
    'SELECT ;',
    "PREPARE s FROM 'SELECT ? + 1'; SET @a = 1; EXECUTE s USING @a;",
    'SHOW WARNINGS;',
    'USE information_schema',
    'resetconnection',
    "SELECT 'end';",
  ];
  const mysql = await sandbox.part('mysql');
  const { file: program, env } = mysql.command('mysql', []);
  const { user, password } = ACCOUNTS.root;
  const args = [
    '--no-defaults',
    '--ssl-mode=DISABLED',
    '--get-server-public-key',
    '--local-infile=1',
    '--commands',
    '--force',
    '-N',
  ];
  const child = promisify(execFile)(
    program,
    [...args, '-h127.0.0.1', `-P${relay.port}`, `-u${user}`, `-p${password}`, 'test'],
    { env: { ...env }, cwd: sandbox.directory },
  );
  child.child.stdin?.end(script.join('\n'));
  const { stdout, stderr } = await child;
  t.match(stderr, /ERROR 1064 \(42000\)/);
  const session = await relay.latestSession();
  const { log } = session.recorder;
  t.match(
    log.filter((line) => line.includes('error=')),
    [/^end QUERY error=1064\/42000/],
  );
  const printedRows = stdout.split('\n').filter((line) => line !== '').length;
  // Questions the client asks by itself: `select @@version_comment`, `select $$` (to be refused), and at USE
  // `SELECT DATABASE()`.
  const own = log.slice(log.findIndex((line) => line.includes('error=')) + 1);
  t.equal(rowsOf(own) - 1, printedRows, 'as many rows as the client printed');
  t.equal(own.filter((line) => line.includes(' error=')).length, 1, 'as many errors');
  t.match(own.join(), /end INIT_DB results=1 .*end RESET_CONNECTION results=1 /);
  t.equal(log.at(-1), 'begin QUIT');
  t.equal(session.recorder.tracker.isIdle, true);
  record(session, 'mysql-client.txt', 'the mysql client');
}

async function waitForCommand({ recorder }: TrackedSession, command: string): Promise<void> {
  await waitFor({ what: command, timeoutMs: 20_000, intervalMs: 1 }, async () =>
    recorder.log.at(-1) === `begin ${command}` ? true : undefined,
  );
}

function rowsOf(log: readonly string[]): number {
  return log.reduce((sum, line) => sum + Number(/ rows=(\d+)/.exec(line)?.[1] ?? 0), 0);
}
