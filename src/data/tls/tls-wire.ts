/**
 * Bytes through TLS by its bare handle: as BareWire does for TCP, nothing is allocated for a chunk that is read, and no stream
 * stands between. Node gives both kinds of handle the same way to read and to write, which transport-self-test.ts has tried.
 *
 * Node's TLSSocket makes the handshake and stays the one that closes; from the first bytes that are relayed on, reads and
 * writes go past it. A TLS handle takes one write at a time, and ends the process when it is given another: that is what
 * `#inFlightBytes` is for, and why a write of the socket's own has to be over before. What is written has been encrypted or
 * copied when the call returns, so a lent buffer may be.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type BareTcp, errnoError } from '../bare-wire.ts';
import { SocketWire } from '../socket-wire.ts';
import {
  type HandleRequest,
  requestFor,
  type TcpHandle,
  type TlsHandle,
  tlsHandleOf,
  UV_EOF,
} from '../tcp-handle.ts';
import type { Endpoint, Wire, WireOwner } from '../wire.ts';

export class TlsWire implements Wire {
  readonly #tcp: BareTcp;
  readonly #socket: TLSSocket;
  readonly #owner: WireOwner;
  /** Until the handle is taken; and what tells that the connection is over. */
  readonly #streamed: SocketWire;
  /** Null while the socket reads and writes. */
  #handle: TlsHandle | null = null;
  /** Of the one write the handle has; 0 without one. */
  #inFlightBytes = 0;
  /** Copies that wait for it. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Somebody waits for `wireDrained`. */
  #isFull = false;
  #writeError: NodeJS.ErrnoException | null = null;
  #isWritable = true;
  #hasPeerEnded = false;
  #isFinWanted = false;
  #isFinSent = false;

  constructor(tcp: BareTcp, socket: TLSSocket, owner: WireOwner) {
    this.#tcp = tcp;
    this.#socket = socket;
    this.#owner = owner;
    this.#streamed = new SocketWire(socket, owner, tcp);
  }

  get tls(): TLSSocket {
    return this.#socket;
  }

  get tcp(): BareTcp {
    return this.#tcp;
  }

  fail(error: NodeJS.ErrnoException): void {
    this.#streamed.fail(error);
  }

  /** The login is over: what comes now is only relayed. */
  write(buffer: Buffer, start: number, end: number): number {
    if (this.#handle === null && !this.#take()) return this.#streamed.write(buffer, start, end);
    if (!this.#isWritable || start === end || this.#socket.destroyed) return 0;
    const bytes = buffer.subarray(start, end);
    if (this.#inFlightBytes === 0) this.#submit(bytes);
    else {
      this.#waiting.push(Buffer.from(bytes));
      this.#waitingBytes += bytes.length;
    }
    if (this.queuedBytes <= HIGH_WATER_BYTES) return 0;
    this.#isFull = true;
    return this.queuedBytes;
  }

  writeSecret(bytes: Buffer): void {
    if (this.#handle === null) return this.#streamed.writeSecret(bytes);
    this.write(bytes, 0, bytes.length);
    bytes.fill(0);
  }

  get queuedBytes(): number {
    return this.#streamed.queuedBytes + this.#inFlightBytes + this.#waitingBytes;
  }

  get hasPeerEnded(): boolean {
    return this.#hasPeerEnded || this.#streamed.hasPeerEnded;
  }

  get isOpen(): boolean {
    return this.#streamed.isOpen;
  }

  get remote(): Endpoint | null {
    return this.#streamed.remote;
  }

  get local(): Endpoint | null {
    return this.#streamed.local;
  }

  pause(): void {
    if (this.#handle === null) this.#streamed.pause();
    else if (!this.#socket.destroyed) this.#handle.readStop();
  }

  resume(): void {
    if (this.#handle === null) this.#streamed.resume();
    else if (!this.#socket.destroyed && !this.#hasPeerEnded) this.#handle.readStart();
  }

  end(): void {
    if (this.#handle === null) return this.#streamed.end();
    if (!this.#isWritable) return;
    this.#isWritable = false;
    this.#isFinWanted = true;
    if (this.#inFlightBytes === 0) this.#sendFin();
  }

  destroy(): void {
    this.#isWritable = false;
    this.#streamed.destroy();
  }

  reset(): void {
    this.#isWritable = false;
    this.#streamed.reset();
  }

  toSocket(): Socket {
    throw new Error('TLS cannot be put around TLS');
  }

  /** Called by the handle. */
  onRead(bytesOrError: number): void {
    if (bytesOrError > 0) return this.#owner.wireRead(this.#tcp.reads.forTls, bytesOrError);
    if (bytesOrError === 0 || this.#hasPeerEnded) return;
    if (bytesOrError !== UV_EOF) return this.fail(errnoError('read', bytesOrError));
    this.#hasPeerEnded = true;
    // After a failed write this is no half-close: the peer is gone, and said so to the write.
    if (this.#writeError !== null) return this.fail(this.#writeError);
    this.#owner.wireEnded();
    if (this.#isFinSent) this.destroy();
  }

  /** Called by its request. */
  onWritten(status: number): void {
    this.#inFlightBytes = 0;
    if (this.#socket.destroyed) return;
    if (status !== 0) return this.#writeFailed(status);
    if (this.#waiting.length > 0) return this.#submitWaiting();
    if (this.#isFinWanted) return this.#sendFin();
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#owner.wireDrained();
  }

  /** Called by its request. */
  onFinSent(): void {
    this.#isFinSent = true;
    if (this.#hasPeerEnded) this.destroy();
  }

  /**
   * Reads and writes by the handle from now on, unless the socket has something left that would have to come first.
   *
   * @returns whether that is so
   */
  #take(): boolean {
    const socket = this.#socket;
    const isBusy = socket.writableLength > 0 || socket.readableLength > 0 || socket.readableFlowing !== true;
    if (isBusy || !socket.writable || this.#streamed.hasPeerEnded) return false;
    const handle = tlsHandleOf(socket);
    if (handle === null) return false;
    this.#handle = handle;
    handle.owner = this;
    handle.onread = onRead;
    handle.useUserBuffer(this.#tcp.reads.forTls);
    return true;
  }

  #submitWaiting(): void {
    const all = Buffer.concat(this.#waiting);
    for (const part of this.#waiting) part.fill(0);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#submit(all);
  }

  #submit(bytes: Buffer): void {
    const request = requestFor(this, this.#tcp.binding.WriteRequest, onWritten);
    this.#inFlightBytes = bytes.length;
    const status = this.#handle?.writeBuffer(request, bytes) ?? 0;
    if (status === 0) return;
    this.#inFlightBytes = 0;
    this.#writeFailed(status);
  }

  /** The wire is still read: the peer's last words may be waiting, and the read that follows them tells how it ended. */
  #writeFailed(status: number): void {
    this.#writeError = errnoError('write', status);
    this.#isWritable = false;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#hasPeerEnded) this.fail(this.#writeError);
    else this.resume();
  }

  #sendFin(): void {
    this.#isFinWanted = false;
    if (this.#socket.destroyed) return;
    const request = requestFor(this, this.#tcp.binding.ShutdownRequest, onShutDown);
    if (this.#handle?.shutdown(request) !== 0) this.onFinSent();
  }

  /** The thread's cells, of which a handle's `onread` learns what it has read. */
  get bytesRead(): number {
    const { state, readBytesAt } = this.#tcp.binding;
    return state[readBytesAt] ?? 0;
  }
}

function onRead(this: TcpHandle): void {
  if (this.owner instanceof TlsWire) this.owner.onRead(this.owner.bytesRead);
}

function onWritten(this: HandleRequest, status: number): void {
  if (this.owner instanceof TlsWire) this.owner.onWritten(status);
}

function onShutDown(this: HandleRequest): void {
  if (this.owner instanceof TlsWire) this.owner.onFinSent();
}

/** As much may wait to be encrypted and sent before the other side is stalled: some reads, not one. */
const HIGH_WATER_BYTES = 256 * 1024;
