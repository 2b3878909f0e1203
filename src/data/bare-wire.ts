/**
 * Bytes through a bare handle: what the event loop calls is ours, and nothing is allocated for a chunk.
 *
 * All wires of a thread read into one buffer (read-buffer.ts). A chunk is written to the peer's file descriptor while it is
 * still lent: when the kernel takes only a part, that write says so, and the rest (only ever under backpressure) is copied and
 * queued. A write by the handle would keep a pointer into the lent buffer. It is quicker, though, so a short chunk is written by
 * the handle where the kernel may be expected to have room: the peer has spoken since it was last written to.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { isErrno } from '../shared/errno.ts';
import { ReadBuffer } from './read-buffer.ts';
import {
  type HandleRequest,
  requestFor,
  socketWithHandle,
  type TcpBinding,
  type TcpHandle,
  UV_EOF,
} from './tcp-handle.ts';
import { type Endpoint, SERVER_KEEP_ALIVE_SECONDS, type Wire, type WireOwner } from './wire.ts';

/** What the bare wires of a thread share. */
export type BareTcp = {
  readonly binding: TcpBinding;
  readonly reads: ReadBuffer;
  /** The handles' `onread`. */
  readonly onRead: (this: TcpHandle) => void;
  /** Connections to servers that were made since `probeServers` was last called. */
  readonly fresh: Set<BareWire>;
  /** For the next write of a loan: a handle takes a request only when it cannot write all of it at once. */
  spareRequest: HandleRequest;
};

/** @param bufferBytes what is read at most at once */
export function createBareTcp(binding: TcpBinding, bufferBytes: number): BareTcp {
  const { state, readBytesAt } = binding;
  return {
    binding,
    reads: new ReadBuffer(bufferBytes),
    fresh: new Set(),
    spareRequest: new binding.WriteRequest(),
    onRead() {
      if (this.owner instanceof BareWire) this.owner.onRead(state[readBytesAt] ?? 0);
    },
  };
}

/**
 * Has the system probe servers, to notice those that vanish without a word. To be called every second or so: that takes four
 * system calls for a connection, and most live for less.
 */
export function probeServers({ fresh }: BareTcp): void {
  for (const wire of fresh) wire.probe();
  fresh.clear();
}

export class BareWire implements Wire {
  readonly #tcp: BareTcp;
  readonly #owner: WireOwner;
  /** Null once the wire is closed, or has become a socket's. */
  #handle: TcpHandle | null;
  /**
   * The handle's descriptor; -1 without one. Nobody else closes the handle, so the number is never written to once the
   * system may have given it to another connection.
   */
  #fd: number;
  #queuedBytes = 0;
  #error: NodeJS.ErrnoException | null = null;
  #isReading = false;
  /** Cleared by `end`, `destroy` and a failed write: nothing may be written any more. */
  #isWritable = true;
  #hasPeerEnded = false;
  /** The peer has sent something since it was last written to. */
  #hasHeard = false;
  #isFinSent = false;
  /** While the connection does not stand yet. */
  #onConnect: (() => void) | null = null;

  private constructor(tcp: BareTcp, handle: TcpHandle, owner: WireOwner) {
    this.#tcp = tcp;
    this.#owner = owner;
    this.#handle = handle;
    this.#fd = handle.fd;
    handle.owner = this;
    handle.onread = tcp.onRead;
    tcp.reads.enter(handle);
  }

  /** Takes over an accepted handle, and starts reading from it. */
  static accept(tcp: BareTcp, handle: TcpHandle, owner: WireOwner): BareWire {
    const wire = new BareWire(tcp, handle, owner);
    wire.resume();
    return wire;
  }

  /** Begins a connection to a server; `onConnect` is called once it stands. */
  static dial(tcp: BareTcp, { address, port }: Endpoint, owner: WireOwner, onConnect: () => void): BareWire {
    const handle = tcp.binding.createHandle();
    const wire = new BareWire(tcp, handle, owner);
    wire.#onConnect = onConnect;
    handle.setNoDelay(true);
    const request = requestFor(wire, tcp.binding.ConnectRequest, onConnected);
    const status = address.includes(':')
      ? handle.connect6(request, address, port)
      : handle.connect(request, address, port);
    if (status !== 0) wire.#fail('connect', status);
    return wire;
  }

  write(buffer: Buffer, start: number, end: number): number {
    if (!this.#isWritable || start === end) return 0;
    let next = start;
    if (this.#queuedBytes === 0) {
      if (this.#hasHeard) {
        this.#hasHeard = false;
        const loan = this.#tcp.reads.loan(buffer, start, end);
        if (loan !== null) return this.#writeLoan(loan);
      }
      next += this.#writeNow(buffer, start, end);
      if (next === end || !this.#isWritable) return 0;
    }
    this.#queue(Buffer.from(buffer.subarray(next, end)), onWritten);
    return this.#queuedBytes;
  }

  writeSecret(bytes: Buffer): void {
    // No copies: it is sent from where it is.
    if (this.#isWritable && !this.#queue(bytes, onSecretWritten)) bytes.fill(0);
  }

  get tcp(): BareTcp {
    return this.#tcp;
  }

  get tls(): null {
    return null;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get hasPeerEnded(): boolean {
    return this.#hasPeerEnded;
  }

  get isOpen(): boolean {
    return this.#handle !== null;
  }

  get remote(): Endpoint | null {
    const found: { address?: string; port?: number } = {};
    return this.#handle?.getpeername(found) === 0 ? endpointOf(found) : null;
  }

  get local(): Endpoint | null {
    const found: { address?: string; port?: number } = {};
    return this.#handle?.getsockname(found) === 0 ? endpointOf(found) : null;
  }

  pause(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#handle?.readStop();
  }

  resume(): void {
    if (this.#isReading || this.#hasPeerEnded || this.#onConnect !== null || this.#handle === null) return;
    this.#isReading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#fail('read', status);
  }

  end(): void {
    if (!this.#isWritable || this.#handle === null) return;
    this.#isWritable = false;
    const { ShutdownRequest } = this.#tcp.binding;
    const status = this.#handle.shutdown(requestFor(this, ShutdownRequest, onShutDown));
    if (status !== 0) this.onFinSent();
  }

  reset(): void {
    // Behind a FIN there is no RST, and no handle has it.
    if (!this.#isWritable) return this.destroy();
    this.#letGo()?.reset(onClosed);
  }

  destroy(): void {
    this.#letGo()?.close(onClosed);
  }

  /** @returns the handle, to be closed; null when it was let go before */
  #letGo(): TcpHandle | null {
    const handle = this.#handle;
    this.#isWritable = false;
    if (handle === null) return null;
    this.#handle = null;
    this.#fd = -1;
    this.#isReading = false;
    this.#queuedBytes = 0;
    this.#tcp.fresh.delete(this);
    this.#tcp.reads.leave(handle);
    return handle;
  }

  toSocket(): Socket {
    const handle = this.#handle;
    if (handle === null) throw new Error('a closed connection cannot go over to a socket');
    if (this.#tcp.fresh.delete(this)) this.probe();
    this.pause();
    this.#handle = null;
    this.#fd = -1;
    this.#isWritable = false;
    handle.owner = undefined;
    this.#tcp.reads.leave(handle);
    // The lent buffer stays the handle's: whoever wraps the socket reads by itself.
    const onread = { buffer: this.#tcp.reads.bytes, callback: () => true };
    const socket = socketWithHandle(handle, { allowHalfOpen: true, onread });
    socket.pause();
    return socket;
  }

  /** See `probeServers`. */
  probe(): void {
    this.#handle?.setKeepAlive(true, SERVER_KEEP_ALIVE_SECONDS);
  }

  /** Called by the handle. */
  onRead(bytesOrError: number): void {
    if (bytesOrError > 0) {
      this.#hasHeard = true;
      return this.#owner.wireRead(this.#tcp.reads.bytes, bytesOrError);
    }
    if (bytesOrError === 0) return;
    this.#isReading = false;
    if (bytesOrError !== UV_EOF) return this.#fail('read', bytesOrError);
    this.#hasPeerEnded = true;
    // After a failed write this is no half-close: the peer is gone, and said so to the write.
    if (this.#error !== null) return this.destroy();
    this.#owner.wireEnded();
    if (this.#isFinSent) this.destroy();
  }

  /** Called by its request. */
  onConnected(status: number): void {
    if (this.#handle === null) return;
    if (status !== 0) return this.#fail('connect', status);
    const onConnect = this.#onConnect;
    this.#onConnect = null;
    this.#fd = this.#handle.fd;
    this.#tcp.fresh.add(this);
    this.resume();
    onConnect?.();
  }

  /** Called by its request. */
  onWritten(bytes: number, status: number): void {
    if (this.#handle === null) return;
    this.#queuedBytes -= bytes;
    if (status !== 0) this.#writeFailed(errnoError('write', status));
    else if (this.#queuedBytes === 0) this.#owner.wireDrained();
  }

  /** Called by its request: everything has been sent, and FIN behind it. */
  onFinSent(): void {
    this.#isFinSent = true;
    if (this.#hasPeerEnded) this.destroy();
  }

  /** Called by its handle. */
  onClosed(): void {
    this.#owner.wireClosed(this.#error);
  }

  /** Writes to the descriptor what the kernel takes now. */
  #writeNow(buffer: Buffer, start: number, end: number): number {
    if (this.#fd < 0) return 0;
    try {
      return writeSync(this.#fd, buffer, start, end - start);
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code !== 'EAGAIN') this.#writeFailed(error);
      return 0;
    }
  }

  /** @returns whether some of it is left for later: then `oncomplete` is called */
  #queue(bytes: Buffer, oncomplete: (this: HandleRequest, status: number) => void): boolean {
    const request = requestFor(this, this.#tcp.binding.WriteRequest, oncomplete);
    request.buffer = bytes;
    return this.#submit(request, bytes);
  }

  /** @returns bytes now waiting */
  #writeLoan(loan: Buffer): number {
    const tcp = this.#tcp;
    const request = tcp.spareRequest;
    if (!this.#submit(request, loan)) return 0;
    request.owner = this;
    request.oncomplete = onWritten;
    request.buffer = loan;
    tcp.spareRequest = new tcp.binding.WriteRequest();
    tcp.reads.replace();
    return this.#queuedBytes;
  }

  /** @returns whether the handle has kept `request`, and a part of `bytes` */
  #submit(request: HandleRequest, bytes: Buffer): boolean {
    const { state, isWriteUnfinishedAt } = this.#tcp.binding;
    const status = this.#handle?.writeBuffer(request, bytes) ?? 0;
    if (status !== 0) this.#writeFailed(errnoError('write', status));
    if (status !== 0 || state[isWriteUnfinishedAt] === 0) return false;
    this.#queuedBytes += bytes.length;
    return true;
  }

  /**
   * The wire is still read: the peer's last words (an ERR before it closed) may be waiting, and the read that follows
   * them tells how it ended.
   */
  #writeFailed(error: NodeJS.ErrnoException): void {
    this.#error = error;
    this.#isWritable = false;
    if (this.#hasPeerEnded) this.destroy();
    else this.resume();
  }

  #fail(what: string, status: number): void {
    this.#error ??= errnoError(what, status);
    this.destroy();
  }
}

function onConnected(this: HandleRequest, status: number): void {
  if (this.owner instanceof BareWire) this.owner.onConnected(status);
}

function onWritten(this: HandleRequest, status: number): void {
  if (this.owner instanceof BareWire) this.owner.onWritten(this.buffer?.length ?? 0, status);
}

function onSecretWritten(this: HandleRequest, status: number): void {
  onWritten.call(this, status);
  this.buffer?.fill(0);
}

function onShutDown(this: HandleRequest): void {
  if (this.owner instanceof BareWire) this.owner.onFinSent();
}

function onClosed(this: TcpHandle): void {
  if (this.owner instanceof BareWire) this.owner.onClosed();
}

function endpointOf({ address, port }: { address?: string; port?: number }): Endpoint | null {
  return address === undefined || port === undefined ? null : { address, port };
}

export function errnoError(what: string, status: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${what} ${code}`), { code, errno: status, syscall: what });
}
