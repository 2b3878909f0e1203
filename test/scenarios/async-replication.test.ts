/**
 * Asynchronous replication run by somebody else: Orchestrator under the Presslabs/Bitpoke operator, Percona's operator,
 * MOCO, or a person. The router goes by what the servers say of themselves, and needs no table of any operator.
 */
import t, { type Test } from 'tap';
import {
  ACCOUNTS,
  createSandbox,
  missingParts,
  type Replication,
  type Server,
  waitFor,
} from '../../src/sandbox/index.ts';
import { ask, connectTo, memberBehind } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');
const noMariadb = await missingParts('mariadb');

t.test('three MySQL servers under asynchronous replication', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const replication = await sandbox.startReplication({ size: 3 });
  const router = await RouterProcess.start(t, sandbox, {
    seeds: replication.members.map(({ address }) => address),
    flags: ['--probe-timeout=500ms', '--reads-max-queue=100'],
  });
  await tellStory(t, router, replication);
});

t.test('two MariaDB servers under asynchronous replication', { skip: noMariadb }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const replication = await sandbox.startReplication({ size: 2, kind: 'mariadb' });
  const [a, b] = replication.members;
  if (a === undefined || b === undefined) throw new Error('there are two');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: replication.members.map(({ address }) => address),
    flags: ['--probe-timeout=500ms', '--reads-max-lag=5s', '--reads-when-all-behind=leave-out'],
  });
  const { primary, members } = await router.untilServing(1);
  t.equal(primary, a.address);
  t.equal(new Set(members.map(({ id }) => id)).size, 2, 'each is somebody, without a server_uuid');

  await replication.stopApplier(b);
  const { members: late } = await router.untilTopology('no reads from it', (topology) =>
    topology.members.some(({ address, acceptsReads }) => address === b.address && !acceptsReads),
  );
  t.match(
    late.find(({ address }) => address === b.address)?.reason,
    'behind by more than the limit for reads',
  );
  t.equal(
    await memberBehind(router.ports.ro),
    a.port,
    'a replica whose applier stands still serves no reads',
  );
  await replication.startApplier(b);
  await router.untilServing(1);
  t.equal(await memberBehind(router.ports.ro), b.port);

  await b.query('SET GLOBAL read_only = OFF');
  await router.untilTopology('advice', ({ alarms }) =>
    alarms.some((alarm) => alarm.includes(`${b.address} is writable and a replica`)),
  );
  t.equal(
    (await router.topology()).primary,
    a.address,
    'a replica that is writable by mistake is no primary',
  );
  await replication.demote(b);

  await replication.demote(a);
  await router.untilTopology('no primary', (topology) => topology.primary === null);
  await replication.promote(b, { keepsChannel: true });
  await followed(t, router, b);
  t.equal(await memberBehind(router.ports.rw), b.port);
  await b.kill();
  await replication.promote(a);
  await followed(t, router, a);
  t.equal(await memberBehind(router.ports.rw), a.port);
});

async function tellStory(t: Test, router: RouterProcess, replication: Replication): Promise<void> {
  const [a, b, c] = replication.members;
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
  await router.untilServing(2);
  t.equal((await router.topology()).primary, a.address, 'the one that is not read-only takes the writes');

  // The operator's heartbeat lives on the primary of the day and nowhere else.
  await createHeartbeat(a);
  await ask(router.ports.rw, 'CREATE DATABASE app');
  await ask(router.ports.rw, 'CREATE TABLE app.t (id INT PRIMARY KEY)');
  await ask(router.ports.rw, 'INSERT INTO app.t VALUES (1)');
  t.same(await memberBehind(router.ports.rw), a.port);

  await t.test(
    'a replica that is far behind by its GTIDs serves no reads, and no privilege is needed to see it',
    async () => {
      await replication.stopApplier(c);
      const writer = await connectTo(router.ports.rw);
      for (let id = 1000; id < 1150; id++) await writer.query('INSERT INTO app.t VALUES (?)', [id]);
      await writer.end();
      await router.untilTopology('no reads from it', ({ members }) =>
        members.some(({ address, acceptsReads }) => address === c.address && !acceptsReads),
      );
      await replication.startApplier(c);
      await router.untilServing(2);
    },
  );

  await t.test('a switchover: the old primary is made read-only, another is promoted', async (t) => {
    const staying = await connectTo(router.ports.rw);
    const ended = new Promise((resolve) => staying.once('error', resolve));
    await replication.demote(a);
    await ended;
    t.pass('an idle session of the primary route ends when its member is demoted');
    await router.untilTopology('no primary', ({ primary }) => primary === null);
    const visitor = memberBehind(router.ports.rw);
    await replication.follow(c, b);
    // Whoever promoted it did not remove its channel: a row in SHOW REPLICA STATUS makes no replica.
    await replication.promote(b, { keepsChannel: true });
    await followed(t, router, b);
    t.equal(await visitor, b.port, 'who came in between has waited');
    await replication.follow(a, b);
    await router.untilServing(2);
    await ask(router.ports.rw, 'INSERT INTO app.t VALUES (2)');
  });

  await t.test('two writable servers', async (t) => {
    const staying = await connectTo(router.ports.rw);
    t.teardown(() => staying.destroy());
    await c.query('SET GLOBAL read_only = OFF');
    const { alarms } = await router.untilTopology('an alarm', (topology) => topology.alarms.length > 0);
    t.match(alarms, [/2 servers are writable: .*GRANT REPLICATION CLIENT/]);
    t.equal((await router.topology()).primary, null, 'nobody can tell which of them is meant');
    await staying.query('DO 1');
    t.pass('sessions that are open stay');

    await b.query(`GRANT REPLICATION CLIENT ON *.* TO '${ACCOUNTS.router.user}'@'%'`);
    await waitFor({ what: 'the grant on the replica', timeoutMs: 10_000 }, async () => {
      const [row] = await c.query('SELECT Repl_client_priv AS may FROM mysql.user WHERE user = ?', [
        ACCOUNTS.router.user,
      ]);
      const { may } = row ?? {};
      return may === 'Y' ? true : undefined;
    });
    for (const server of replication.members) await endControlSessions(server);
    const known = await router.untilTopology('the replica known', ({ primary }) => primary === b.address);
    t.match(known.members.find(({ address }) => address === c.address)?.reason, 'writable, but a replica');
    await router.untilTopology('advice', (topology) =>
      topology.alarms.some((alarm) => alarm.includes(`${c.address} is writable and a replica`)),
    );
    await staying.query('DO 1');
    await replication.demote(c);
    await router.untilTopology('all well', (topology) => topology.alarms.length === 0);
  });

  await t.test('the primary hangs, and another is promoted', async (t) => {
    const staying = await connectTo(router.ports.rw);
    const ended = new Promise((resolve) => staying.once('error', resolve));
    b.freeze();
    try {
      await waitFor({ what: 'its silence to be noticed', timeoutMs: 10_000 }, async () =>
        router.events('member_does_not_answer').some(({ member }) => member === b.address) ? true : undefined,
      );
      await replication.promote(c);
      await followed(t, router, c);
      await ended;
      t.pass('a session with the one that hangs ends: what it would still write, nobody would see');
      t.equal(await memberBehind(router.ports.rw), c.port);
    } finally {
      b.thaw();
    }
    // It comes back as it was, writable: then there are two again until somebody decides.
    await router.untilTopology('two writable servers', ({ primary }) => primary === null);
    await replication.follow(b, c);
    await router.untilServing(2);
  });

  await t.test('the primary dies, and another is promoted', async (t) => {
    await c.kill();
    await router.untilTopology('no primary', ({ primary }) => primary === null);
    await replication.promote(a, { keepsChannel: true });
    await followed(t, router, a);
    t.equal(await memberBehind(router.ports.rw), a.port);
    t.not(await memberBehind(router.ports.ro), c.port);
  });
}

/** Prints how long the router took to follow; the event's time has a resolution of a millisecond. */
async function followed(t: Test, router: RouterProcess, primary: Server): Promise<void> {
  const promotedAtMs = Date.now();
  await router.untilTopology(
    `${primary.name} as primary`,
    (topology) => topology.primary === primary.address,
  );
  // The API may say it before the log line has come through the pipe.
  const changed = await waitFor({ what: 'the log line', timeoutMs: 20_000, intervalMs: 5 }, async () =>
    router.events('primary_changed').findLast((line) => line.primary === primary.address),
  );
  t.comment(`followed ${Date.parse(changed.time) - promotedAtMs} ms after the promotion returned`);
}

/** Outside of the binary log, as operators keep it. */
async function createHeartbeat(server: Server): Promise<void> {
  const connection = await server.connect();
  await connection.query('SET sql_log_bin = 0');
  await connection.query('CREATE DATABASE sys_operator');
  await connection.query(
    'CREATE TABLE sys_operator.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT PRIMARY KEY)',
  );
  await connection.end();
}

/** Privileges on everything hold for sessions that begin after they were given. */
async function endControlSessions(server: Server): Promise<void> {
  const rows = await server.query('SELECT id FROM information_schema.processlist WHERE user = ?', [
    ACCOUNTS.router.user,
  ]);
  for (const row of rows) await server.query(`KILL ${Number(Object.values(row)[0])}`);
}
