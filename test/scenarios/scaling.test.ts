/** Members 3 → 5 → 3 and routers 1 → 3 → 1 while clients read and write. */
import t, { type Test } from 'tap';
import { type Group, missingParts, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { ask } from '../support/clients.ts';
import { countedByName, failuresOf, membersOf, SteadyClients, Visitors, Writers } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { startServingGroup } from '../support/serving-group.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three behind one router', { skip: noMysql }, async (t) => {
  const { sandbox, group, router } = await startServingGroup(t);
  const seeds = group.members.map(({ address }) => address);

  await t.test('members come and go', (t) => scaleMembers(t, group, router));
  await t.test('routers come and go', (t) => scaleRouters(t, sandbox, seeds, group));
});

async function scaleMembers(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const writers = Writers.start(t, router.ports.rw, 2);
  const visitors = Visitors.start(t, router.ports.ro, 40);
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
  }
  t.equal((await router.topology()).members.length, 5);
  t.same(readers.errors, [], 'nobody was disturbed by more members');

  const [first, second] = [group.members[2], group.members[3]];
  for (const leaving of [first, second]) {
    if (leaving === undefined) throw new Error('the group has five members');
    await readersOn(group, readers, home);
    const errorsBefore = readers.errors.length;
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
