/**
 * A router that runs on this machine, found through its admin server and spoken to by signals.
 *
 * The admin server has no password, so it cannot be the one to take orders: whoever reaches it could stop the router.
 * It tells which process it is; the order is a signal, and whom that may be sent to is the kernel's to judge: the
 * router's own user, or root.
 */
import { z } from 'zod';
import type { Listen } from '../config/config.ts';
import { isErrno } from '../shared/errno.ts';
import { fetchText } from './admin-client.ts';
import { identityOf, isRouter } from './process-identity.ts';

export type RunningRouter = {
  readonly pid: number;
  readonly identity: string;
  readonly isReady: boolean;
  /** Addresses of the routes it listens on now, with the ports they really have. */
  readonly listens: readonly Listen[];
  /** Sessions open through all routes, those included that wait for a member. */
  readonly openSessions: number;
  /** Null while it does not drain. */
  readonly drain: { readonly endsAtMs: number } | null;
  /** How it is asked to hand over to another process; undefined when its version cannot. */
  readonly handOverSignal: 'SIGUSR2' | undefined;
};

/** A router that answers but cannot be spoken to from here; the message says why and what helps. */
export class OutOfReachError extends Error {
  override readonly name = 'OutOfReachError';
}

/**
 * Asks the admin server who it is, and makes sure that this is a process of this machine that signals may be sent to.
 *
 * @throws what `fetch` throws when nothing answers, SyntaxError or ZodError when something else does, OutOfReachError
 */
export async function findRouter(admin: URL): Promise<RunningRouter> {
  const { body } = await fetchText(new URL('/api/v1/status', admin));
  const status = statusSchema.parse(JSON.parse(body));
  const { pid, identity, handOverSignal } = status.process;
  if (identity === null || identityOf(pid) !== identity || !isRouter(pid)) {
    throw new OutOfReachError(
      `the router at ${admin.host} is process ${pid}, but not of this machine or container, or not of this user: run the command where the router runs, as the same user or root, or send it SIGTERM there`,
    );
  }
  return {
    pid,
    identity,
    isReady: status.isReady,
    listens: status.routes
      .filter((route) => route.isListening)
      .map(({ listen, port }) => ({ host: listen.host, port: port ?? listen.port })),
    openSessions: status.routes.reduce((sum, route) => sum + route.sessions.open, 0),
    drain: status.drain,
    handOverSignal,
  };
}

/** @throws OutOfReachError when this user may not */
export function signalRouter({ pid, identity }: RunningRouter, signal: NodeJS.Signals): void {
  // It may have ended since, and another have got its number.
  if (identityOf(pid) !== identity) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error)) throw error;
    if (error.code === 'ESRCH') return;
    throw new OutOfReachError(
      `no signal may be sent to process ${pid}: ${error.message}; be its user or root`,
    );
  }
}

/** Whether the process is still there. */
export function isRunning({ pid, identity }: RunningRouter): boolean {
  return identityOf(pid) === identity;
}

const statusSchema = z.looseObject({
  isReady: z.boolean(),
  process: z.looseObject({
    pid: z.int().positive(),
    identity: z.string().nullable(),
    handOverSignal: z.literal('SIGUSR2').optional(),
  }),
  drain: z.looseObject({ endsAtMs: z.number() }).nullable(),
  routes: z.array(
    z.looseObject({
      listen: z.object({ host: z.string(), port: z.number() }),
      port: z.number().nullable(),
      isListening: z.boolean(),
      sessions: z.looseObject({ open: z.number() }),
    }),
  ),
});
