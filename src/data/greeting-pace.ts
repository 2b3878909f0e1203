/**
 * How long servers usually take from the dial to their initial handshake, measured, so that a hung one is recognised
 * early without disturbing a merely busy one.
 */

export type GreetingPace = {
  /** A server greeted after `ms`. */
  observe(ms: number): void;
  /** After this long without an initial handshake, another candidate is worth a try. */
  patienceMs(): number;
};

export function createGreetingPace(): GreetingPace {
  let averageMs = 5;
  let deviationMs = 5;
  return {
    observe(ms) {
      const off = ms - averageMs;
      averageMs += off * GAIN;
      deviationMs += (Math.abs(off) - deviationMs) * GAIN;
    },
    // The rule TCP uses for its retransmission timer: the average plus four deviations (RFC 6298).
    patienceMs: () => Math.min(MAX_PATIENCE_MS, Math.max(MIN_PATIENCE_MS, averageMs + 4 * deviationMs)),
  };
}

const GAIN = 1 / 16;
const MIN_PATIENCE_MS = 100;
const MAX_PATIENCE_MS = 1000;
