/**
 * When to decide: what may change a role, when this turn of the event loop is over, once for all that it brought; what
 * members merely repeat, in time before anybody's word could lapse.
 */

/**
 * - `still`: everybody answers, nobody's word lapses for a while, and time alone changes nothing.
 * - `quiet`: everybody answers, and nobody's word is about to lapse.
 * - `unsettled`: somebody is silent or refuses commits: what was said last may lapse at any time.
 * - `in-doubt`: the next answer could change where writes go, even by saying again what was said before.
 */
export type Standing = 'still' | 'quiet' | 'unsettled' | 'in-doubt';

/**
 * `news` may change a role; `drift` is a lag that has moved, which may change who is preferred for reads; `routine` is what was
 * said before.
 */
export type Urgency = 'news' | 'drift' | 'routine';

export type DecisionScheduleOptions = {
  /** @param cause what the decision follows upon, for people */
  decide(cause: string): Standing;
  /** What `decide` has thrown. What was decided before stands until it lapses. */
  onDefect(error: unknown): void;
  /** Whether the standing is `still` yet, for all that is known without deciding. */
  isStill(): boolean;
  /** The process has stood still itself: what looks like everybody's silence is no news about the members, who are asked anew. */
  onStall(): void;
  /** Whether every member has been asked and heard, or has failed, since then. */
  hasHeardAllSince(ms: number): boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

export class DecisionSchedule {
  readonly #options: DecisionScheduleOptions;
  #standing: Standing = 'in-doubt';
  #decidedAtMs = Number.NEGATIVE_INFINITY;
  #cause: string | null = null;
  #endOfTurn: NodeJS.Immediate | null = null;
  #endOfBatch: NodeJS.Timeout | null = null;
  /** Time alone may change something, too. */
  #passingOfTime: NodeJS.Timeout | null = null;
  /** When `#passingOfTime` is so late that the process must have stood still. */
  #stalledFromMs = Number.POSITIVE_INFINITY;
  /** When it was found to have stood still; members are asked before anything is decided. */
  #wokeAtMs: number | null = null;
  #isHastened = false;
  #isClosed = false;

  constructor(options: DecisionScheduleOptions) {
    this.#options = options;
  }

  note(cause: string, urgency: Urgency): void {
    if (this.#isClosed) return;
    if (urgency === 'news') {
      // The first news are the cause, whatever was only repeated before them.
      if (this.#endOfTurn === null) this.#cause = cause;
      this.#endOfTurn ??= setImmediate(() => this.#decideAwake(this.#cause ?? cause));
    } else if (this.#standing === 'in-doubt') {
      this.#cause ??= cause;
      this.#endOfBatch ??= setTimeout(() => this.#decideAwake(this.#cause ?? cause), BATCH_MS);
    } else if (urgency === 'drift' && this.#standing === 'still' && !this.#isHastened) {
      this.#isHastened = true;
      this.#wait(Math.max(0, this.#decidedAtMs + INTERVALS_MS.quiet - this.#options.now()));
    }
  }

  /** At once. */
  decide(cause: string): void {
    this.#forgetPending();
    if (this.#isClosed) return;
    this.#decidedAtMs = this.#options.now();
    this.#standing = this.#standingAfter(cause);
    this.#isHastened = false;
    this.#wait(INTERVALS_MS[this.#standing]);
  }

  close(): void {
    this.#isClosed = true;
    this.#forgetPending();
    if (this.#passingOfTime !== null) clearTimeout(this.#passingOfTime);
    this.#passingOfTime = null;
  }

  /** A router that ends takes every session with it; one that cannot decide holds writes when the last decision has lapsed. */
  #standingAfter(cause: string): Standing {
    try {
      return this.#options.decide(cause);
    } catch (error) {
      this.#options.onDefect(error);
      return 'unsettled';
    }
  }

  #wait(ms: number): void {
    if (this.#isClosed) return;
    if (this.#passingOfTime !== null) clearTimeout(this.#passingOfTime);
    this.#stalledFromMs = this.#options.now() + Math.max(STALL_MS, ms + STALL_MS / 2);
    this.#passingOfTime = setTimeout(() => {
      if (this.#isWaking()) this.#wait(INTERVALS_MS.unsettled);
      else if (this.#isNothingDue()) this.#wait(INTERVALS_MS.still);
      else this.decide('time has passed');
    }, ms);
  }

  #decideAwake(cause: string): void {
    if (!this.#isWaking()) return this.decide(cause);
    this.#forgetPending();
    this.#wait(INTERVALS_MS.unsettled);
  }

  /**
   * True from when the process is found to have stood still until the members have been heard anew, or had the time to be. Until
   * then the last decision has lapsed for those who would write.
   */
  #isWaking(): boolean {
    const nowMs = this.#options.now();
    if (this.#wokeAtMs === null && nowMs > this.#stalledFromMs) {
      this.#wokeAtMs = nowMs;
      this.#options.onStall();
    }
    if (this.#wokeAtMs === null) return false;
    const isAwake = nowMs - this.#wokeAtMs > WAKING_MS || this.#options.hasHeardAllSince(this.#wokeAtMs);
    if (isAwake) this.#wokeAtMs = null;
    return !isAwake;
  }

  #isNothingDue(): boolean {
    if (this.#standing !== 'still' || this.#isHastened) return false;
    return this.#options.now() - this.#decidedAtMs < LONGEST_MS && this.#options.isStill();
  }

  #forgetPending(): void {
    if (this.#endOfTurn !== null) clearImmediate(this.#endOfTurn);
    if (this.#endOfBatch !== null) clearTimeout(this.#endOfBatch);
    this.#endOfTurn = null;
    this.#endOfBatch = null;
    this.#cause = null;
  }
}

/** Until it is looked whether to decide without a cause. */
export const INTERVALS_MS = {
  still: 2000,
  quiet: 250,
  unsettled: 50,
  'in-doubt': 50,
} as const satisfies Record<Standing, number>;
/** Between two decisions while nothing happens. */
const LONGEST_MS = 10_000;
/** In doubt members are asked every 20 ms and more seldom. */
const BATCH_MS = 10;
const STALL_MS = 500;
/** Members that answer do so at once, and of the others it may be said. */
const WAKING_MS = 1000;
