/**
 * Until when the picture of the members stands without being looked over, told by the main thread to all data threads.
 *
 * A topology is only posted when it changes. A main thread that is kept from its work can neither repeat who is primary nor take
 * it back: without this, data threads would go on sending writers to whoever was primary when it was heard last.
 */
import { HEADER } from './counters.ts';

/** @param forMs from now on; called with each decision, whether it changed anything or not */
export function noteDecision(header: Int32Array, forMs: number): void {
  // 0 is for: nobody has decided yet.
  Atomics.store(header, HEADER.decisionLapsesAt, (nowMs() + Math.max(forMs, LEAST_MS)) | 0 || 1);
}

/** True when no decision was made for so long that the last one confirms nothing any more. */
export function hasDecisionLapsed(header: Int32Array): boolean {
  const lapsesAt = Atomics.load(header, HEADER.decisionLapsesAt);
  // In 32 bits the clock goes round in 49 days; the difference does not mind.
  return lapsesAt !== 0 && ((nowMs() - lapsesAt) | 0) > 0;
}

/** The one monotonic clock that is the same in all threads; `performance.now` begins with each of them. */
function nowMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n) | 0;
}

/** While nothing moves, it is looked every two seconds whether that is still so. */
const LEAST_MS = 3000;
