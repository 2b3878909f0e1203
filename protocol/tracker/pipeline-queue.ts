/**
 * Commands sent but not yet being answered, oldest first. Two bytes each: the command, and the sequence id of its
 * last packet, from which the answer counts on. Only sessions that pipeline have one.
 */
export class PipelineQueue {
  #entries = new Uint8Array(INITIAL_ENTRIES * 2);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Whether the queue holds more memory than a session that sometimes pipelines deserves. */
  get isLarge(): boolean {
    return this.#entries.length > KEPT_ENTRIES * 2;
  }

  /** `false` when the queue is full and the command was not taken. */
  push(command: number): boolean {
    if (this.#length * 2 === this.#entries.length) {
      if (this.#length >= MAX_QUEUED_COMMANDS) return false;
      this.#grow();
    }
    const index = this.#indexOf(this.#length);
    this.#entries[index] = command;
    this.#entries[index + 1] = 0;
    this.#length++;
    return true;
  }

  /** Notes that the newest command goes on in a packet with `sequenceId`. */
  extendLast(sequenceId: number): void {
    if (this.#length > 0) this.#entries[this.#indexOf(this.#length - 1) + 1] = sequenceId;
  }

  /** The oldest command, with the sequence id of its last packet in the second byte. The queue must not be empty. */
  shift(): number {
    const index = this.#indexOf(0);
    const entry = (this.#entries[index] ?? 0) | ((this.#entries[index + 1] ?? 0) << 8);
    this.#head = (index + 2) & (this.#entries.length - 1);
    this.#length--;
    return entry;
  }

  #indexOf(entry: number): number {
    return (this.#head + entry * 2) & (this.#entries.length - 1);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#entries.length * 2);
    const tail = this.#entries.subarray(this.#head);
    larger.set(tail);
    larger.set(this.#entries.subarray(0, this.#head), tail.length);
    this.#entries = larger;
    this.#head = 0;
  }
}

/** Drivers that pipeline batches send some hundred commands at a time; at this bound the queue takes 2 KiB. */
export const MAX_QUEUED_COMMANDS = 1024;

/** Powers of two, so that indexes wrap with a mask. */
const INITIAL_ENTRIES = 16;
const KEPT_ENTRIES = 64;
