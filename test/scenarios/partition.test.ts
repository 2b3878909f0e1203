/** Members that are cut off while they live: cables and single directions fail, nobody is told. */
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Attempt, errorsByClient } from '../../bench/failover/record.ts';
import { waitFor } from '../../src/sandbox/index.ts';
import {
  judgeWrites,
  type NetworkGroup,
  startLoad,
  startNetworkGroup,
  untilAtWork,
} from '../support/network-group.ts';
import { testInOwnNetwork } from '../support/own-network.ts';

const MAJORITY_PRIMARY =
  'SELECT member_id AS uuid FROM performance_schema.replication_group_members' +
  " WHERE member_role = 'PRIMARY' AND member_state = 'ONLINE'";

await testInOwnNetwork(t, import.meta.filename, 'a group of three on a network that is cut', async (t) => {
  const stage = await startNetworkGroup(t);
  await t.test('a secondary that only the router cannot reach', (t) => secondaryOutOfReach(t, stage));
  await t.test('a primary that only the router cannot hear', (t) => primaryUnheard(t, stage));
  await t.test('a minority keeps the primary, and the router reaches all', (t) => minority(t, stage));
  await t.test('a primary vanishes without a word', (t) => vanished(t, stage));
});

/** The group is whole: nobody may lose a session for it, and new readers must not notice. */
async function secondaryOutOfReach(t: Test, stage: NetworkGroup): Promise<void> {
  const { network, group, router, routerPod } = stage;
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  const load = await startLoad(t, router);
  await network.partition([routerPod.host], [secondary.host]);
  const cutAtMs = performance.now();
  await waitFor({ what: 'new readers to be served elsewhere', timeoutMs: 20_000 }, async () =>
    load.attempts.filter(
      ({ client, startedAtMs }) => client.startsWith('new reader') && startedAtMs > cutAtMs,
    ).length > 60
      ? true
      : undefined,
  );
  await network.heal();
  await router.untilServing(2);
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  const readers = attempts.filter(
    ({ client, startedAtMs }) => /^new reader/.test(client) && startedAtMs > cutAtMs,
  );
  t.comment(`longest connect of a reader ${longest(readers.map(({ connectMs = 0 }) => connectMs))} ms`);
  t.same([...errorsByClient(attempts)], [], 'nobody had an error, also not who was on it');
  await judgeWrites(t, group, attempts);
}

/** One direction only: what the primary answers is lost. There is nobody else to write to, so writers wait. */
async function primaryUnheard(t: Test, stage: NetworkGroup): Promise<void> {
  const { network, group, router, routerPod } = stage;
  const primary = await group.primary();
  const load = await startLoad(t, router);
  await network.drop(primary.host, routerPod.host);
  const changesBefore = router.events('primary_changed').length;
  // How long it lasts is the scenario: longer than a confirmation holds, shorter than clients wait.
  await pause(4000);
  await network.heal();
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  const changes = router.events('primary_changed').slice(changesBefore);
  t.ok(
    changes.every(({ primary: next }) => next === primary.address || next === null),
    'no other member is taken for the primary',
  );
  t.same([...errorsByClient(attempts)], [], 'writers were late and had no error');
  await judgeWrites(t, group, attempts);
}

async function minority(t: Test, stage: NetworkGroup): Promise<void> {
  const { network, group, router } = stage;
  const former = await group.primary();
  const others = group.members.filter((member) => member !== former);
  const load = await startLoad(t, router);
  await network.partition(
    [former.host],
    others.map(({ host }) => host),
  );
  const cutAtMs = performance.now();
  // In its own eyes the former primary still is one, without a quorum; only the majority knows better.
  const [observer] = others;
  const elected = await waitFor(
    { what: 'the majority to elect', timeoutMs: 30_000, intervalMs: 10 },
    async () => {
      const view = (await observer?.query(MAJORITY_PRIMARY)) ?? [];
      const { uuid } = view[0] ?? {};
      return others.find((member) => member.uuid === uuid);
    },
  );
  const electedAtMs = performance.now();
  await router.untilTopology('the new primary', ({ primary }) => primary === elected.address);
  const knownAtMs = performance.now();
  // The server itself does not notice: it waits for its group with the commit it was given.
  await waitFor({ what: 'no session on the former primary', timeoutMs: 10_000, intervalMs: 10 }, async () =>
    (await router.metric('fairlead_member_sessions_open', { member: former.address })) === 0
      ? true
      : undefined,
  );
  t.comment(
    `elected ${(electedAtMs - cutAtMs).toFixed(0)} ms after the cut; no session on the former primary` +
      ` ${(performance.now() - electedAtMs).toFixed(0)} ms later`,
  );
  const [stillPrimary] = await former.query('SELECT @@super_read_only AS isReadOnly');
  t.same(stillPrimary, { isReadOnly: 0 }, 'although it still would take writes');
  await untilAtWork(load);
  await network.heal();
  await group.rejoin(former);
  await router.untilServing(2);
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  // The group takes five seconds to notice: who connects meanwhile waits with the others for a commit in vain. A second is
  // more than the router needs to hear of it; what a busy machine adds is in knownAtMs.
  judgeErrors(t, attempts, Math.max(electedAtMs + 1000, knownAtMs));
  const { primary } = await router.topology();
  t.equal(primary, elected.address, 'it has come back as a secondary');
  await judgeWrites(t, group, attempts);
}

async function vanished(t: Test, stage: NetworkGroup): Promise<void> {
  const { group, podOf, router } = stage;
  const former = await group.primary();
  const load = await startLoad(t, router);
  await podOf(former).cutCable();
  const cutAtMs = performance.now();
  const elected = await group.waitForNewPrimary(former);
  const electedAtMs = performance.now();
  await router.untilTopology('the new primary', ({ primary }) => primary === elected.address);
  await untilAtWork(load);
  t.comment(`every client at work ${(performance.now() - electedAtMs).toFixed(0)} ms after the election`);
  await podOf(former).plugCable();
  await group.rejoin(former);
  await router.untilServing(2);
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  judgeErrors(t, attempts, cutAtMs);
  await judgeWrites(t, group, attempts);
}

/** At most one error for each session that was open; none for who came when it was known. */
function judgeErrors(t: Test, attempts: readonly Attempt[], knownAtMs: number): void {
  const errors = [...errorsByClient(attempts)];
  const news = errors.filter(([client]) => client.startsWith('new'));
  const others = errors.filter(([client]) => !client.startsWith('new'));
  const late = errorsByClient(attempts.filter(({ startedAtMs }) => startedAtMs > knownAtMs));
  t.comment(`clients that had come: ${news.length} errors; others: ${others.join('; ')}`);
  t.same(
    [...late].filter(([client]) => client.startsWith('new')),
    [],
    'who came later was held and served',
  );
  t.ok(
    others.every(([, of]) => of.length <= 2),
    'a client with an open session had one error, at most two',
  );
}

function longest(values: readonly number[]): string {
  return Math.max(0, ...values).toFixed(0);
}
