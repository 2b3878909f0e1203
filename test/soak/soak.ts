/** Many clients of every kind at once for as long as asked, and what the router has kept of them afterwards. */
import { createSandbox, waitFor } from '../../src/sandbox/index.ts';
import { ask, errorName } from '../support/clients.ts';
import { footprintOf } from '../support/footprint.ts';
import { RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { TURNS, type Turn } from './clients.ts';

export type SoakOptions = { readonly seconds: number; readonly clientsOfEachKind: number };

export type SoakFindings = {
  readonly turns: number;
  /** What clients were told, or found wrong, by text. */
  readonly errors: ReadonlyMap<string, number>;
  /** Of the router once it was warm, and at the end, when everybody had left. KiB. */
  readonly residentKib: { readonly warm: number; readonly end: number };
  readonly descriptors: { readonly before: number; readonly end: number };
  /** Metrics that have to be 0 once everybody has left, and are not. */
  readonly leftBehind: readonly string[];
  /** Lines of its log at level warn or above. */
  readonly complaints: readonly string[];
};

export async function runSoak(scope: Scope, options: SoakOptions): Promise<SoakFindings> {
  const sandbox = await createSandbox({ log: scope.comment });
  scope.teardown(() => sandbox.close());
  const server = await sandbox.startServer({ variables: { max_allowed_packet: 64 * 1024 * 1024 } });
  const router = await RouterProcess.start(scope, sandbox, {
    seeds: [server.address],
    flags: ['--cluster-topology=async', '--threads=2'],
  });
  await router.untilServing(0);
  const { rw } = router.ports;
  await ask(rw, 'CREATE DATABASE IF NOT EXISTS app');
  await ask(rw, 'CREATE TABLE app.soak (id BIGINT, payload VARCHAR(100))');

  await round(rw, 1, performance.now() + WARM_UP_MS);
  await untilEverybodyLeft(router);
  const warm = await footprintOf(router.pid);
  const { turns, errors } = await round(
    rw,
    options.clientsOfEachKind,
    performance.now() + options.seconds * 1000,
  );
  await untilEverybodyLeft(router);
  const end = await footprintOf(router.pid);
  const findings = {
    turns,
    errors,
    residentKib: { warm: warm.rssKib, end: end.rssKib },
    descriptors: { before: warm.descriptors, end: end.descriptors },
    leftBehind: await leftBehind(router),
    complaints: router.output.split('\n').filter((line) => /"level":"(warn|error|fatal)"/.test(line)),
  };
  await router.stop();
  return findings;
}

type Round = { readonly turns: number; readonly errors: ReadonlyMap<string, number> };

async function round(port: number, clientsOfEachKind: number, untilMs: number): Promise<Round> {
  let turns = 0;
  const errors = new Map<string, number>();
  const client = async (name: string, turn: Turn) => {
    while (performance.now() < untilMs) {
      turns++;
      await turn(port, Math.random).catch((error: unknown) => {
        const told = `${name}: ${errorName(error)}`;
        errors.set(told, (errors.get(told) ?? 0) + 1);
      });
    }
  };
  const clients = Object.entries(TURNS).flatMap(([name, turn]) =>
    Array.from({ length: clientsOfEachKind }, () => client(name, turn)),
  );
  await Promise.all(clients);
  return { turns, errors };
}

async function untilEverybodyLeft(router: RouterProcess): Promise<void> {
  // The queues are measured once a second.
  await waitFor({ what: 'all sessions to end and queues to empty', timeoutMs: 30_000 }, async () =>
    (await router.metric('fairlead_sessions_open')) === 0 &&
    (await router.metric('fairlead_write_queue_bytes')) === 0
      ? true
      : undefined,
  );
}

async function leftBehind(router: RouterProcess): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [name, labels] of MUST_BE_ZERO) {
    const value = await router.metric(name, labels);
    if (value !== 0) found.push(`${name} ${JSON.stringify(labels)} ${value}`);
  }
  return found;
}

const MUST_BE_ZERO: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['fairlead_sessions_open', {}],
  ['fairlead_sessions_held', {}],
  ['fairlead_sessions_busy', {}],
  ['fairlead_sessions_in_transaction', {}],
  ['fairlead_sessions_opaque', {}],
  ['fairlead_member_sessions_open', {}],
  ['fairlead_write_queue_bytes', {}],
  ['fairlead_tracker_gave_up_total', {}],
  ['fairlead_accept_failures_total', {}],
  ['fairlead_sessions_ended_total', { reason: 'internal_error' }],
  ['fairlead_sessions_ended_total', { reason: 'protocol_error' }],
];
const WARM_UP_MS = 5000;
