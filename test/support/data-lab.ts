/** One data thread within the test's own process, scripted servers behind it, and what an operator would see of it. */
import { readdirSync, readlinkSync } from 'node:fs';
import pino from 'pino';
import type { Member, Topology } from '../../routing/topology.ts';
import { type DataThread, startDataThread } from '../../src/data/data-thread.ts';
import { TlsMaterialStore } from '../../src/data/tls/material-store.ts';
import {
  createCounterMemory,
  DIAL_RESULTS,
  type DialResult,
  END_REASONS,
  type EndReason,
  HEADER,
  MAX_MEMBER_SLOTS,
  MAX_ROUTES,
  MEMBER,
  memberOffset,
  REFUSAL_REASONS,
  type RefusalReason,
  ROUTE,
  ROUTE_GAUGES,
  routeOffset,
  sharedHeader,
  sumCells,
  THREAD,
} from '../../src/shared/counters.ts';
import { createEventLog } from '../../src/shared/events.ts';
import type { GuidelineInForce } from '../../src/shared/guideline.ts';
import type { FromDataThread, ThreadEvent } from '../../src/shared/messages.ts';
import { configOf } from '../config/sources.ts';
import { memberNamed, topologyOf } from '../routing/members.ts';
import type { Scope } from './scope.ts';
import { ScriptedServer, type ServerScript } from './scripted-server.ts';
import { expectNoSecrets } from './secrets.ts';
import { until } from './until.ts';

const LAB_ROUTES = ['rw', 'ro', 'x-rw', 'x-ro'] as const;
export type LabRoute = (typeof LAB_ROUTES)[number];

export type LabOptions = {
  readonly mode?: 'fast' | 'portable';
  /** `relay.tracking`; default true. */
  readonly tracking?: boolean;
  /** More keys of the configuration, as YAML. */
  readonly config?: string;
  /** `maxConnections` of the routes to the primary. */
  readonly rwLimit?: number;
  /** More keys of routes `rw` and `ro`, as YAML: `clientSslMode: preferred`. */
  readonly routeKeys?: string;
  /** More routes, as YAML, one in each line; their counters are not told apart. */
  readonly routes?: string;
};

export class DataLab {
  readonly counters = createCounterMemory(1);
  readonly posted: FromDataThread[] = [];
  /** In the order they were started. */
  readonly servers: ScriptedServer[] = [];
  #thread: DataThread | null = null;
  tls: TlsMaterialStore | null = null;
  #version = 0;

  /** Starts the thread with routes `rw` and `ro`, and the same for X Protocol; all is closed, and must be back at zero, at the end of `t`. */
  static async start(t: Scope, options: LabOptions = {}): Promise<DataLab> {
    const lab = new DataLab();
    const config = labConfig(options);
    const store = await TlsMaterialStore.open(config, createEventLog(pino({ level: 'silent' }), 10), (tls) =>
      lab.thread.receive({ kind: 'tls', tls }),
    );
    lab.tls = store;
    const thread = await startDataThread(
      {
        threadIndex: 0,
        config,
        routes: config.routes.map((route, index) => ({ ...route, index })),
        topology: topologyOf([], { version: 0 }),
        counters: lab.counters,
        tls: store.materials,
        guideline: null,
      },
      (message) => lab.posted.push(message),
    );
    lab.#thread = thread;
    t.teardown(() => {
      thread.close();
      store.close();
      expectNoSecrets(JSON.stringify(lab.posted), 'what the data thread has said');
    });
    return lab;
  }

  get thread(): DataThread {
    if (this.#thread === null) throw new Error('the lab has been started');
    return this.#thread;
  }

  port(route = 'rw'): number {
    for (const message of this.posted) {
      if (message.kind === 'listening' && message.route === route) return message.port;
    }
    throw new Error(`route ${route} does not listen`);
  }

  publish(...members: readonly Member[]): Topology {
    this.#version++;
    const topology = topologyOf(members, { version: this.#version });
    this.thread.receive({ kind: 'topology', topology });
    return topology;
  }

  /** Another routing guideline, or none. */
  guide(guideline: GuidelineInForce | null): void {
    this.thread.receive({ kind: 'guideline', guideline });
  }

  /** Starts a server that is closed at the end of `t`. */
  async server(t: Scope, script: ServerScript, host?: string, port?: number): Promise<ScriptedServer> {
    const server = await ScriptedServer.start(script, host, port);
    t.teardown(() => server.close());
    this.servers.push(server);
    return server;
  }

  route(cell: keyof typeof ROUTE, route: LabRoute = 'rw'): number {
    return sumCells(this.counters, 1, routeOffset(LAB_ROUTES.indexOf(route)) + ROUTE[cell]);
  }

  threadCell(cell: keyof typeof THREAD): number {
    return sumCells(this.counters, 1, THREAD[cell]);
  }

  ended(reason: EndReason, route: LabRoute = 'rw'): number {
    const offset = routeOffset(LAB_ROUTES.indexOf(route)) + ROUTE.ended;
    return sumCells(this.counters, 1, offset + END_REASONS.indexOf(reason));
  }

  refused(reason: RefusalReason, route: LabRoute = 'rw'): number {
    const offset = routeOffset(LAB_ROUTES.indexOf(route)) + ROUTE.refused;
    return sumCells(this.counters, 1, offset + REFUSAL_REASONS.indexOf(reason));
  }

  dials(slot: number, result: DialResult, cell: 'dials' | 'xDials' = 'dials'): number {
    return sumCells(this.counters, 1, memberOffset(slot) + MEMBER[cell] + DIAL_RESULTS.indexOf(result));
  }

  events(kind: string): readonly ThreadEvent[] {
    return this.posted.flatMap((message) =>
      message.kind === 'event' && message.event.kind === kind ? [message.event] : [],
    );
  }

  signals(): readonly string[] {
    return this.posted.flatMap((message) => (message.kind === 'signal' ? [message.signal.kind] : []));
  }

  /** Everything that goes down again is down: sessions, holds, and what the limits count. */
  async settled(): Promise<void> {
    await until('all gauges to be 0', () => gaugesOf(this.counters, 1).length === 0).catch((error) => {
      throw new Error(`${error.message}: ${gaugesOf(this.counters, 1).join(', ')}`);
    });
  }
}

/** Gauges that are not 0, with their values; the numbers that limits hang on as well. */
export function gaugesOf(counters: SharedArrayBuffer, threads: number): readonly string[] {
  const found: string[] = [];
  const note = (name: string, value: number) => {
    if (value !== 0) found.push(`${name}=${value}`);
  };
  const header = sharedHeader(counters);
  note('openInAll', Atomics.load(header, HEADER.openInAll));
  note('heldInAll', Atomics.load(header, HEADER.heldInAll));
  for (let route = 0; route < MAX_ROUTES; route++) {
    note(`openOnRoute ${route}`, Atomics.load(header, HEADER.openOnRoute + route));
    for (const name of ROUTE_GAUGES)
      note(`${name} ${route}`, sumCells(counters, threads, routeOffset(route) + ROUTE[name]));
  }
  for (let slot = 0; slot < MAX_MEMBER_SLOTS; slot++) {
    note(`member ${slot}`, sumCells(counters, threads, memberOffset(slot) + MEMBER.sessionsOpen));
    note(`load ${slot}`, sumCells(counters, threads, memberOffset(slot) + MEMBER.load));
    note(`loadOnMember ${slot}`, Atomics.load(header, HEADER.loadOnMember + slot));
  }
  return found;
}

/** Sockets this process has open. */
export function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // The folder's own descriptor, closed since it was listed.
      return false;
    }
  }).length;
}

/** The primary, served by `server`. */
export function primaryAt(server: ScriptedServer, facts: Partial<Member> = {}): Member {
  return secondaryAt(server, { role: 'PRIMARY', acceptsWrites: true, ...facts });
}

export function secondaryAt(server: ScriptedServer, facts: Partial<Member> = {}): Member {
  return memberNamed(String(server.port), {
    address: `${server.host}:${server.port}`,
    dial: { host: server.host, port: server.port },
    slot: 0,
    ...facts,
  });
}

export function labConfig({
  mode = 'fast',
  tracking = true,
  config = '',
  rwLimit = 0,
  routeKeys = '',
  routes = '',
}: LabOptions) {
  return configOf({
    file: `
cluster: { seeds: [db], user: router }
routes:
  - { name: rw, listen: "127.0.0.1:0", role: primary, maxConnections: ${rwLimit}, ${routeKeys} }
  - { name: ro, listen: "127.0.0.1:0", role: secondary, ${routeKeys} }
  - { name: x-rw, listen: "127.0.0.1:0", role: primary, protocol: x, maxConnections: ${rwLimit} }
  - { name: x-ro, listen: "127.0.0.1:0", role: secondary, protocol: x }
${routes}
relay: { mode: ${mode}, tracking: ${tracking} }
${config}`,
  });
}
