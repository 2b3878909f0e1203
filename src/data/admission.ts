/**
 * Who is let in at the door: by network, by what its address has done before, and by how many sessions there are on the
 * route, from one client address, and in all. The counts are shared by the threads and exact; they are taken on admission
 * and given back once, when the session is over.
 */
import type { ClientCounts } from '../shared/client-counts.ts';
import type { ConnectErrors } from '../shared/connect-errors.ts';
import type { RefusalReason } from '../shared/counters.ts';
import { HEADER } from '../shared/counters.ts';
import type { DataConfig } from '../shared/messages.ts';
import type { Connection } from './connection.ts';
import type { Refusal } from './refusal.ts';
import type { RouteState } from './thread-context.ts';

export type Admission = {
  /**
   * @param clientAddress empty when sessions are not limited by it; the same must be given to `leave`
   * @returns null when the session may stay, else why not. A null must be matched by one `leave`
   */
  enter(route: RouteState, client: Connection, clientAddress: string): Refusal | null;
  leave(route: RouteState, clientAddress: string): void;
};

export function createAdmission(
  header: Int32Array,
  clients: ClientCounts,
  connectErrors: ConnectErrors,
  config: () => DataConfig,
): Admission {
  const release = (route: RouteState) => {
    Atomics.sub(header, HEADER.openInAll, 1);
    Atomics.sub(header, HEADER.openOnRoute + route.bound.index, 1);
  };

  /** Most routes let everybody in, and most of the time nobody has errors: then the address is not even asked for. */
  const shutOut = (route: RouteState, client: Connection): Refusal | null => {
    const { maxConnectErrors } = config().limits;
    const isCounting = maxConnectErrors > 0 && !connectErrors.isEmpty;
    if (route.access === null && !isCounting) return null;
    const detail = client.remoteAddress;
    if (route.access?.has(detail) === false) return { reason: 'not_allowed', detail };
    if (!isCounting || connectErrors.count(detail) < maxConnectErrors) return null;
    return { reason: 'client_blocked', detail };
  };

  return {
    enter(route, client, clientAddress) {
      const shut = shutOut(route, client);
      if (shut !== null) return shut;
      const { maxConnections, maxConnectionsPerClient } = config().limits;
      const openOnRoute = Atomics.add(header, HEADER.openOnRoute + route.bound.index, 1);
      const openInAll = Atomics.add(header, HEADER.openInAll, 1);
      const reason: LimitReason | null = exceeded(openInAll, maxConnections)
        ? 'total_limit'
        : exceeded(openOnRoute, route.bound.maxConnections)
          ? 'route_limit'
          : clientAddress !== '' && !clients.enter(clientAddress, maxConnectionsPerClient)
            ? 'client_limit'
            : null;
      if (reason === null) return null;
      release(route);
      return { reason, detail: detailOf(reason, route, maxConnections, maxConnectionsPerClient) };
    },
    leave(route, clientAddress) {
      release(route);
      if (clientAddress !== '') clients.leave(clientAddress);
    },
  };
}

type LimitReason = Extract<RefusalReason, 'total_limit' | 'route_limit' | 'client_limit'>;

/** For the log: which limit it was, and how much. */
function detailOf(reason: LimitReason, route: RouteState, inAll: number, perClient: number): string {
  switch (reason) {
    case 'total_limit':
      return `${inAll} sessions: limits.maxConnections, or what the open files (ulimit -n) allow`;
    case 'route_limit':
      return `maxConnections of the route, ${route.bound.maxConnections}`;
    case 'client_limit':
      return `limits.maxConnectionsPerClient, ${perClient}`;
    default:
      return reason satisfies never;
  }
}

/** 0 means no limit. */
function exceeded(open: number, limit: number): boolean {
  return limit > 0 && open >= limit;
}
