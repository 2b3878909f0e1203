/**
 * How long to wait before a data thread that died is started again: not at all the first time, for nobody may be left to
 * serve its ports; ever longer when it dies again and again, so that a defect at every start does not become a spin.
 */
export type RestartDelay = {
  /** @returns milliseconds to wait */
  afterDeath(livedMs: number): number;
};

export function createRestartDelay(): RestartDelay {
  let earlyDeaths = 0;
  return {
    afterDeath(livedMs) {
      if (livedMs >= HEALTHY_AFTER_MS) earlyDeaths = 0;
      const delayMs = earlyDeaths === 0 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (earlyDeaths - 1));
      earlyDeaths++;
      return delayMs;
    },
  };
}

/** A thread that has lived so long was healthy: its end is like a first one. */
const HEALTHY_AFTER_MS = 10_000;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 16_000;
