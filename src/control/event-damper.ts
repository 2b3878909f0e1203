/**
 * Keeps a member that comes and goes from filling the log: of each kind of line about one member a few pass, then one now
 * and then, with how many were left out. What concerns the whole (the primary, quorum, alarms) always passes.
 */
import type { EventLog } from '../shared/events.ts';

/** @param now monotonic milliseconds */
export function dampMemberEvents(events: EventLog, now: () => number): EventLog {
  const buckets = new Map<string, Bucket>();
  return {
    ...events,
    record(level, kind, message, fields = {}) {
      const { member } = fields;
      if (!MEMBER_KINDS.has(kind) || typeof member !== 'string')
        return events.record(level, kind, message, fields);
      const key = `${kind} ${member}`;
      const nowMs = now();
      const bucket = buckets.get(key) ?? { tokens: BURST, refilledAtMs: nowMs, suppressed: 0 };
      // In a cluster whose members come and go for ever under new names, the longest known is forgotten.
      if (!buckets.has(key) && buckets.size >= MAX_BUCKETS) buckets.delete(buckets.keys().next().value ?? '');
      buckets.set(key, bucket);
      bucket.tokens = Math.min(BURST, bucket.tokens + (nowMs - bucket.refilledAtMs) / REFILL_MS);
      bucket.refilledAtMs = nowMs;
      if (bucket.tokens < 1) {
        bucket.suppressed++;
        return;
      }
      bucket.tokens--;
      const { suppressed } = bucket;
      bucket.suppressed = 0;
      events.record(
        level,
        kind,
        message,
        suppressed === 0 ? fields : { ...fields, suppressed_before: suppressed },
      );
    },
  };
}

type Bucket = { tokens: number; refilledAtMs: number; suppressed: number };

const MEMBER_KINDS: ReadonlySet<string> = new Set([
  'member_does_not_answer',
  'member_answers',
  'member_state_changed',
  'member_joined',
  'member_left',
  'member_moved',
]);
const BURST = 10;
/** One more line of a kind about a member each so many milliseconds. */
const REFILL_MS = 15_000;
const MAX_BUCKETS = 2000;
