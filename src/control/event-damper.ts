/**
 * Keeps a member that comes and goes from filling the log: of each kind of line about one member a few pass, then one now
 * and then, with how many were left out. Of what concerns the whole (the primary, quorum, alarms) many more pass.
 */
import type { EventFields, EventLog } from '../shared/events.ts';

/** @param now monotonic milliseconds */
export function dampEvents(events: EventLog, now: () => number): EventLog {
  const buckets = new Map<string, Bucket>();
  return {
    ...events,
    record(level, kind, message, fields = {}) {
      const limit = LIMITS.find(({ kinds }) => kinds.has(kind));
      if (limit === undefined) return events.record(level, kind, message, fields);
      const key = `${kind} ${limit.subjectOf(fields)}`;
      const nowMs = now();
      const bucket = buckets.get(key) ?? { tokens: limit.burst, refilledAtMs: nowMs, suppressed: 0 };
      // In a cluster whose members come and go for ever under new names, the longest known is forgotten.
      if (!buckets.has(key) && buckets.size >= MAX_BUCKETS) buckets.delete(buckets.keys().next().value ?? '');
      buckets.set(key, bucket);
      bucket.tokens = Math.min(limit.burst, bucket.tokens + (nowMs - bucket.refilledAtMs) / limit.refillMs);
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

type Limit = {
  readonly kinds: ReadonlySet<string>;
  /** Lines of a kind about one subject that pass at once. */
  readonly burst: number;
  /** One more each so many milliseconds. */
  readonly refillMs: number;
  subjectOf(fields: EventFields): string;
};

const LIMITS: readonly Limit[] = [
  {
    kinds: new Set([
      'member_does_not_answer',
      'member_answers',
      'member_state_changed',
      'member_joined',
      'member_left',
      'member_moved',
      'second_look',
    ]),
    burst: 10,
    refillMs: 15_000,
    subjectOf: ({ member }) => String(member),
  },
  {
    kinds: new Set(['decision_failed']),
    burst: 3,
    refillMs: 15_000,
    subjectOf: () => '',
  },
  {
    kinds: new Set(['discovery_found', 'discovery_failed']),
    burst: 10,
    refillMs: 15_000,
    subjectOf: ({ source }) => String(source),
  },
  {
    kinds: new Set([
      'metadata_state_changed',
      'router_options_changed',
      'target_cluster_changed',
      'mode_changed',
    ]),
    burst: 20,
    refillMs: 15_000,
    subjectOf: () => '',
  },
  {
    kinds: new Set(['primary_changed', 'no_primary', 'quorum_lost', 'quorum_gained']),
    burst: 100,
    refillMs: 5000,
    subjectOf: () => '',
  },
  {
    kinds: new Set(['alarm_raised', 'alarm_cleared']),
    burst: 100,
    refillMs: 5000,
    subjectOf: ({ alarm }) => String(alarm),
  },
];
const MAX_BUCKETS = 2000;
