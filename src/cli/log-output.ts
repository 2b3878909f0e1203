/**
 * Where log lines go: one descriptor, written to in the background and at nobody else's cost.
 *
 * Whatever becomes of it (nobody reads the pipe, its reader is gone, the disk is full), the program goes on: lines wait
 * within MAX_QUEUED_BYTES, further ones are dropped and counted, and writing is tried again, so that a disk with room
 * again has its log again. (pino's own destination waits for ever for a disk to have room, and the program with it.)
 */
import { constants, fstatSync, openSync, write } from 'node:fs';

export type LogOutput = {
  write(line: string): void;
  /** Lines dropped so far because too many waited. */
  droppedLines(): number;
  /** Waits until all is written, FLUSH_MS at most, and no longer than writing goes well. */
  flush(): Promise<void>;
};

export function createLogOutput(descriptor: number): LogOutput {
  return new DescriptorOutput(unblocked(descriptor));
}

class DescriptorOutput implements LogOutput {
  readonly #descriptor: number;
  #lines: string[] = [];
  #queuedBytes = 0;
  /** What is being written, or what is left of it. */
  #chunk: Buffer = NOTHING;
  #state: 'idle' | 'writing' | 'full' | 'failed' = 'idle';
  #dropped = 0;
  #onSettled: (() => void) | null = null;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#queuedBytes + bytes > MAX_QUEUED_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#queuedBytes += bytes;
    if (this.#state === 'idle') this.#writeNext();
  }

  droppedLines(): number {
    return this.#dropped;
  }

  flush(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'failed') return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FLUSH_MS);
    this.#onSettled = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }

  #writeNext(): void {
    if (this.#chunk.length === 0) {
      this.#chunk = Buffer.from(this.#lines.join(''));
      this.#lines = [];
    }
    if (this.#chunk.length === 0) {
      this.#settle('idle');
      return;
    }
    this.#state = 'writing';
    write(this.#descriptor, this.#chunk, (error, written) => {
      if (error === null) {
        this.#chunk = this.#chunk.subarray(written);
        this.#queuedBytes -= written;
        this.#writeNext();
      } else {
        this.#tryAgainAfter(error);
      }
    });
  }

  /** There is nowhere to tell of it: the lines that wait, and those dropped, are the record. */
  #tryAgainAfter({ code }: NodeJS.ErrnoException): void {
    const isFull = code === 'EAGAIN';
    if (isFull) this.#state = 'full';
    else this.#settle('failed');
    setTimeout(() => this.#writeNext(), isFull ? FULL_RETRY_MS : FAILED_RETRY_MS).unref();
  }

  #settle(state: 'idle' | 'failed'): void {
    this.#state = state;
    this.#onSettled?.();
    this.#onSettled = null;
  }
}

/**
 * The same pipe, opened once more so that a write to it fails where it would wait: a process cannot end before a write
 * that waits for a reader. Other kinds of files, and pipes that may not be opened (another user's), stay as they are.
 */
function unblocked(descriptor: number): number {
  try {
    if (!fstatSync(descriptor).isFIFO()) return descriptor;
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // No /proc, no right, no descriptor: what it was is still the best there is.
    return descriptor;
  }
}

const NOTHING = Buffer.alloc(0);
/** About ten thousand lines. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
/** Until a reader that is behind may have read something. */
const FULL_RETRY_MS = 50;
const FAILED_RETRY_MS = 1000;
/** How long a program that ends waits for the reader of its log. */
const FLUSH_MS = 2000;
