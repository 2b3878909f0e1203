/**
 * The last things the router decided, for `/api/v1/events`, the status page and the log: each is written once and kept
 * in a ring, so that what an operator reads in either place is the same.
 */
import type { Logger } from 'pino';

export type EventLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values an event may carry; never a secret, never payload bytes. */
export type EventFields = Readonly<Record<string, string | number | boolean | null>>;

export type RouterEvent = {
  /** Rises by one with each event. */
  readonly sequence: number;
  readonly atMs: number;
  readonly level: EventLevel;
  /** What kind of thing happened, in snake_case, stable across versions: `primary_changed`, `route_listening`, … */
  readonly kind: string;
  /** The same for people. */
  readonly message: string;
  readonly fields: EventFields;
};

export type EventLog = {
  /** Writes one log line and keeps the event. `debug` events are logged but not kept. */
  record(level: EventLevel, kind: string, message: string, fields?: EventFields): void;
  /** The newest first, at most `limit`, only those after `afterSequence`. */
  recent(limit: number, afterSequence?: number): readonly RouterEvent[];
  /** Events recorded since the start, `debug` included. */
  countByLevel(): Readonly<Record<EventLevel, number>>;
};

/** Creates a ring of at most `capacity` events that also writes each to `log`. */
export function createEventLog(log: Logger, capacity: number, now: () => number = Date.now): EventLog {
  const ring: RouterEvent[] = [];
  const counts: Record<EventLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };
  let sequence = 0;
  return {
    record(level, kind, message, fields = {}) {
      counts[level]++;
      log[level]({ event: kind, ...fields }, message);
      if (level === 'debug') return;
      sequence++;
      ring.push({ sequence, atMs: now(), level, kind, message, fields });
      if (ring.length > capacity) ring.shift();
    },
    recent(limit, afterSequence = 0) {
      return ring
        .filter((event) => event.sequence > afterSequence)
        .slice(-limit)
        .reverse();
    },
    countByLevel: () => ({ ...counts }),
  };
}
