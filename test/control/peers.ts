/** Things that are no MySQL server, and ends of control planes under test. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { decide } from '../../routing/decision.ts';
import { EMPTY_TOPOLOGY, type Topology } from '../../routing/topology.ts';
import {
  type ControlConfig,
  type ControlPlane,
  createControlPlane,
} from '../../src/control/control-plane.ts';
import type { NameResolver } from '../../src/control/resolver.ts';
import { waitFor } from '../../src/sandbox/index.ts';
import { createEventLog, type RouterEvent } from '../../src/shared/events.ts';

export type FakePeer = { readonly port: number; readonly connections: () => number; close(): void };

/** Listens on loopback and lets `greet` do with each connection what it likes. */
export async function startFakePeer(greet: (socket: Socket) => void): Promise<FakePeer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The router may reset the connection; that is its right.
    socket.on('error', () => socket.destroy());
    greet(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    connections: () => connections,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A packet with sequence id 0. */
export function packet(payload: string | Buffer): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([header, body]);
}

export type PlaneUnderTest = {
  readonly plane: ControlPlane;
  readonly published: Topology[];
  /** When the newest topology was published. */
  readonly publishedAtMs: () => number;
  /** How often it has been decided. */
  readonly decisions: () => number;
  /** How often the data plane was told that what it has been told still stands. */
  readonly confirmations: () => number;
  /** The log, one JSON text a line. */
  readonly lines: readonly string[];
  until(what: string, condition: (topology: Topology) => boolean, timeoutMs?: number): Promise<Topology>;
  untilEvent(kind: string, text?: RegExp): Promise<RouterEvent>;
};

export type PlaneFacts = {
  readonly seeds: readonly (readonly [host: string, port: number])[];
  readonly user?: string;
  readonly password?: string;
  readonly topology?: ControlConfig['cluster']['topology'];
  readonly probe?: Partial<ControlConfig['probe']>;
  readonly metadata?: Partial<ControlConfig['metadata']>;
  readonly guidelines?: Partial<ControlConfig['guidelines']>;
  readonly resolver?: NameResolver;
  readonly reads?: Partial<ControlConfig['reads']>;
};

export function controlConfig(facts: PlaneFacts): ControlConfig {
  return {
    cluster: {
      topology: facts.topology ?? 'auto',
      seeds: facts.seeds.map(([host, port]) => ({ kind: 'address', host, port })),
      stateFile: null,
      auroraDomain: '',
      galeraFailback: 'settled',
      user: facts.user ?? 'router',
      password: facts.password ?? 'router-secret',
      tls: { mode: 'as-needed', verify: 'disabled', caFile: null, certFile: null, keyFile: null },
    },
    dns: { servers: [], timeoutMs: 1000, minTtlMs: 1000, maxTtlMs: 30_000, srvIntervalMs: 5000 },
    probe: {
      intervalMs: 250,
      doubtIntervalMs: 100,
      timeoutMs: 1000,
      confirmationTtlMs: 5000,
      ...facts.probe,
    },
    guidelines: {
      file: null,
      fromMetadata: false,
      localCluster: '',
      watchIntervalMs: 0,
      ...facts.guidelines,
    },
    drain: { graceMs: 10_000, delayMs: 0, timeoutMs: 25_000 },
    metadata: {
      intervalMs: 1000,
      readOnlyTargets: null,
      targetCluster: null,
      invalidatedClusterPolicy: null,
      useReplicaPrimaryAsRw: null,
      register: false,
      routerAddress: null,
      routerName: '',
      ...facts.metadata,
    },
    routes: [{ listen: { host: '127.0.0.1', port: 6446 }, protocol: 'classic', role: 'primary' }],
    reads: {
      maxLagMs: 0,
      maxQueue: 0,
      whenAllBehind: 'use',
      zone: '',
      zones: new Map(),
      weights: new Map(),
      ...facts.reads,
    },
    quorumLoss: 'auto',
    closeRoOnPromotion: false,
  };
}

export function startPlane(facts: PlaneFacts): PlaneUnderTest {
  const lines: string[] = [];
  const log = createEventLog(pino({ level: 'debug' }, { write: (line) => lines.push(line) }), 10_000);
  const published: Topology[] = [];
  let publishedAtMs = 0;
  let decisions = 0;
  let confirmations = 0;
  const plane = createControlPlane({
    config: controlConfig(facts),
    ...(facts.resolver === undefined ? {} : { resolver: facts.resolver }),
    events: log,
    decide(input) {
      decisions++;
      return decide(input);
    },
    onDecided: () => confirmations++,
    publish(topology) {
      published.push(topology);
      publishedAtMs = performance.now();
    },
  });
  return {
    plane,
    lines,
    published,
    publishedAtMs: () => publishedAtMs,
    decisions: () => decisions,
    confirmations: () => confirmations,
    until: (what, condition, timeoutMs = 15_000) =>
      waitFor({ what, timeoutMs, intervalMs: 5 }, async () => {
        const topology = published.at(-1) ?? EMPTY_TOPOLOGY;
        return condition(topology) ? topology : undefined;
      }),
    untilEvent: (kind, text = /./) =>
      waitFor({ what: `event ${kind} ${text}`, timeoutMs: 15_000, intervalMs: 5 }, async () =>
        log.recent(10_000).find((event) => event.kind === kind && text.test(event.message)),
      ),
  };
}
