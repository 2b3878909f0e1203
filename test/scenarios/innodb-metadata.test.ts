/** What AdminAPI does to a ReplicaSet and to a ClusterSet, while clients write through the router. */
import t, { type Test } from 'tap';
import {
  type ClusterSet,
  createSandbox,
  missingParts,
  ReplicaSetMetadata,
  type Replication,
  type Sandbox,
  type Server,
  setTags,
  waitFor,
} from '../../src/sandbox/index.ts';
import { ask, connectTo, errorName, memberBehind } from '../support/clients.ts';
import { CREATE_WRITES, countedByName, Writers } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { guidedByLogin, guidedByMetadata } from './guidelines-story.ts';

const noMysql = await missingParts('mysql');
const FLAGS = ['--metadata-interval=500ms', '--drain-grace=3s', '--probe-timeout=500ms'];

t.test('an InnoDB ReplicaSet of three', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  await replicaSetStory(t, sandbox, await sandbox.startReplication({ size: 3 }));
});

t.test('a ClusterSet of two clusters', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const set = await sandbox.startClusterSet({ clusters: { north: 1, south: 1 }, version: '2.4' });
  await clusterSetStory(t, sandbox, set);
});

async function replicaSetStory(t: Test, sandbox: Sandbox, replication: Replication): Promise<void> {
  const [a, b, c] = replication.members;
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
  const metadata = new ReplicaSetMetadata();
  await metadata.install([a, b, c], '2.4');
  // One seed is enough; nothing says that this is a ReplicaSet but its metadata.
  const router = await RouterProcess.start(t, sandbox, { seeds: [c.address], flags: FLAGS });
  await router.untilServing(2);
  t.equal(await memberBehind(router.ports.rw), a.port);
  await startWrites(router);
  const writers = Writers.start(t, router.ports.rw, 2);

  await t.test('a routing guideline sends clients where their login says', (t) =>
    guidedByLogin(t, sandbox, [a, b, c]),
  );
  await t.test('a routing guideline comes from the metadata, and goes again', (t) =>
    guidedByMetadata(t, sandbox, [a, b, c]),
  );

  await t.test('a switch of the primary loses no acknowledged write', async (t) => {
    await untilWritten(writers, 20);
    const startedAtMs = performance.now();
    await replication.demote(a);
    await caughtUp(b, a);
    await replication.promote(b);
    await metadata.recordView(b, [b, a, c]);
    await replication.follow(a, b);
    await replication.follow(c, b);
    await router.untilTopology('writes on b', ({ primary }) => primary === b.address);
    await untilWritten(writers, 20);
    tellGap(t, writers, startedAtMs);
    await judgeRows(t, writers, b);
  });

  await t.test('a hidden member gets no new session, and those it has end', async (t) => {
    await router.untilServing(2);
    const staying = await connectedTo(router.ports.ro, c);
    const ended = endOf(staying);
    await setTags(b, c, { _hidden: true });
    await ended;
    t.pass('an idle session ended');
    for (let visit = 0; visit < 4; visit++) t.equal(await memberBehind(router.ports.ro), a.port);
    await setTags(b, c, {});
    await router.untilServing(2);
  });

  await t.test('a failover by force: what comes back writable is not written to', async (t) => {
    await writers.stop();
    await b.kill();
    await replication.promote(c);
    await metadata.recordView(c, [c, a], { isForced: true });
    await replication.follow(a, c);
    await router.untilTopology('writes on c', ({ primary }) => primary === c.address);
    await b.start();
    await b.query('SET GLOBAL super_read_only = OFF');
    await b.query('SET GLOBAL read_only = OFF');
    await router.untilTopology('b back', ({ members }) =>
      members.some(
        ({ address, state, reason }) =>
          address === b.address && state === 'ONLINE' && /invalidated/.test(reason),
      ),
    );
    const before = await rowCount(b);
    const more = Writers.start(t, router.ports.rw, 2);
    await untilWritten(more, 50);
    for (let visit = 0; visit < 4; visit++) t.not(await memberBehind(router.ports.ro), b.port);
    await more.stop();
    t.equal(await rowCount(b), before);
    await judgeRows(t, more, c);
    t.equal(await router.stop(), 0);
  });
}

async function clusterSetStory(t: Test, sandbox: Sandbox, set: ClusterSet): Promise<void> {
  const north = await set.group('north').primary();
  const south = await set.group('south').primary();
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [south.address, north.address],
    flags: FLAGS,
  });
  await router.untilTopology('a primary', ({ primary }) => primary === north.address);
  await startWrites(router);
  const writers = Writers.start(t, router.ports.rw, 2);
  const local = await RouterProcess.start(t, sandbox, {
    seeds: [south.address],
    flags: [...FLAGS, '--metadata-target-cluster=south', '--metadata-use-replica-primary-as-rw=yes'],
  });
  await waitFor({ what: 'a replica cluster to stand in', timeoutMs: 20_000 }, async () =>
    (await memberBehind(local.ports.rw)) === south.port ? true : undefined,
  );
  const patient = await connectTo(local.ports.rw);
  const write = () => patient.query('CREATE TABLE app.local (id INT)');
  t.equal(await write().then(() => 'written', errorName), '1290', 'it takes no writes');
  for (const [name, server] of [
    ['south', south],
    ['north', north],
  ] as const) {
    await t.test(
      `the primary cluster is switched to ${name}, and no acknowledged write is lost`,
      async (t) => {
        await untilWritten(writers, 20);
        // There is no secondary: readers are on the primary, and go where it goes.
        const reader = await connectTo(router.ports.ro);
        const ended = endOf(reader);
        const startedAtMs = performance.now();
        await set.switchPrimary(name);
        await router.untilTopology(`writes on ${name}`, ({ primary }) => primary === server.address);
        await untilWritten(writers, 20);
        tellGap(t, writers, startedAtMs);
        await ended;
        if (name === 'south') {
          await write();
          await patient.end();
          t.pass('a session that was there as a reader writes once its cluster is the primary one');
          t.equal(await local.stop(), 0);
        }
        t.equal(
          await memberBehind(router.ports.ro),
          server.port,
          'a reader that comes back is at the new one',
        );
        await judgeRows(t, writers, server);
      },
    );
  }
  await writers.stop();
  t.match(
    router.events('target_cluster_changed').map(({ msg }) => msg),
    [/north/, /south/, /north/],
  );
  t.equal(await router.stop(), 0);
}

async function startWrites(router: RouterProcess): Promise<void> {
  await ask(router.ports.rw, 'CREATE DATABASE IF NOT EXISTS app');
  await ask(router.ports.rw, CREATE_WRITES);
}

/** Returns when `count` more writes have been acknowledged. */
async function untilWritten(writers: Writers, count: number): Promise<void> {
  const wanted = writers.acknowledged.length + count;
  await waitFor({ what: `${count} writes`, timeoutMs: 30_000 }, async () =>
    writers.acknowledged.length >= wanted ? true : undefined,
  );
}

function tellGap(t: Test, writers: Writers, sinceMs: number): void {
  const errors = writers.clients.errors.filter(({ atMs }) => atMs >= sinceMs).map(({ error }) => error);
  t.comment(
    `longest gap between two writes ${writers.longestGapMs(sinceMs).toFixed(0)} ms; errors: ${countedByName(errors)}`,
  );
}

/** `server` has every row that was acknowledged until now. */
async function judgeRows(t: Test, writers: Writers, server: Server): Promise<void> {
  const ids = writers.acknowledged.map(({ id }) => id);
  const rows = await server.query('SELECT id FROM app.writes');
  const stored = new Set(rows.map(({ id }) => Number(id)));
  t.strictSame(
    ids.filter((id) => !stored.has(id)),
    [],
    `all of ${ids.length} acknowledged writes are there`,
  );
}

/** Fails when the session goes on. */
async function endOf(connection: Awaited<ReturnType<typeof connectTo>>): Promise<void> {
  let isEnded = false;
  connection.once('error', () => {
    isEnded = true;
  });
  await waitFor({ what: 'a session to end', timeoutMs: 20_000 }, async () => (isEnded ? true : undefined));
}

async function rowCount(server: Server): Promise<number> {
  const [row] = await server.query('SELECT COUNT(*) AS rows_there FROM app.writes');
  return Number(row?.['rows_there']);
}

async function caughtUp(replica: Server, source: Server): Promise<void> {
  const [row] = await source.query('SELECT @@global.gtid_executed AS gtids');
  await replica.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 20)', [row?.['gtids']]);
}

/** A session on `member`, of those that a route hands out in turn. */
async function connectedTo(port: number, member: Server): ReturnType<typeof connectTo> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const connection = await connectTo(port);
    const [rows] = await connection.query('SELECT @@port AS port');
    if (JSON.stringify(rows) === JSON.stringify([{ port: member.port }])) return connection;
    await connection.end();
  }
  throw new Error(`no session on ${member.address}`);
}
