/**
 * Pods as hosts: members and routers have addresses of their own, the router finds its members by SRV records of a real
 * name server, and clients reach the routers through one address.
 */
import t, { type Test } from 'tap';
import { Load } from '../../bench/failover/load.ts';
import { errorsByClient } from '../../bench/failover/record.ts';
import { ACCOUNTS, waitFor } from '../../src/sandbox/index.ts';
import { ask } from '../support/clients.ts';
import { Knot } from '../support/knot.ts';
import { judgeWrites, type NetworkGroup, startNetworkGroup, untilAtWork } from '../support/network-group.ts';
import { testInOwnNetwork } from '../support/own-network.ts';
import type { RouterProcess } from '../support/router-process.ts';

const ZONE = 'db.svc.example';
/** One address for all routers. */
const SERVICE = '10.213.7.200';
const READY_EVERY_MS = 100;

await testInOwnNetwork(
  t,
  import.meta.filename,
  'a cluster whose hosts are pods',
  async (t) => {
    const stage = await startNetworkGroup(t, {
      discovery: async (sandbox, network, group) => {
        const knot = await Knot.create(sandbox, ZONE, await network.addPod({ name: 'dns' }));
        await knot.setRecords(
          ...group.members.flatMap(({ host }, index) => [
            `_mysql._tcp.mycluster SRV 0 0 3306 mycluster-${index}.mycluster`,
            `mycluster-${index}.mycluster A ${host}`,
          ]),
        );
        return {
          seeds: [`srv://mycluster.${ZONE}.`],
          flags: [`--dns-servers=${knot.server}`, '--drain-delay=1s', '--drain-timeout=3s'],
        };
      },
    });
    await t.test('the primary’s pod is deleted', (t) => deletedPod(t, stage));
    await t.test('another cluster’s member gets the address of a member', (t) => reusedAddress(t, stage));
    await t.test('routers are added, rolled and taken away', (t) => rollingUpdate(t, stage));
  },
  ['knot'],
);

/** Insert 1, 2, 3; the pod goes; insert 4, 5, 6 through the same address; it comes back and has all six. */
async function deletedPod(t: Test, stage: NetworkGroup): Promise<void> {
  const { sandbox, group, router, podOf, renewPod } = stage;
  const { user, password } = ACCOUNTS.root;
  const login = ['--no-defaults', `-h${router.host}`, `-P${router.ports.rw}`, `-u${user}`, `-p${password}`];
  const run = (sql: string) => sandbox.run('mysql', 'mysql', [...login, '-e', sql]);
  await run('CREATE DATABASE IF NOT EXISTS test; CREATE OR REPLACE VIEW test.none AS SELECT 1');
  await run('DROP TABLE IF EXISTS test.test; CREATE TABLE test.test (id INT PRIMARY KEY)');
  for (const id of [1, 2, 3]) await run(`INSERT INTO test.test VALUES (${id})`);
  const former = await group.primary();
  await podOf(former).delete('closes');
  const deletedAtMs = performance.now();
  for (const id of [4, 5, 6]) {
    await run(`INSERT INTO test.test VALUES (${id})`);
    t.comment(`${id} inserted ${(performance.now() - deletedAtMs).toFixed(0)} ms later`);
  }
  t.not((await router.topology()).primary, former.address);

  await renewPod(former);
  await group.rejoin(former);
  const { members } = await router.untilServing(2);
  t.match(
    members.find(({ id }) => id === former.uuid),
    { role: 'SECONDARY', state: 'ONLINE' },
  );
  await group.waitUntilApplied();
  t.same(
    await former.query('SELECT id FROM test.test ORDER BY id'),
    [1, 2, 3, 4, 5, 6].map((id) => ({ id })),
    'the old primary holds all six',
  );
}

/** DNS still has the address, and who answers there lets the router in. */
async function reusedAddress(t: Test, stage: NetworkGroup): Promise<void> {
  const { sandbox, network, group, router, podOf, renewPod } = stage;
  const [gone] = await group.secondaries();
  if (gone === undefined) throw new Error('the group has no secondary');
  await podOf(gone).delete('vanishes');
  const heir = await network.addPod({ name: 'heir', address: gone.host });
  const stranger = await sandbox.startServer({ place: heir });
  await waitFor({ what: 'the router to have met the stranger', timeoutMs: 20_000 }, async () => {
    const { members } = await router.topology();
    const there = members.filter(
      ({ address }) => address.startsWith(gone.host) || address.startsWith('mycluster'),
    );
    return there.some(({ reason }) => reason === 'is not in a group') ? true : undefined;
  });
  const met = new Set<unknown>();
  for (const port of [router.ports.rw, router.ports.ro]) {
    for (let round = 0; round < 10; round += 1) {
      const [row] = await ask(port, 'SELECT @@server_uuid', { host: router.host });
      met.add(row?.[0]);
    }
  }
  t.notOk(met.has(stranger.uuid), 'nobody is sent to the stranger');
  t.notOk(met.has(gone.uuid));
  await heir.delete('closes');
  await renewPod(gone);
  await group.rejoin(gone);
  await router.untilServing(2);
  t.pass('the member is served again when it is back');
}

/** Under load: 1 → 3 routers, each replaced by a new one, 3 → 1. A Service has those that say they are ready. */
async function rollingUpdate(t: Test, stage: NetworkGroup): Promise<void> {
  const { network, group, addRouter } = stage;
  const running = new Set<RouterProcess>([stage.router]);
  const ready = new Set<RouterProcess>();
  const routes = () =>
    network.setService(
      SERVICE,
      [6446, 6447],
      [...ready].map(({ host }) => host),
    );
  const untilReady = async (router: RouterProcess): Promise<void> => {
    running.add(router);
    await waitFor({ what: 'readiness', timeoutMs: 30_000, intervalMs: READY_EVERY_MS }, async () =>
      (await router.get('/readyz')).status === 200 ? true : undefined,
    );
    ready.add(router);
    await routes();
  };
  const takeAway = async (router: RouterProcess): Promise<void> => {
    const stopped = router.stop();
    // The Service learns of it at the same time as the pod, and is a little later.
    ready.delete(router);
    await waitFor({ what: 'unreadiness', timeoutMs: 5000, intervalMs: READY_EVERY_MS }, async () =>
      (await router.get('/readyz')).status === 503 ? true : undefined,
    );
    await routes();
    t.equal(await stopped, 0);
    running.delete(router);
  };

  await untilReady(stage.router);
  const load = Load.start({ host: SERVICE, rw: 6446, ro: 6447 }, Date.now() * 1000, {
    clients: 3,
    everyMs: 70,
    connectEveryMs: 20,
    looksFirst: true,
  });
  t.teardown(() => load.stop(0));
  await untilReady(await addRouter('router-2'));
  await untilReady(await addRouter('router-3'));
  let serial = 3;
  for (const old of [...running]) {
    serial += 1;
    await untilReady(await addRouter(`router-${serial}`));
    await takeAway(old);
  }
  const [, ...surplus] = [...running];
  await Promise.all(surplus.map(takeAway));
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  t.equal(running.size, 1);
  const connects = attempts.filter(({ client }) => client.startsWith('new'));
  t.comment(`${attempts.length} statements, ${connects.length} of them on a connection of their own`);
  const errors = [...errorsByClient(attempts)];
  t.same(
    errors.filter(([client]) => client.startsWith('new')),
    [],
    'no connect failed',
  );
  // A statement that crosses the router's FIN on its way is lost, whoever closes: five routers close twelve sessions each.
  const crossed = errors.flatMap(([, names]) => names);
  t.ok(
    crossed.length <= 6,
    `and no statement of who looks before working on: ${crossed.join() || 'no errors'}`,
  );
  await judgeWrites(t, group, attempts);
}
