/**
 * The answers to a kubelet's or a load balancer's probes.
 */
import { judgeReadiness, type RouteReadiness } from './readiness.ts';
import { type Reply, textReply } from './reply.ts';
import type { AdminSources } from './sources.ts';

/** Alive means that the event loop turns; nothing else is asked, least of all MySQL. */
export function livez(): Reply {
  return textReply(200, 'ok\n');
}

/** Ready, or one line for each route that cannot route; with `?verbose` a line for each route in any case. */
export function readyz(sources: AdminSources, query: URLSearchParams): Reply {
  const readiness = judgeReadiness(sources);
  const shown =
    query.has('verbose') || !readiness.isReady
      ? readiness.routes.filter((route) => query.has('verbose') || !route.canRoute)
      : [];
  const first = `${readiness.isReady ? 'ready' : 'not ready'}: ${readiness.summary}`;
  return textReply(readiness.isReady ? 200 : 503, `${[first, ...shown.map(routeLine)].join('\n')}\n`);
}

function routeLine(route: RouteReadiness): string {
  return `route ${route.name}: ${route.canRoute ? `ok, candidates: ${route.candidates}` : route.reason}`;
}
