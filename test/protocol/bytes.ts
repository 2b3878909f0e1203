/** Ways to write bytes down, cut them and break them, for every test of `protocol/`. */
import { Buffer } from 'node:buffer';

/** A number is one byte, a string is Latin-1. Layouts are written one field per line. */
export function bytes(...parts: readonly (number | string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.from([part]);
      return typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
    }),
  );
}

/** Two hex digits per byte; blanks are for the eye. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');
}

/** A packet: header and payload, however long the payload pretends to be. */
export function packet(sequenceId: number, ...parts: readonly (number | string | Uint8Array)[]): Buffer {
  const payload = bytes(...parts);
  return bytes(
    payload.length & 0xff,
    (payload.length >> 8) & 0xff,
    payload.length >> 16,
    sequenceId,
    payload,
  );
}

/** Ways to cut `stream` into chunks: whole, byte by byte, and in two at every offset. */
export function* cuts(stream: Buffer): Generator<readonly Buffer[]> {
  yield [stream];
  yield byteByByte(stream);
  for (const at of offsets(stream)) yield [stream.subarray(0, at), stream.subarray(at)];
}

/** Every offset within `stream`; of a long one's middle, which is all alike, every 997th. */
export function* offsets(stream: Buffer): Generator<number> {
  for (let at = 1; at < stream.length; at++) {
    if (at < 1000 || at > stream.length - 1000 || at % 997 === 0) yield at;
  }
}

export function byteByByte(stream: Buffer): readonly Buffer[] {
  return [...stream.keys()].map((at) => stream.subarray(at, at + 1));
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32), so that a failure can be had again. */
export function createRandom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A copy with one to four bytes changed, and sometimes some cut off, doubled or put in. */
export function mutate(original: Buffer, random: () => number): Buffer {
  let mutated = Buffer.from(original);
  for (let change = 0; change <= random() * 4 && mutated.length > 0; change++) {
    mutated[Math.floor(random() * mutated.length)] =
      TELLING_BYTES[Math.floor(random() * 16)] ?? random() * 256;
  }
  const at = Math.floor(random() * mutated.length);
  const kind = random();
  if (kind < 0.1) mutated = mutated.subarray(0, at);
  else if (kind < 0.2) mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at >> 1)]);
  return mutated;
}

/** Bytes with a meaning somewhere: ends, markers, length-encoded integers, sign bits. */
const TELLING_BYTES = [0, 1, 2, 0x0a, 0x23, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
