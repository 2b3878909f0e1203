/** What happens to the cluster while visitors read, and what they saw of each part of it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Group, Server } from '../../src/sandbox/index.ts';
import type { Visit, Visitors } from './visitors.ts';

export type ActName = 'calm' | 'switchover' | 'kill' | 'rejoin' | 'grow' | 'shrink';

/** One thing that happened, and the pages that were asked for while it did. */
export type Act = {
  readonly name: ActName;
  readonly pages: number;
  /** In place of a page, asked for at, and what stood there. */
  readonly errorPages: readonly Visit[];
  readonly medianMs: number;
  readonly longestMs: number;
  /** How long the group itself had no primary that takes writes, where it lost one; else 0. */
  readonly electionMs: number;
  /** performance.now at its beginning. */
  readonly struckAtMs: number;
  /** performance.now when the server that was killed was gone: who came before may have been talking to it. Else the beginning. */
  readonly goneAtMs: number;
};

/** Plays the acts one after the other; returns what visitors saw when the last is over. */
export async function play(
  group: Group,
  visitors: Visitors,
  acts: readonly ActName[],
  log: (message: string) => void,
): Promise<readonly Act[]> {
  const played: Pick<Act, 'name' | 'electionMs' | 'struckAtMs' | 'goneAtMs'>[] = [];
  const memory: Memory = { killed: null, goneAtMs: null, added: [] };
  for (const name of acts) {
    log(name);
    const struckAtMs = performance.now();
    const electionMs = await DEEDS[name](group, memory);
    await pause(AFTERMATH_MS);
    played.push({ name, electionMs, struckAtMs, goneAtMs: memory.goneAtMs ?? struckAtMs });
    memory.goneAtMs = null;
  }
  const visits = await visitors.stop();
  return played.map((act, index) => {
    const untilMs = played[index + 1]?.struckAtMs ?? Number.POSITIVE_INFINITY;
    // A page that was being made when the act began is a page of the act.
    const seen = visits.filter(({ atMs, tookMs }) => {
      const cameAtMs = atMs + tookMs;
      return cameAtMs >= act.struckAtMs && cameAtMs < untilMs;
    });
    const waits = seen.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
    return {
      ...act,
      pages: seen.length,
      errorPages: seen.filter(({ error }) => error !== ''),
      medianMs: waits[Math.floor(waits.length / 2)] ?? 0,
      longestMs: waits.at(-1) ?? 0,
    };
  });
}

/** A line for each act. */
export function describeActs(acts: readonly Act[]): string {
  const seconds = (ms: number) => (ms === 0 ? '' : (ms / 1000).toFixed(2));
  const rows = acts.map(({ name, pages, errorPages, medianMs, longestMs, electionMs }) => [
    name,
    String(pages),
    String(errorPages.length),
    seconds(medianMs),
    seconds(longestMs),
    seconds(electionMs),
  ]);
  const head = ['', 'pages', 'error pages', 'median s', 'longest wait s', 'election s'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

type Memory = { killed: Server | null; goneAtMs: number | null; added: Server[] };

/** @returns how long the group was without a primary that takes writes, where that was meant to happen */
type Deed = (group: Group, memory: Memory) => Promise<number>;

const DEEDS = {
  calm: () => pause(2000).then(() => 0),
  async switchover(group) {
    const [next] = await group.secondaries();
    if (next !== undefined) await group.setPrimary(next);
    return 0;
  },
  async kill(group, memory) {
    const primary = await group.primary();
    memory.killed = primary;
    const killedAtMs = performance.now();
    await primary.kill();
    memory.goneAtMs = performance.now();
    await group.waitForNewPrimary(primary);
    return performance.now() - killedAtMs;
  },
  async rejoin(group, memory) {
    if (memory.killed !== null) await group.rejoin(memory.killed);
    memory.killed = null;
    return 0;
  },
  async grow(group, memory) {
    for (let added = 0; added < 2; added++) memory.added.push(await group.addMember());
    return 0;
  },
  async shrink(group, memory) {
    for (const server of memory.added) await group.removeMember(server);
    memory.added = [];
    return 0;
  },
} as const satisfies Readonly<Record<ActName, Deed>>;

/** So that what comes of it is seen in its own act. */
const AFTERMATH_MS = 2500;
