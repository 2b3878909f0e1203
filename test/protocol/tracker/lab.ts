/** A real server, a tracked relay in front of it, and what client libraries saw beside what the tracker told. */
import { Readable } from 'node:stream';
import type { Connection } from 'mysql2/promise';
import type { Test } from 'tap';
import {
  createAccount,
  createSandbox,
  type Sandbox,
  type Server,
  waitFor,
} from '../../../src/sandbox/index.ts';
import { joinSegments, replay, replayChunked, type Segment } from './conversation.ts';
import { writeRecording } from './recording.ts';
import { TrackedRelay, type TrackedSession } from './tracked-relay.ts';

export type Lab = { readonly sandbox: Sandbox; readonly server: Server; readonly relay: TrackedRelay };

/** What a client library saw of one call: of its last command, and how many commands there were. */
export type Seen = {
  readonly rows?: number;
  readonly results?: number;
  readonly error?: string;
  readonly commands?: number;
};

/** An account without a password, for RawClient. */
export const RAW_ACCOUNT = { user: 'raw', password: '' };
export const OTHER_ACCOUNT = { user: 'other', password: 'other-secret' };

/** Starts all of it; gone at the end of `t`. */
export async function openLab(t: Test): Promise<Lab> {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer({ variables: { max_allowed_packet: '128M' } });
  const relay = await TrackedRelay.start(server.port);
  t.teardown(() => relay.close());
  await createAccount(server, { ...RAW_ACCOUNT, grants: ['ALL ON *.*'] });
  await createAccount(server, { ...OTHER_ACCOUNT, grants: ['ALL ON test.*'] });
  const connection = await server.connect({ multipleStatements: true });
  await connection.query(SCHEMA);
  for (const procedure of PROCEDURES) await connection.query(procedure);
  await connection.end();
  return { sandbox, server, relay };
}

/**
 * A function that runs one call of a client library and compares what it returned with what the tracker told since,
 * and the tracker's idea of the transaction with the server's own.
 */
export function comparison(t: Test, server: Server, session: TrackedSession) {
  const { tracker, log } = session.recorder;
  return async (name: string, call: () => Promise<Seen>): Promise<void> => {
    const from = log.length;
    const seen = await call().catch((error: unknown): Seen => ({ error: errorOf(error) }));
    t.equal(tracker.isIdle, true, `${name}: idle as soon as the library is done`);
    const ends = log.slice(from).filter((line) => line.startsWith('end '));
    if (seen.commands !== undefined) t.equal(ends.length, seen.commands, `${name}: commands`);
    const { rows, results, errorNumber, sqlState } = tracker.facts;
    if (seen.error === undefined) t.same({ rows, results }, { rows: seen.rows, results: seen.results }, name);
    else t.equal(`${errorNumber} ${sqlState}`, seen.error, name);
    const isOpen = await isTransactionOpen(server, session);
    if (tracker.facts.isStatusCurrent) t.equal(tracker.facts.isInTransaction, isOpen, `${name}: transaction`);
    else t.ok(seen.error, `${name}: unsure of the transaction only after an error`);
  };
}

/** What mysql2 returned, in the tracker's terms. */
export function seenIn(returned: unknown, commands = 1): Seen {
  const [results, fields] = Array.isArray(returned) ? returned : [undefined, undefined];
  const isMany = Array.isArray(fields) && fields.some((each) => each === undefined || Array.isArray(each));
  const all: readonly unknown[] = isMany && Array.isArray(results) ? results : [results];
  const rows = all.reduce<number>((sum, result) => sum + (Array.isArray(result) ? result.length : 0), 0);
  return { rows, results: all.length, commands };
}

export function loadData(
  connection: Connection,
  parts: readonly string[],
  table = 'loaded',
  more = '',
): Promise<unknown> {
  return connection.query({
    sql: `LOAD DATA LOCAL INFILE 'x' INTO TABLE ${table} FIELDS TERMINATED BY ','${more}`,
    infileStreamFactory: () => Readable.from(parts.map((part) => Buffer.from(part))),
  });
}

/** Kills the statement that `session` is running, once it runs. */
export async function killWhenRunning(
  server: Server,
  session: TrackedSession,
  what: 'QUERY' | 'CONNECTION',
): Promise<void> {
  const { connectionId } = session.facts;
  await waitFor({ what: 'the statement to run', timeoutMs: 20_000, intervalMs: 10 }, async () => {
    const rows = await server.query(
      "SELECT 1 FROM performance_schema.processlist WHERE ID = ? AND STATE = 'User sleep'",
      [connectionId],
    );
    return rows.length > 0 ? true : undefined;
  });
  await server.query(`KILL ${what} ${connectionId}`);
}

/** Replays every session in other chunks: the tracker must have told the same. */
export function replaySessions(t: Test, relay: TrackedRelay): void {
  for (const session of relay.sessions) {
    const told = session.recorder.finish().join('\n');
    t.equal(replay(session.facts, joinSegments(session.segments)).join('\n'), told);
    const total = session.segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (const chunkBytes of total < 1_000_000 ? [1, 2, 3, 5, 7, 11, 4096] : [4093, 65_537]) {
      const again = replayChunked(session.facts, joinSegments(session.segments), () => chunkBytes);
      t.equal(again.join('\n'), told, `in chunks of ${chunkBytes} bytes`);
    }
  }
}

/** With FAIRLEAD_RECORD=1 in the environment, keeps the session for the tests that have no server. */
export function record(
  session: TrackedSession,
  file: string,
  client: string,
  segments?: readonly Segment[],
): void {
  if (process.env['FAIRLEAD_RECORD'] !== '1') return;
  const origin = `mysqld ${session.facts.serverVersion}, ${client}`;
  writeRecording(file, origin, session.facts, segments ?? session.segments);
}

/** The server's own opinion, asked on another connection. */
async function isTransactionOpen(server: Server, session: TrackedSession): Promise<boolean> {
  const rows = await server.query(
    `SELECT 1 FROM performance_schema.events_transactions_current
       JOIN performance_schema.threads USING (THREAD_ID)
      WHERE PROCESSLIST_ID = ? AND STATE = 'ACTIVE'`,
    [session.facts.connectionId],
  );
  return rows.length > 0;
}

function errorOf(error: unknown): string {
  if (!(error instanceof Error) || !('errno' in error) || !('sqlState' in error)) throw error;
  return `${error.errno} ${error.sqlState}`;
}

const SCHEMA = `
  CREATE DATABASE test;
  USE test;
  CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200));
  INSERT INTO t VALUES (1, 'a'), (2, ''), (3, NULL), (4, 'd');
  CREATE TABLE large (id INT PRIMARY KEY, v VARCHAR(200));
  INSERT INTO large WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
    SELECT id, REPEAT('x', id MOD 200) FROM n;
  CREATE TABLE loaded (a INT, b INT)`;

const PROCEDURES = [
  'CREATE PROCEDURE test.two_results() BEGIN SELECT id FROM t WHERE id < 4; SELECT 1 WHERE FALSE; END',
  'CREATE PROCEDURE test.with_out(IN a INT, OUT b INT) BEGIN SET b = a + 1; SELECT a; END',
  `CREATE PROCEDURE test.leaves_open()
     BEGIN START TRANSACTION; INSERT INTO t VALUES (50, ''); SIGNAL SQLSTATE '45000'; END`,
];
