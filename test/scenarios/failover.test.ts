/**
 * What clients see of a switchover, a killed primary and a frozen secondary. Figures are printed; they are judged loosely,
 * for the machine carries three servers, the router and all clients.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createPool } from 'mysql2/promise';
import t, { type Test } from 'tap';
import {
  ACCOUNTS,
  createSandbox,
  type Group,
  missingParts,
  type Server,
  waitFor,
} from '../../src/sandbox/index.ts';
import { ask } from '../support/clients.ts';
import { GroupWatch } from '../support/group-watch.ts';
import {
  CREATE_WRITES,
  countedByName,
  failuresOf,
  membersOf,
  percentile,
  Visitors,
  Writers,
} from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three under load', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });
  const seeds = group.members.map(({ address }) => address);
  const router = await RouterProcess.start(t, sandbox, { seeds, flags: ['--hold-timeout=20s'] });
  await router.untilServing(2);
  await ask(router.ports.rw, 'CREATE DATABASE app');
  await ask(router.ports.rw, CREATE_WRITES);
  await group.waitUntilApplied();

  await t.test('a planned switchover', (t) => switchover(t, group, router));
  await t.test('a killed primary', (t) => killedPrimary(t, group, router));
  await t.test('a frozen secondary', (t) => frozenSecondary(t, group, router));
});

async function switchover(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const [next] = await group.secondaries();
  if (next === undefined) throw new Error('the group has no secondary');
  const pool = createPool({ host: '127.0.0.1', port: router.ports.rw, ...ACCOUNTS.app, connectionLimit: 3 });
  t.teardown(() => pool.end());
  await Promise.all([1, 2, 3].map(() => pool.query('DO SLEEP(0.05)')));
  const load = await Load.start(router, group);
  await group.setPrimary(next);
  await load.untilServedBy(next);
  const figures = await load.stop();
  figures.print(t);
  t.ok(figures.mostErrorsOfOne <= 2, 'a client that was writing had at most two errors');
  // Who had just logged in, and had not asked its question yet.
  t.ok(figures.visitorErrors.length <= 2, 'of those that connected hardly one had an error');
  t.ok(figures.lagMs < 2000, 'writes went on soon after the group was ready');
  const [rows] = await pool.query({ sql: 'SELECT @@port', rowsAsArray: true });
  t.same(rows, [[next.port]], 'a pool that was idle reaches the new primary, without an error');
  await figures.judgeRows(t, next);
}

async function killedPrimary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const former = await group.primary();
  const load = await Load.start(router, group);
  await former.kill();
  const next = await group.waitForNewPrimary(former);
  await load.untilServedBy(next);
  const figures = await load.stop();
  figures.print(t);
  t.equal(
    figures.visitorErrors.filter((error) => error === 'ECONNREFUSED').length,
    0,
    'no connect was refused',
  );
  // Who was logging in when the primary died had met it already.
  t.ok(figures.visitorErrors.length <= 2, 'who connected was held and served');
  t.ok(figures.mostErrorsOfOne <= 2, 'a client that was writing had at most two errors');
  t.ok(figures.lagMs < 3000, 'writes went on soon after the group was ready');
  t.equal(await router.metric('fairlead_holds_ended_total', { result: 'expired' }), 0);
  await figures.judgeRows(t, next);
  await group.rejoin(former);
  await router.untilServing(2);
}

async function frozenSecondary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const [frozen] = await group.secondaries();
  if (frozen === undefined) throw new Error('the group has no secondary');
  const visitors = Visitors.start(router.ports.ro, 20);
  await waitFor({ what: 'visitors on both', timeoutMs: 5000 }, async () =>
    membersOf(visitors.visits).size === 2 ? true : undefined,
  );
  frozen.freeze();
  const frozenAtMs = performance.now();
  // How long it lasts is the scenario: longer than the group's patience of five seconds.
  await pause(FROZEN_MS);
  frozen.thaw();
  const visits = (await visitors.stop()).filter(({ atMs }) => atMs >= frozenAtMs - 20);
  const waits = visits.map(({ tookMs }) => tookMs);
  t.comment(
    `${visits.length} connects: errors ${countedByName(failuresOf(visits))}; p50 ${percentile(waits, 0.5).toFixed(0)} ms,` +
      ` p99 ${percentile(waits, 0.99).toFixed(0)} ms, longest ${Math.max(...waits).toFixed(0)} ms`,
  );
  // Who was logging in at that moment waits for the thaw.
  t.ok(failuresOf(visits).length <= 1, 'connects went elsewhere');
  t.ok(percentile(waits, 0.98) < 1000, 'and were quick');
}

/** Writers that stay and clients that come and go on the RW port, and the group seen beside the router. */
class Load {
  readonly #startedAtMs = performance.now();
  readonly #router: RouterProcess;
  readonly #group: Group;
  readonly #watch: GroupWatch;
  readonly #writers: Writers;
  readonly #visitors: Visitors;

  private constructor(router: RouterProcess, group: Group) {
    this.#router = router;
    this.#group = group;
    this.#watch = GroupWatch.start(group);
    this.#writers = Writers.start(router.ports.rw, 4);
    this.#visitors = Visitors.start(router.ports.rw, 25, { connectTimeout: 30_000 });
  }

  /** Returns when all are at work. */
  static async start(router: RouterProcess, group: Group): Promise<Load> {
    const load = new Load(router, group);
    await waitFor({ what: 'load', timeoutMs: 10_000 }, async () =>
      load.#writers.acknowledged.length > 100 && load.#visitors.visits.length > 10 ? true : undefined,
    );
    return load;
  }

  /** Returns when clients write and connect as if nothing had been. */
  async untilServedBy(server: Server): Promise<void> {
    await this.#router.untilTopology(
      `${server.address} as primary`,
      ({ primary }) => primary === server.address,
    );
    const sinceMs = performance.now();
    await waitFor({ what: 'writes and connects', timeoutMs: 20_000 }, async () => {
      const written = this.#writers.acknowledged.filter(({ atMs }) => atMs > sinceMs);
      const visits = this.#visitors.visits.filter(({ atMs }) => atMs > sinceMs);
      return written.length > 20 && membersOf(visits).has(server.port) ? true : undefined;
    });
  }

  async stop(): Promise<Figures> {
    await Promise.all([this.#writers.stop(), this.#visitors.stop()]);
    const primary = await this.#group.primary();
    const readyAtMs = this.#watch.writableSinceMs(primary) ?? Number.NaN;
    await this.#watch.stop();
    const changed = this.#router.events('primary_changed').at(-1);
    const followedAtMs = Date.parse(changed?.time ?? '') - performance.timeOrigin;
    return new Figures(this.#startedAtMs, readyAtMs, followedAtMs, this.#writers, this.#visitors);
  }
}

class Figures {
  readonly gapMs: number;
  /** From the group's own completion to the first write that was acknowledged after it. */
  readonly lagMs: number;
  /** From the group's own completion to the topology that names the new primary. */
  readonly followedMs: number;
  readonly mostErrorsOfOne: number;
  readonly visitorErrors: readonly string[];
  readonly #writers: Writers;
  readonly #visitors: Visitors;

  constructor(
    startedAtMs: number,
    readyAtMs: number,
    followedAtMs: number,
    writers: Writers,
    visitors: Visitors,
  ) {
    this.followedMs = followedAtMs - readyAtMs;
    this.#writers = writers;
    this.#visitors = visitors;
    this.gapMs = writers.longestGapMs(startedAtMs);
    const next = writers.acknowledged.find(({ atMs }) => atMs > readyAtMs);
    this.lagMs = (next?.atMs ?? Number.NaN) - readyAtMs;
    this.mostErrorsOfOne = writers.clients.mostErrorsOfOne;
    this.visitorErrors = failuresOf(visitors.visits);
  }

  print(t: Test): void {
    const waits = this.#visitors.visits.map(({ tookMs }) => tookMs);
    t.comment(
      `no write for ${this.gapMs.toFixed(0)} ms; after the group was ready: topology ${this.followedMs.toFixed(0)} ms,` +
        ` first write ${this.lagMs.toFixed(0)} ms`,
    );
    t.comment(
      `${this.#writers.clients.count} writers: ${countedByName(this.#writers.clients.errorNames)}, at most ${this.mostErrorsOfOne} each`,
    );
    t.comment(
      `${waits.length} connects: errors ${countedByName(this.visitorErrors)}; p50 ${percentile(waits, 0.5).toFixed(0)} ms,` +
        ` p99 ${percentile(waits, 0.99).toFixed(0)} ms, longest ${Math.max(...waits).toFixed(0)} ms`,
    );
  }

  /** Every row that was acknowledged is on the primary. */
  async judgeRows(t: Test, primary: Server): Promise<void> {
    const rows = await primary.query('SELECT id FROM app.writes');
    const found = new Set(rows.map(({ id }) => Number(id)));
    const lost = this.#writers.acknowledged.filter(({ id }) => !found.has(id));
    t.same(lost, [], `none of ${this.#writers.acknowledged.length} acknowledged writes is lost`);
  }
}

const FROZEN_MS = 6000;
