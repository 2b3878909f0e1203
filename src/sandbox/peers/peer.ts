import { createConnection } from 'node:net';
import { type ManagedProcess, readLogTail } from '../managed-process.ts';
import { codeOf, SandboxError, type SandboxLog } from '../outcome.ts';
import { waitFor } from '../wait.ts';
import type { RunDirectory } from '../watchdog.ts';

/** What every peer needs to start. */
export type PeerContext = {
  readonly run: RunDirectory;
  readonly log: SandboxLog;
  /** An empty folder for its configuration and log. */
  readonly directory: string;
};

/** Another program that stands where Fairlead stands, to compare with. Port names are `P`; all are on 127.0.0.1. */
export type Peer<P extends string> = {
  readonly pid: number;
  readonly ports: Readonly<Record<P, number>>;
  readonly logPath: string;
  /** SIGTERM, then SIGKILL after ten seconds. */
  stop(): Promise<void>;
};

/** Waits until every port takes connections; the peer must be started. */
export async function createPeer<P extends string>(
  name: string,
  process: ManagedProcess,
  ports: Readonly<Record<P, number>>,
): Promise<Peer<P>> {
  for (const port of Object.values<number>(ports)) {
    await waitFor({ what: `${name} to listen on ${port}`, timeoutMs: LISTEN_TIMEOUT_MS }, async () => {
      const ended = process.exitReason();
      if (ended !== undefined) {
        throw new SandboxError(`${name} ended (${ended}):\n${await readLogTail(process.logPath)}`);
      }
      return (await canConnect(port)) ? true : undefined;
    });
  }
  return {
    pid: process.pid,
    ports,
    logPath: process.logPath,
    stop: async () => {
      process.signal('SIGTERM');
      await process.waitForExit(STOP_TIMEOUT_MS);
    },
  };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port });
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
