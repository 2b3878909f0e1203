/** Bytes through a `net.Socket` or `TLSSocket`, by its public API: `'data'` events and `write`. */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { BareTcp } from './bare-wire.ts';
import { type Endpoint, SERVER_KEEP_ALIVE_SECONDS, type Wire, type WireOwner } from './wire.ts';

export class SocketWire implements Wire {
  readonly #socket: Socket;
  readonly tcp: BareTcp | null;
  #error: NodeJS.ErrnoException | null = null;
  /** Cleared by `end` and `destroy`: nothing may be written any more. */
  #isWritable = true;
  #hasPeerEnded = false;

  constructor(socket: Socket, owner: WireOwner, tcp: BareTcp | null) {
    this.#socket = socket;
    readBeforeFailing(socket);
    this.tcp = tcp;
    socket.on('data', (chunk: Buffer) => owner.wireRead(chunk, chunk.length));
    socket.on('drain', () => owner.wireDrained());
    socket.on('end', () => {
      this.#hasPeerEnded = true;
      // After a failure this is no half-close: the peer is gone.
      if (this.#error === null) owner.wireEnded();
      else socket.destroy();
    });
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => owner.wireClosed(this.#error));
  }

  /** Begins a connection to a server; `onConnect` is called once it stands. */
  static dial({ address, port }: Endpoint, owner: WireOwner, onConnect: () => void): SocketWire {
    const socket = new Socket(SERVER_SOCKET);
    const wire = new SocketWire(socket, owner, null);
    socket.once('connect', onConnect);
    socket.connect({ host: address, port, autoSelectFamily: false });
    return wire;
  }

  /** Ends the wire because of `error`. */
  fail(error: NodeJS.ErrnoException): void {
    this.#error ??= error;
    this.destroy();
  }

  /** Null while it is plain TCP. */
  get tls(): TLSSocket | null {
    return this.#socket instanceof TLSSocket ? this.#socket : null;
  }

  write(buffer: Buffer, start: number, end: number): number {
    if (!this.#isWritable || start === end) return 0;
    const bytes = buffer.subarray(start, end);
    // Lent bytes are the next wire's when this returns.
    const isLent = this.tcp?.reads.isOverwritten(buffer) ?? false;
    const isTaken = this.#socket.write(isLent ? Buffer.from(bytes) : bytes);
    return isTaken ? 0 : this.#socket.writableLength;
  }

  writeSecret(bytes: Buffer): void {
    if (!this.#isWritable) return;
    this.#socket.write(bytes, () => bytes.fill(0));
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  get hasPeerEnded(): boolean {
    return this.#hasPeerEnded;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  get remote(): Endpoint | null {
    const { remoteAddress: address, remotePort: port } = this.#socket;
    return address === undefined || port === undefined ? null : { address, port };
  }

  get local(): Endpoint | null {
    const { localAddress: address, localPort: port } = this.#socket;
    return address === undefined || port === undefined ? null : { address, port };
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (!this.#isWritable) return;
    this.#isWritable = false;
    this.#socket.end();
  }

  reset(): void {
    if (!this.#isWritable || this.#socket instanceof TLSSocket) return this.destroy();
    this.#isWritable = false;
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#isWritable = false;
    this.#socket.destroy();
  }

  toSocket(): Socket {
    const socket = this.#socket;
    // Ours, and Node's own that turns a half-open socket's end into nothing.
    for (const event of ['data', 'drain', 'end', 'close', 'error']) socket.removeAllListeners(event);
    // What is unread goes to the next, and not to nobody.
    socket.pause();
    return socket;
  }
}

/**
 * Lets `socket` read once more before a write fails. Node ends a socket with its first failed write, and throws away what
 * the peer said before it closed: a server's ERR about a packet that is too long, while the client still sends it. That is
 * in the kernel already; the next turn of the event loop has read it.
 */
function readBeforeFailing(socket: Socket): void {
  const { _write: write, _writev: writev } = socket;
  // A stream has one callback for all its writes.
  let known: WriteCallback | null = null;
  let patient: WriteCallback = () => {};
  const withPatience = (callback: WriteCallback): WriteCallback => {
    if (callback === known) return patient;
    known = callback;
    patient = (error) => {
      if (error) setImmediate(() => setImmediate(callback, error));
      else callback(error);
    };
    return patient;
  };
  socket._write = (chunk, encoding, callback) => write.call(socket, chunk, encoding, withPatience(callback));
  if (writev === undefined) return;
  socket._writev = (chunks, callback) => writev.call(socket, chunks, withPatience(callback));
}

type WriteCallback = (error?: Error | null) => void;

const SERVER_SOCKET = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: SERVER_KEEP_ALIVE_SECONDS * 1000,
} as const;
