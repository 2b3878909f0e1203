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

export type DrainActions = { stopAccepting(): void; onDrained(): void };

export function createDrain(
  sessions: ReadonlySet<OpenSession>,
  farewells: Farewells,
  plan: DrainPlan,
  actions: DrainActions,
): Drain {
  const startedAtMs = performance.now();
  const spreadMs = Math.max(0, (plan.timeoutMs - plan.stopAcceptingAfterMs) * SPREAD_SHARE);
  setTimeout(() => {
    actions.stopAccepting();
    const open = [...sessions];
    open.forEach((session, index) => {
      setTimeout(() => session.endAtBoundary('shutdown'), (spreadMs * index) / open.length);
    });
  }, plan.stopAcceptingAfterMs);
  const watch = setInterval(() => {
    const elapsedMs = performance.now() - startedAtMs;
    if (elapsedMs >= plan.timeoutMs) for (const session of sessions) session.cut('shutdown');
    if (elapsedMs < plan.stopAcceptingAfterMs || sessions.size > 0) return;
    // What sessions have sent last may still be on its way.
    if (farewells.size > 0 && elapsedMs < plan.timeoutMs + FAREWELL_MS) return;
    clearInterval(watch);
    actions.onDrained();
  }, TICK_MS);
  return { startedAtMs };
}

/** Idle sessions are asked to end within this share of the time; the rest is left to those in a transaction. */
const SPREAD_SHARE = 0.5;
const TICK_MS = 20;
/** What a farewell usually takes at most. */
const FAREWELL_MS = 1000;
