/** A MariaDB Galera Cluster: every node could take writes, one does, and a node counts only while it is synced. */
import t, { type Test } from 'tap';
import { createSandbox, type Galera, missingParts, type Server, waitFor } from '../../src/sandbox/index.ts';
import { startPlane } from '../control/peers.ts';
import { ask, connectTo, memberBehind } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMariadb = await missingParts('mariadb');

t.test('a Galera cluster of three', { skip: noMariadb }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const galera = await sandbox.startGalera({ size: 3 });
  const [a, b, c] = galera.nodes;
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
  const router = await RouterProcess.start(t, sandbox, { seeds: [c.address], flags: ['--hold-timeout=30s'] });
  const { primary, members, mode } = await router.untilServing(2);
  t.equal(primary, a.address, 'the node that joined first takes the writes');
  t.equal(members[0]?.address, c.address, 'one seed is enough to find the others');
  t.equal(mode, 'single-primary');
  t.same(
    new Set([await memberBehind(router.ports.ro), await memberBehind(router.ports.ro)]),
    new Set([b.port, c.port]),
  );
  await ask(router.ports.rw, 'CREATE DATABASE test');
  await ask(router.ports.rw, 'CREATE TABLE test.t (id INT PRIMARY KEY)');

  await t.test('a router with other seeds chooses the same node', async (t) => {
    const other = startPlane({ seeds: [b, a, c].map(({ host, port }) => [host, port]) });
    t.teardown(() => other.plane.close());
    await other.until('a writer', (topology) => topology.primary === a.address);
    t.ok(other.published.every((topology) => topology.primary === null || topology.primary === a.address));
  });

  await t.test('a node that is desynced, as a donor is, is left out', async () => {
    await b.query('SET GLOBAL wsrep_desync = ON');
    await router.untilServing(1);
    await b.query('SET GLOBAL wsrep_desync = OFF');
    await router.untilServing(2);
  });

  await t.test('a node that was stopped comes back by what it has missed (IST)', async (t) => {
    await c.stop();
    await router.untilServing(1);
    await ask(router.ports.rw, 'INSERT INTO test.t VALUES (50), (51)');
    const startedAtMs = Date.now();
    await galera.join(c);
    await router.untilServing(2);
    t.comment(`used again ${Date.now() - startedAtMs} ms after its start`);
    t.match(await c.errorLog(), /IST received/);
    t.same(await c.query('SELECT COUNT(*) AS n FROM test.t'), [{ n: 2 }], 'with what was written without it');
    await ask(router.ports.rw, 'DELETE FROM test.t');
  });

  await t.test('a writer that is made read-only hands the writes over', async (t) => {
    const staying = await connectTo(router.ports.rw);
    const ended = new Promise((resolve) => staying.once('error', resolve));
    await a.query('SET GLOBAL read_only = ON');
    await router.untilTopology('another writer', (topology) => topology.primary === b.address);
    await ended;
    t.equal(await memberBehind(router.ports.rw), b.port);
    await a.query('SET GLOBAL read_only = OFF');
    // It has been synced all the time, so it takes over at once.
    await router.untilTopology('the eldest again', (topology) => topology.primary === a.address);
  });

  await t.test('a killed writer is replaced, and not used before it is synced again', async (t) => {
    await killAndReturn(t, router, galera, a, b);
  });

  await t.test('a node without its cluster serves nobody', async (t) => {
    await a.kill();
    await b.kill();
    const { alarms } = await router.untilTopology('nobody', (topology) =>
      topology.members.every(({ acceptsReads, acceptsWrites }) => !acceptsReads && !acceptsWrites),
    );
    const refused = await router.untilTopology('the reason', (topology) =>
      topology.members.some(({ reason }) => reason === 'not in the primary component'),
    );
    t.equal(refused.primary, null);
    t.comment(alarms.join('; '));
    await c.query('SET GLOBAL wsrep_provider_pc_bootstrap = ON');
    await router.untilTopology('the last one serving', (topology) => topology.primary === c.address);
    await ask(router.ports.rw, 'INSERT INTO test.t VALUES (99)');
  });
});

async function killAndReturn(
  t: Test,
  router: RouterProcess,
  galera: Galera,
  killed: Server,
  heir: Server,
): Promise<void> {
  const identity = await galera.status(killed, 'wsrep_gcomm_uuid');
  const killedAtMs = Date.now();
  await killed.kill();
  await router.untilTopology('the heir', (topology) => topology.primary === heir.address);
  // While the cluster agrees that the node is lost it may refuse a commit, as it would without a router.
  await waitFor({ what: 'a write', timeoutMs: 20_000 }, async () => {
    await ask(router.ports.rw, 'REPLACE INTO test.t VALUES (1)');
    return true;
  }).catch(async (error: unknown) => {
    throw new Error(`no write; ${(await router.get('/api/v1/topology')).body}`, { cause: error });
  });
  const changed = router.events('primary_changed').at(-1);
  t.comment(
    `followed ${Date.parse(changed?.time ?? '') - killedAtMs} ms after the kill; first write after ${Date.now() - killedAtMs} ms`,
  );

  const startedAtMs = Date.now();
  const offered: string[] = [];
  let isSynced = false;
  const returning = galera.join(killed).then(() => {
    isSynced = true;
  });
  await waitFor({ what: 'it to be offered', timeoutMs: 90_000, intervalMs: 20 }, async () => {
    const wasSynced = isSynced;
    const state = killed.isAnswering ? await localState(galera, killed) : '';
    const { members } = await router.topology();
    const member = members.find(({ address }) => address === killed.address);
    if (member?.acceptsReads === true) {
      // What the node says is asked before what the router says; it was synced at the latest when it was offered.
      const after = await localState(galera, killed);
      offered.push(wasSynced || state === '4' || after === '4' ? 'synced' : `in state ${after}`);
      return true;
    }
    return undefined;
  });
  await returning;
  t.strictSame([...new Set(offered)], ['synced']);
  const asDonor = router.events('member_state_changed').filter(({ msg }) => /donor or desynced/.test(msg));
  t.comment(`seen as donors: ${asDonor.map(({ member, time }) => `${member} at ${time}`).join(', ')}`);
  t.comment(`back by a copy of everything after ${Date.now() - startedAtMs} ms`);
  const { primary } = await router.untilServing(2);
  // If the heir was the donor, the third has taken over; in no case the one that has just come back.
  t.not(primary, killed.address, 'the writes do not go back');
  // By its UUID, which it has kept but for a counter, it would be the eldest.
  t.comment(`it was ${identity} and is ${await galera.status(killed, 'wsrep_gcomm_uuid')}`);
  t.same(await killed.query('SELECT id FROM test.t'), [{ id: 1 }], 'and it has what was written without it');
}

/** Empty while the node does not answer. */
async function localState(galera: Galera, node: Server): Promise<string> {
  return galera.status(node, 'wsrep_local_state').catch(() => '');
}
