/** How long it may be left undecided while nobody is in doubt. */
import type { Observation } from '../../routing/observations.ts';
import { INTERVALS_MS, type Standing } from './decision-schedule.ts';

export type CalmTerms = {
  readonly nowMs: number;
  /** How long a member's word stands. */
  readonly confirmationTtlMs: number;
  /** Time alone changes something. */
  readonly changesInTime: boolean;
};

export function calmStanding(observations: readonly Observation[], terms: CalmTerms): Standing {
  const lapseMs = terms.nowMs - terms.confirmationTtlMs / 2;
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { answer, failure, refusingSinceMs = null } of observations) {
    if (failure !== null || refusingSinceMs !== null) return 'unsettled';
    if (answer !== null) oldestMs = Math.min(oldestMs, answer.askedAtMs);
  }
  if (oldestMs <= lapseMs + INTERVALS_MS.quiet) return 'unsettled';
  const mayWait = oldestMs > lapseMs + INTERVALS_MS.still && !terms.changesInTime;
  return mayWait ? 'still' : 'quiet';
}
