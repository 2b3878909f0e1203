/**
 * Which members a new session may try, and in which order.
 *
 * The names are MySQL Router's, but for `least-connections`. The caller owns what changes between two calls: the round-robin position, who is in
 * quarantine, and who has failed since the topology last changed (only `next-available` asks for that).
 */
import { leastLoaded, type MemberLoad, nearFirst, rotated } from './preference.ts';
import type { Member, Topology } from './topology.ts';
import { unreachable } from './unreachable.ts';

export type RouteRole = 'primary' | 'secondary' | 'primary-and-secondary';

export type StrategyName =
  | 'first-available'
  | 'round-robin'
  | 'round-robin-with-fallback'
  | 'least-connections'
  | 'next-available';

/** The part of a route that decides about candidates. */
export type CandidateRoute = { readonly role: RouteRole; readonly strategy: StrategyName };

export type MemberPredicate = (member: Member) => boolean;

/**
 * The members to try now, in order; empty when there is none and the session has to wait.
 *
 * @param position any integer; the caller adds one for each new session of the route, over all threads
 * @param isQuarantined such members are left out while any other candidate is there: a quarantine of all is none
 * @param hasFailed for `next-available`: members that failed since the list began
 * @param load for `least-connections`
 */
export function candidates(
  topology: Topology,
  route: CandidateRoute,
  position: number,
  isQuarantined: MemberPredicate,
  hasFailed: MemberPredicate = () => false,
  load: MemberLoad = () => 0,
): readonly Member[] {
  const [wanted, fallback] = wantedAndFallback(topology, route);
  const isHealthy: MemberPredicate = (member) => !isQuarantined(member);
  const healthy = [
    ...inOrder(wanted.filter(isHealthy), route, position, hasFailed, load),
    ...inOrder(fallback.filter(isHealthy), route, position, hasFailed, load),
  ];
  if (healthy.length > 0) return healthy;
  return [
    ...inOrder(wanted, route, position, hasFailed, load),
    ...inOrder(fallback, route, position, hasFailed, load),
  ];
}

/** Members with the role the route wants, and those to try after them. */
function wantedAndFallback(
  topology: Topology,
  route: CandidateRoute,
): readonly [wanted: readonly Member[], fallback: readonly Member[]] {
  const reachable = topology.members.filter((member) => member.dial !== null);
  switch (route.role) {
    case 'primary':
      return [
        primariesFirst(
          topology,
          reachable.filter((member) => member.acceptsWrites || member.standsInAsPrimary === true),
        ),
        [],
      ];
    case 'primary-and-secondary':
      return [reachable.filter((member) => member.acceptsReads), []];
    case 'secondary': {
      const readers = reachable.filter((member) => member.acceptsReads);
      const primaries = readers.filter((member) => member.role === 'PRIMARY');
      return [
        readers.filter((member) => member.role !== 'PRIMARY'),
        // Where a fallback is wanted, a primary also comes after secondaries that all turn out not to answer.
        route.strategy === 'round-robin-with-fallback' || route.strategy === 'least-connections'
          ? primaries
          : [],
      ];
    }
    default:
      return unreachable(route.role);
  }
}

/** The member the topology names as primary comes first: in a multi-primary group writers stay together. */
function primariesFirst(topology: Topology, members: readonly Member[]): readonly Member[] {
  const named = members.filter((member) => member.address === topology.primary);
  return [...named, ...members.filter((member) => member.address !== topology.primary)];
}

function inOrder(
  members: readonly Member[],
  route: CandidateRoute,
  position: number,
  hasFailed: MemberPredicate,
  load: MemberLoad,
): readonly Member[] {
  switch (route.strategy) {
    case 'first-available':
      return members;
    case 'round-robin':
    case 'round-robin-with-fallback':
      return nearFirst(members, (some) => rotated(some, position));
    case 'least-connections':
      return nearFirst(members, (some) => leastLoaded(some, position, load));
    case 'next-available':
      return notFailed(members, hasFailed);
    default:
      return unreachable(route.strategy);
  }
}

/** `next-available` moves down the list and never back; it stays on the last one, for giving that up helps nobody. */
function notFailed(members: readonly Member[], hasFailed: MemberPredicate): readonly Member[] {
  const left = members.filter((member) => !hasFailed(member));
  return left.length > 0 ? left : members.slice(-1);
}
