import { Buffer } from 'node:buffer';

/**
 * Writes the fields of one payload; every write returns the writer. The counterpart of cursor.ts.
 *
 * Values come from our own code or from a decoder, so a value that does not fit its field is a programmer's
 * error and throws Node's RangeError.
 */
export class Writer {
  #bytes: Buffer;
  #length = 0;

  /** `expectedBytes` only saves growing. */
  constructor(expectedBytes = 128) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes);
  }

  writeUint1(value: number): this {
    const at = this.#grow(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  writeUint2(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }

  writeUint3(value: number): this {
    const at = this.#grow(3);
    this.#bytes.writeUIntLE(value, at, 3);
    return this;
  }

  writeUint4(value: number): this {
    const at = this.#grow(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }

  writeUint6(value: number): this {
    const at = this.#grow(6);
    this.#bytes.writeUIntLE(value, at, 6);
    return this;
  }

  writeUint8(value: bigint): this {
    const at = this.#grow(8);
    this.#bytes.writeBigUInt64LE(value, at);
    return this;
  }

  /** int<lenenc> in its shortest form. */
  writeLenencInt(value: bigint | number): this {
    if (value < 0xfb) return this.writeUint1(Number(value));
    if (value <= 0xffff) return this.writeUint1(0xfc).writeUint2(Number(value));
    if (value <= 0xff_ffff) return this.writeUint1(0xfd).writeUint3(Number(value));
    return this.writeUint1(0xfe).writeUint8(BigInt(value));
  }

  /** string<lenenc>. */
  writeLenencBytes(value: Uint8Array): this {
    return this.writeLenencInt(value.length).writeBytes(value);
  }

  /** string<NUL>; the value must not contain a NUL itself. */
  writeNulBytes(value: Uint8Array): this {
    if (value.includes(0)) throw new RangeError('a NUL-terminated string cannot contain a NUL');
    return this.writeBytes(value).writeUint1(0);
  }

  /** string[n] or string<EOF>: the bytes and nothing else. */
  writeBytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  writeZeros(length: number): this {
    const start = this.#grow(length);
    this.#bytes.fill(0, start, start + length);
    return this;
  }

  /** What has been written. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room, and only then may `#bytes` be looked at. Returns where the room begins. */
  #grow(length: number): number {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    return start;
  }
}
