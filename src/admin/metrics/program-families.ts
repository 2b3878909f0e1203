/**
 * The router itself: build, threads, events, reloads, limits, its admin server.
 */
import {
  ERROR_NUMBER_CELLS,
  HEADER,
  MAX_GUIDELINE_SLOTS,
  sharedHeader,
  THREAD,
} from '../../shared/counters.ts';
import { countHung } from '../../shared/thread-pulse.ts';
import { judgeReadiness } from '../readiness.ts';
import type { AdminSources } from '../sources.ts';
import type { CounterReader } from './counter-reader.ts';
import { type Family, type Labels, NO_LABELS } from './family.ts';
import { createLabelBook, labelsForEach } from './label-book.ts';

/** What the admin server counts of itself. */
export type AdminCounts = {
  /** Answers by HTTP status code. */
  readonly answersByStatus: ReadonlyMap<number, number>;
  /** Connections closed to make room for others. */
  readonly droppedConnections: number;
};

export function programFamilies(
  sources: AdminSources,
  counters: CounterReader,
  adminCounts: () => AdminCounts,
): readonly Family[] {
  const gauge = (name: string, help: string, value: () => number): Family => ({
    kind: 'gauge',
    name,
    help,
    labelNames: [],
    collect: (write) => write(NO_LABELS, value()),
  });
  const flag = (name: string, help: string, value: () => boolean): Family =>
    gauge(name, help, () => (value() ? 1 : 0));

  const build = { version: sources.version, node_version: process.version };
  const labelsOfGuidelineRoute = createLabelBook(MAX_GUIDELINE_SLOTS, (name) => ({ guideline_route: name }));
  const reloads = { accepted: { result: 'accepted' }, rejected: { result: 'rejected' } };

  return [
    {
      kind: 'gauge',
      name: 'fairlead_build_info',
      help: 'Always 1; the labels carry the versions of Fairlead and of Node.',
      labelNames: ['version', 'node_version'],
      collect: (write) => write(build, 1),
    },
    gauge(
      'fairlead_start_time_seconds',
      'When the router was started, in Unix time.',
      () => sources.startedAtMs / 1000,
    ),
    flag('fairlead_ready', '1 while /readyz answers 200.', () => judgeReadiness(sources).isReady),
    flag('fairlead_draining', '1 from the signal to stop on.', () => sources.isDraining()),
    gauge(
      'fairlead_sessions_limit',
      'Sessions that may be open at once over all routes; 0 means no limit.',
      () => sources.limits().maxConnections,
    ),
    gauge(
      'fairlead_client_sessions_limit',
      'Sessions that may be open at once from one client address; 0 means no limit.',
      () => sources.limits().maxConnectionsPerClient,
    ),
    gauge(
      'fairlead_held_sessions_limit',
      'Sessions that may wait for a destination at once, over all routes.',
      () => sources.limits().maxHeldSessions,
    ),
    gauge(
      'fairlead_connect_error_addresses',
      'Client addresses that have sent malformed logins and no good one since.',
      () => Atomics.load(sharedHeader(sources.counters), HEADER.connectErrorAddresses),
    ),
    {
      kind: 'counter',
      name: 'fairlead_guideline_sessions_total',
      help: 'Sessions placed by each route of the routing guidelines there were; none where there was none.',
      labelNames: ['guideline_route'],
      collect(write) {
        for (const [slot, name] of (sources.guideline?.().slotNames ?? []).entries())
          write(labelsOfGuidelineRoute(name), counters.sum(THREAD.guidelineSessions + slot));
      },
    },
    {
      kind: 'counter',
      name: 'fairlead_config_reloads_total',
      help: 'Reloads of the configuration, by result; a rejected reload changed nothing.',
      labelNames: ['result'],
      collect(write) {
        const { accepted, rejected } = sources.configReloads();
        write(reloads.accepted, accepted);
        write(reloads.rejected, rejected);
      },
    },
    gauge(
      'fairlead_config_last_accepted_timestamp_seconds',
      'When the configuration in force was read, in Unix time.',
      () => sources.configReloads().lastAcceptedAtMs / 1000,
    ),
    {
      kind: 'counter',
      name: 'fairlead_events_total',
      help: 'Events recorded, by level.',
      labelNames: ['level'],
      collect(write) {
        for (const [level, count] of Object.entries(sources.eventsByLevel())) write({ level }, count);
      },
    },
    {
      kind: 'counter',
      name: 'fairlead_log_lines_dropped_total',
      help: 'Lines of the log that were dropped because standard output did not take them.',
      labelNames: [],
      collect: (write) => write(NO_LABELS, sources.droppedLogLines?.() ?? 0),
    },
    gauge('fairlead_data_threads', 'Data threads configured.', () => sources.threads),
    gauge('fairlead_data_threads_alive', 'Data threads running now.', () => sources.threadsAlive()),
    gauge(
      'fairlead_data_threads_hung',
      'Data threads whose event loop has not turned for seconds; hung ones are ended and started again.',
      () => countHung(sources.threadPulses()),
    ),
    ...threadFamilies(counters),
    serverErrors(counters),
    {
      kind: 'counter',
      name: 'fairlead_admin_answers_total',
      help: 'Answers of the admin server, by HTTP status code.',
      labelNames: ['code'],
      collect(write) {
        for (const [code, count] of adminCounts().answersByStatus) write({ code: String(code) }, count);
      },
    },
    {
      kind: 'counter',
      name: 'fairlead_admin_dropped_connections_total',
      help: 'Connections to the admin server closed to make room for others, those first that had asked nothing for the longest time.',
      labelNames: [],
      collect: (write) => write(NO_LABELS, adminCounts().droppedConnections),
    },
  ];
}

function threadFamilies(counters: CounterReader): readonly Family[] {
  const threads = labelsForEach(
    {},
    'thread',
    Array.from({ length: counters.threads }, (_, index) => String(index)),
  );
  const perThread = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    cell: keyof typeof THREAD,
  ): Family => ({
    kind,
    name,
    help,
    labelNames: ['thread'],
    collect(write) {
      threads.forEach((labels, index) => {
        write(labels, counters.ofThread(index, THREAD[cell]));
      });
    },
  });

  return [
    perThread(
      'counter',
      'fairlead_data_thread_starts_total',
      'Starts of the data thread; more than one means that it died and came back.',
      'starts',
    ),
    perThread(
      'counter',
      'fairlead_data_thread_hangs_total',
      'Times the data thread was ended because its event loop did not turn for limits.hungThreadTimeout.',
      'hangs',
    ),
    perThread(
      'gauge',
      'fairlead_fast_relay',
      '1 when bare handles with a shared read buffer carry the traffic, 0 on the portable path.',
      'fastRelay',
    ),
    perThread(
      'counter',
      'fairlead_accept_failures_total',
      'Connections the system would not let the thread accept, usually for want of file descriptors.',
      'acceptFailures',
    ),
    perThread(
      'counter',
      'fairlead_backpressure_pauses_total',
      'Times one side of a session was not read because the other was full.',
      'backpressurePauses',
    ),
    perThread(
      'gauge',
      'fairlead_write_queue_bytes',
      'Bytes waiting in the thread for slow peers.',
      'queuedBytes',
    ),
    perThread(
      'counter',
      'fairlead_tracker_gave_up_total',
      'Sessions that became opaque because the command-phase tracker met what it does not understand.',
      'trackerGaveUp',
    ),
    perThread(
      'counter',
      'fairlead_log_lines_suppressed_total',
      'Log lines left out because too many of the same kind came at once.',
      'logLinesSuppressed',
    ),
  ];
}

/**
 * Errors by number. Each thread counts only so many numbers apart, and so does this: a number that has once been
 * shown keeps its series, later ones beyond the limit are shown as `other`, so no series ever goes back.
 */
function serverErrors(counters: CounterReader): Family {
  const shown = new Set<number>();
  const labelsOf = createLabelBook(MAX_ERROR_NUMBERS + 1, (number) => ({ number }));
  const other: Labels = { number: 'other' };
  return {
    kind: 'counter',
    name: 'fairlead_server_errors_total',
    help: 'ERR packets servers sent to clients, by error number; rare numbers beyond a limit are counted as other.',
    labelNames: ['number'],
    collect(write) {
      const counts = new Map<number, number>();
      let others = counters.sum(THREAD.errorsOther);
      for (let thread = 0; thread < counters.threads; thread++) {
        for (let cell = 0; cell < ERROR_NUMBER_CELLS; cell++) {
          const number = counters.ofThread(thread, THREAD.errorNumbers + cell);
          const count = counters.ofThread(thread, THREAD.errorCounts + cell);
          if (number === 0 || count === 0) continue;
          if (!shown.has(number) && shown.size >= MAX_ERROR_NUMBERS) {
            others += count;
            continue;
          }
          shown.add(number);
          counts.set(number, (counts.get(number) ?? 0) + count);
        }
      }
      for (const [number, count] of counts) write(labelsOf(String(number)), count);
      write(other, others);
    },
  };
}

/** Error numbers with a series of their own, over all threads. */
const MAX_ERROR_NUMBERS = 128;
