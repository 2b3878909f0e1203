/**
 * The data plane as the main thread sees it: starts the data threads, keeps them running, gives them each topology, and
 * hears their signals.
 */
import { totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Member, Topology } from '../../routing/topology.ts';
import type { Config, Listen, RouteProtocol } from '../config/config.ts';
import {
  add,
  createCounterMemory,
  forgetConnectErrors,
  forgetMember,
  forgetThread,
  MEMBER,
  memberOffset,
  ROUTE,
  routeOffset,
  sharedHeader,
  THREAD,
  threadCells,
} from '../shared/counters.ts';
import { noteDecision } from '../shared/decision-lapse.ts';
import type { EventLog } from '../shared/events.ts';
import type { GuidelineFacts } from '../shared/guideline.ts';
import { stackOf } from '../shared/message-of.ts';
import type {
  BoundRoute,
  DataConfig,
  FromDataThread,
  SessionFacts,
  ToDataThread,
} from '../shared/messages.ts';
import type { Signal } from '../shared/signals.ts';
import { threadHeapMiB } from '../shared/thread-memory.ts';
import type { ThreadPulse } from '../shared/thread-pulse.ts';
import { descriptorsWarning, sessionsWithinDescriptors } from './descriptors.ts';
import { GuidelineStore } from './guidelines/guideline-store.ts';
import { ListenError, tryListen } from './listen-error.ts';
import { CAN_SHARE_PORTS } from './listener.ts';
import { createRestartDelay, type RestartDelay } from './restart-delay.ts';
import { type RouteStatus, RouteTable } from './route-table.ts';
import { SessionRequests } from './session-requests.ts';
import { type HungThread, ThreadWatch } from './thread-watch.ts';
import { TlsMaterialStore } from './tls/material-store.ts';

export type DataPlaneOptions = {
  readonly config: Config;
  readonly events: EventLog;
  /** What is known already; the threads start with it. */
  readonly topology: Topology;
  /** Addresses that another router listens on and is about to give up: they are shared with it for that long. */
  readonly takenOver: readonly Listen[];
  onSignal(signal: Signal): void;
};

export class DataPlane {
  readonly counters: SharedArrayBuffer;
  readonly threads: number;
  readonly #events: EventLog;
  readonly #onSignal: (signal: Signal) => void;
  readonly #routes: RouteTable;
  readonly #tls: TlsMaterialStore;
  readonly #guidelines: GuidelineStore;
  readonly #workers: (Worker | null)[];
  readonly #restartDelays: readonly RestartDelay[];
  readonly #header: Int32Array;
  readonly #watch: ThreadWatch;
  #config: DataConfig;
  #topology: Topology;
  #isClosing = false;
  readonly #sessionRequests = new SessionRequests();
  /** Threads that have not said `drained`, and who waits for them; null while nothing drains. */
  #draining: { readonly left: Set<number>; readonly resolve: () => void } | null = null;

  private constructor(options: DataPlaneOptions, tls: TlsMaterialStore, guidelines: GuidelineStore) {
    this.#tls = tls;
    this.#guidelines = guidelines;
    this.#events = options.events;
    this.#onSignal = options.onSignal;
    this.#topology = options.topology;
    this.threads = CAN_SHARE_PORTS ? options.config.threads : 1;
    this.#config = this.#dataConfig(options.config);
    this.counters = createCounterMemory(this.threads);
    this.#header = sharedHeader(this.counters);
    this.#routes = new RouteTable(options.config.routes);
    this.#workers = Array.from({ length: this.threads }, () => null);
    this.#restartDelays = this.#workers.map(createRestartDelay);
    this.#watch = new ThreadWatch({
      counters: this.counters,
      threads: this.threads,
      hungAfterMs: () => this.#config.limits.hungThreadTimeoutMs,
      onHung: (thread) => this.#endHung(thread),
      onStuck: (index) => this.#noteStuck(index),
    });
  }

  /**
   * Starts all threads and binds all routes. Where a port is 0, the first thread binds first, so that it becomes the same port
   * in all.
   *
   * @throws ListenError when a route cannot be bound, TlsFileError when a certificate cannot be used, GuidelineError when the
   *   routing guideline cannot
   */
  static async start(options: DataPlaneOptions): Promise<DataPlane> {
    // Data threads share their ports, with another router as well: that the port is ours alone shows only here.
    for (const route of options.config.routes) {
      const isTakenOver = options.takenOver.some((listen) => isDeepStrictEqual(listen, route.listen));
      if (!isTakenOver) await tryListen(route, false);
    }
    const tls = await TlsMaterialStore.open(options.config, options.events, (materials) =>
      plane.#post({ kind: 'tls', tls: materials }),
    );
    const guidelines = await GuidelineStore.open(options.config, options.events, (guideline) =>
      plane.#post({ kind: 'guideline', guideline }),
    );
    const plane = new DataPlane(options, tls, guidelines);
    guidelines.consider(options.topology);
    try {
      const first = options.config.routes.some(({ listen }) => listen.port === 0) ? 1 : plane.threads;
      const all = plane.#workers.map((_, index) => index);
      for (const threads of [all.slice(0, first), all.slice(first)]) {
        plane.#startThreads(threads);
        const failure = await plane.#routes.settled();
        if (failure !== null) throw failure;
      }
      guidelines.useRoutes(plane.#routes.bound());
    } catch (error) {
      await plane.close();
      throw error;
    }
    return plane;
  }

  routes(): readonly RouteStatus[] {
    return this.#routes.status();
  }

  guideline(): GuidelineFacts {
    return this.#guidelines.facts();
  }

  threadsAlive(): number {
    return this.#alive().length;
  }

  /** What is known of each thread's event loop. */
  threadPulses(): readonly ThreadPulse[] {
    return this.#workers.map((_, index) => this.#watch.pulseOf(index));
  }

  /**
   * Every data thread has set the member aside and tried it again in vain, twice: what made one dial fail for a moment is
   * no reason to send clients elsewhere.
   */
  isOutOfReach({ slot }: Member, protocol: RouteProtocol): boolean {
    const offset = memberOffset(slot) + (protocol === 'x' ? MEMBER.vainXRetries : MEMBER.vainRetries);
    const retriesOf = (index: number) => threadCells(this.counters, index)[offset] ?? 0;
    const beating = this.#alive().filter((index) => this.#watch.pulseOf(index) === 'beating');
    return beating.length > 0 && beating.every((index) => retriesOf(index) >= VAIN_RETRIES);
  }

  /** Sessions that may be open at once: as configured, or fewer when there are not the descriptors for them; 0 for no limit. */
  maxConnections(): number {
    return this.#config.limits.maxConnections;
  }

  publish(topology: Topology): void {
    // Counters of a member that left must not go on under the name of the one that got its slot.
    const before = new Map(this.#topology.members.map(({ slot, address }) => [slot, address]));
    for (const { slot, address } of topology.members) {
      if (before.get(slot) !== address) forgetMember(this.counters, this.threads, slot);
    }
    this.#topology = topology;
    this.#guidelines.consider(topology);
    this.#post({ kind: 'topology', topology });
  }

  /** The topology was looked over, whether it has changed or not; it stands for `forMs`. */
  noteDecision(forMs: number): void {
    noteDecision(this.#header, forMs);
  }

  /**
   * Puts new settings and routes in force. What goes wrong after that is no longer the reload's: a listener that fails is its
   * route's trouble, and a thread that dies comes back with what is in force by then.
   *
   * @throws ListenError when a route could not be bound, TlsFileError when a certificate cannot be used, GuidelineError when
   *   the routing guideline cannot: then nothing has changed
   */
  async reload(config: Config): Promise<void> {
    const prepared = await this.#tls.prepare(config);
    const guideline = await this.#guidelines.prepare(config);
    for (const route of config.routes) {
      if (!this.#routes.hasListen(route.listen)) await tryListen(route, CAN_SHARE_PORTS);
    }
    // A listener that is opened now would accept clients until the very end.
    if (this.#draining !== null) throw new Error('the router is stopping');
    this.#config = this.#dataConfig(config);
    forgetConnectErrors(this.counters);
    this.#routes.replace(config.routes, this.#alive());
    this.#tls.adopt(config, prepared);
    const tls = this.#tls.materials;
    this.#post({ kind: 'reload', config: this.#config, routes: this.#routes.bound(), tls });
    this.#guidelines.adopt(config, guideline);
    await this.#routes.settled();
    this.#guidelines.useRoutes(this.#routes.bound());
  }

  /** Resolves when all sessions have ended, at the latest a moment after `timeoutMs`. */
  drain(stopAcceptingAfterMs: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const left = new Set(this.#alive().filter((index) => this.#watch.pulseOf(index) !== 'stuck'));
      this.#draining = { left, resolve };
      if (left.size === 0) return resolve();
      this.#post({ kind: 'drain', stopAcceptingAfterMs, timeoutMs });
    });
  }

  /** Another process has taken the ports over: accepts nobody any more, but for those that are queued. */
  stopAccepting(): void {
    this.#post({ kind: 'stop-accepting' });
  }

  /** Sessions open now, at most `limit` over all threads, each thread having its share. */
  listSessions(limit: number): Promise<readonly SessionFacts[]> {
    return this.#sessionRequests.ask(
      this.#workers.filter((worker) => worker !== null),
      limit,
    );
  }

  /** @returns how many threads could not be ended: they are in a call that nothing interrupts, and keep the process */
  async close(): Promise<number> {
    this.#isClosing = true;
    this.#watch.close();
    this.#tls.close();
    this.#guidelines.close();
    const ended = Promise.all(this.#workers.map((worker) => worker?.terminate()));
    await Promise.race([ended, delay(CLOSE_PATIENCE_MS, undefined, { ref: false })]);
    return this.threadsAlive();
  }

  #alive(): readonly number[] {
    return this.#workers.flatMap((worker, index) => (worker === null ? [] : [index]));
  }

  #startThreads(threads: readonly number[]): void {
    this.#routes.expect(threads);
    for (const index of threads) this.#startThread(index);
  }

  #startThread(index: number): void {
    const startedAtMs = performance.now();
    const heapMiB = threadHeapMiB(process.constrainedMemory(), totalmem(), this.threads);
    const worker = new Worker(THREAD_FILE, {
      ...(heapMiB === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMiB } }),
      workerData: {
        threadIndex: index,
        config: this.#config,
        routes: this.#routes.bound(),
        topology: this.#topology,
        counters: this.counters,
        tls: this.#tls.materials,
        guideline: this.#guidelines.inForce,
      },
    });
    this.#workers[index] = worker;
    this.#watch.started(index);
    worker.on('message', (message: FromDataThread) => this.#receive(index, message));
    worker.on('error', (error) => {
      this.#events.record('error', 'data_thread_failed', `Data thread ${index} failed`, {
        thread: index,
        error: stackOf(error),
      });
    });
    worker.on('exit', () => this.#threadEnded(index, performance.now() - startedAtMs));
  }

  #threadEnded(index: number, livedMs: number): void {
    this.#workers[index] = null;
    this.#watch.ended(index);
    forgetThread(this.counters, index);
    this.#drained(index);
    this.#routes.gone(index, new Error(`data thread ${index} died before it could listen`));
    if (this.#isClosing || this.#draining !== null) return;
    const delayMs = this.#restartDelays[index]?.afterDeath(livedMs) ?? 0;
    this.#events.record('error', 'data_thread_restarted', `Data thread ${index} died and is started again`, {
      thread: index,
      lived_seconds: Math.round(livedMs / 1000),
      restart_after_ms: delayMs,
    });
    const restart = setTimeout(() => {
      // A listener that is opened now would accept clients until the very end.
      if (!this.#isClosing && this.#draining === null) this.#startThreads([index]);
    }, delayMs);
    restart.unref();
  }

  /** What it has open cannot be saved: nobody else can take a session over. */
  #endHung({ index, silentSeconds, doing }: HungThread): void {
    const cells = threadCells(this.counters, index);
    add(cells, THREAD.hangs, 1);
    const open = this.#routes
      .bound()
      .map((route) => cells[routeOffset(route.index) + ROUTE.sessionsOpen] ?? 0);
    const sessions = open.reduce((sum, count) => sum + count, 0);
    this.#events.record(
      'error',
      'data_thread_hung',
      `Data thread ${index} hangs: nothing was heard of it for ${silentSeconds} s. It is ended, and ${sessions} sessions with it`,
      {
        thread: index,
        silent_seconds: silentSeconds,
        doing: doing.kind,
        cpu_seconds: doing.cpuSeconds,
        sessions,
      },
    );
    void this.#workers[index]?.terminate();
  }

  #noteStuck(index: number): void {
    this.#drained(index);
    this.#events.record(
      'error',
      'data_thread_stuck',
      `Data thread ${index} cannot be ended: it is in a call of the system that does not return, and keeps its share of the new connections. Restart Fairlead; /livez answers 503 for it`,
      { thread: index },
    );
  }

  #receive(index: number, message: FromDataThread): void {
    switch (message.kind) {
      case 'listening':
        return this.#routes.listening(index, message.route, message.port);
      case 'listen-failed': {
        const { route, code } = message;
        const error = new ListenError(route, this.#routes.addressOf(route), code, message.message);
        this.#events.record('error', 'listen_failed', error.message, { route, code });
        return this.#routes.failed(index, route, error);
      }
      case 'signal':
        return this.#onSignal(message.signal);
      case 'event': {
        const { level, kind, fields } = message.event;
        return this.#events.record(level, kind, message.event.message, { ...fields, thread: index });
      }
      case 'drained':
        return this.#drained(index);
      case 'sessions':
        return this.#sessionRequests.answered(message.requestId, message.sessions);
      default:
        message satisfies never;
    }
  }

  #drained(index: number): void {
    if (this.#draining === null) return;
    this.#draining.left.delete(index);
    if (this.#draining.left.size === 0) this.#draining.resolve();
  }

  #dataConfig(config: Config): DataConfig {
    const { dial, hold, drain, limits, quarantine, relay, closeRoOnPromotion, log } = config;
    const affordable = sessionsWithinDescriptors(this.threads) ?? Number.POSITIVE_INFINITY;
    const wanted = limits.maxConnections === 0 ? Number.POSITIVE_INFINITY : limits.maxConnections;
    const warning = descriptorsWarning(affordable, limits.maxConnections);
    if (warning !== null)
      this.#events.record('warn', 'descriptors_limit', warning, {
        max_connections: limits.maxConnections,
        sessions: affordable,
      });
    const maxConnections = Math.min(affordable, wanted);
    const effective = { ...limits, maxConnections: Number.isFinite(maxConnections) ? maxConnections : 0 };
    return { dial, hold, drain, limits: effective, quarantine, relay, closeRoOnPromotion, log };
  }

  #post(message: ToDataThread): void {
    for (const worker of this.#workers) worker?.postMessage(message);
  }
}

export type { BoundRoute, RouteStatus };

/** The file of a data thread, with the ending that this file has: `.ts` in a checkout, `.js` when built. */
const THREAD_FILE = new URL(import.meta.url.replace(/data-plane(\.[jt]s)$/, 'thread$1'));
const CLOSE_PATIENCE_MS = 3000;
const VAIN_RETRIES = 2;
