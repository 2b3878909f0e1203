import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type ManagedProcess, readLogTail, startProcess } from '../managed-process.ts';
import { codeOf, SandboxError, type SandboxLog } from '../outcome.ts';
import type { Command } from '../run-command.ts';
import type { ServerPlace } from '../server.ts';
import { waitFor } from '../wait.ts';
import type { RunDirectory } from '../watchdog.ts';

/** What every peer needs to start. */
export type PeerContext = {
  readonly run: RunDirectory;
  readonly log: SandboxLog;
  /** Where it runs; default loopback. */
  readonly place?: ServerPlace;
  /** An empty folder for its configuration and log. */
  readonly directory: string;
};

/** Another program that stands where Fairlead stands, to compare with. Port names are `P`. */
export type Peer<P extends string> = {
  /** Where it listens: 127.0.0.1, or its place's address. */
  readonly host: string;
  readonly pid: number;
  readonly ports: Readonly<Record<P, number>>;
  readonly logPath: string;
  /** SIGTERM, then SIGKILL after ten seconds. */
  stop(): Promise<void>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
  /** Again, after it was ended; returns when it listens. */
  start(): Promise<void>;
};

export type PeerProgram<P extends string> = {
  readonly name: string;
  readonly command: Command;
  readonly ports: Readonly<Record<P, number>>;
};

/** Starts it and waits until every port takes connections. */
export async function createPeer<P extends string>(
  context: PeerContext,
  program: PeerProgram<P>,
): Promise<Peer<P>> {
  const host = context.place?.host ?? '127.0.0.1';
  let process = await startListening(context, program, host);
  return {
    host,
    get pid() {
      return process.pid;
    },
    ports: program.ports,
    logPath: process.logPath,
    stop: async () => {
      process.signal('SIGTERM');
      await process.waitForExit(STOP_TIMEOUT_MS);
    },
    kill: async () => {
      process.signal('SIGKILL');
      await process.waitForExit(STOP_TIMEOUT_MS);
    },
    start: async () => {
      process = await startListening(context, program, host);
    },
  };
}

async function startListening<P extends string>(
  context: PeerContext,
  { name, command, ports }: PeerProgram<P>,
  host: string,
): Promise<ManagedProcess> {
  const process = await startProcess({
    command: context.place?.within(command) ?? command,
    logPath: join(context.directory, `${name}.out`),
    mark: context.run.mark,
    cwd: context.directory,
  });
  for (const port of Object.values<number>(ports)) {
    await waitFor({ what: `${name} to listen on ${port}`, timeoutMs: LISTEN_TIMEOUT_MS }, async () => {
      const ended = process.exitReason();
      if (ended !== undefined) {
        throw new SandboxError(`${name} ended (${ended}):\n${await readLogTail(process.logPath)}`);
      }
      return (await canConnect(host, port)) ? true : undefined;
    });
  }
  return process;
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (codeOf(error) === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

const LISTEN_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
