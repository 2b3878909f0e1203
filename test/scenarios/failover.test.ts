/**
 * What clients see of a switchover and of a killed primary. Figures are printed; they are judged loosely, for the
 * machine carries three servers, the router and all clients.
 */
import { createPool } from 'mysql2/promise';
import t, { type Test } from 'tap';
import { ACCOUNTS, type Group, missingParts } from '../../src/sandbox/index.ts';
import { connectTo } from '../support/clients.ts';
import type { RouterProcess } from '../support/router-process.ts';
import { RwLoad } from '../support/rw-load.ts';
import { anySecondary, startServingGroup } from '../support/serving-group.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three under load', { skip: noMysql }, async (t) => {
  const { group, router } = await startServingGroup(t);
  await t.test('a planned switchover', (t) => switchover(t, group, router));
  await t.test('a primary that is made to leave its group', (t) => leavingPrimary(t, group, router));
  await t.test('a killed primary', (t) => killedPrimary(t, group, router));
});

async function switchover(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const next = await anySecondary(group);
  const pool = createPool({ host: '127.0.0.1', port: router.ports.rw, ...ACCOUNTS.app, connectionLimit: 3 });
  t.teardown(() => pool.end());
  // Each of its sessions has been in use for long enough not to count as one that is being set up.
  await Promise.all(Array.from({ length: 24 }, () => pool.query('DO SLEEP(0.02)')));
  const readers = await Promise.all([1, 2].map(() => connectTo(router.ports.ro)));
  const load = await RwLoad.start(t, router, group);
  load.noteBlow();
  await group.setPrimary(next);
  await load.untilServedBy(next);
  const figures = await load.stop(next);
  figures.print(t);
  t.ok(figures.mostErrorsOfOne <= 2, 'a client that was writing had at most two errors');
  t.same(figures.visitorErrors, [], 'a client that was connecting had none');
  t.ok(figures.lagMs < 8000, 'writes went on soon after the group was ready');
  const [rows] = await pool.query({ sql: 'SELECT @@port', rowsAsArray: true });
  t.same(rows, [[next.port]], 'a pool that was idle reaches the new primary, without an error');
  for (const reader of readers) {
    const [answer] = await reader.query('SELECT 1 AS one');
    t.same(answer, [{ one: 1 }], 'a reader keeps its session, also on the promoted member');
    await reader.end();
  }
  await figures.judgeRows(t, next);
}

/** It refuses commits for as long as it takes to leave, in its own eyes and the others' still the primary. */
async function leavingPrimary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const former = await group.primary();
  const load = await RwLoad.start(t, router, group);
  load.noteBlow();
  await former.query('STOP GROUP_REPLICATION');
  const next = await group.waitForNewPrimary(former);
  await load.untilServedBy(next);
  const figures = await load.stop(next);
  figures.print(t);
  t.ok(figures.mostErrorsOfOne <= 25, 'a client that was writing was not refused again and again');
  t.ok(figures.lagMs < 8000, 'writes went on soon after the group was ready');
  await figures.judgeRows(t, next);
  await group.rejoin(former);
  await router.untilServing(2);
}

async function killedPrimary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const former = await group.primary();
  const load = await RwLoad.start(t, router, group);
  load.noteBlow();
  await former.kill();
  const next = await group.waitForNewPrimary(former);
  await load.untilServedBy(next);
  const figures = await load.stop(next);
  figures.print(t);
  t.notOk(figures.visitorErrors.includes('ECONNREFUSED'), 'no connect was refused');
  t.same(figures.laterVisitorErrors, [], 'who connected after its death was held and served');
  t.ok(figures.mostErrorsOfOne <= 2, 'a client that was writing had at most two errors');
  t.ok(figures.lagMs < 8000, 'writes went on soon after the group was ready');
  t.equal(await router.metric('fairlead_holds_ended_total', { result: 'expired' }), 0);
  await figures.judgeRows(t, next);
}
