/** What happens to the cluster while visitors read, and what they saw of each part of it. */
import { setTimeout as pause } from 'node:timers/promises';
import { GroupWatch } from '../../bench/failover/group-watch.ts';
import { type Group, type Server, waitFor } from '../../src/sandbox/index.ts';
import type { RouterService } from '../support/router-service.ts';
import type { Visit, Visitors } from './visitors.ts';

export type ActName = keyof typeof DEEDS;

/** One thing that happened, and the pages that were asked for while it did. */
export type Act = {
  readonly name: ActName;
  readonly pages: number;
  /** In place of a page, asked for at, and what stood there. */
  readonly errorPages: readonly Visit[];
  readonly medianMs: number;
  /** From when the page was asked for, or from the beginning of the act where that was later. */
  readonly longestMs: number;
  /** How long the group itself had no primary that takes writes, where it lost one, as its members say; else 0. */
  readonly electionMs: number;
  /** performance.now at its beginning. */
  readonly struckAtMs: number;
  /** performance.now when the server that was killed was gone: who came before may have been talking to it. Else the beginning. */
  readonly goneAtMs: number;
};

export type Stage = {
  readonly group: Group;
  /** Null where there is one router, and never another. */
  readonly service: RouterService | null;
  readonly visitors: Visitors;
};

/** Plays the acts one after the other; returns what visitors saw when the last is over. */
export async function play(
  { group, service, visitors }: Stage,
  acts: readonly ActName[],
  log: (message: string) => void,
): Promise<readonly Act[]> {
  const played: Pick<Act, 'name' | 'electionMs' | 'struckAtMs' | 'goneAtMs'>[] = [];
  const watch = GroupWatch.start(group, false);
  const scene: Scene = { group, service, watch, visitors, killed: null, goneAtMs: null, added: [] };
  try {
    for (const name of acts) {
      log(name);
      const struckAtMs = performance.now();
      scene.goneAtMs = null;
      const electionMs = await DEEDS[name](scene);
      const doneAtMs = performance.now();
      await pause(AFTERMATH_MS);
      // What came of it is seen in its own act, however long pages take on this machine.
      await waitFor({ what: `pages during "${name}"`, timeoutMs: 90_000 }, async () =>
        visitors.haveSeen(struckAtMs, doneAtMs, MIN_PAGES) ? true : undefined,
      );
      played.push({ name, electionMs, struckAtMs, goneAtMs: scene.goneAtMs ?? struckAtMs });
    }
  } finally {
    await watch.stop();
  }
  const visits = await visitors.stop();
  return played.map((act, index) => {
    const untilMs = played[index + 1]?.struckAtMs ?? Number.POSITIVE_INFINITY;
    // A page that was being made when the act began is a page of the act.
    const seen = visits.filter(({ atMs, tookMs }) => {
      const cameAtMs = atMs + tookMs;
      return cameAtMs >= act.struckAtMs && cameAtMs < untilMs;
    });
    const waits = seen
      .map(({ atMs, tookMs }) => Math.min(tookMs, atMs + tookMs - act.struckAtMs))
      .toSorted((a, b) => a - b);
    return {
      ...act,
      pages: seen.length,
      errorPages: seen.filter(({ error }) => error !== ''),
      medianMs: waits[Math.floor(waits.length / 2)] ?? 0,
      longestMs: waits.at(-1) ?? 0,
    };
  });
}

/**
 * How much longer than the group's own elections the longest waits were, beside how long as many pages take at the same
 * moment while nothing else happens: that is what visitors who have waited together wait for afterwards, whatever stands
 * before the database.
 */
export function describeWaits(acts: readonly Act[], calmCrowdMs: number): string {
  const kills = acts.filter(({ electionMs }) => electionMs > 0);
  const beyond = kills.map(({ longestMs, electionMs }) => (longestMs - electionMs).toFixed(0));
  return (
    `The longest waits were ${beyond.join(' and ')} ms longer than the group's own elections; ` +
    `as many pages at the same moment took ${calmCrowdMs.toFixed(0)} ms in calm.`
  );
}

/** A line for each act. */
export function describeActs(acts: readonly Act[]): string {
  const seconds = (ms: number) => (ms === 0 ? '' : (ms / 1000).toFixed(2));
  const rows = acts.map(({ name, pages, errorPages, medianMs, longestMs, electionMs }) => [
    TITLES[name],
    String(pages),
    String(errorPages.length),
    seconds(medianMs),
    seconds(longestMs),
    seconds(electionMs),
    electionMs === 0 ? '' : seconds(longestMs - electionMs),
  ]);
  const head = ['', 'pages', 'error pages', 'median s', 'longest wait s', 'election s', 'longer by s'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

type Scene = Stage & {
  readonly watch: GroupWatch;
  killed: Server | null;
  goneAtMs: number | null;
  added: Server[];
};

/** @returns how long the group was without a primary that takes writes, where that was meant to happen */
type Deed = (scene: Scene) => Promise<number>;

const DEEDS = {
  async calm() {
    await pause(CALM_MS);
    return 0;
  },
  async switchover({ group }) {
    const [next] = await group.secondaries();
    if (next !== undefined) await group.setPrimary(next);
    return 0;
  },
  async kill(scene) {
    const { group, watch } = scene;
    const primary = await group.primary();
    scene.killed = primary;
    const killedAtMs = performance.now();
    await primary.kill();
    scene.goneAtMs = performance.now();
    const writableAtMs = await waitFor(
      { what: 'another primary', timeoutMs: 60_000, intervalMs: 20 },
      async () => watch.writableAtMs(killedAtMs),
    );
    return writableAtMs - killedAtMs;
  },
  async rejoin(scene) {
    if (scene.killed !== null) await scene.group.rejoin(scene.killed);
    scene.killed = null;
    return 0;
  },
  async grow({ group, added }) {
    for (let count = 0; count < 2; count++) added.push(await group.addMember());
    return 0;
  },
  async shrink({ group, added }) {
    for (const server of added.splice(0)) await group.removeMember(server);
    return 0;
  },
  async 'second router'({ service }) {
    await service?.add();
    return 0;
  },
  async 'routers replaced'({ service }) {
    await service?.roll();
    return 0;
  },
  async 'one router less'({ service }) {
    const [oldest] = service?.routers ?? [];
    if (service !== null && oldest !== undefined) await service.remove(oldest);
    return 0;
  },
} as const satisfies Readonly<Record<string, Deed>>;

const TITLES: Readonly<Record<ActName, string>> = {
  calm: 'calm',
  switchover: 'planned switchover',
  kill: 'SIGKILL of the primary',
  rejoin: 'it comes back',
  grow: 'members 3 → 5',
  shrink: 'members 5 → 3',
  'second router': 'routers 1 → 2',
  'routers replaced': 'both routers are replaced',
  'one router less': 'routers 2 → 1',
};

const AFTERMATH_MS = 2500;
/** Fewer say nothing of an act. */
const MIN_PAGES = 6;
const CALM_MS = 2000;
