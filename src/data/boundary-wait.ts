/**
 * A session that has to end, waiting for the moment at which that hurts nobody.
 *
 * Where the tracker knows boundaries, it is one outside a transaction. Which one depends on the time there is:
 *
 * - **with patience**, one at which the client has paused: right behind an answer the next command may be on its way, and
 *   would cross the FIN. How long a pause must be is learnt from the client: a fraction of the longest time between two of
 *   its answers so far, so that most of the pause is still to come; until two were seen, a long silence.
 * - **without**, the next one that is reached by an answer, or the present one if the client leaves it unused for a moment.
 *
 * Who has just logged in is about to ask something, and is left to set its session up, unless it is quiet. In an opaque
 * session boundaries are not known and not guessed: it ends once nothing has moved for a while and the server spoke last,
 * which is when a request is least likely to be under way; nothing is routed by that. The grace bounds all of it.
 */
import type { EndReason } from '../shared/counters.ts';

/** `unknown`: opaque, and the server spoke last; or the client may still be setting its session up. */
export type BoundaryKnowledge = 'boundary' | 'busy' | 'unknown';

export type WaitingSession = {
  knowledge(): BoundaryKnowledge;
  /** Whether bytes have come since this was last asked. */
  takeMoved(): boolean;
  end(): void;
  cut(): void;
};

export type WaitLimits = {
  /** How long a client that is at work is left alone until it pauses. */
  readonly patienceMs: number;
  /** Null for a wait without an end: the session may as well stay. */
  readonly graceMs: number | null;
};

export class BoundaryWait {
  readonly reason: EndReason;
  readonly #session: WaitingSession;
  readonly #now: () => number;
  readonly #patientUntilMs: number;
  readonly #silenceMs: number;
  readonly #graceTimer: NodeJS.Timeout | null;
  readonly #quietTimer: NodeJS.Timeout;
  #quietTicks = 0;
  /** When the client was last seen with its answer; 0 before. */
  #answeredAtMs = 0;
  /** The longest time between two answers so far; 0 before two were seen. */
  #longestRoundMs = 0;
  #pauseTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(
    reason: EndReason,
    { patienceMs, graceMs }: WaitLimits,
    session: WaitingSession,
    now: () => number = () => performance.now(),
  ) {
    this.reason = reason;
    this.#session = session;
    this.#now = now;
    this.#patientUntilMs = this.#now() + patienceMs;
    this.#silenceMs = patientSilenceMs(patienceMs);
    this.#graceTimer = graceMs === null ? null : setTimeout(() => session.cut(), graceMs);
    this.#quietTimer = setInterval(() => this.#tick(), QUIET_TICK_MS);
    // What moved before does not count.
    session.takeMoved();
  }

  /** To be called after every answer of the server: it may have reached a boundary. */
  check(): void {
    if (this.#session.knowledge() !== 'boundary') return;
    const nowMs = this.#now();
    if (nowMs >= this.#patientUntilMs) return this.#session.end();
    if (this.#answeredAtMs > 0)
      this.#longestRoundMs = Math.max(this.#longestRoundMs, nowMs - this.#answeredAtMs);
    this.#answeredAtMs = nowMs;
    if (this.#longestRoundMs > 0) this.#awaitPause(nowMs);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    if (this.#pauseTimer !== null) clearTimeout(this.#pauseTimer);
    clearInterval(this.#quietTimer);
  }

  #awaitPause(nowMs: number): void {
    if (this.#pauseTimer !== null) clearTimeout(this.#pauseTimer);
    const pauseMs = Math.min(Math.max(MIN_PAUSE_MS, this.#longestRoundMs * PAUSE_SHARE), this.#silenceMs);
    this.#pauseTimer = setTimeout(() => {
      const seenAtMs = this.#now();
      // A pause in which the router itself stood still proves nothing.
      if (seenAtMs > nowMs + pauseMs + STALL_MS) this.#awaitPause(seenAtMs);
      else this.#endInPause();
    }, pauseMs);
  }

  /** Timers run before what has come meanwhile is read: it is read first, and may be the next command. */
  #endInPause(): void {
    setImmediate(() => {
      if (!this.#isClosed && this.#session.knowledge() !== 'busy') this.#session.end();
    });
  }

  #tick(): void {
    const knowledge = this.#session.knowledge();
    const isQuiet = !this.#session.takeMoved() && knowledge !== 'busy';
    this.#quietTicks = isQuiet ? this.#quietTicks + 1 : 0;
    const isPatient = this.#now() < this.#patientUntilMs;
    const patientTicks = isPatient ? Math.ceil(this.#silenceMs / QUIET_TICK_MS) : 0;
    const enough = Math.max(knowledge === 'boundary' ? 1 : QUIET_TICKS, patientTicks);
    if (this.#quietTicks >= enough) this.#endInPause();
  }
}

/** How long a client has to be silent to be left in peace by an end, as far as there is time for that. */
export function patientSilenceMs(patienceMs: number): number {
  return Math.min(LONG_SILENCE_MS, patienceMs * SILENCE_SHARE);
}

/** A fifth of a second: longer than the pause between two packets of one answer, shorter than a person's patience. */
const QUIET_TICK_MS = 50;
const QUIET_TICKS = 4;
/** Who has been silent for so long is unlikely to speak in the very millisecond of the end. */
const LONG_SILENCE_MS = 1000;
const SILENCE_SHARE = 0.25;
/** Longer than a program takes from an answer to its next command while it is at work, also on a busy machine. */
const MIN_PAUSE_MS = 10;
const PAUSE_SHARE = 0.25;
const STALL_MS = 5;
