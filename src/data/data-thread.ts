/**
 * One data thread: its listeners, its sessions, and the current topology. Knows nothing of worker threads; thread.ts
 * joins it to the main thread.
 */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { MemberLoad } from '../../routing/preference.ts';
import { EMPTY_TOPOLOGY, type Member, type Topology } from '../../routing/topology.ts';
import type { RouteProtocol } from '../config/config.ts';
import { createClientCounts } from '../shared/client-counts.ts';
import { type ConnectErrors, createConnectErrors } from '../shared/connect-errors.ts';
import {
  add,
  clientTables,
  connectErrorTable,
  HEADER,
  routeOffset,
  sharedHeader,
  slotIndex,
  THREAD,
  threadCells,
} from '../shared/counters.ts';
import { isErrno } from '../shared/errno.ts';
import type { EventFields, EventLevel } from '../shared/events.ts';
import type { GuidelineInForce } from '../shared/guideline.ts';
import { messageOf } from '../shared/message-of.ts';
import type {
  BoundRoute,
  DataConfig,
  DataThreadStart,
  FromDataThread,
  ToDataThread,
} from '../shared/messages.ts';
import type { SignalKind } from '../shared/signals.ts';
import type { RouteTlsMaterial, TlsMaterials } from '../shared/tls-material.ts';
import { type Admission, createAdmission } from './admission.ts';
import type { Accepted, Connection, Transport } from './connection.ts';
import { createDrain, type Drain } from './drain.ts';
import { createEventLimiter, type EventLimiter } from './event-limiter.ts';
import { Farewells } from './farewell.ts';
import { OwnGreeting } from './guidelines/own-greeting.ts';
import { ThreadGuideline } from './guidelines/thread-guideline.ts';
import { CAN_SHARE_PORTS, createListener, type Listener } from './listener.ts';
import { createAccess, createNetworkSet, type NetworkSet } from './network-set.ts';
import { ProxiedClient } from './proxied-client.ts';
import { Reachability } from './reachability.ts';
import { Session } from './session.ts';
import { Sweeper } from './sweeper.ts';
import type { OpenSession, RouteState, ThreadContext } from './thread-context.ts';
import { RouteTls } from './tls/route-tls.ts';
import { chooseTransport } from './transport-self-test.ts';
import { XSession } from './x-session.ts';

type Post = (message: FromDataThread) => void;

/** Begins to serve. What becomes of each route's listener is posted. */
export async function startDataThread(start: DataThreadStart, post: Post): Promise<DataThread> {
  const { mode, bufferBytes } = start.config.relay;
  const { transport, reason } = await chooseTransport(mode, bufferBytes);
  const thread = new DataThread(start, transport, post);
  if (reason !== '') {
    thread.event('warn', 'relay_portable', `The fast relay is not used: ${reason}`, { reason });
  }
  for (const route of start.routes) await thread.open(route);
  return thread;
}

export class DataThread implements ThreadContext {
  readonly transport: Transport;
  readonly cells: Float64Array;
  readonly header: Int32Array;
  readonly loadOf: MemberLoad;
  readonly reach: Readonly<Record<RouteProtocol, Reachability>>;
  readonly admission: Admission;
  readonly connectErrors: ConnectErrors;
  /** Clients whose proxy has yet to say who they are. */
  readonly #arriving = new Set<ProxiedClient>();
  readonly sessions = new Set<OpenSession>();
  readonly watched = new Set<OpenSession>();
  readonly farewells = new Farewells();
  readonly #post: Post;
  readonly #limiter: EventLimiter;
  readonly #routes = new Map<string, OpenRoute>();
  #config: DataConfig;
  #topology: Topology = EMPTY_TOPOLOGY;
  #tls: TlsMaterials;
  #guidelineInForce: GuidelineInForce | null;
  #guideline: ThreadGuideline | null = null;
  readonly ownGreeting = new OwnGreeting();
  #drain: Drain | null = null;
  /** Fulfilled when no listener is open any more; null while they accept. */
  #stopped: Promise<unknown> | null = null;
  #nextSessionId: number;
  readonly clock: Sweeper;
  /** A route limits the age of its sessions, or has: they keep the limit when the route goes. */
  #hasLimitedAge = false;

  constructor(start: DataThreadStart, transport: Transport, post: Post) {
    this.transport = transport;
    this.cells = threadCells(start.counters, start.threadIndex);
    this.header = sharedHeader(start.counters);
    this.loadOf = ({ slot }) => Atomics.load(this.header, HEADER.loadOnMember + slotIndex(slot));
    this.#config = start.config;
    this.#tls = start.tls;
    this.#guidelineInForce = start.guideline;
    // Unique over all threads without asking them.
    this.#nextSessionId = start.threadIndex * SESSION_IDS_PER_THREAD + 1;
    this.#post = post;
    this.reach = {
      classic: new Reachability(this, 'classic', start.config.quarantine),
      x: new Reachability(this, 'x', start.config.quarantine),
    };
    const clients = createClientCounts(clientTables(start.counters), start.threadIndex);
    this.connectErrors = createConnectErrors(
      connectErrorTable(start.counters),
      this.header,
      { entries: HEADER.connectErrorAddresses, key: HEADER.connectErrorKey },
      () => this.#config.limits.connectErrorMemoryMs,
    );
    this.admission = createAdmission(this.header, clients, this.connectErrors, () => this.#config);
    this.#limiter = createEventLimiter(
      (event) => post({ kind: 'event', event }),
      () => add(this.cells, THREAD.logLinesSuppressed, 1),
    );
    this.cells[THREAD.fastRelay] = transport.kind === 'fast' ? 1 : 0;
    this.cells[THREAD.kernelThread] = kernelThread();
    add(this.cells, THREAD.starts, 1);
    this.#adopt(start.topology);
    this.clock = new Sweeper(this, () => this.#hasLimitedAge);
  }

  config(): DataConfig {
    return this.#config;
  }

  topology(): Topology {
    return this.#topology;
  }

  get guideline(): ThreadGuideline | null {
    return this.#guideline;
  }

  signal(kind: SignalKind, member: Member, errorNumber = 0): void {
    const { address, id } = member;
    this.#post({ kind: 'signal', signal: { kind, address, memberId: id, errorNumber } });
  }

  event(level: EventLevel, kind: string, message: string, fields: EventFields = {}): void {
    // One for each session: they cross to the main thread only when somebody reads them.
    if (level === 'debug') {
      if (this.#isDebugging) this.#post({ kind: 'event', event: { level, kind, message, fields } });
      return;
    }
    this.#limiter.event({ level, kind, message, fields });
  }

  get #isDebugging(): boolean {
    return this.#config.log.level === 'debug' || this.#config.log.level === 'trace';
  }

  receive(message: ToDataThread): void {
    switch (message.kind) {
      case 'topology':
        return this.#adopt(message.topology);
      case 'reload':
        // What fails inside is posted for its route; nothing is left to go wrong here but a defect of ours.
        this.#tls = message.tls;
        void this.#reload(message.config, message.routes);
        return;
      case 'tls':
        this.#tls = message.tls;
        for (const route of this.#routes.values()) this.#renewTls(route);
        return;
      case 'guideline':
        this.#guidelineInForce = message.guideline;
        return this.#adopt(this.#topology);
      case 'drain':
        this.#drain ??= createDrain(this.sessions, this.farewells, message, {
          stopAccepting: () => this.#stopAccepting(),
          onDrained: () => this.#post({ kind: 'drained' }),
        });
        return;
      case 'stop-accepting':
        void this.#stopAccepting();
        return;
      case 'list-sessions': {
        const sessions = [...this.sessions].slice(0, message.limit).map((session) => session.facts());
        return this.#post({ kind: 'sessions', requestId: message.requestId, sessions });
      }
      default:
        message satisfies never;
    }
  }

  /** Binds a route's listener; tells the main thread how it went. */
  async open(bound: BoundRoute): Promise<void> {
    this.#hasLimitedAge ||= bound.maxSessionAgeMs > 0;
    const state: RouteState = {
      bound,
      offset: routeOffset(bound.index),
      tls: null,
      access: createAccess(bound),
      proxies: createNetworkSet(bound.proxyProtocol.from),
    };
    const route: OpenRoute = { state, listener: null, material: null };
    this.#renewTls(route);
    this.#routes.set(bound.name, route);
    try {
      route.listener = await createListener(bound.listen, CAN_SHARE_PORTS, this.transport.kind, {
        onConnection: (accepted) => {
          if (state.proxies === null) this.#openSession(state, accepted);
          else this.#awaitHeader(state, state.proxies, accepted);
        },
        onAcceptFailed: (code) => {
          add(this.cells, THREAD.acceptFailures, 1);
          this.event('error', 'accept_failed', `A connection could not be accepted: ${code}`, { code });
        },
      });
      route.listener.keepAliveAfter(this.#config.limits.clientKeepAliveMs);
      this.#post({ kind: 'listening', route: bound.name, port: route.listener.port });
    } catch (error) {
      const code = isErrno(error) ? (error.code ?? '') : '';
      const message = messageOf(error);
      this.#post({ kind: 'listen-failed', route: bound.name, code, message });
    }
  }

  #openSession(state: RouteState, accepted: Accepted | Connection): Session | XSession {
    const id = this.#nextSessionId++;
    return state.bound.protocol === 'x'
      ? new XSession(this, state, id, accepted)
      : new Session(this, state, id, accepted);
  }

  #awaitHeader(state: RouteState, proxies: NetworkSet, accepted: Accepted): void {
    const arriving = new ProxiedClient(this, state, proxies, accepted, this.#arriving.size, {
      onArrived: (connection, rest) => {
        const session = this.#openSession(state, connection);
        if (rest.length > 0) session.onBytes('client', rest, rest.length);
      },
      onSettled: (client) => void this.#arriving.delete(client),
    });
    if (!arriving.isSettled) this.#arriving.add(arriving);
  }

  /** Ends everything at once. */
  close(): void {
    for (const client of this.#arriving) client.close();
    for (const { listener } of this.#routes.values()) listener?.close();
    for (const session of this.sessions) session.cut('shutdown');
    this.clock.close();
    for (const reach of this.#allReach) reach.close();
    this.farewells.close();
  }

  #adopt(topology: Topology): void {
    this.#topology = topology;
    this.#guideline =
      this.#guidelineInForce === null
        ? null
        : new ThreadGuideline(this.#guidelineInForce, topology, (problem) => this.#noteGuideline(problem));
    for (const reach of this.#allReach) reach.adopt(topology);
    for (const session of this.sessions) session.onTopology(topology);
    for (const reach of this.#allReach) reach.holdQueue.wakeAll();
  }

  #noteGuideline(problem: string): void {
    this.event('warn', 'guideline_not_evaluated', `What cannot be evaluated does not match: ${problem}`);
  }

  async #reload(config: DataConfig, routes: readonly BoundRoute[]): Promise<void> {
    this.#config = config;
    for (const reach of this.#allReach) reach.quarantine.configure(config.quarantine);
    const kept = new Set(routes.map((route) => route.name));
    for (const [name, route] of this.#routes) {
      if (kept.has(name)) continue;
      void route.listener?.closeWhenEmpty();
      this.#routes.delete(name);
    }
    for (const bound of routes) {
      const open = this.#routes.get(bound.name);
      if (open?.listener != null && isSameListener(open.state.bound, bound)) {
        open.state.bound = bound;
        this.#hasLimitedAge ||= bound.maxSessionAgeMs > 0;
        open.state.access = createAccess(bound);
        open.state.proxies = createNetworkSet(bound.proxyProtocol.from);
        this.#renewTls(open);
        open.listener.keepAliveAfter(config.limits.clientKeepAliveMs);
        this.#post({ kind: 'listening', route: bound.name, port: open.listener.port });
        continue;
      }
      open?.listener?.close();
      await this.open(bound);
    }
  }

  get #allReach(): readonly Reachability[] {
    return [this.reach.classic, this.reach.x];
  }

  /** The same material keeps what it has become: TLS sessions with members are resumed. */
  #renewTls(route: OpenRoute): void {
    const material = this.#tls.get(route.state.bound.name) ?? null;
    if (isDeepStrictEqual(material, route.material)) return;
    if (material === null && route.state.bound.tls.client.mode !== 'passthrough')
      throw new Error(`route ${route.state.bound.name} has no TLS material`);
    route.material = material;
    route.state.tls = material === null ? null : new RouteTls(material);
  }

  /** What is queued is accepted yet, and who has just connected through a proxy has a moment to say so. */
  async #stopAccepting(): Promise<void> {
    this.#stopped ??= Promise.all(
      [...this.#routes.values()].map(({ listener }) => listener?.closeWhenEmpty()),
    );
    await this.#stopped;
    const untilMs = performance.now() + ARRIVAL_GRACE_MS;
    while (this.#arriving.size > 0 && performance.now() < untilMs) await setTimeout(ARRIVAL_TICK_MS);
    for (const client of this.#arriving) client.close();
  }
}

/** The number of this thread in the kernel; 0 where that does not tell. */
function kernelThread(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')));
  } catch (error) {
    if (isErrno(error)) return 0;
    throw error;
  }
}

const ARRIVAL_TICK_MS = 10;
/** A proxy that has not sent its header by then may keep connections in store. */
const ARRIVAL_GRACE_MS = 1000;
const SESSION_IDS_PER_THREAD = 1e12;

type OpenRoute = {
  readonly state: RouteState;
  listener: Listener | null;
  /** What `state.tls` was made of. */
  material: RouteTlsMaterial | null;
};

function isSameListener(one: BoundRoute, other: BoundRoute): boolean {
  const isSameListen = one.listen.host === other.listen.host && one.listen.port === other.listen.port;
  return isSameListen && one.protocol === other.protocol;
}
