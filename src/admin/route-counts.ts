/**
 * A route's sessions in numbers, for the API and the status page.
 */
import { REFUSAL_REASONS, ROUTE, routeOffset } from '../shared/counters.ts';
import { createCounterReader } from './metrics/counter-reader.ts';

export type RouteCounts = {
  readonly open: number;
  readonly held: number;
  readonly authenticated: number;
  readonly busy: number;
  readonly inTransaction: number;
  readonly opaque: number;
  readonly accepted: number;
  readonly refused: number;
};

/** Returns a function that reads the counts of the route with a given index of counters. */
export function createRouteCounts(
  memory: SharedArrayBuffer,
  threads: number,
): (routeIndex: number) => RouteCounts {
  const counters = createCounterReader(memory, threads);
  return (routeIndex) => {
    const offset = routeOffset(routeIndex);
    const cell = (name: keyof typeof ROUTE): number => counters.sum(offset + ROUTE[name]);
    return {
      open: cell('sessionsOpen'),
      held: cell('sessionsHeld'),
      authenticated: cell('sessionsAuthenticated'),
      busy: cell('sessionsBusy'),
      inTransaction: cell('sessionsInTransaction'),
      opaque: cell('sessionsOpaque'),
      accepted: cell('sessionsAccepted'),
      refused: REFUSAL_REASONS.reduce(
        (sum, _, reason) => sum + counters.sum(offset + ROUTE.refused + reason),
        0,
      ),
    };
  };
}
