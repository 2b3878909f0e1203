import { Buffer } from 'node:buffer';

/** Copies pieces of chunks together, up to `maxBytes`; what is beyond is dropped. Doubles as bytes come. */
export class ByteCollector {
  readonly #maxBytes: number;
  #bytes: Buffer = EMPTY;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes collected. */
  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array, from: number, to: number): void {
    const length = Math.min(to - from, this.#maxBytes - this.#length);
    if (length <= 0) return;
    const needed = this.#length + length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.min(Math.max(needed, this.#bytes.length * 2), this.#maxBytes));
      this.#bytes.copy(grown, 0, 0, this.#length);
      // It may hold a password: who takes what was collected can wipe only that.
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk.subarray(from, from + length), this.#length);
    this.#length = needed;
  }

  /** What was collected; the collector begins anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }
}

const EMPTY = Buffer.alloc(0);
