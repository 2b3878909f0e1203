/**
 * `fairlead run --takeover`: takes the place of a router that runs on the same ports, without a connect failing.
 *
 *   new: becomes able to route ── listens beside the old ── SIGUSR2 ──────────── takes the admin port
 *   old:                                                     └ gives up its admin port, accepts what is queued, drains
 *
 * Up to the signal the old router has noticed nothing: whatever fails before leaves it as it is.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Topology } from '../../routing/topology.ts';
import { judgeReadiness } from '../admin/readiness.ts';
import type { RouteFacts } from '../admin/sources.ts';
import type { Config, RouteConfig } from '../config/config.ts';
import { CAN_SHARE_PORTS } from '../data/listener.ts';
import { isErrno } from '../shared/errno.ts';
import { describeFailure } from './admin-client.ts';
import { urlOfListen } from './admin-url.ts';
import { HAND_OVER_SIGNAL, type Orders } from './orders.ts';
import {
  findRouter,
  isRunning,
  OutOfReachError,
  type RunningRouter,
  signalRouter,
} from './running-router.ts';

/** The router whose place is taken. */
export type Predecessor = RunningRouter;

/**
 * Null when there is none: the start is then like any other.
 *
 * @throws Error when something answers there whose place cannot be taken
 */
export async function findPredecessor(
  at: URL | 'admin.listen',
  { admin }: Pick<Config, 'admin'>,
): Promise<Predecessor | null> {
  if (!CAN_SHARE_PORTS)
    throw new Error('--takeover needs ports that two processes can share, as Linux has them');
  if (at === 'admin.listen' && admin.listen.port === 0)
    throw new Error(
      '--takeover finds the other router by its admin port: set admin.listen, or --takeover=<its address>',
    );
  const url = at === 'admin.listen' ? urlOfListen(admin.listen) : at;
  let found: RunningRouter;
  try {
    found = await findRouter(url);
  } catch (error) {
    if (isRefused(error)) return null;
    const why = error instanceof OutOfReachError ? error.message : describeFailure(url, error);
    throw new Error(`no place to take over: ${why}`);
  }
  if (found.handOverSignal === undefined)
    throw new Error(`the router at ${url.host} is of a version that cannot hand over: stop it first`);
  return found;
}

/**
 * Returns when this router is able to route, or is no worse than the other, which is not ready itself.
 *
 * @throws Error when neither comes true in time
 */
export async function untilAbleToRoute(
  predecessor: Predecessor,
  config: Config,
  topology: () => Topology,
  orders: Orders,
): Promise<void> {
  const routes = config.routes.map(asIfListening);
  const startedAtMs = performance.now();
  for (;;) {
    const waitedMs = performance.now() - startedAtMs;
    const readiness = judgeReadiness({
      readinessRule: config.readiness,
      topology,
      routes: () => routes,
      // It has no data threads yet that could have tried.
      isOutOfReach: () => false,
      threadPulses: () => ['beating'],
      isDraining: () => false,
    });
    if (readiness.routes.every((route) => route.canRoute)) return;
    // What its rule does not ask for may be away for long.
    if (readiness.isReady && waitedMs > READY_ENOUGH_AFTER_MS) return;
    if (!predecessor.isReady && waitedMs > NO_WORSE_AFTER_MS) return;
    if (orders.isStopAsked) throw new Error('stopped before it could take over');
    if (waitedMs > ABLE_DEADLINE_MS)
      throw new Error(
        `it did not become ready within ${ABLE_DEADLINE_MS / 1000} s (${readiness.summary}), but process ${predecessor.pid} is: that one goes on`,
      );
    await delay(LOOK_AGAIN_MS);
  }
}

/**
 * Has the predecessor accept nobody any more, and takes what it gives up.
 *
 * @param takeAdminPort throws the system's EADDRINUSE for as long as the other has it
 * @throws Error when the other does not give it up in time
 */
export async function replace<T>(predecessor: Predecessor, takeAdminPort: () => Promise<T>): Promise<T> {
  signalRouter(predecessor, HAND_OVER_SIGNAL);
  const startedAtMs = performance.now();
  for (;;) {
    try {
      return await takeAdminPort();
    } catch (error) {
      if (!isErrno(error) || error.code !== 'EADDRINUSE') throw error;
      if (performance.now() - startedAtMs < HAND_OVER_DEADLINE_MS) await delay(HAND_OVER_AGAIN_MS);
      else throw new Error(`${error.message}: ${whoHasIt(predecessor)}`);
    }
  }
}

function whoHasIt(predecessor: Predecessor): string {
  return isRunning(predecessor)
    ? `process ${predecessor.pid} was asked to hand over and has not let go of it`
    : 'the router that had it has ended, and something else has taken it';
}

/** A route as readiness sees it once this router listens. */
function asIfListening(route: RouteConfig, index: number): RouteFacts {
  return { ...route, index, port: route.listen.port, isListening: true, problem: '' };
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return isErrno(cause) && cause.code === 'ECONNREFUSED';
}

const LOOK_AGAIN_MS = 20;
const READY_ENOUGH_AFTER_MS = 3_000;
const NO_WORSE_AFTER_MS = 5_000;
const ABLE_DEADLINE_MS = 30_000;
const HAND_OVER_AGAIN_MS = 5;
const HAND_OVER_DEADLINE_MS = 15_000;
