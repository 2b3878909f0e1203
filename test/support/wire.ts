/** One end of a TCP connection for tests: packets and bytes when the test asks for them, and no reading ahead of it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { encodePacket, PACKET_HEADER_BYTES, readPayloadBytes } from '../../protocol/packet-header.ts';

export type WirePacket = { readonly sequenceId: number; readonly payload: Buffer };

/** How the other side ended the connection; null while it has not. */
export type WireEnd = 'fin' | 'reset' | 'closed' | null;

export class Wire {
  readonly socket: Socket;
  /** The TCP socket; `socket` itself but inside TLS. */
  readonly raw: Socket;
  #end: WireEnd = null;
  /** Read from the socket and not asked for yet. */
  #buffered: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, raw: Socket = socket) {
    this.socket = socket;
    this.raw = raw;
    socket.on('end', () => {
      this.#end ??= 'fin';
    });
    socket.on('error', () => {
      this.#end = 'reset';
    });
    socket.on('close', () => {
      this.#end ??= 'closed';
    });
  }

  get end(): WireEnd {
    return this.#end;
  }

  get isClosed(): boolean {
    return this.socket.closed;
  }

  write(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  send(sequenceId: number, payload: Uint8Array): void {
    this.socket.write(encodePacket(payload, sequenceId));
  }

  /** FIN. */
  finish(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.raw.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  /** The next packet; null when the other side ended before it was whole. */
  async readPacket(): Promise<WirePacket | null> {
    const header = await this.readBytes(PACKET_HEADER_BYTES);
    if (header === null) return null;
    const payload = await this.readBytes(readPayloadBytes(header, 0));
    return payload === null ? null : { sequenceId: header[3] ?? 0, payload };
  }

  /** Exactly so many bytes; null when the other side ended before. */
  async readBytes(length: number): Promise<Buffer | null> {
    const chunks = [this.#buffered];
    let total = this.#buffered.length;
    while (total < length) {
      const chunk = await this.#readChunk();
      if (chunk === null) return null;
      chunks.push(chunk);
      total += chunk.length;
    }
    const all = chunks.length === 1 ? this.#buffered : Buffer.concat(chunks);
    this.#buffered = all.subarray(length);
    return all.subarray(0, length);
  }

  /** Whatever is there, waiting for it if need be; null at the end. */
  async readSome(): Promise<Buffer | null> {
    if (this.#buffered.length > 0) {
      const bytes = this.#buffered;
      this.#buffered = Buffer.alloc(0);
      return bytes;
    }
    return this.#readChunk();
  }

  async #readChunk(): Promise<Buffer | null> {
    while (true) {
      const chunk: Buffer | null = this.socket.read();
      if (chunk !== null) return chunk;
      if (this.socket.readableEnded || this.socket.destroyed) return null;
      await this.#any('readable', 'end', 'error', 'close');
    }
  }

  /** What has been read ahead goes back into the socket: somebody else reads it from here on. */
  release(): Socket {
    if (this.#buffered.length > 0) this.socket.unshift(this.#buffered);
    this.#buffered = Buffer.alloc(0);
    return this.socket;
  }

  /** Everything up to the end. */
  async readToEnd(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let chunk = await this.readSome(); chunk !== null; chunk = await this.readSome()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** The socket can be written to again, or is gone. Lets others have their turn in any case. */
  async drained(): Promise<void> {
    await setImmediate();
    while (this.socket.writableNeedDrain && !this.socket.destroyed)
      await this.#any('drain', 'error', 'close');
  }

  /** The connection is gone from this side. */
  async closed(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close');
  }

  #any(...names: readonly string[]): Promise<void> {
    const { socket } = this;
    return new Promise((resolve) => {
      const changed = () => {
        for (const name of names) socket.off(name, changed);
        resolve();
      };
      for (const name of names) socket.on(name, changed);
    });
  }
}
