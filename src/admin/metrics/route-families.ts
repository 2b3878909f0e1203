/**
 * What each route has done: sessions, refusals, holds, bytes, commands and latencies.
 */
import { commandName } from '../../../protocol/commands.ts';
import {
  COMMAND_KINDS,
  END_REASONS,
  HISTOGRAM_CELLS,
  MAX_ROUTES,
  REFUSAL_REASONS,
  ROUTE,
  routeOffset,
} from '../../shared/counters.ts';
import { judgeReadiness } from '../readiness.ts';
import type { AdminSources, RouteFacts } from '../sources.ts';
import type { CounterReader } from './counter-reader.ts';
import type { Family, HistogramLabels, Labels, WriteSample } from './family.ts';
import { createLabelBook, labelsForEach, latencyLabels } from './label-book.ts';

export function routeFamilies(sources: AdminSources, counters: CounterReader): readonly Family[] {
  const labelsOf = createLabelBook(2 * MAX_ROUTES, routeLabels);

  const perRoute = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (route: RouteFacts, cell: number) => number,
  ): Family => ({
    kind,
    name,
    help,
    labelNames: ['route'],
    collect(write) {
      for (const route of sources.routes()) {
        write(labelsOf(route.name).base, value(route, routeOffset(route.index)));
      }
    },
  });

  const cellOf = (kind: 'counter' | 'gauge', name: string, help: string, cell: keyof typeof ROUTE): Family =>
    perRoute(kind, name, help, (_, offset) => counters.sum(offset + ROUTE[cell]));

  const split = (
    name: string,
    help: string,
    label: string,
    writeRoute: (write: WriteSample, labels: RouteLabels, offset: number) => void,
  ): Family => ({
    kind: 'counter',
    name,
    help,
    labelNames: ['route', label],
    collect(write) {
      for (const route of sources.routes()) {
        writeRoute(write, labelsOf(route.name), routeOffset(route.index));
      }
    },
  });

  const latency = (name: string, help: string, cell: keyof typeof ROUTE): Family => ({
    kind: 'histogram',
    name,
    help,
    labelNames: ['route'],
    collect(write) {
      for (const route of sources.routes()) {
        const offset = routeOffset(route.index) + ROUTE[cell];
        write(
          labelsOf(route.name).latency,
          (bucket) => counters.sum(offset + bucket),
          counters.sum(offset + HISTOGRAM_CELLS - 1),
        );
      }
    },
  });

  return [
    {
      kind: 'gauge',
      name: 'fairlead_route_info',
      help: 'Always 1; the labels say how the route is configured.',
      labelNames: ['route', 'protocol', 'role', 'strategy', 'listen'],
      collect(write) {
        for (const route of sources.routes()) write(routeInfoLabels(route), 1);
      },
    },
    perRoute('gauge', 'fairlead_route_listening', '1 while the route accepts connections.', (route) =>
      route.isListening ? 1 : 0,
    ),
    {
      kind: 'gauge',
      name: 'fairlead_route_candidates',
      help: 'Members a new session of the route may be sent to now, quarantine aside; of a route of X Protocol only where a member speaks it.',
      labelNames: ['route'],
      collect(write) {
        for (const { name, candidates, isAwaited } of judgeReadiness(sources).routes) {
          if (isAwaited) write(labelsOf(name).base, candidates);
        }
      },
    },
    perRoute(
      'gauge',
      'fairlead_route_sessions_limit',
      'Sessions the route may have open at once; 0 means no limit of its own.',
      (route) => route.maxConnections,
    ),
    cellOf('counter', 'fairlead_sessions_accepted_total', 'Client connections accepted.', 'sessionsAccepted'),
    cellOf('gauge', 'fairlead_sessions_open', 'Sessions open now, in any state.', 'sessionsOpen'),
    cellOf('gauge', 'fairlead_sessions_held', 'Sessions waiting for a destination now.', 'sessionsHeld'),
    cellOf(
      'gauge',
      'fairlead_sessions_authenticated',
      'Open sessions that have passed authentication.',
      'sessionsAuthenticated',
    ),
    cellOf('gauge', 'fairlead_sessions_busy', 'Open sessions with a command in flight.', 'sessionsBusy'),
    cellOf(
      'gauge',
      'fairlead_sessions_in_transaction',
      'Open sessions inside a transaction.',
      'sessionsInTransaction',
    ),
    cellOf(
      'gauge',
      'fairlead_sessions_opaque',
      'Open sessions whose commands the router cannot see (TLS or compression passed through).',
      'sessionsOpaque',
    ),
    split(
      'fairlead_sessions_ended_total',
      'Sessions that have ended, by the one reason recorded for each.',
      'reason',
      (write, labels, offset) => {
        labels.ended.forEach((set, index) => {
          write(set, counters.sum(offset + ROUTE.ended + index));
        });
      },
    ),
    split(
      'fairlead_sessions_refused_total',
      'Clients the router itself answered with an error.',
      'reason',
      (write, labels, offset) => {
        labels.refused.forEach((set, index) => {
          write(set, counters.sum(offset + ROUTE.refused + index));
        });
      },
    ),
    cellOf(
      'counter',
      'fairlead_holds_started_total',
      'Sessions that had to wait for a destination.',
      'holdsStarted',
    ),
    split(
      'fairlead_holds_ended_total',
      'Holds that have ended, by result: served, expired, or abandoned by the client.',
      'result',
      (write, labels, offset) => {
        write(labels.holds.served, counters.sum(offset + ROUTE.holdsServed));
        write(labels.holds.expired, counters.sum(offset + ROUTE.holdsExpired));
        write(labels.holds.abandoned, counters.sum(offset + ROUTE.holdsAbandoned));
      },
    ),
    split(
      'fairlead_relayed_bytes_total',
      'Bytes of the MySQL protocol relayed, by direction.',
      'direction',
      (write, labels, offset) => {
        write(labels.bytes.toServer, counters.sum(offset + ROUTE.bytesToServer));
        write(labels.bytes.toClient, counters.sum(offset + ROUTE.bytesToClient));
      },
    ),
    cellOf('counter', 'fairlead_rows_total', 'Rows of result sets relayed to clients.', 'rows'),
    split(
      'fairlead_commands_total',
      "Commands from clients, by MySQL's name; only kinds that have occurred.",
      'command',
      (write, labels, offset) => {
        labels.commands.forEach((set, kind) => {
          const count = counters.sum(offset + ROUTE.commands + kind);
          if (count > 0) write(set, count);
        });
      },
    ),
    latency(
      'fairlead_first_byte_seconds',
      'Time from a command to the first byte of its answer.',
      'firstByteSeconds',
    ),
    latency('fairlead_command_seconds', 'Time from a command to the end of its answer.', 'commandSeconds'),
    latency(
      'fairlead_connect_seconds',
      'Time from dialling a member to its initial handshake, of dials that succeeded.',
      'connectSeconds',
    ),
    latency(
      'fairlead_hold_seconds',
      'Time held sessions waited for a destination, of those that were served.',
      'holdSeconds',
    ),
  ];
}

/** The label value of a command's cell; the last cell counts all numbers that have none of their own. */
export function commandLabel(kind: number): string {
  if (kind >= COMMAND_KINDS - 1) return 'other';
  return commandName(kind) ?? `COM_${kind}`;
}

type RouteLabels = {
  readonly base: Labels;
  readonly ended: readonly Labels[];
  readonly refused: readonly Labels[];
  readonly holds: { readonly served: Labels; readonly expired: Labels; readonly abandoned: Labels };
  readonly bytes: { readonly toServer: Labels; readonly toClient: Labels };
  readonly commands: readonly Labels[];
  readonly latency: HistogramLabels;
};

function routeLabels(name: string): RouteLabels {
  const base = { route: name };
  return {
    base,
    ended: labelsForEach(base, 'reason', END_REASONS),
    refused: labelsForEach(base, 'reason', REFUSAL_REASONS),
    holds: {
      served: { ...base, result: 'served' },
      expired: { ...base, result: 'expired' },
      abandoned: { ...base, result: 'abandoned' },
    },
    bytes: {
      toServer: { ...base, direction: 'to_server' },
      toClient: { ...base, direction: 'to_client' },
    },
    commands: labelsForEach(
      base,
      'command',
      Array.from({ length: COMMAND_KINDS }, (_, kind) => commandLabel(kind)),
    ),
    latency: latencyLabels(base),
  };
}

function routeInfoLabels(route: RouteFacts): Labels {
  const port = route.port ?? route.listen.port;
  return {
    route: route.name,
    protocol: route.protocol,
    role: route.role,
    strategy: route.strategy,
    listen: `${route.listen.host}:${port}`,
  };
}
