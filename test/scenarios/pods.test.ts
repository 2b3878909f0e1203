/**
 * Pods as hosts: members and routers have addresses of their own, the router finds its members by SRV records of a real
 * name server, and clients reach the routers through one address.
 */
import t, { type Test } from 'tap';
import { ACCOUNTS, waitFor } from '../../src/sandbox/index.ts';
import { ask } from '../support/clients.ts';
import { Knot } from '../support/knot.ts';
import { judgeWrites, type NetworkGroup, startNetworkGroup, untilAtWork } from '../support/network-group.ts';
import { testInOwnNetwork } from '../support/own-network.ts';
import { countRolling, describeRolling, startRollingClients } from '../support/rolling-count.ts';
import { RouterService } from '../support/router-service.ts';

const ZONE = 'db.svc.example';
/** One address for all routers. */
const SERVICE = '10.213.7.200';

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
          flags: [`--dns-servers=${knot.server}`, '--drain-delay=2s', '--drain-timeout=4s'],
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
  const service = new RouterService(network, SERVICE, addRouter);
  await service.take(stage.router);
  const load = startRollingClients(SERVICE);
  t.teardown(() => load.stop(0));
  await service.add();
  await service.add();
  await service.roll();
  const [, ...surplus] = service.routers;
  t.same(await Promise.all(surplus.map((router) => service.remove(router))), [0, 0]);
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  t.equal(service.routers.length, 1);
  const seen = countRolling(attempts);
  t.comment(describeRolling(seen));
  t.same(seen.failedConnects, [], 'no connect failed');
  // Who is in the middle of a statement when the time is over is cut: on a machine that has too much to do.
  t.ok(
    seen.failedStatements.length <= 6,
    `nor a statement of who repeats what met the end of its session: ${seen.failedStatements.join() || 'no errors'}`,
  );
  await judgeWrites(t, group, attempts);
}
