/**
 * Keeps a flood of like events (ten thousand refused clients) from becoming a flood of log lines: of each kind, a burst
 * passes, then a few each second; how many were left out is said with the next one that passes.
 */
import type { ThreadEvent } from '../shared/messages.ts';

export type EventLimiter = { event(event: ThreadEvent): void };

export function createEventLimiter(
  emit: (event: ThreadEvent) => void,
  onSuppressed: () => void,
  now: () => number = performance.now.bind(performance),
): EventLimiter {
  /** Kinds are written in the source, so the map stays as small as that list. */
  const buckets = new Map<string, Bucket>();
  return {
    event(event) {
      const nowMs = now();
      const bucket = buckets.get(event.kind) ?? { tokens: BURST, refilledAtMs: nowMs, suppressed: 0 };
      buckets.set(event.kind, bucket);
      bucket.tokens = Math.min(BURST, bucket.tokens + ((nowMs - bucket.refilledAtMs) / 1000) * PER_SECOND);
      bucket.refilledAtMs = nowMs;
      if (bucket.tokens < 1) {
        bucket.suppressed++;
        return onSuppressed();
      }
      bucket.tokens--;
      if (bucket.suppressed === 0) return emit(event);
      emit({ ...event, fields: { ...event.fields, suppressed_before: bucket.suppressed } });
      bucket.suppressed = 0;
    },
  };
}

type Bucket = { tokens: number; refilledAtMs: number; suppressed: number };

const BURST = 20;
const PER_SECOND = 2;
