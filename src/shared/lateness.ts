/**
 * Whether a timer that was due at `dueAtMs` (performance.now) fires so late that its thread must have been busy, or the whole
 * process stopped. Timers come first then, before the thread has read what came in long ago: whoever was waited for is not to
 * blame, and gets the time again, once.
 */
export function isLate(dueAtMs: number): boolean {
  return performance.now() - dueAtMs > LATE_MS;
}

const LATE_MS = 50;
