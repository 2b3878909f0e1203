/**
 * The router's own going: keep accepting for a while (load balancers are slow to notice), then close sessions at their
 * boundaries, spread over the time there is so that clients do not come back all at once, then close the rest.
 */
import type { Farewells } from './farewell.ts';
import type { OpenSession } from './thread-context.ts';

export type Drain = { readonly startedAtMs: number };

export type DrainPlan = {
  /** New sessions are accepted for this long. */
  readonly stopAcceptingAfterMs: number;
  /** Counted from the start; whoever is still there then is closed at once. */
  readonly timeoutMs: number;
};

export type DrainActions = {
  /** Resolves when nobody can come any more. */
  stopAccepting(): Promise<void>;
  onDrained(): void;
};

export function createDrain(
  sessions: ReadonlySet<OpenSession>,
  farewells: Farewells,
  plan: DrainPlan,
  actions: DrainActions,
): Drain {
  const startedAtMs = performance.now();
  const spreadMs = Math.max(0, (plan.timeoutMs - plan.stopAcceptingAfterMs) * SPREAD_SHARE);
  const settleMs = Math.min(MAX_SETTLE_MS, spreadMs * SETTLE_SHARE);
  const patienceMs = () => Math.max(0, startedAtMs + plan.timeoutMs - performance.now()) * PATIENCE_SHARE;
  let isAccepting = true;
  const endSessions = () => {
    isAccepting = false;
    // The oldest first: who has just come is about to ask something.
    const open = [...sessions];
    open.forEach((session, index) => {
      const afterMs = settleMs + ((spreadMs - settleMs) * index) / open.length;
      // What has come meanwhile is read first, and may be a command.
      const ask = () => session.endAtBoundary('shutdown', patienceMs());
      setTimeout(() => setImmediate(ask), afterMs);
    });
  };
  setTimeout(() => void actions.stopAccepting().then(endSessions), plan.stopAcceptingAfterMs);
  const watch = setInterval(() => {
    const elapsedMs = performance.now() - startedAtMs;
    if (elapsedMs >= plan.timeoutMs) for (const session of sessions) session.cut('shutdown');
    if (isAccepting || sessions.size > 0) return;
    // What sessions have sent last may still be on its way.
    if (farewells.size > 0 && elapsedMs < plan.timeoutMs + FAREWELL_MS) return;
    clearInterval(watch);
    actions.onDrained();
  }, TICK_MS);
  return { startedAtMs };
}

/** Idle sessions are asked to end within this share of the time; the rest is left to those in a transaction. */
const SPREAD_SHARE = 0.5;
/** Nobody is asked before this share of that time: who has come in the last moment gets to log in and ask something. */
const SETTLE_SHARE = 0.3;
const MAX_SETTLE_MS = 1000;
/** Of what is left when a session is asked: so long its client may take to pause, the rest is for those who never do. */
const PATIENCE_SHARE = 0.5;
const TICK_MS = 20;
/** What a farewell usually takes at most. */
const FAREWELL_MS = 1000;
