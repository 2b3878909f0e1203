import { Buffer } from 'node:buffer';
import { type Fault, ProtocolError } from '../errors.ts';

/**
 * As much of Protocol Buffers' encoding as the X Protocol's connection phase needs.
 *
 *     message  = (key value)*
 *     key      = varint: field_number << 3 | wire_type
 *     value    = 0: varint · 1: byte[8] · 2: varint length, byte[length] · 5: byte[4]
 *
 * Source: Protocol Buffers documentation, "Encoding".
 */

/** One field; fixed-width values are of no interest here and come as `fixed`. */
export type ProtobufField =
  | { readonly kind: 'varint'; readonly number: number; readonly value: bigint }
  | { readonly kind: 'bytes'; readonly number: number; readonly value: Buffer }
  | { readonly kind: 'fixed'; readonly number: number };

/** @throws ProtocolError for what is no message */
export function readFields(message: Buffer, fault: Fault): readonly ProtobufField[] {
  const fields: ProtobufField[] = [];
  let at = 0;
  const fail = (reason: string): never => {
    throw new ProtocolError(fault, `X Protocol: ${reason}`);
  };
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) return fail('a number is cut off');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return fail('a number has more than ten bytes');
  };
  const skip = (bytes: number): number => {
    if (bytes > message.length - at)
      fail(`a field announces ${bytes} bytes, ${message.length - at} are left`);
    at += bytes;
    return at - bytes;
  };
  while (at < message.length) {
    const key = readVarint();
    const number = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case 0:
        fields.push({ kind: 'varint', number, value: readVarint() });
        break;
      case 1:
        skip(8);
        fields.push({ kind: 'fixed', number });
        break;
      case 2: {
        const length = readVarint();
        if (length > BigInt(message.length)) fail(`a field announces ${length} bytes`);
        const start = skip(Number(length));
        fields.push({ kind: 'bytes', number, value: message.subarray(start, at) });
        break;
      }
      case 5:
        skip(4);
        fields.push({ kind: 'fixed', number });
        break;
      default:
        fail(`wire type ${key & 7n} is not known`);
    }
  }
  return fields;
}

/** The last value of a field, as Protocol Buffers has it for one that is not repeated. */
export function bytesOf(fields: readonly ProtobufField[], number: number): Buffer | undefined {
  const field = fields.findLast((candidate) => candidate.number === number && candidate.kind === 'bytes');
  return field?.kind === 'bytes' ? field.value : undefined;
}

export function numberOf(fields: readonly ProtobufField[], number: number): bigint | undefined {
  const field = fields.findLast((candidate) => candidate.number === number && candidate.kind === 'varint');
  return field?.kind === 'varint' ? field.value : undefined;
}

export function encodeVarintField(number: number, value: number): Buffer {
  return Buffer.concat([encodeVarint(number << 3), encodeVarint(value)]);
}

export function encodeBytesField(number: number, value: Uint8Array): Buffer {
  return Buffer.concat([encodeVarint((number << 3) | 2), encodeVarint(value.length), value]);
}

/** A number of at most 32 bits. */
function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value >>> 0;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
