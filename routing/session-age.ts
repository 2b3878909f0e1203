/**
 * When a session has lived long enough, where a route limits that (`maxSessionAge`): so that members which have come back
 * get their share of sessions that clients would keep for ever.
 */

/**
 * - `young`: it stays.
 * - `old`: it ends when its client leaves it unused for a moment: a pool then notices without an error.
 * - `overdue`: it never was unused for a moment, and ends behind the next answer outside a transaction.
 */
export type SessionAge = 'young' | 'old' | 'overdue';

/**
 * @param maxAgeMs as configured; 0 for no limit
 * @param sessionId spreads the sessions: those that were opened together do not end together
 */
export function judgeAge(ageMs: number, maxAgeMs: number, sessionId: number): SessionAge {
  if (maxAgeMs === 0 || ageMs < maxAgeMs * (1 - SPREAD)) return 'young';
  if (ageMs >= maxAgeMs) return 'overdue';
  // Successive multiples of the golden ratio lie evenly in [0, 1) however many there are.
  const place = (sessionId * GOLDEN_RATIO) % 1;
  return ageMs < maxAgeMs * (1 - SPREAD * place) ? 'young' : 'old';
}

/** Sessions end in this last share of the time they may live. */
const SPREAD = 0.5;
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
