/** How evenly connections are spread: by the kernel over two data threads, and by the route over the secondaries. */
import { z } from 'zod';
import type { Bench } from './bench.ts';
import type { Spread } from './result.ts';
import { startFairlead } from './targets/fairlead.ts';
import { openSessions } from './workloads/load-program.ts';

export async function measureSpread(bench: Bench): Promise<Spread> {
  const fairlead = await startFairlead(bench, { threads: 2 });
  try {
    const clients = await openSessions({ ...fairlead, port: fairlead.readPort }, SESSIONS);
    const response = await fetch(
      `http://127.0.0.1:${fairlead.adminPort}/api/v1/sessions?limit=${LISTED_SESSIONS}`,
    );
    const { sessions } = sessionsSchema.parse(await response.json());
    await clients.close();
    const reads = sessions.filter(({ route }) => route === 'ro');
    return {
      sessions: reads.length,
      threads: countBy(reads, ({ id }) => Math.floor(Number(id) / SESSION_IDS_PER_THREAD)),
      secondaries: countBy(reads, ({ member }) => member),
    };
  } finally {
    await fairlead.stop();
  }
}

/** How many items have each key, by falling number. */
export function countBy<T>(items: readonly T[], keyOf: (item: T) => unknown): number[] {
  const counts = new Map<unknown, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return [...counts.values()].toSorted((one, other) => other - one);
}

const sessionsSchema = z.object({
  sessions: z.array(z.object({ id: z.string(), route: z.string(), member: z.string().nullable() })),
});

const SESSIONS = 500;
/** The most the router lists at once. */
const LISTED_SESSIONS = 1000;
/** A session's number tells its thread: src/data/data-thread.ts. */
const SESSION_IDS_PER_THREAD = 1e12;
