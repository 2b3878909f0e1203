/** Random numbers that a seed repeats. */
export class Random {
  #state: number;

  /** `seed` from 1 to 2³¹ − 1. */
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** An integer from 0 to `bound` − 1; 0 when `bound` is 0. */
  below(bound: number): number {
    // Marsaglia's xorshift32.
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return bound === 0 ? 0 : (this.#state >>> 0) % bound;
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }
}
