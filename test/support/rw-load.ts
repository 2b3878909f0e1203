/** Load on the RW port while its primary changes, and the figures of the change. */
import type { Test } from 'tap';
import { type Group, type Server, waitFor } from '../../src/sandbox/index.ts';
import { GroupWatch } from './group-watch.ts';
import { countedByName, failuresOf, membersOf, percentile, type Visit, Visitors, Writers } from './load.ts';
import type { RouterProcess } from './router-process.ts';

/** Writers that stay and clients that come and go on the RW port, and the group seen beside the router. */
export class RwLoad {
  #blowAtMs = performance.now();
  readonly #router: RouterProcess;
  readonly #watch: GroupWatch;
  readonly #writers: Writers;
  readonly #visitors: Visitors;

  private constructor(t: Test, router: RouterProcess, group: Group) {
    this.#router = router;
    this.#watch = GroupWatch.start(t, group);
    this.#writers = Writers.start(t, router.ports.rw, 4);
    this.#visitors = Visitors.start(t, router.ports.rw, 25, { connectTimeout: 30_000 });
  }

  /** Returns when all are at work. */
  static async start(t: Test, router: RouterProcess, group: Group): Promise<RwLoad> {
    const load = new RwLoad(t, router, group);
    await waitFor({ what: 'load', timeoutMs: 10_000 }, async () =>
      load.#writers.acknowledged.length > 100 && load.#visitors.visits.length > 10 ? true : undefined,
    );
    return load;
  }

  /** Now something is done to the group. */
  noteBlow(): void {
    this.#blowAtMs = performance.now();
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

  /** @param primary the new one */
  async stop(primary: Server): Promise<Figures> {
    await Promise.all([this.#writers.stop(), this.#visitors.stop()]);
    const readyAtMs = this.#watch.writableSinceMs(primary) ?? Number.NaN;
    await this.#watch.stop();
    const changed = this.#router.events('primary_changed').at(-1);
    const followedAtMs = Date.parse(changed?.time ?? '') - performance.timeOrigin;
    return new Figures(this.#blowAtMs, readyAtMs, followedAtMs, this.#writers, this.#visitors);
  }
}

export class Figures {
  readonly gapMs: number;
  /** From the group's own completion to the first write that was acknowledged after it. */
  readonly lagMs: number;
  /** From the group's own completion to the topology that names the new primary. */
  readonly followedMs: number;
  readonly mostErrorsOfOne: number;
  readonly visitorErrors: readonly string[];
  /** Of those that came after the blow: they cannot have met the member it fell on. */
  readonly laterVisitorErrors: readonly string[];
  readonly #writers: Writers;
  readonly #visitors: Visitors;

  constructor(
    blowAtMs: number,
    readyAtMs: number,
    followedAtMs: number,
    writers: Writers,
    visitors: Visitors,
  ) {
    this.followedMs = followedAtMs - readyAtMs;
    this.#writers = writers;
    this.#visitors = visitors;
    this.gapMs = writers.longestGapMs(blowAtMs);
    const next = writers.acknowledged.find(({ atMs }) => atMs > readyAtMs);
    this.lagMs = (next?.atMs ?? Number.NaN) - readyAtMs;
    this.mostErrorsOfOne = writers.clients.mostErrorsOfOne;
    this.visitorErrors = failuresOf(visitors.visits);
    this.laterVisitorErrors = failuresOf(visitors.visits.filter(({ atMs }) => atMs >= blowAtMs));
  }

  print(t: Test): void {
    t.comment(
      `no write for ${this.gapMs.toFixed(0)} ms; after the group was ready: topology ${this.followedMs.toFixed(0)} ms,` +
        ` first write ${this.lagMs.toFixed(0)} ms`,
    );
    t.comment(
      `${this.#writers.clients.count} writers: ${countedByName(this.#writers.clients.errorNames)}, at most ${this.mostErrorsOfOne} each`,
    );
    t.comment(describeVisits(this.#visitors.visits));
  }

  /** Every row that was acknowledged is on the primary. */
  async judgeRows(t: Test, primary: Server): Promise<void> {
    const rows = await primary.query('SELECT id FROM app.writes');
    const found = new Set(rows.map(({ id }) => Number(id)));
    const lost = this.#writers.acknowledged.filter(({ id }) => !found.has(id));
    t.same(lost, [], `none of ${this.#writers.acknowledged.length} acknowledged writes is lost`);
  }
}

/** How many, which errors, how long. */
export function describeVisits(visits: readonly Visit[]): string {
  const waits = visits.map(({ tookMs }) => tookMs);
  return (
    `${visits.length} connects: errors ${countedByName(failuresOf(visits))}; p50 ${percentile(waits, 0.5).toFixed(0)} ms,` +
    ` p99 ${percentile(waits, 0.99).toFixed(0)} ms, longest ${Math.max(...waits).toFixed(0)} ms`
  );
}
