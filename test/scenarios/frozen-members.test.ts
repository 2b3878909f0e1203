/** Members that hang: connections stay open, connects are accepted, and nothing is answered. Figures are printed. */
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Group, missingParts, waitFor } from '../../src/sandbox/index.ts';
import { failuresOf, membersOf, percentile, Visitors } from '../support/load.ts';
import type { RouterProcess } from '../support/router-process.ts';
import { describeVisits, RwLoad } from '../support/rw-load.ts';
import { anySecondary, startServingGroup } from '../support/serving-group.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three under load', { skip: noMysql }, async (t) => {
  const { group, router } = await startServingGroup(t);
  await t.test('a frozen secondary', (t) => frozenSecondary(t, group, router));
  await t.test('a frozen primary', (t) => frozenPrimary(t, group, router));
});

async function frozenSecondary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const frozen = await anySecondary(group);
  const visitors = Visitors.start(t, router.ports.ro, 20);
  await waitFor({ what: 'visitors on both', timeoutMs: 20_000 }, async () =>
    membersOf(visitors.visits).size === 2 ? true : undefined,
  );
  frozen.freeze();
  const frozenAtMs = performance.now();
  // How long it lasts is the scenario: until after the group has lost its patience, which takes five seconds.
  await Promise.all([pause(FROZEN_MS), group.waitUntilGivenUp(frozen)]);
  frozen.thaw();
  const visits = (await visitors.stop()).filter(({ atMs }) => atMs >= frozenAtMs);
  t.comment(describeVisits(visits));
  t.same(failuresOf(visits), [], 'no connect failed');
  const waits = visits.map(({ tookMs }) => tookMs);
  t.ok(percentile(waits, 0.95) < 1500, 'nearly all were quick');
  await group.rejoin(frozen);
  await router.untilServing(2);
  t.pass('it serves again once the group has taken it back');
}

async function frozenPrimary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const former = await group.primary();
  const load = await RwLoad.start(t, router, group);
  const changesBefore = router.events('primary_changed').length;
  load.noteBlow();
  former.freeze();
  const next = await group.waitForNewPrimary(former);
  await load.untilServedBy(next);
  former.thaw();
  // For a moment it believes itself to be what it was.
  await waitFor({ what: 'the former primary to see that it is none', timeoutMs: 20_000 }, async () => {
    const [row] = await former.query('SELECT @@super_read_only AS isReadOnly');
    const { isReadOnly } = row ?? {};
    return isReadOnly === 1 ? true : undefined;
  });
  await load.untilServedBy(next);
  const figures = await load.stop(next);
  figures.print(t);
  t.same(figures.laterVisitorErrors, [], 'who connected meanwhile was held and served');
  t.ok(figures.mostErrorsOfOne <= 2, 'a client that was writing had at most two errors');
  t.ok(figures.lagMs < 8000, 'writes went on soon after the group was ready');
  const changes = router.events('primary_changed').slice(changesBefore);
  t.same(
    changes.map(({ primary }) => primary),
    [next.address],
    'writes never went back to the former primary',
  );
  await figures.judgeRows(t, next);
}

const FROZEN_MS = 6000;
