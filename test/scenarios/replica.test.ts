/** A replica whose source is the router's RW port: it follows the primary as applications do. */
import t, { type Test } from 'tap';
import { ACCOUNTS, createSandbox, missingParts, type Server, waitFor } from '../../src/sandbox/index.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');

t.test('a replica behind the RW port', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const [source, replica] = await Promise.all([
    sandbox.startServer(),
    sandbox.startServer({
      variables: {
        ...{ super_read_only: 'ON', replica_net_timeout: 4 },
        plugin_load_add: 'semisync_replica.so',
      },
    }),
  ]);
  const [rw = 0, ro = 0] = await sandbox.reservePorts(2);
  const flags = [`--drain-grace=${GRACE_MS}ms`, `--drain-timeout=${GRACE_MS}ms`, '--drain-delay=0s'];
  const start = () => RouterProcess.start(t, sandbox, { seeds: [source.address], ports: { rw, ro }, flags });
  let router = await start();
  await router.untilTopology('a primary', ({ primary }) => primary === source.address);
  await source.query('CREATE DATABASE app');
  await source.query('CREATE TABLE app.notes (id INT PRIMARY KEY, body LONGTEXT)');

  async function replicated(t: Test, id: number, body: string): Promise<void> {
    await source.query('INSERT INTO app.notes VALUES (?, ?)', [id, body]);
    const [row] = await source.query('SELECT @@gtid_executed AS executed');
    const [waited] = await replica.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 25) AS timedOut', [
      row?.['executed'],
    ]);
    t.same(waited, { timedOut: 0 });
    t.same(await replica.query('SELECT COUNT(*) AS count FROM app.notes WHERE id = ?', [id]), [{ count: 1 }]);
  }

  await t.test('positions itself by GTID, and the tracker follows the dump', async (t) => {
    // Semi-synchronous: the replica answers in the middle of the dump, and commits wait for it.
    await source.query("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
    await source.query(
      'SET GLOBAL rpl_semi_sync_source_timeout = 25000, GLOBAL rpl_semi_sync_source_enabled = 1',
    );
    await replica.query('SET GLOBAL rpl_semi_sync_replica_enabled = 1');
    await follow(replica, rw, 'SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1');
    await replicated(t, 1, 'first');
    await replicated(t, 2, 'x'.repeat(5_000_000));
    t.same(await replicaStatus(replica), { io: 'Yes', sql: 'Yes', error: '' });
    const acknowledged = await source.query("SHOW STATUS LIKE 'Rpl_semi_sync_source_yes_tx'");
    t.match(acknowledged, [{ Value: '2' }], 'both have been acknowledged through the router');
    await source.query('SET GLOBAL rpl_semi_sync_source_enabled = 0');
    const dumps = await source.query(
      "SELECT COUNT(*) AS count FROM performance_schema.threads WHERE processlist_command = 'Binlog Dump GTID'",
    );
    t.same(dumps, [{ count: 1 }]);
    t.equal(await router.metric('fairlead_tracker_gave_up_total'), 0, 'the tracker understood it all');
    t.match(await router.get('/api/v1/sessions'), { body: /"state":"busy"/ });
  });

  await t.test('comes back to where it was when its connection is lost', async (t) => {
    const [dump] = await source.query(
      "SELECT processlist_id AS id FROM performance_schema.threads WHERE processlist_command = 'Binlog Dump GTID'",
    );
    await source.query('KILL ?', [dump?.['id']]);
    await replicated(t, 3, 'after a lost connection');
    t.match(await replicaStatus(replica), { io: 'Yes', sql: 'Yes' });
  });

  await t.test('comes back when the router was gone', async (t) => {
    const before = await source.query('SELECT @@gtid_executed AS executed');
    const stoppedAtMs = performance.now();
    t.equal(await router.stop(), 0);
    t.ok(performance.now() - stoppedAtMs < GRACE_MS, 'a dump has no boundary, so none is waited for');
    await source.query("INSERT INTO app.notes VALUES (4, 'while the router is away')");
    router = await start();
    await replicated(t, 5, 'after a restart');
    t.same(await replica.query('SELECT COUNT(*) AS count FROM app.notes'), [{ count: 5 }]);
    t.not((await source.query('SELECT @@gtid_executed AS executed'))[0], before[0]);
  });

  await t.test('does the same over TLS that is passed through', async (t) => {
    await replica.query('STOP REPLICA');
    await follow(replica, rw, 'SOURCE_SSL = 1');
    await replicated(t, 6, 'y'.repeat(3_000_000));
    t.match(await replicaStatus(replica), { io: 'Yes', sql: 'Yes' });
    t.match(await router.get('/api/v1/sessions'), { body: /"state":"opaque"/ });
  });
});

/** Longer than any machine takes to stop a router. */
const GRACE_MS = 45_000;

async function follow(replica: Server, port: number, tls: string): Promise<void> {
  const { user, password } = ACCOUNTS.recovery;
  await replica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
      SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_HEARTBEAT_PERIOD = 1, ${tls}`,
    [port, user, password],
  );
  await replica.query('START REPLICA');
  await waitFor({ what: 'the replica to connect', timeoutMs: 30_000 }, async () =>
    (await replicaStatus(replica)).io === 'Yes' ? true : undefined,
  );
}

type ReplicaStatus = { readonly io: unknown; readonly sql: unknown; readonly error: unknown };

async function replicaStatus(replica: Server): Promise<ReplicaStatus> {
  const [row] = await replica.query('SHOW REPLICA STATUS');
  return {
    io: row?.['Replica_IO_Running'],
    sql: row?.['Replica_SQL_Running'],
    error: row?.['Last_Error'],
  };
}
