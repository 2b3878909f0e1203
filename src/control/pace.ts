/**
 * When to try again: doubling waits with some randomness, so that many routers do not meet at a server that returns.
 */
export type Backoff = {
  /** The next wait; each is twice the one before, up to the limit. */
  nextMs(): number;
  reset(): void;
};

export type BackoffLimits = { readonly firstMs: number; readonly maxMs: number };

/** @param random 0 to 1, as Math.random */
export function createBackoff(limits: BackoffLimits, random: () => number): Backoff {
  let failures = 0;
  return {
    nextMs() {
      const waitMs = Math.min(limits.firstMs * 2 ** failures, limits.maxMs);
      failures = Math.min(failures + 1, MAX_DOUBLINGS);
      return withJitter(waitMs, random);
    },
    reset() {
      failures = 0;
    },
  };
}

/** Up to a fifth more or less. */
export function withJitter(ms: number, random: () => number): number {
  return ms * (0.8 + 0.4 * random());
}

/** Up to a fifth less: never later than what was promised. */
export function beforeExpiry(ms: number, random: () => number): number {
  return ms * (0.8 + 0.2 * random());
}

const MAX_DOUBLINGS = 30;
