import { Buffer } from 'node:buffer';
import { ByteCollector } from '../byte-collector.ts';
import { type Fault, ProtocolError } from '../errors.ts';

/**
 * What X Protocol puts before every message.
 *
 *     int<4>  length   bytes that follow these four: the type and the message
 *     int<1>  type     which message; clients and servers number theirs apart
 *     byte[]  message  in Protocol Buffers' encoding
 *
 * Source: MySQL source documentation, "X Protocol: Messages" (mysqlx_protocol_messages); mysqlx.proto.
 */

/** Length and type. */
export const X_HEADER_BYTES = 5;

/** Mysqlx.ClientMessages.Type, as far as a client may send it before it is logged in. */
export const X_CLIENT = {
  CON_CAPABILITIES_GET: 1,
  CON_CAPABILITIES_SET: 2,
  CON_CLOSE: 3,
  SESS_AUTHENTICATE_START: 4,
  SESS_AUTHENTICATE_CONTINUE: 5,
} as const;

/** Mysqlx.ServerMessages.Type, as far as the connection phase needs it. */
export const X_SERVER = {
  OK: 0,
  ERROR: 1,
  CONN_CAPABILITIES: 2,
  SESS_AUTHENTICATE_CONTINUE: 3,
  SESS_AUTHENTICATE_OK: 4,
  NOTICE: 11,
} as const;

export function encodeXFrame(type: number, message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(X_HEADER_BYTES + message.length);
  frame.writeUInt32LE(message.length + 1, 0);
  frame.writeUInt8(type, X_HEADER_BYTES - 1);
  frame.set(message, X_HEADER_BYTES);
  return frame;
}

/** Called for every frame whose header has come whole; `'gather'` asks for the message. */
export type XFrameVisitor = {
  onHeader(type: number, messageBytes: number): 'pass' | 'gather';
  /** The gathered message of the last header. @returns false to read no further */
  onMessage(type: number, message: Buffer): boolean;
  /** A message that was passed over has ended. @returns false to read no further */
  onPassed(type: number): boolean;
};

/** Walks the frames of one direction; bytes come in any pieces. */
export class XFrameReader {
  readonly #fault: Fault;
  readonly #header = Buffer.alloc(X_HEADER_BYTES);
  #headerBytes = 0;
  /** Of the message under way, still to come. */
  #leftBytes = 0;
  #gathered: ByteCollector | null = null;

  constructor(fault: Fault) {
    this.#fault = fault;
  }

  /** No frame has been begun. */
  get isBetweenFrames(): boolean {
    return this.#headerBytes === 0;
  }

  /**
   * @returns how many bytes were read: fewer than there are when the visitor wanted no more
   * @throws ProtocolError for a length no frame can have
   */
  read(chunk: Buffer, visitor: XFrameVisitor): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < X_HEADER_BYTES) {
        at += this.#readHeader(chunk, at, visitor);
        if (this.#headerBytes < X_HEADER_BYTES) return at;
      }
      const taken = Math.min(this.#leftBytes, chunk.length - at);
      this.#gathered?.add(chunk, at, at + taken);
      this.#leftBytes -= taken;
      at += taken;
      if (this.#leftBytes === 0 && !this.#finishFrame(visitor)) return at;
    }
    return at;
  }

  /** @returns bytes taken */
  #readHeader(chunk: Buffer, at: number, visitor: XFrameVisitor): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at, at + X_HEADER_BYTES - this.#headerBytes);
    this.#headerBytes += taken;
    if (this.#headerBytes < X_HEADER_BYTES) return taken;
    const length = this.#header.readUInt32LE(0);
    if (length === 0) throw new ProtocolError(this.#fault, 'X Protocol: a frame of length 0 has no type');
    this.#leftBytes = length - 1;
    const wanted = visitor.onHeader(this.#header.readUInt8(X_HEADER_BYTES - 1), this.#leftBytes);
    this.#gathered = wanted === 'gather' ? new ByteCollector(this.#leftBytes) : null;
    return taken;
  }

  #finishFrame(visitor: XFrameVisitor): boolean {
    const type = this.#header.readUInt8(X_HEADER_BYTES - 1);
    const gathered = this.#gathered;
    this.#headerBytes = 0;
    this.#gathered = null;
    return gathered === null ? visitor.onPassed(type) : visitor.onMessage(type, gathered.take());
  }
}
