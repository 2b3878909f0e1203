/** What every proxy and every piece of work is given: the sandbox, the cluster, and ways to start programs in it. */
import { join } from 'node:path';
import { ACCOUNTS, type Command, type Sandbox, SandboxError, waitFor } from '../src/sandbox/index.ts';
import { type ManagedProcess, readLogTail, startProcess } from '../src/sandbox/managed-process.ts';
import type { Cluster } from './cluster.ts';

export type Bench = {
  readonly sandbox: Sandbox;
  readonly cluster: Cluster;
  /** How many file descriptors each program may have. */
  readonly descriptors: number;
  /** Where Fairlead is to leave processor profiles, one for each thread; `undefined` for no profiles. */
  readonly profileDirectory: string | undefined;
};

/** Something clients can connect to. */
export type Target = {
  /** The port, on 127.0.0.1, that leads to the primary. */
  readonly port: number;
  /** `undefined` where there is no proxy. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
};

/** Starts a program of ours so that it ends when the sandbox does. */
export function startProgram(sandbox: Sandbox, name: string, command: Command): Promise<ManagedProcess> {
  return startProcess({
    command,
    logPath: join(sandbox.directory, `${name}.log`),
    // By this mark the sandbox's watchdog knows what belongs to it.
    mark: { FAIRLEAD_SANDBOX: sandbox.directory },
    cwd: sandbox.directory,
  });
}

/** Until an application can log in through `port`. */
export async function waitUntilRouting(
  cluster: Cluster,
  program: ManagedProcess,
  port: number,
): Promise<void> {
  const what = `process ${program.pid} to route on ${port}`;
  await waitFor({ what, timeoutMs: ROUTING_TIMEOUT_MS }, async () => {
    const ended = program.exitReason();
    if (ended !== undefined) throw new SandboxError(`${ended}: ${await readLogTail(program.logPath)}`);
    const connection = await cluster.primary.connect({ port, ...ACCOUNTS.app });
    await connection.end();
    return true;
  });
}

const ROUTING_TIMEOUT_MS = 20_000;
