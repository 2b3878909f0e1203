/**
 * When to decide: what may change a role, when this turn of the event loop is over, once for all that it brought; what
 * members merely repeat, in time before anybody's word could lapse.
 */

/**
 * - `quiet`: everybody answers, and nobody's word is about to lapse.
 * - `unsettled`: somebody is silent or refuses commits: what was said last may lapse at any time.
 * - `in-doubt`: the next answer could change where writes go, even by saying again what was said before.
 */
export type Standing = 'quiet' | 'unsettled' | 'in-doubt';

/** `news` may change a role; `routine` is what was said before. */
export type Urgency = 'news' | 'routine';

export type DecisionScheduleOptions = {
  /** @param cause what the decision follows upon, for people */
  decide(cause: string): Standing;
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
  #isClosed = false;

  constructor(options: DecisionScheduleOptions) {
    this.#options = options;
  }

  note(cause: string, urgency: Urgency): void {
    if (this.#isClosed || (urgency === 'routine' && this.#standing !== 'in-doubt')) return;
    this.#cause ??= cause;
    if (urgency === 'news') {
      // The first news are the cause, whatever was only repeated before them.
      if (this.#endOfTurn === null) this.#cause = cause;
      this.#endOfTurn ??= setImmediate(() => this.decide(this.#cause ?? cause));
    } else {
      this.#endOfBatch ??= setTimeout(() => this.decide(this.#cause ?? cause), BATCH_MS);
    }
  }

  /** Called every TICK_MS: time alone may change something, too. */
  tick(): void {
    const waitMs = this.#standing === 'quiet' ? QUIET_INTERVAL_MS : 0;
    if (this.#options.now() - this.#decidedAtMs >= waitMs) this.decide('time has passed');
  }

  /** At once. */
  decide(cause: string): void {
    this.#forgetPending();
    if (this.#isClosed) return;
    this.#decidedAtMs = this.#options.now();
    this.#standing = this.#options.decide(cause);
  }

  close(): void {
    this.#isClosed = true;
    this.#forgetPending();
  }

  #forgetPending(): void {
    if (this.#endOfTurn !== null) clearImmediate(this.#endOfTurn);
    if (this.#endOfBatch !== null) clearTimeout(this.#endOfBatch);
    this.#endOfTurn = null;
    this.#endOfBatch = null;
    this.#cause = null;
  }
}

export const TICK_MS = 50;
/** While all is quiet; nobody's word is so near to lapsing. */
export const QUIET_INTERVAL_MS = 250;
/** In doubt members are asked every 20 ms and more seldom. */
const BATCH_MS = 10;
