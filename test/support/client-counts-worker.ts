/** A thread that comes and goes as a client, as fast as it can; for limits.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createClientCounts } from '../../src/shared/client-counts.ts';
import { clientTables } from '../../src/shared/counters.ts';

export type HammerStart = {
  readonly counters: SharedArrayBuffer;
  /** How many are inside, and how often that was more than the limit. */
  readonly seen: SharedArrayBuffer;
  readonly threadIndex: number;
  readonly limit: number;
  readonly rounds: number;
};

// The test starts it with exactly this.
const { counters, seen, threadIndex, limit, rounds } = workerData as HammerStart;
const inside = new Int32Array(seen);
const counts = createClientCounts(clientTables(counters), threadIndex);
let entered = 0;
for (let round = 0; round < rounds; round++) {
  if (!counts.enter('10.0.0.1', limit)) continue;
  entered++;
  if (Atomics.add(inside, 0, 1) >= limit) Atomics.add(inside, 1, 1);
  Atomics.sub(inside, 0, 1);
  counts.leave('10.0.0.1');
}
parentPort?.postMessage(entered);
