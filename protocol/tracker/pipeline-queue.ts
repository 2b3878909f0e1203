/**
 * Commands sent but not yet being answered, oldest first: of each the command, and the sequence id of its last packet, from
 * which the answer counts on. Equal ones in a row are kept as one run with its length, four bytes in all: a driver that sends a
 * batch of ten thousand rows ahead takes no more than one that sends two. Only sessions that pipeline have a queue.
 */
export class PipelineQueue {
  /** Runs: the command in the lowest byte, the sequence id in the next, how many in the upper two. */
  #runs = new Uint32Array(INITIAL_RUNS);
  #head = 0;
  #runCount = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Whether the queue holds more memory than a session that sometimes pipelines deserves. */
  get isLarge(): boolean {
    return this.#runs.length > KEPT_RUNS;
  }

  /** `false` when the queue is full and the command was not taken. */
  push(command: number): boolean {
    const last = this.#last();
    if (this.#runCount > 0 && (last & ENTRY) === command && last < FULL_RUN)
      this.#runs[this.#indexOf(this.#runCount - 1)] = last + ONE;
    else if (!this.#begin(command)) return false;
    this.#length++;
    return true;
  }

  /** Notes that the newest command goes on in a packet with `sequenceId`; `false` when the queue is full and that was not taken. */
  extendLast(sequenceId: number): boolean {
    if (this.#length === 0) return true;
    const last = this.#last();
    const index = this.#indexOf(this.#runCount - 1);
    const extended = (last & 0xff) | (sequenceId << 8);
    if (last < 2 * ONE) {
      this.#runs[index] = ONE + extended;
      return true;
    }
    this.#runs[index] = last - ONE;
    return this.#begin(extended);
  }

  /** The oldest command, with the sequence id of its last packet in the second byte. The queue must not be empty. */
  shift(): number {
    const first = this.#runs[this.#head] ?? 0;
    if (first < 2 * ONE) {
      this.#head = (this.#head + 1) & (this.#runs.length - 1);
      this.#runCount--;
    } else this.#runs[this.#head] = first - ONE;
    this.#length--;
    return first & ENTRY;
  }

  /** A run of one. */
  #begin(entry: number): boolean {
    if (this.#runCount === this.#runs.length) {
      if (this.#runCount >= MAX_QUEUED_RUNS) return false;
      this.#grow();
    }
    this.#runs[this.#indexOf(this.#runCount++)] = ONE + entry;
    return true;
  }

  #last(): number {
    return this.#runs[this.#indexOf(this.#runCount - 1)] ?? 0;
  }

  #indexOf(run: number): number {
    return (this.#head + run) & (this.#runs.length - 1);
  }

  #grow(): void {
    const larger = new Uint32Array(this.#runs.length * 2);
    const tail = this.#runs.subarray(this.#head);
    larger.set(tail);
    larger.set(this.#runs.subarray(0, this.#head), tail.length);
    this.#runs = larger;
    this.#head = 0;
  }
}

/** At this bound the queue takes 4 KiB. */
export const MAX_QUEUED_RUNS = 1024;

/** Powers of two, so that indexes wrap with a mask. */
const INITIAL_RUNS = 16;
const KEPT_RUNS = 64;

/** A run's command and sequence id. */
const ENTRY = 0xffff;
/** One command more in a run. */
const ONE = 0x1_0000;
/** A run that takes no more. */
const FULL_RUN = 0xffff_0000;
