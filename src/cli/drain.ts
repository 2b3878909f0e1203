/**
 * `fairlead drain`: has the router of this machine stop in order, shows how many sessions are left, and says how it went.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describeFailure } from './admin-client.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import {
  findRouter,
  isRunning,
  OutOfReachError,
  type RunningRouter,
  signalRouter,
} from './running-router.ts';
import type { Terminal } from './terminal.ts';

export type DrainOptions = {
  readonly admin: URL;
  /** Stay until the router has ended. */
  readonly wait: boolean;
};

export async function drain({ admin, wait }: DrainOptions, terminal: Terminal): Promise<ExitCode> {
  try {
    const router = await findRouter(admin);
    // A second SIGTERM would end its drain at once.
    if (router.drain === null) signalRouter(router, 'SIGTERM');
    terminal.writeOut(`${admin.host}: draining process ${router.pid}\n`);
    return wait ? await follow(admin, router, terminal) : EXIT.ok;
  } catch (error) {
    const message = error instanceof OutOfReachError ? error.message : describeFailure(admin, error);
    terminal.writeError(`fairlead: ${message}\n`);
    return EXIT.failure;
  }
}

/** Tells how many sessions are left whenever that has changed, until the process is gone. */
async function follow(admin: URL, router: RunningRouter, terminal: Terminal): Promise<ExitCode> {
  let open = router.openSessions;
  let told = -1;
  let endsAtMs = Number.POSITIVE_INFINITY;
  /** The last count from before the deadline: what was open then was closed by it. */
  let openInTime = open;
  while (isRunning(router)) {
    const now = await look(admin, router);
    open = now?.openSessions ?? open;
    endsAtMs = now?.drain?.endsAtMs ?? endsAtMs;
    if (Date.now() < endsAtMs) openInTime = open;
    if (open !== told) terminal.writeOut(`${admin.host}: ${sessions(open)} left\n`);
    told = open;
    if (Date.now() > endsAtMs + OVERDUE_MS) {
      terminal.writeError(`fairlead: process ${router.pid} has not ended, although drain.timeout is over\n`);
      return EXIT.failure;
    }
    await delay(LOOK_AGAIN_MS);
  }
  const wasCut = openInTime > 0 && Date.now() > endsAtMs;
  terminal.writeOut(
    wasCut
      ? `${admin.host}: stopped; ${sessions(openInTime)} had not ended at drain.timeout and closed then\n`
      : `${admin.host}: stopped, all sessions have ended\n`,
  );
  return wasCut ? EXIT.cutShort : EXIT.ok;
}

/** Null when it no longer answers, or another process does in its place. */
async function look(admin: URL, router: RunningRouter): Promise<RunningRouter | null> {
  try {
    const now = await findRouter(admin);
    return now.identity === router.identity ? now : null;
  } catch (error) {
    // Between the end of its admin server and its own there is nobody to ask; whether it runs is asked elsewhere.
    if (error instanceof Error) return null;
    throw error;
  }
}

function sessions(count: number): string {
  return count === 1 ? '1 session' : `${count} sessions`;
}

const LOOK_AGAIN_MS = 100;
/** Ending takes a moment: farewells, threads, the admin server. */
const OVERDUE_MS = 10_000;
