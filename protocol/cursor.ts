import { Buffer } from 'node:buffer';
import { type Fault, ProtocolError } from './errors.ts';

/**
 * Reads the fields of one gathered payload from front to back. Every read is checked against what is left; a
 * read past the end throws the `ProtocolError` the cursor was created with, so a decoder needs no checks of
 * its own.
 *
 * Byte fields are views on the payload, not copies: they live as long as the payload is left alone.
 *
 * Integers are little-endian. Source: MySQL source documentation, "Protocol basics: data types".
 */
export class Cursor {
  readonly #bytes: Buffer;
  readonly #packetName: string;
  readonly #fault: Fault;
  #offset = 0;

  /** `packetName` opens the error's text; `fault` says whose packet this is. */
  constructor(payload: Uint8Array, packetName: string, fault: Fault) {
    this.#bytes = Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    this.#packetName = packetName;
    this.#fault = fault;
  }

  /** Bytes not read yet. */
  get remainingBytes(): number {
    return this.#bytes.length - this.#offset;
  }

  /** The next byte, left where it is; `undefined` at the end. */
  peekUint1(): number | undefined {
    return this.#bytes[this.#offset];
  }

  readUint1(field: string): number {
    return this.#bytes.readUInt8(this.#take(1, field));
  }

  readUint2(field: string): number {
    return this.#bytes.readUInt16LE(this.#take(2, field));
  }

  readUint3(field: string): number {
    return this.#bytes.readUIntLE(this.#take(3, field), 3);
  }

  readUint4(field: string): number {
    return this.#bytes.readUInt32LE(this.#take(4, field));
  }

  readUint6(field: string): number {
    return this.#bytes.readUIntLE(this.#take(6, field), 6);
  }

  readUint8(field: string): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8, field));
  }

  /** Reads one byte that can have only one value. */
  expectUint1(expected: number, field: string): void {
    const value = this.readUint1(field);
    if (value !== expected) this.fail(`${field} is 0x${value.toString(16)}, not 0x${expected.toString(16)}`);
  }

  /**
   * int<lenenc>: one byte up to 0xfa, or 0xfc, 0xfd, 0xfe and 2, 3 or 8 bytes. 0xfb means NULL and 0xff ERR
   * where they are allowed; as an integer neither is.
   */
  readLenencInt(field: string): bigint {
    const first = this.readUint1(field);
    if (first < 0xfb) return BigInt(first);
    if (first === 0xfc) return BigInt(this.readUint2(field));
    if (first === 0xfd) return BigInt(this.readUint3(field));
    if (first === 0xfe) return this.readUint8(field);
    return this.fail(`${field}: 0x${first.toString(16)} does not begin a length-encoded integer`);
  }

  /** string<lenenc> as bytes. The announced length is compared with what is left before it is believed. */
  readLenencBytes(field: string): Buffer {
    return this.readBytes(this.#readLength(field), field);
  }

  /** Goes past a string<lenenc>. */
  skipLenencBytes(field: string): void {
    this.#take(this.#readLength(field), field);
  }

  /** string<NUL> as bytes, without the NUL, which is read too. */
  readNulBytes(field: string): Buffer {
    const start = this.#offset;
    return this.#bytes.subarray(start, this.#takeToNul(field));
  }

  /** string<NUL> as text. */
  readNulText(field: string, encoding: TextEncoding): string {
    const start = this.#offset;
    return this.#bytes.toString(encoding, start, this.#takeToNul(field));
  }

  /** Whether a NUL is among the bytes not read yet. */
  hasNulAhead(): boolean {
    return this.#bytes.indexOf(0, this.#offset) !== -1;
  }

  /** string[n]: exactly `length` bytes. */
  readBytes(length: number, field: string): Buffer {
    const start = this.#take(length, field);
    return this.#bytes.subarray(start, start + length);
  }

  /** string<EOF> as text. */
  readRestText(encoding: TextEncoding): string {
    const start = this.#offset;
    this.#offset = this.#bytes.length;
    return this.#bytes.toString(encoding, start);
  }

  /** string<EOF>: everything that is left, perhaps nothing. */
  readRest(): Buffer {
    const start = this.#offset;
    this.#offset = this.#bytes.length;
    return this.#bytes.subarray(start);
  }

  skip(length: number, field: string): void {
    this.#take(length, field);
  }

  /** Throws the cursor's `ProtocolError`. */
  fail(reason: string): never {
    throw new ProtocolError(this.#fault, `${this.#packetName}: ${reason}`);
  }

  /** A length is nearly always one byte: a bigint is made only of those that are not. */
  #readLength(field: string): number {
    const first = this.#bytes[this.#offset];
    if (first !== undefined && first < 0xfb) {
      this.#offset++;
      return first;
    }
    const length = this.readLenencInt(field);
    if (length > BigInt(this.remainingBytes)) {
      return this.fail(`${field} announces ${length} bytes, ${this.remainingBytes} are left`);
    }
    return Number(length);
  }

  /** Reads a NUL and what is before it; returns where the NUL stands. */
  #takeToNul(field: string): number {
    const end = this.#bytes.indexOf(0, this.#offset);
    if (end === -1) return this.fail(`${field} has no NUL in the ${this.remainingBytes} bytes left`);
    this.#offset = end + 1;
    return end;
  }

  #take(length: number, field: string): number {
    if (length > this.remainingBytes) {
      this.fail(`${field} needs ${length} bytes, ${this.remainingBytes} are left`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** How a text's bytes are read: `latin1` keeps any byte. */
export type TextEncoding = 'utf8' | 'latin1';
