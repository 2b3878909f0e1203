/**
 * A router in a picture: sources for the admin server whose facts a test sets, and an HTTP client for it.
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import type { Member, Topology } from '../../routing/topology.ts';
import { EMPTY_TOPOLOGY } from '../../routing/topology.ts';
import { type AdminServer, createAdminServer } from '../../src/admin/server.ts';
import type { AdminSources, RouteFacts } from '../../src/admin/sources.ts';
import { createCounterMemory } from '../../src/shared/counters.ts';
import { createEventLog, type EventLog } from '../../src/shared/events.ts';

/** Sources that a test changes while the server runs. */
export type Facts = { -readonly [Key in keyof AdminSources]: AdminSources[Key] };

export const START_MS = Date.UTC(2025, 10, 21, 3, 0, 0);

export function member(address: string, facts: Partial<Member> = {}): Member {
  return {
    id: `00000000-0000-0000-0000-${address.replace(/\D/g, '').padStart(12, '0').slice(-12)}`,
    address,
    dial: { host: '127.0.0.1', port: 3306 },
    x: { dial: { host: '127.0.0.1', port: 33060 }, greets: true },
    role: 'SECONDARY',
    state: 'ONLINE',
    acceptsWrites: false,
    acceptsReads: true,
    primarySessions: 'keep',
    secondarySessions: 'keep',
    version: '9.7.0',
    reason: '',
    slot: 0,
    ...facts,
  };
}

/** A healthy group of three. */
export function healthyTopology(): Topology {
  return {
    version: 7,
    groupName: '5f0f2a3e-0000-4000-8000-000000000001',
    mode: 'single-primary',
    hasQuorum: true,
    primary: 'db-1:3306',
    alarms: [],
    members: [
      member('db-1:3306', { role: 'PRIMARY', acceptsWrites: true, slot: 0 }),
      member('db-2:3306', { slot: 1 }),
      member('db-3:3306', { slot: 2 }),
    ],
  };
}

export function route(name: string, facts: Partial<RouteFacts> = {}): RouteFacts {
  return {
    name,
    listen: { host: '127.0.0.1', port: 6446 },
    protocol: 'classic',
    role: 'primary',
    strategy: 'first-available',
    maxConnections: 0,
    maxSessionAgeMs: 0,
    index: 0,
    port: 6446,
    isListening: true,
    problem: '',
    ...facts,
  };
}

export function rwAndRo(): readonly RouteFacts[] {
  return [
    route('rw'),
    route('ro', {
      listen: { host: '127.0.0.1', port: 6447 },
      role: 'secondary',
      strategy: 'round-robin-with-fallback',
      index: 1,
      port: 6447,
    }),
  ];
}

export function facts(changes: Partial<Facts> = {}): Facts {
  const threads = changes.threads ?? 2;
  return {
    version: '0.1.0',
    startedAtMs: START_MS,
    process: { pid: 7, identity: 'f'.repeat(32), handOverSignal: 'SIGUSR2' },
    threads,
    counters: createCounterMemory(threads),
    readinessRule: 'any',
    topology: healthyTopology,
    routes: rwAndRo,
    isOutOfReach: () => false,
    threadsAlive: () => threads,
    threadPulses: () => Array.from({ length: threads }, () => 'beating' as const),
    isDraining: () => false,
    drain: () => null,
    listSessions: () => Promise.resolve([]),
    limits: () => ({ maxConnections: 0, maxConnectionsPerClient: 0, maxHeldSessions: 1000 }),
    configReloads: () => ({ accepted: 0, rejected: 0, lastAcceptedAtMs: START_MS }),
    eventsByLevel: () => ({ debug: 0, info: 0, warn: 0, error: 0 }),
    ...changes,
  };
}

export const noTopology = (): Topology => EMPTY_TOPOLOGY;

export const silentLog = pino({ level: 'silent' });

export function eventLog(): EventLog {
  return createEventLog(silentLog, 100, () => START_MS);
}

/** Starts the server on a free port; the test closes it. */
export async function startAdmin(sources: AdminSources, events = eventLog()): Promise<AdminServer> {
  return createAdminServer({ listen: { host: '127.0.0.1', port: 0 }, log: silentLog, events, sources });
}

export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** One request on a connection of its own. */
export function ask(
  server: AdminServer,
  path: string,
  options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const { host, port } = server.address();
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host, port, path, agent: false, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
}

/** Sends bytes as they are and returns all that comes back until the server closes. */
export function askRaw(server: AdminServer, bytes: string): Promise<string> {
  const { host, port } = server.address();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(bytes));
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      answer += text;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The server may reset a connection whose request it did not read to the end.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });
}
