/** When to ask again: how far apart probes are while something is in doubt, and how waits grow while nobody answers. */

/** How close together members are asked. */
export type Pace = {
  /** Between two probes of a member. */
  readonly intervalMs: number;
  /** Whether metadata is read more often, too. */
  readonly isMetadataHurried: boolean;
};

export type DoubtPace = {
  /**
   * To be told of each decision.
   *
   * @param isNews whether it differs from the one before
   */
  after(isInDoubt: boolean, isNews: boolean, nowMs: number): Pace;
};

export type DoubtIntervals = {
  readonly intervalMs: number;
  readonly doubtIntervalMs: number;
  /** See below. */
  readonly hurryGapMs: number;
};

/**
 * How long there is between two probes of a member, however great the hurry. With many members each is asked less often,
 * so that all of them together do not keep a CPU busy; a signal is still followed by an answer within 50 ms with 100.
 */
export function hurryGapMs(members: number): number {
  return Math.max(MIN_HURRY_GAP_MS, members * HURRY_GAP_PER_MEMBER_MS);
}

/**
 * Probes are closest together in the first seconds of doubt and after each piece of news while it lasts: an election
 * takes longer than those seconds, but a member that is seen unreachable, or promoted and still read-only, announces the
 * next step. They settle down when doubt lasts.
 */
export function createDoubtPace(intervals: () => DoubtIntervals): DoubtPace {
  let doubtSinceMs: number | null = null;
  let newsAtMs = 0;
  return {
    after(isInDoubt, isNews, nowMs) {
      const { intervalMs, doubtIntervalMs, hurryGapMs: leastMs } = intervals();
      if (!isInDoubt) {
        doubtSinceMs = null;
        return { intervalMs, isMetadataHurried: false };
      }
      if (isNews || doubtSinceMs === null) newsAtMs = nowMs;
      doubtSinceMs ??= nowMs;
      // Members that change every moment are not asked ever faster for as long as they do.
      if (nowMs - doubtSinceMs >= DOUBT_MS) return { intervalMs, isMetadataHurried: false };
      const eagerIntervalMs = Math.min(doubtIntervalMs, Math.max(leastMs, doubtIntervalMs / 4));
      const isEager = nowMs - newsAtMs < EAGER_MS;
      return { intervalMs: isEager ? eagerIntervalMs : doubtIntervalMs, isMetadataHurried: true };
    },
  };
}

/** Doubling waits with some randomness, so that many routers do not meet at a server that returns. */
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

/** A wait with randomness that stays the same for some times, so that its timer can be set again and need not be made anew. */
export type SteadyJitter = {
  /** @returns whole milliseconds, up to a fifth more or less than `ms` */
  of(ms: number): number;
};

export function createSteadyJitter(random: () => number): SteadyJitter {
  let drawnFor = Number.NaN;
  let waitMs = 0;
  let uses = 0;
  return {
    of(ms) {
      if (ms !== drawnFor || uses === DRAWN_USES) {
        drawnFor = ms;
        waitMs = Math.round(withJitter(ms, random));
        uses = 0;
      }
      uses++;
      return waitMs;
    },
  };
}

/** Up to a fifth less: never later than what was promised. */
export function beforeExpiry(ms: number, random: () => number): number {
  return ms * (0.8 + 0.2 * random());
}

const MAX_DOUBLINGS = 30;
const DRAWN_USES = 16;
const EAGER_MS = 5000;
const MIN_HURRY_GAP_MS = 20;
const HURRY_GAP_PER_MEMBER_MS = 0.5;
/** A cluster that has been in doubt for so long is waited for at the usual pace. */
const DOUBT_MS = 60_000;
