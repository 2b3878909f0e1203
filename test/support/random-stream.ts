/** Long pseudo-random streams that are the same for the same seed, sent and read in the least convenient ways. */
import { createCipheriv, createHash } from 'node:crypto';
import { pause } from './until.ts';
import type { Wire } from './wire.ts';

/** Bytes of a stream, in order, as many at a time as asked for. No two places of a stream look alike. */
export function createStream(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

export type Manners = {
  /** Numbers from 0 to 1. */
  readonly random: () => number;
  /** Bytes that go out, or are asked for, at once: up to this many. */
  readonly maxChunkBytes: number;
  /** After how many bytes there is a stall, rising, and how long each may be. */
  readonly stallsAt: readonly number[];
  readonly maxStallMs: number;
  /** Awaited before the first read. */
  readonly beforeReading?: () => Promise<void>;
};

/** Sends `totalBytes` of the stream, waiting for the socket only as a program does that obeys backpressure. */
export async function sendStream(
  wire: Wire,
  seed: string,
  totalBytes: number,
  manners: Manners,
): Promise<void> {
  const next = createStream(seed);
  const stallIfDue = createStalls(manners);
  for (let sent = 0; sent < totalBytes && !wire.isClosed; ) {
    const chunkBytes = Math.min(totalBytes - sent, chunkLength(manners));
    wire.write(next(chunkBytes));
    sent += chunkBytes;
    await stallIfDue(sent);
    await wire.drained();
  }
}

/**
 * Reads to the end, or as far as `totalBytes`.
 *
 * @returns bytes that came, all of them as in the stream
 * @throws naming the first place that differs
 */
export async function expectStream(
  wire: Wire,
  seed: string,
  totalBytes: number,
  manners: Manners,
): Promise<number> {
  const next = createStream(seed);
  const stallIfDue = createStalls(manners);
  let received = 0;
  await manners.beforeReading?.();
  while (received < totalBytes) {
    const chunk = await wire.readSome();
    if (chunk === null) return received;
    const expected = next(chunk.length);
    if (!chunk.equals(expected)) {
      const differs = chunk.findIndex((byte, index) => byte !== expected[index]);
      throw new Error(`stream ${seed} differs at byte ${received + differs}`);
    }
    received += chunk.length;
    await stallIfDue(received);
  }
  return received;
}

function chunkLength({ random, maxChunkBytes }: Manners): number {
  // As many short chunks as long ones, on a logarithmic scale.
  return Math.max(1, Math.floor(maxChunkBytes ** random()));
}

function createStalls({ random, stallsAt, maxStallMs }: Manners): (movedBytes: number) => Promise<void> {
  let next = 0;
  return async (movedBytes) => {
    const from = next;
    while (movedBytes >= (stallsAt[next] ?? Number.POSITIVE_INFINITY)) next++;
    if (next > from) await pause(random() * maxStallMs);
  };
}
