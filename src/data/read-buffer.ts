/**
 * The buffer that all bare wires of a thread read into.
 *
 * A short chunk is written by the peer's handle straight from here, in less work than a write to the descriptor takes. Should
 * the kernel be full, the handle keeps a pointer into this buffer until the rest is sent: from then on the thread reads
 * into another one. That gives every handle one more listener (some 40 bytes, until it closes), so it is done only so often;
 * after that, chunks go to the descriptor alone. It comes to that only with clients that send and send and never read.
 */
import type { TcpHandle } from './tcp-handle.ts';

export class ReadBuffer {
  #bytes: Buffer;
  /** What has been lent to handles, by length: one view serves every chunk that is as long. */
  readonly #views: (Buffer | null)[] = new Array(LONGEST_LOAN_BYTES + 1).fill(null);
  readonly #readers = new Set<TcpHandle>();
  #replacementsLeft: number;
  #forTls: Buffer | null = null;

  /** @param replacements how often it may be replaced; default 100 */
  constructor(bytes: number, replacements: number = MOST_REPLACEMENTS) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
    this.#replacementsLeft = replacements;
  }

  /** What handles read into now. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** The same for TLS handles. No write is ever made from it that outlasts the call, so it stays. */
  get forTls(): Buffer {
    this.#forTls ??= Buffer.allocUnsafeSlow(this.#bytes.length);
    return this.#forTls;
  }

  /** Whether what comes next may overwrite `buffer`. */
  isOverwritten(buffer: Buffer): boolean {
    return buffer.buffer === this.#bytes.buffer || buffer.buffer === this.#forTls?.buffer;
  }

  /** From now on, `reader` reads into it. */
  enter(reader: TcpHandle): void {
    this.#readers.add(reader);
    reader.useUserBuffer(this.#bytes);
  }

  /** `reader` does not read any more. */
  leave(reader: TcpHandle): void {
    this.#readers.delete(reader);
  }

  /** `buffer[start, end)` as it may be given to a handle; null where it may not. When the handle keeps it, call `replace`. */
  loan(buffer: Buffer, start: number, end: number): Buffer | null {
    if (buffer !== this.#bytes || start !== 0 || end > LONGEST_LOAN_BYTES || this.#replacementsLeft === 0) {
      return null;
    }
    const view = this.#views[end] ?? buffer.subarray(0, end);
    this.#views[end] = view;
    return view;
  }

  /** A loan is kept: nothing is to be read over it. */
  replace(): void {
    this.#replacementsLeft--;
    this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.length);
    this.#views.fill(null);
    for (const reader of this.#readers) reader.useUserBuffer(this.#bytes);
  }
}

/** A statement, or an answer of some rows. */
const LONGEST_LOAN_BYTES = 2048;
const MOST_REPLACEMENTS = 100;
