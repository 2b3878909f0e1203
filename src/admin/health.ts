/**
 * The answers to a kubelet's or a load balancer's probes.
 */
import { judgeReadiness, type RouteReadiness } from './readiness.ts';
import { type Reply, textReply } from './reply.ts';
import type { AdminSources } from './sources.ts';

/**
 * Alive means that the event loop turns, and that no data thread is beyond help; nothing else is asked, least of all MySQL.
 * A thread that hangs is ended and started again without anybody's help, unless it is in a call that nothing interrupts.
 */
export function livez(sources: AdminSources): Reply {
  const stuck = sources.threadPulses().flatMap((pulse, index) => (pulse === 'stuck' ? [index] : []));
  return stuck.length === 0
    ? textReply(200, 'ok\n')
    : textReply(503, `data thread ${stuck.join(', ')} hangs and cannot be ended: restart the process\n`);
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
