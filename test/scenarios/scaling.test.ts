/** Members 3 → 5 → 3 and routers 1 → 3 → 1 while clients read and write; reads that prefer a zone. */
import t, { type Test } from 'tap';
import { type Group, missingParts, type Sandbox, type Server, waitFor } from '../../src/sandbox/index.ts';
import { ask, memberBehind } from '../support/clients.ts';
import { Knot } from '../support/knot.ts';
import { countedByName, failuresOf, membersOf, SteadyClients, Visitors, Writers } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { startServingGroup } from '../support/serving-group.ts';

const missing = await missingParts('mysql', 'knot');

t.test('a group of three behind one router', { skip: missing }, async (t) => {
  const { sandbox, group, router } = await startServingGroup(t);
  const seeds = group.members.map(({ address }) => address);

  await t.test('members come and go', async (t) => {
    await scaleMembers(t, group, router, await startRouterByName(t, sandbox, group));
  });
  await t.test('routers come and go', (t) => scaleRouters(t, sandbox, seeds, group));
  await t.test('reads prefer a zone for as long as one of it is ONLINE', (t) =>
    preferZone(t, sandbox, group),
  );
});

/** A router that finds the members by their records alone, as if they were no group. */
type RouterByName = {
  readonly router: RouterProcess;
  /** Has the records say that these are the members. */
  publish(members: readonly Server[]): Promise<void>;
};

async function startRouterByName(t: Test, sandbox: Sandbox, group: Group): Promise<RouterByName> {
  const knot = await Knot.create(sandbox, 'db.example');
  const publish = (members: readonly Server[]) =>
    knot.setRecords(
      ...members.flatMap(({ port }) => [`_mysql._tcp 1 SRV 0 0 ${port} m${port}`, `m${port} 1 A 127.0.0.1`]),
    );
  await publish(group.members);
  const router = await RouterProcess.start(t, sandbox, {
    seeds: ['srv://db.example.'],
    flags: ['--cluster-topology=async', `--dns-servers=${knot.server}`, '--dns-srv-interval=500ms'],
  });
  await router.untilServing(2);
  return { router, publish };
}

async function scaleMembers(
  t: Test,
  group: Group,
  router: RouterProcess,
  byName: RouterByName,
): Promise<void> {
  const writers = Writers.start(t, router.ports.rw, 2);
  const visitors = Visitors.start(t, router.ports.ro, 40);
  const visitorsByName = Visitors.start(t, byName.router.ports.ro, 100);
  const home = new Map<number, number>();
  const strays: string[] = [];
  const readers = SteadyClients.start(t, router.ports.ro, 8, async (connection, reader) => {
    const [rows] = await connection.query({ sql: 'SELECT @@port', rowsAsArray: true });
    if (Array.isArray(rows)) home.set(reader, Number(rows.flat()[0]));
  });

  for (const count of [4, 5]) {
    // The one gets what it lacks from a binary log; the other is wiped and made a copy, restarting itself on the way.
    const added = await group.addMember({ recovery: count === 4 ? 'incremental' : 'clone' });
    const onlineAtMs = performance.now();
    await router.untilServing(count - 1);
    await untilVisited(visitors, added.port);
    t.comment(`it serves ${(performance.now() - onlineAtMs).toFixed(0)} ms after it was seen ONLINE`);
    t.pass(`member ${count} was found and serves`);
    await byName.publish(group.members);
    await byName.router.untilServing(count - 1);
    await untilVisited(visitorsByName, added.port);
  }
  t.equal((await router.topology()).members.length, 5);
  t.same(readers.errors, [], 'nobody was disturbed by more members');

  const [first, second] = [group.members[2], group.members[3]];
  for (const leaving of [first, second]) {
    if (leaving === undefined) throw new Error('the group has five members');
    await readersOn(group, readers, home);
    const errorsBefore = readers.errors.length;
    // As an operator takes one away that only its record makes a member: the record first.
    await byName.publish(group.members.filter((member) => member !== leaving));
    await byName.router.untilServing(group.members.length - 2);
    const living = new Set([...home].filter(([, port]) => port === leaving.port).map(([reader]) => reader));
    await group.removeMember(leaving);
    const removedAtMs = performance.now();
    await router.untilServing(group.members.length - 1);
    const errors = readers.errors.slice(errorsBefore);
    for (const { client, error } of errors) if (!living.has(client)) strays.push(error);
    t.comment(
      `${leaving.address}: ${living.size} sessions lived on it; ${countedByName(errors.map((e) => e.error))}`,
    );
    await untilVisited(visitors, group.members.at(-1)?.port ?? 0);
    const after = visitors.visits.filter(({ atMs }) => atMs > removedAtMs);
    t.notOk(membersOf(after).has(leaving.port), 'a member that has left serves nobody');
  }
  await writers.stop();
  await readers.stop();
  const visits = await visitors.stop();
  t.same(failuresOf(await visitorsByName.stop()), [], 'nobody noticed whose router goes by records');
  t.same(strays, [], 'only sessions of a removed member had errors');
  t.ok(readers.mostErrorsOfOne <= 2, 'and at most one each time');
  t.same(writers.clients.errors, [], 'no write failed');
  t.comment(`${visits.length} new clients: ${countedByName(failuresOf(visits))}`);
  // Their sessions, however short, lived on a member when it was removed.
  t.ok(failuresOf(visits).length <= 2, 'at most one new client for each removed member failed');
  t.equal(router.events('starting').length, 1, 'the router has not been restarted');
  const listed = (await router.topology()).members.filter(({ acceptsReads }) => acceptsReads);
  t.same(new Set(listed.map(({ address }) => address)), new Set(group.members.map(({ address }) => address)));
  await group.waitUntilApplied();
  const [row] = await ask(router.ports.ro, 'SELECT COUNT(*) FROM app.writes');
  t.equal(row?.[0], writers.acknowledged.length, 'every write that was acknowledged is there, and no other');
}

async function scaleRouters(
  t: Test,
  sandbox: Sandbox,
  seeds: readonly string[],
  group: Group,
): Promise<void> {
  const primary = await group.primary();
  const routers: RouterProcess[] = [];
  const visitors: Visitors[] = [];
  for (let count = 1; count <= 3; count += 1) {
    const router = await RouterProcess.start(t, sandbox, { seeds });
    await router.untilServing(2);
    routers.push(router);
    visitors.push(Visitors.start(t, router.ports.rw, 50), Visitors.start(t, router.ports.ro, 50));
  }
  await waitFor({ what: 'visitors at all three', timeoutMs: 10_000 }, async () =>
    visitors.every(({ visits }) => visits.length > 10) ? true : undefined,
  );
  for (const router of routers) {
    t.equal((await router.topology()).primary, primary.address, 'every router chooses the same primary');
  }
  // As a Service does it: its clients go elsewhere first, then it is stopped.
  for (let index = 2; index >= 1; index -= 1) {
    for (const leaving of visitors.splice(index * 2)) t.same(failuresOf(await leaving.stop()), []);
    t.equal(await routers[index]?.stop(), 0);
  }
  for (const staying of visitors) t.same(failuresOf(await staying.stop()), []);
  t.same(membersOf(visitors[0]?.visits ?? []), new Set([primary.port]));
  t.equal(membersOf(visitors[1]?.visits ?? []).size, 2);
}

/** Two of three members are in the router's zone: the primary, and one secondary with three times its weight. */
async function preferZone(t: Test, sandbox: Sandbox, group: Group): Promise<void> {
  const primary = await group.primary();
  const [near, far] = await group.secondaries();
  if (near === undefined || far === undefined) throw new Error('the group has two secondaries');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: group.members.map(({ address }) => address),
    flags: [
      '--route=name=all,listen=127.0.0.1:0,role=primary-and-secondary',
      '--reads-zone=a',
      `--reads-zones=${near.address}=a,${primary.address}=a,${far.address}=b`,
      `--reads-weights=${near.address}=3`,
    ],
  });
  await router.untilServing(2);
  const all = router.events('route_listening').find(({ route }) => route === 'all')?.port ?? 0;
  const turns: number[] = [];
  for (let turn = 0; turn < 12; turn++) turns.push(await memberBehind(all));
  const ofNear = turns.filter((port) => port === near.port).length;
  t.notOk(turns.includes(far.port), 'nobody goes to another zone');
  t.ok(ofNear >= 8 && ofNear <= 10, `${ofNear} of 12 for a weight of 3 against 1`);

  const visitors = Visitors.start(t, router.ports.ro, 20);
  await untilVisited(visitors, near.port);
  t.same(membersOf(visitors.visits), new Set([near.port]), 'the zone has a secondary');
  const hasLeft = whenItIs(group, near, (state) => state !== 'ONLINE');
  await near.query('STOP GROUP_REPLICATION');
  const leftAtMs = await hasLeft;
  await router.untilTopology('it passed over', ({ members }) =>
    members.every(({ address, acceptsReads }) => address !== near.address || !acceptsReads),
  );
  const passedOverAtMs = performance.now();
  await untilVisited(visitors, far.port);
  const last = visitors.visits.findLast(
    ({ outcome }) => outcome.kind === 'served' && outcome.member === near.port,
  );
  const lateMs = (last?.atMs ?? 0) - leftAtMs;
  t.comment(`its last new session began ${lateMs.toFixed(0)} ms after it said itself that it was not ONLINE`);
  const isBack = whenItIs(group, near, (state) => state === 'ONLINE');
  await group.rejoin(near);
  const backAtMs = await isBack;
  await untilVisited(visitors, near.port);
  const first = visitors.visits.find(
    ({ atMs, outcome }) =>
      atMs > (last?.atMs ?? 0) && outcome.kind === 'served' && outcome.member === near.port,
  );
  t.comment(`its first began ${((first?.atMs ?? 0) - backAtMs).toFixed(0)} ms after it was ONLINE again`);
  const later = (await visitors.stop()).filter(({ atMs }) => atMs > passedOverAtMs);
  t.same(failuresOf(later), [], 'only clients that were on it when it left have noticed');
}

/** When a member was first heard to say so of itself. */
async function whenItIs(group: Group, server: Server, isWanted: (state: string) => boolean): Promise<number> {
  return await waitFor({ what: `${server.name} to say so`, timeoutMs: 60_000, intervalMs: 5 }, async () => {
    const own = (await group.view(server)).find(({ uuid }) => uuid === server.uuid);
    return isWanted(own?.state ?? 'OFFLINE') ? performance.now() : undefined;
  });
}

/** Returns when every reader has a session on a member of the group. */
async function readersOn(group: Group, readers: SteadyClients, home: Map<number, number>): Promise<void> {
  home.clear();
  await waitFor({ what: 'readers at work', timeoutMs: 10_000 }, async () =>
    home.size === readers.count &&
    [...home.values()].every((port) => group.members.some((m) => m.port === port))
      ? true
      : undefined,
  );
}

async function untilVisited(visitors: Visitors, member: number): Promise<void> {
  const sinceMs = performance.now();
  await waitFor({ what: `a visitor on ${member}`, timeoutMs: 10_000 }, async () => {
    const later = visitors.visits.filter(({ atMs }) => atMs > sinceMs);
    return membersOf(later).has(member) ? true : undefined;
  });
}
