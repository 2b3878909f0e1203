/**
 * Limits at the door: sessions on a route, from one client address, and in all. The counts are shared by the threads and
 * exact; they are taken on admission and given back once, when the session is over.
 */
import type { ClientCounts } from '../shared/client-counts.ts';
import type { RefusalReason } from '../shared/counters.ts';
import { HEADER } from '../shared/counters.ts';
import type { DataConfig } from '../shared/messages.ts';
import type { RouteState } from './thread-context.ts';

export type Admission = {
  /**
   * @param clientAddress empty when sessions are not limited by it; the same must be given to `leave`
   * @returns null when the session may stay, else the limit it would break. A null must be matched by one `leave`
   */
  enter(route: RouteState, clientAddress: string): RefusalReason | null;
  leave(route: RouteState, clientAddress: string): void;
};

export function createAdmission(
  header: Int32Array,
  clients: ClientCounts,
  config: () => DataConfig,
): Admission {
  const release = (route: RouteState) => {
    Atomics.sub(header, HEADER.openInAll, 1);
    Atomics.sub(header, HEADER.openOnRoute + route.bound.index, 1);
  };

  return {
    enter(route, clientAddress) {
      const { maxConnections, maxConnectionsPerClient } = config().limits;
      const openOnRoute = Atomics.add(header, HEADER.openOnRoute + route.bound.index, 1);
      const openInAll = Atomics.add(header, HEADER.openInAll, 1);
      const refusal = exceeded(openInAll, maxConnections)
        ? 'total_limit'
        : exceeded(openOnRoute, route.bound.maxConnections)
          ? 'route_limit'
          : clientAddress !== '' && !clients.enter(clientAddress, maxConnectionsPerClient)
            ? 'client_limit'
            : null;
      if (refusal !== null) release(route);
      return refusal;
    },
    leave(route, clientAddress) {
      release(route);
      if (clientAddress !== '') clients.leave(clientAddress);
    },
  };
}

/** 0 means no limit. */
function exceeded(open: number, limit: number): boolean {
  return limit > 0 && open >= limit;
}
