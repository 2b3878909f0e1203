/**
 * The REST interface under `/api/v1/`: what the router knows and does, as JSON. It reads and never changes anything.
 */
import type { EventLog } from '../shared/events.ts';
import { inTime } from './deadline.ts';
import { guidelineBody } from './guideline.ts';
import { createCounterReader } from './metrics/counter-reader.ts';
import { type CountParameter, parseCount } from './query.ts';
import { judgeReadiness } from './readiness.ts';
import { errorReply, jsonReply, type Reply } from './reply.ts';
import { createRouteCounts, type RouteCounts } from './route-counts.ts';
import type { AdminSources } from './sources.ts';

export type Api = {
  topology(): Reply;
  sessions(query: URLSearchParams): Promise<Reply>;
  events(query: URLSearchParams): Reply;
  status(): Reply;
};

export function createApi(sources: AdminSources, events: EventLog): Api {
  const countsOf = createRouteCounts(sources.counters, sources.threads);

  return {
    topology: () => jsonReply(200, topologyBody(sources)),

    async sessions(query) {
      const limit = parseCount(query, SESSION_LIMIT);
      if (limit.kind === 'bad') return errorReply(400, 'bad_parameter', limit.message);
      const listed = await inTime(sources.listSessions(limit.value), SESSIONS_DEADLINE_MS);
      if (listed.kind === 'late') {
        return errorReply(
          503,
          'sessions_timeout',
          `the data threads did not list their sessions within ${SESSIONS_DEADLINE_MS} ms`,
        );
      }
      const open = sources.routes().reduce((sum, route) => sum + countsOf(route.index).open, 0);
      return jsonReply(200, { open, limit: limit.value, sessions: listed.value.slice(0, limit.value) });
    },

    events(query) {
      const limit = parseCount(query, EVENT_LIMIT);
      if (limit.kind === 'bad') return errorReply(400, 'bad_parameter', limit.message);
      const after = parseCount(query, EVENT_AFTER);
      if (after.kind === 'bad') return errorReply(400, 'bad_parameter', after.message);
      return jsonReply(200, { events: events.recent(limit.value, after.value) });
    },

    status: () => jsonReply(200, statusBody(sources, countsOf)),
  };
}

function topologyBody(sources: AdminSources): unknown {
  const topology = sources.topology();
  const probes = sources.memberProbes?.();
  return {
    version: topology.version,
    primary: topology.primary,
    groupName: topology.groupName,
    mode: topology.mode,
    hasQuorum: topology.hasQuorum,
    alarms: topology.alarms,
    cluster: topology.cluster ?? null,
    members: topology.members.map((member) => {
      // The slot is an index into the counters and means nothing outside.
      const { address, id, role, state, slot: _, ...rest } = member;
      const lastProbeSeconds = probes?.get(address)?.lastProbeSeconds ?? null;
      const lag = probes?.get(address)?.lag ?? null;
      return { address, id, role, state, ...rest, metadata: rest.metadata ?? null, lastProbeSeconds, lag };
    }),
    discovery: (sources.discovery?.() ?? []).map(
      ({ name, kind, destinations, lastSuccessAtMs, failure, successes, failures }) => ({
        source: name,
        kind,
        addresses: destinations.map(({ address }) => address),
        destinations: destinations.map(({ address, dialHost, zone, hint, labels }) => ({
          address,
          dialHost,
          zone,
          hint,
          labels,
        })),
        lastSuccessAtMs,
        failure,
        successes,
        failures,
      }),
    ),
  };
}

function statusBody(sources: AdminSources, countsOf: (routeIndex: number) => RouteCounts): unknown {
  const readiness = judgeReadiness(sources);
  return {
    version: sources.version,
    nodeVersion: process.version,
    process: sources.process,
    startedAtMs: sources.startedAtMs,
    uptimeSeconds: Math.max(0, Math.round((Date.now() - sources.startedAtMs) / 1000)),
    isReady: readiness.isReady,
    readiness: readiness.summary,
    readinessRule: sources.readinessRule,
    isDraining: sources.isDraining(),
    drain: sources.drain(),
    topologyVersion: sources.topology().version,
    threads: {
      configured: sources.threads,
      alive: sources.threadsAlive(),
      pulses: sources.threadPulses(),
    },
    limits: sources.limits(),
    configReloads: sources.configReloads(),
    guideline: guidelineBody(
      sources.guideline?.(),
      sources.topology(),
      createCounterReader(sources.counters, sources.threads),
    ),
    routes: sources.routes().map((route, index) => ({
      name: route.name,
      listen: route.listen,
      port: route.port,
      isListening: route.isListening,
      problem: route.problem,
      protocol: route.protocol,
      role: route.role,
      strategy: route.strategy,
      maxConnections: route.maxConnections,
      candidates: readiness.routes[index]?.candidates ?? 0,
      reason: readiness.routes[index]?.reason ?? '',
      sessions: countsOf(route.index),
    })),
  };
}

/** Half of the second in which every answer has to come. */
const SESSIONS_DEADLINE_MS = 500;

const SESSION_LIMIT: CountParameter = { name: 'limit', default: 100, min: 1, max: 1000 };
const EVENT_LIMIT: CountParameter = { name: 'limit', default: 100, min: 1, max: 1000 };
const EVENT_AFTER: CountParameter = { name: 'after', default: 0, min: 0, max: Number.MAX_SAFE_INTEGER };
