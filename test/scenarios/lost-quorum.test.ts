/** Two of three members die, then all; then the group is formed again. */
import t, { type Test } from 'tap';
import {
  createSandbox,
  type Group,
  missingParts,
  recordMembers,
  type Server,
  setRouterOptions,
  setTags,
  waitFor,
} from '../../src/sandbox/index.ts';
import { ask, connectTo, errorName, memberBehind, untilAllMeet } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');

/** What a router does with clients while there is no quorum is a setting, or stands in the metadata: one router for each. */
type Routers = {
  readonly none: RouterProcess;
  readonly read: RouterProcess;
  readonly all: RouterProcess;
};

t.test('a group of three', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3, metadata: { version: '2.4' } });
  const seeds = group.members.map(({ address }) => address);
  const start = (...flags: string[]) =>
    RouterProcess.start(t, sandbox, { seeds, flags: ['--hold-timeout=500ms', '--threads=1', ...flags] });
  const [none, read, all] = await Promise.all([
    start('--cluster-topology=group-replication'),
    start('--cluster-topology=innodb-cluster', '--metadata-interval=500ms'),
    start('--quorum-loss=all'),
  ]);
  const routers: Routers = { none, read, all };
  for (const router of Object.values(routers)) await router.untilServing(2);
  await ask(none.ports.rw, 'CREATE DATABASE app');
  await ask(none.ports.rw, 'CREATE TABLE app.kept (id INT PRIMARY KEY)');
  await ask(none.ports.rw, 'INSERT INTO app.kept VALUES (1)');
  await group.waitUntilApplied();
  const survivor = await group.primary();

  await t.test('is an InnoDB Cluster, whose metadata takes members away', (t) =>
    asToldByMetadata(t, group, read),
  );
  await t.test('loses two members, and with them its quorum', (t) => loseTwo(t, group, survivor, routers));
  await t.test('is down as a whole', (t) => loseAll(t, survivor, routers));
  await t.test('is formed again and served without a restart', (t) => formAgain(t, group, survivor, routers));
});

async function asToldByMetadata(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const primary = await group.primary();
  const [first, second] = await group.secondaries();
  if (first === undefined || second === undefined) throw new Error('there are two');
  const staying = await connectTo(router.ports.ro);
  const [rows] = await staying.query('SELECT @@port AS port');
  const [taken, left] = JSON.stringify(rows).includes(`${first.port}`) ? [first, second] : [second, first];
  const ended = new Promise((resolve) => staying.once('error', resolve));
  const untilTakenAway = (reason: RegExp) =>
    router.untilTopology(`${taken.address} ${reason}`, ({ members }) =>
      members.some((member) => member.address === taken.address && reason.test(member.reason)),
    );
  await setTags(primary, taken, { _hidden: true });
  await untilTakenAway(/hidden/);
  await ended;
  await untilAllMeet(left, router.ports.ro);
  await setTags(primary, taken, {});
  await router.untilServing(2);
  await recordMembers(primary, [primary, left]);
  await untilTakenAway(/not in the metadata/);
  await untilAllMeet(left, router.ports.ro);
  t.equal((await router.topology()).hasQuorum, true, 'it counts for the quorum');
  await recordMembers(primary, group.members);
  await setRouterOptions(primary, { unreachable_quorum_allowed_traffic: 'read' });
  await router.untilServing(2);
  await waitFor({ what: 'the option', timeoutMs: 20_000 }, async () =>
    /"quorumLoss":"read"/.test((await router.get('/api/v1/topology')).body) ? true : undefined,
  );
}

async function loseTwo(t: Test, group: Group, survivor: Server, routers: Routers): Promise<void> {
  const { none, read, all } = routers;
  for (const member of group.members) if (member !== survivor) await member.kill();
  for (const router of Object.values(routers)) {
    await router.untilTopology('no quorum', ({ hasQuorum }) => !hasQuorum);
  }

  t.equal((await none.topology()).primary, null);
  t.equal(await refusal(none.ports.rw), '2003', 'by default nobody writes');
  t.equal(await refusal(none.ports.ro), '2003', 'and nobody reads');
  t.match(await none.get('/readyz'), { status: 503 });
  t.match(await none.get('/livez'), { status: 200 });
  t.equal(await none.metric('fairlead_topology_has_quorum'), 0);
  t.match((await none.topology()).alarms, [/lost its quorum/]);
  t.match(none.events('quorum_lost'), [{ level: 'error' }]);
  t.equal(await none.metric('fairlead_sessions_refused_total', { reason: 'no_destination' }), 2);

  t.equal(await refusal(read.ports.rw), '2003', 'where the metadata says `read` nobody writes');
  t.same(
    await ask(read.ports.ro, 'SELECT @@port, id FROM app.kept'),
    [[survivor.port, 1]],
    'and reads go on',
  );
  t.match(await read.get('/readyz'), { status: 200 });

  t.equal(await memberBehind(all.ports.rw), survivor.port, 'with `all` writers are let through');
  t.equal(await memberBehind(all.ports.ro), survivor.port);
}

async function loseAll(t: Test, survivor: Server, routers: Routers): Promise<void> {
  await survivor.kill();
  for (const [name, router] of Object.entries(routers)) {
    await router.untilTopology('nobody', ({ primary, members }) => {
      return primary === null && members.every(({ acceptsReads }) => !acceptsReads);
    });
    t.equal(await refusal(router.ports.rw), '2003', `${name}: RW`);
    t.equal(await refusal(router.ports.ro), '2003', `${name}: RO`);
    t.match(await router.get('/livez'), { status: 200 }, `${name} lives`);
    t.match(await router.get('/readyz'), { status: 503 });
  }
}

async function formAgain(t: Test, group: Group, survivor: Server, routers: Routers): Promise<void> {
  await Promise.all(group.members.map((member) => member.start()));
  // Servers that run and are no group take nothing.
  for (const router of Object.values(routers)) t.equal((await router.topology()).primary, null);
  const others = group.members.filter((member) => member !== survivor);
  await group.bootstrap([survivor, ...others]);
  const readyAtMs = performance.now();
  for (const [index, [name, router]] of Object.entries(routers).entries()) {
    const { primary, hasQuorum, alarms } = await router.untilServing(2);
    t.comment(`${name} serves ${(performance.now() - readyAtMs).toFixed(0)} ms after the group was formed`);
    t.match({ primary, hasQuorum }, { primary: survivor.address, hasQuorum: true });
    t.same(alarms, []);
    await ask(router.ports.rw, `INSERT INTO app.kept VALUES (${index + 2})`);
    t.not(await memberBehind(router.ports.ro), survivor.port);
    t.match(await router.get('/readyz'), { status: 200 });
    t.equal(router.events('starting').length, 1, 'it has not been restarted');
  }
}

/** Number of the error a new client gets. */
async function refusal(port: number): Promise<string> {
  return memberBehind(port).then(
    (member) => `none: member ${member} answered`,
    (error: unknown) => errorName(error),
  );
}
