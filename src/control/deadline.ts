/**
 * A timer that is set again and again for the same time, as those of a probe: to set it again moves what is there, and to lift it
 * costs nothing, for it may run out unheard.
 */
export class Deadline {
  #timer: NodeJS.Timeout | null = null;
  #ms = 0;
  #onPassed: (() => void) | null = null;

  /** Instead of the one before. */
  set(ms: number, onPassed: () => void): void {
    this.#onPassed = onPassed;
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
    this.#onPassed = null;
    onPassed?.();
  }
}
