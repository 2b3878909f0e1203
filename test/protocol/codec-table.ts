/** One table per codec, used five ways. */
import { deepStrictEqual } from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../../protocol/errors.ts';
import { PacketGatherer } from '../../protocol/packet-gatherer.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { createRandom, cuts, mutate, offsets } from './bytes.ts';

export interface Codec<Value> {
  readonly name: string;
  readonly decode: (payload: Uint8Array) => Value;
  readonly encode: (value: Value) => Buffer;
  readonly samples: readonly Sample<Value>[];
}

export interface Sample<Value> {
  readonly name: string;
  readonly payload: Buffer;
  readonly value: Value;
  /** Where a peer wrote what we write otherwise: our form. */
  readonly encodesTo?: Buffer;
}

/** The part of tap's `t` that is used here. */
interface Test {
  readonly test: (name: string, story: (t: Test) => Promise<void>) => unknown;
}

export function testCodec<Value>(t: Test, codec: Codec<Value>): void {
  for (const sample of codec.samples) {
    t.test(`${codec.name}: ${sample.name} is decoded`, async () => {
      deepStrictEqual(codec.decode(sample.payload), sample.value);
    });
    t.test(`${codec.name}: ${sample.name} is encoded`, async () => {
      deepStrictEqual(toHex(codec.encode(sample.value)), toHex(sample.encodesTo ?? sample.payload));
    });
    t.test(`${codec.name}: ${sample.name} survives every cut of the stream`, async () => {
      for (const chunks of cuts(encodePacket(sample.payload, 7))) {
        deepStrictEqual(codec.decode(gatherOne(chunks)), sample.value);
      }
    });
    t.test(`${codec.name}: every prefix of ${sample.name} is a value or a ProtocolError`, async () => {
      for (const length of [0, ...offsets(sample.payload)]) {
        decodeTwice(codec, sample.payload.subarray(0, length));
      }
    });
  }
  t.test(`${codec.name}: mutated samples are values that survive encoding, or ProtocolErrors`, async () => {
    const random = createRandom(codec.name.length);
    for (const sample of codec.samples) {
      const rounds = Math.min(MUTATIONS_PER_SAMPLE, MUTATED_BYTES_PER_SAMPLE / sample.payload.length);
      for (let round = 0; round < rounds; round++) decodeTwice(codec, mutate(sample.payload, random));
    }
  });
}

function gatherOne(chunks: readonly Buffer[]): Buffer {
  const gatherer = new PacketGatherer({ maxPayloadBytes: 0xff_ffff, side: 'server' });
  const payloads: Buffer[] = [];
  for (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length; ) {
      offset = gatherer.advance(chunk, offset);
      if (gatherer.packet !== undefined) payloads.push(gatherer.packet.payload);
    }
  }
  deepStrictEqual(payloads.length, 1);
  return payloads[0] ?? Buffer.alloc(0);
}

/** decode → encode → decode, where the bytes can be decoded at all. */
function decodeTwice<Value>(codec: Codec<Value>, payload: Buffer): void {
  let value: Value;
  try {
    value = codec.decode(payload);
  } catch (error) {
    if (error instanceof ProtocolError) return;
    throw new Error(`${codec.name} on ${toHex(payload)}`, { cause: error });
  }
  deepStrictEqual(codec.decode(codec.encode(value)), value, `${codec.name} on ${toHex(payload)}`);
}

function toHex(payload: Buffer): string {
  return payload.toString('hex');
}

/** What 33 samples can have within 2 seconds on a slow core. */
const MUTATIONS_PER_SAMPLE = 1500;
/** A mutation copies the sample: long ones have fewer. */
const MUTATED_BYTES_PER_SAMPLE = 4_000_000;
