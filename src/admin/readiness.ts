/**
 * Whether the router is ready for traffic, and why not.
 *
 * Liveness never asks this: a router whose cluster is away must not be restarted for it, only left out of the service.
 */
import { candidates } from '../../routing/strategies.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { unreachable } from '../../routing/unreachable.ts';
import { asReachedByX } from '../../routing/x-listeners.ts';
import type { AdminSources, RouteFacts } from './sources.ts';

export type Readiness = {
  readonly isReady: boolean;
  /** The reason in one line, for people. */
  readonly summary: string;
  readonly routes: readonly RouteReadiness[];
};

export type RouteReadiness = {
  readonly name: string;
  /** Members a new session of this route may be sent to now, quarantine aside. */
  readonly candidates: number;
  readonly canRoute: boolean;
  /** Why it cannot; empty when it can. */
  readonly reason: string;
  /** False for a route of X Protocol where no member speaks it: nobody waits for that to change. */
  readonly isAwaited: boolean;
};

/** The picture readiness is judged by. */
export type ReadinessSources = Pick<
  AdminSources,
  'readinessRule' | 'topology' | 'routes' | 'isOutOfReach' | 'isDraining' | 'threadPulses'
>;

/** Judges the router by its readiness rule; while draining it is never ready. */
export function judgeReadiness(sources: ReadinessSources): Readiness {
  const topology = sources.topology();
  const facts = sources.routes();
  const routes = facts.map((route) => routeReadiness(sources, topology, route));
  if (sources.isDraining()) return { isReady: false, summary: 'the router is stopping', routes };
  if (!sources.threadPulses().includes('beating'))
    return {
      isReady: false,
      summary: 'no data thread serves: they hang, or have died and are started again',
      routes,
    };
  if (routes.length === 0) return { isReady: false, summary: 'no route is configured', routes };

  switch (sources.readinessRule) {
    case 'any':
      return routes.some((route) => route.canRoute)
        ? ready(routes)
        : { isReady: false, summary: 'no route can route', routes };
    case 'all':
      return routes.every(({ canRoute, isAwaited }) => canRoute || !isAwaited)
        ? ready(routes)
        : { isReady: false, summary: 'not every route can route', routes };
    case 'primary':
      return facts.some((route, index) => route.role === 'primary' && routes[index]?.canRoute === true)
        ? ready(routes)
        : { isReady: false, summary: 'no primary route can route', routes };
    default:
      return unreachable(sources.readinessRule);
  }
}

function ready(routes: readonly RouteReadiness[]): Readiness {
  const routing = routes.filter((route) => route.canRoute).length;
  return { isReady: true, summary: `${routing} of ${routes.length} routes can route`, routes };
}

function routeReadiness(sources: ReadinessSources, whole: Topology, route: RouteFacts): RouteReadiness {
  const topology = route.protocol === 'x' ? asReachedByX(whole) : whole;
  const open = candidates(topology, route, 0, () => false);
  // Its members are well, as far as is known, and still no client gets through from here; from another router some may.
  const isCutOff = open.length > 0 && open.every((member) => sources.isOutOfReach(member, route.protocol));
  const reason = reasonAgainst(topology, route, open.length, isCutOff);
  const isAwaited = route.protocol !== 'x' || whole.members.some(speaksX);
  return { name: route.name, candidates: open.length, canRoute: reason === '', reason, isAwaited };
}

function reasonAgainst(topology: Topology, route: RouteFacts, count: number, isCutOff: boolean): string {
  if (!route.isListening) return route.problem === '' ? 'not listening' : `not listening: ${route.problem}`;
  if (isCutOff) return 'no candidate lets a session in (all in quarantine)';
  if (count > 0) return '';
  if (topology.members.length === 0) return 'no member is known';
  const whys = topology.members
    .filter((member) => member.reason !== '')
    .map((member) => `${member.address}: ${member.reason}`);
  if (route.protocol === 'x' && !topology.members.some(speaksX))
    return 'no member is known to speak X Protocol';
  const wanted = route.role === 'primary' ? 'no member takes writes' : 'no member takes reads';
  return whys.length === 0 ? wanted : `${wanted} (${whys.slice(0, MAX_REASONS).join('; ')})`;
}

function speaksX(member: Member): boolean {
  return member.x !== undefined;
}

/** A probe's answer is read by people: the first few reasons tell the story. */
const MAX_REASONS = 5;
