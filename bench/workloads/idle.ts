/** Sessions that have logged in, asked once, and wait. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../src/sandbox/index.ts';
import type { Bench, Target } from '../bench.ts';
import { readCpuMs } from '../measure/cpu-time.ts';
import { readRssKib } from '../measure/resident-memory.ts';
import { openSessions, runLoad } from './load-program.ts';
import type { Workload } from './workload.ts';

export const IDLE_5000 = idleSessions(5_000, 2);
export const IDLE_10000 = idleSessions(10_000, 1);

function idleSessions(count: number, usualRounds: number): Workload {
  return {
    name: `idle-${count}`,
    title: `${count.toLocaleString('en-US')} idle sessions`,
    // Memory that earlier work grew would hide what the sessions need.
    needsFreshTarget: true,
    variants: [],
    usualRounds,
    measures: [
      { name: 'rssKib', title: 'KiB RSS each', better: 'less' },
      { name: 'cpuMsPerSecond', title: 'CPU ms/s', better: 'less' },
      { name: 'addedCpuMsPerSecond', title: 'CPU ms/s more than without sessions', better: 'less' },
      { name: 'sessions', title: 'sessions', better: 'more' },
    ],
    run: async (bench, target, { isQuick }) => {
      // The proxy needs two descriptors for each, and has others.
      const possible = Math.floor((bench.descriptors - SPARE_DESCRIPTORS) / 2);
      const sessions = Math.min(isQuick ? QUICK_SESSIONS : count, possible);
      await waitUntilServerIsQuiet(bench);
      // What a proxy needs once, it is to have taken before.
      await runLoad(target, { mode: 'connect', clients: 16, seconds: WARM_UP_SECONDS, sql: 'DO 1' });
      const before = await settledRss(target);
      const alone = await measureIdling(target, isQuick ? 1 : IDLE_SECONDS);
      const clients = await openSessions(target, sessions);
      const after = await settledRss(target);
      const idle = await measureIdling(target, isQuick ? 1 : IDLE_SECONDS);
      await clients.close();
      if (before === undefined || after === undefined || idle === undefined || alone === undefined)
        return { sessions };
      return {
        rssKib: (after - before) / sessions,
        cpuMsPerSecond: idle,
        // Either may be a clock tick off.
        addedCpuMsPerSecond: Math.max(0, idle - alone),
        sessions,
      };
    },
  };
}

/** Ending thousands of sessions takes the server a while, in which they still count as connections. */
async function waitUntilServerIsQuiet({ cluster }: Bench): Promise<void> {
  await waitFor({ what: 'the sessions of the round before to end', timeoutMs: 120_000 }, async () => {
    const [row = {}] = await cluster.primary.query(CONNECTIONS);
    const { Value: connections } = row;
    return Number(connections) < QUIET_CONNECTIONS ? true : undefined;
  });
}

/** What it costs to wait, in ms of processor time a second: probes, sweeps, metadata. */
async function measureIdling({ pid }: Target, seconds: number): Promise<number | undefined> {
  if (pid === undefined) return undefined;
  const startedAtMs = performance.now();
  const beforeMs = await readCpuMs(pid);
  await sleep(seconds * 1000);
  const usedMs = (await readCpuMs(pid)) - beforeMs;
  return (usedMs * 1000) / (performance.now() - startedAtMs);
}

/** The memory once it no longer changes much from one look to the next; garbage is collected in its own time. */
async function settledRss({ pid }: Target): Promise<number | undefined> {
  if (pid === undefined) return undefined;
  let last = await readRssKib(pid);
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    await sleep(LOOK_INTERVAL_MS);
    const now = await readRssKib(pid);
    if (Math.abs(now - last) < last * 0.002) return now;
    last = now;
  }
  return last;
}

const QUICK_SESSIONS = 200;
const CONNECTIONS = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";
const QUIET_CONNECTIONS = 100;
/** For what a proxy opens for itself. */
const SPARE_DESCRIPTORS = 200;
const IDLE_SECONDS = 3;
const WARM_UP_SECONDS = 1;
const MAX_LOOKS = 20;
const LOOK_INTERVAL_MS = 500;
