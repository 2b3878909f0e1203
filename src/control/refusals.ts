/**
 * That a member refuses commits, as its clients are told: it is about to leave its group, or to hand over to another primary, while
 * all its group still names it as the primary.
 */
import { ERRORS } from '../../protocol/error-codes.ts';

export class Refusals {
  #sinceMs: number | null = null;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** Since when; null while it refuses nothing. */
  get sinceMs(): number | null {
    return this.#sinceMs;
  }

  /** @param standsForMs how long no answer of the member's takes it back */
  note(nowMs: number, standsForMs: number): void {
    this.#sinceMs ??= nowMs;
    this.#untilMs = Math.max(this.#untilMs, nowMs + standsForMs);
  }

  /** The member has answered what it was asked then. Once it is read-only it has handed over, and may be made primary anew. */
  answered(askedAtMs: number, isReadOnly: boolean): void {
    if (this.#sinceMs === null || askedAtMs <= this.#sinceMs) return;
    if (!isReadOnly && askedAtMs <= this.#untilMs) return;
    this.#sinceMs = null;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}

/** How long such an error stands for more to come; null for one that refuses no commits. */
export function refusalStandsForMs(errorNumber: number): number | null {
  switch (errorNumber) {
    // One that leaves its group does not answer until it has left, so any answer takes it back.
    case ERRORS.ER_RUN_HOOK_ERROR.number:
      return 0;
    // One that waits for open transactions before it hands over answers as ever, and refuses all others meanwhile.
    case ERRORS.ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING.number:
      return HANDOVER_MS;
    default:
      return null;
  }
}

/** Whoever is let through meanwhile is refused. The next primary takes over at once; only a handover that fails is waited for so long. */
const HANDOVER_MS = 5000;
