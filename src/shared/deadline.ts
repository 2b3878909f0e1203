import { isLate } from './lateness.ts';

/**
 * A timer that is set again and again for the same time, as those of a probe: to set it again moves what is there, and to lift it
 * costs nothing, for it may run out unheard.
 */
export class Deadline {
  readonly #waitsFor: 'own-turn' | 'others';
  #timer: NodeJS.Timeout | null = null;
  #ms = 0;
  #dueAtMs = 0;
  #isSecondTime = false;
  #onPassed: (() => void) | null = null;

  /** @param waitsFor others, who get the time a second time where the process itself has stood still; or our own turn */
  constructor(waitsFor: 'own-turn' | 'others') {
    this.#waitsFor = waitsFor;
  }

  /** Instead of the one before. */
  set(ms: number, onPassed: () => void): void {
    this.#onPassed = onPassed;
    this.#dueAtMs = performance.now() + ms;
    this.#isSecondTime = false;
    if (this.#timer !== null && ms === this.#ms) {
      this.#timer.refresh();
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#ms = ms;
    this.#timer = setTimeout(() => this.#pass(), ms);
  }

  lift(): void {
    this.#onPassed = null;
  }

  /** Lifts it, and keeps no process waiting. */
  close(): void {
    this.lift();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #pass(): void {
    const onPassed = this.#onPassed;
    if (onPassed === null) return;
    if (this.#waitsFor === 'others' && !this.#isSecondTime && isLate(this.#dueAtMs)) {
      this.#isSecondTime = true;
      this.#timer?.refresh();
      return;
    }
    this.#onPassed = null;
    onPassed();
  }
}
