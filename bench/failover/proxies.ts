/** What stands between clients and group, each as its makers have it set up for this. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { stringify } from 'yaml';
import {
  ACCOUNTS,
  type Group,
  type Pod,
  type Sandbox,
  SandboxError,
  waitFor,
} from '../../src/sandbox/index.ts';
import { readLogTail, startProcess } from '../../src/sandbox/managed-process.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import type { LoadAddress } from './load.ts';

export const PROXY_NAMES = ['fairlead', 'mysqlrouter', 'haproxy'] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

export type Contender = {
  readonly name: ProxyName;
  readonly address: LoadAddress;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
  /** Again, after it was killed; returns when it listens. */
  start(): Promise<void>;
};

export type ContenderKind = {
  readonly name: ProxyName;
  readonly title: string;
  start(sandbox: Sandbox, group: Group, pod: Pod): Promise<Contender>;
};

export const PROXIES: readonly ContenderKind[] = [
  { name: 'fairlead', title: 'Fairlead', start: startFairlead },
  {
    name: 'mysqlrouter',
    title: 'MySQL Router',
    start: async (sandbox, group, pod) => {
      const { address } = await group.primary();
      const peer = await sandbox.startBootstrappedRouter({ member: address, place: pod });
      const { rw, ro } = peer.ports;
      return {
        name: 'mysqlrouter',
        address: { host: peer.host, rw, ro },
        kill: peer.kill,
        start: peer.start,
      };
    },
  },
  {
    name: 'haproxy',
    title: 'HAProxy',
    start: async (sandbox, group, pod) => {
      const members = group.members.map(({ address }) => address);
      const peer = await sandbox.startCheckedHaproxy({ members, place: pod });
      await waitUntilRouting({ host: peer.host, ...peer.ports });
      return {
        name: 'haproxy',
        address: { host: peer.host, ...peer.ports },
        kill: peer.kill,
        start: peer.start,
      };
    },
  },
];

/** With its defaults: only addresses are told, and the account it asks with. */
async function startFairlead(sandbox: Sandbox, group: Group, pod: Pod): Promise<Contender> {
  const address = { host: pod.host, rw: 6446, ro: 6447 };
  const configuration = join(sandbox.directory, 'fairlead.yaml');
  await writeFile(
    configuration,
    stringify({
      cluster: { seeds: group.members.map((member) => member.address), ...ACCOUNTS.router },
      routes: [
        { name: 'rw', listen: `${pod.host}:${address.rw}`, role: 'primary' },
        { name: 'ro', listen: `${pod.host}:${address.ro}`, role: 'secondary' },
      ],
      admin: { listen: `${pod.host}:8404` },
    }),
  );
  const start = async () => {
    const program = await startProcess({
      command: pod.within({
        file: process.execPath,
        args: [MAIN, 'run', '--config', configuration],
        env: inheritedEnvironment(),
      }),
      logPath: join(sandbox.directory, 'fairlead.log'),
      mark: { FAIRLEAD_SANDBOX: sandbox.directory },
      cwd: sandbox.directory,
    });
    await waitFor({ what: 'Fairlead to listen', timeoutMs: START_TIMEOUT_MS, intervalMs: 20 }, async () => {
      const ended = program.exitReason();
      if (ended !== undefined) throw new SandboxError(`${ended}: ${await readLogTail(program.logPath)}`);
      return (await fetch(`http://${pod.host}:8404/livez`)).ok ? true : undefined;
    });
    return program;
  };
  let program = await start();
  await waitUntilRouting(address);
  return {
    name: 'fairlead',
    address,
    kill: async () => {
      program.signal('SIGKILL');
      await program.waitForExit(START_TIMEOUT_MS);
    },
    start: async () => {
      program = await start();
    },
  };
}

/** Until an application can log in on both ports. */
async function waitUntilRouting({ host, rw, ro }: LoadAddress): Promise<void> {
  for (const port of [rw, ro]) {
    await waitFor({ what: `a route on ${host}:${port}`, timeoutMs: START_TIMEOUT_MS }, async () => {
      const connection = await createConnection({ host, port, ...ACCOUNTS.app, connectTimeout: 2000 });
      await connection.end();
      return true;
    });
  }
}

/** Built, as it is shipped: main.ts of this bench sees to that. */
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'src', 'main.js');
const START_TIMEOUT_MS = 60_000;
