/**
 * A session that has to end, waiting for the moment at which that hurts nobody.
 *
 * Where the tracker knows boundaries, that is the next one outside a transaction that is reached by an answer, or the
 * present one if the client leaves it unused for a moment: who has just logged in is about to ask something, and is left
 * to set its session up, unless it is quiet. In an opaque session boundaries are not known and not guessed: it ends once nothing has moved for a while and the server
 * spoke last, which is when a request is least likely to be under way; nothing is routed by that. The grace bounds
 * both.
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

export class BoundaryWait {
  readonly reason: EndReason;
  readonly #session: WaitingSession;
  readonly #graceTimer: NodeJS.Timeout | null;
  readonly #quietTimer: NodeJS.Timeout;
  #quietTicks = 0;

  /** @param graceMs null for a wait without an end: the session may as well stay */
  constructor(reason: EndReason, graceMs: number | null, session: WaitingSession) {
    this.reason = reason;
    this.#session = session;
    this.#graceTimer = graceMs === null ? null : setTimeout(() => session.cut(), graceMs);
    this.#quietTimer = setInterval(() => this.#tick(), QUIET_TICK_MS);
    // What moved before does not count.
    session.takeMoved();
  }

  /** To be called after every answer of the server: it may have reached a boundary. */
  check(): void {
    if (this.#session.knowledge() === 'boundary') this.#session.end();
  }

  close(): void {
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    clearInterval(this.#quietTimer);
  }

  #tick(): void {
    const knowledge = this.#session.knowledge();
    const isQuiet = !this.#session.takeMoved() && knowledge !== 'busy';
    this.#quietTicks = isQuiet ? this.#quietTicks + 1 : 0;
    const enough = knowledge === 'boundary' ? 1 : QUIET_TICKS;
    if (this.#quietTicks >= enough) this.#session.end();
  }
}

/** A fifth of a second: longer than the pause between two packets of one answer, shorter than a person's patience. */
const QUIET_TICK_MS = 50;
const QUIET_TICKS = 4;
