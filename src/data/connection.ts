/**
 * One side of a session: a TCP connection to the client or to the server, and how bytes come from it and go to it.
 *
 * Two ways carry the bytes, with the same behaviour (transport-self-test.ts chooses at start):
 *
 * - **fast**: one read buffer per thread is lent to every socket (`onread`), and a chunk is written to the peer's file
 *   descriptor while it is still lent, so nothing is allocated per chunk. A write through `net.Socket` would not do:
 *   when the kernel takes only a part, libuv keeps a pointer into the lent buffer, and the next socket that reads would
 *   write over bytes that are not sent yet. A write to the descriptor says how much was taken; the rest (only ever under
 *   backpressure) is copied and queued. `net.createServer` cannot lend a buffer to the sockets it accepts, so an
 *   accepted socket's handle is adopted by a new one.
 * - **portable**: `'data'` events and `socket.write`, for a Node in which the above does not hold.
 */
import { writeSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import { handleOf, socketWithHandle, type TcpHandle } from './tcp-handle.ts';

export type Side = 'client' | 'server';

/** What a connection tells its session. Bytes are lent: they are the session's only until the call returns. */
export type ConnectionSink = {
  onBytes(side: Side, buffer: Buffer, length: number): void;
  /** The peer sends no more; what it sent before has been delivered. */
  onEnd(side: Side): void;
  /** Everything queued has been taken by the kernel. */
  onDrain(side: Side): void;
  /** The connection is over. `error` is null when it ended in order. */
  onClose(side: Side, error: NodeJS.ErrnoException | null): void;
};

/** How the connections of a thread carry bytes. */
export type Transport =
  | { readonly kind: 'fast'; readonly readBuffer: Buffer }
  | { readonly kind: 'portable' };

/** What a listener hands over: a bare handle for the fast transport, a paused socket for the portable one. */
export type Accepted = TcpHandle | Socket;

export class Connection {
  readonly side: Side;
  /** The TCP socket; once secured, the TLS socket around it. */
  #socket: Socket;
  #isFast: boolean;
  /** The thread's read buffer: bytes in it are lent, and a socket that keeps what it is given needs a copy. */
  readonly #lentBytes: ArrayBufferLike | null;
  #sink: ConnectionSink;
  #error: NodeJS.ErrnoException | null = null;
  readonly #flushed = () => {
    if (this.#socket.writableLength === 0) this.#sink.onDrain(this.side);
  };
  /** Set by `end`, `destroy` and a failed write: nothing may be written any more. */
  #isWritable = true;
  #hasPeerEnded = false;
  #proxied: { readonly address: string; readonly port: number } | null = null;

  private constructor(side: Side, socket: Socket, transport: Transport, sink: ConnectionSink) {
    this.side = side;
    this.#socket = socket;
    this.#isFast = transport.kind === 'fast';
    this.#lentBytes = transport.kind === 'fast' ? transport.readBuffer.buffer : null;
    this.#sink = sink;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    if (!this.#isFast) {
      socket.on('data', (chunk: Buffer) => this.#sink.onBytes(this.side, chunk, chunk.length));
      socket.on('drain', () => this.#sink.onDrain(this.side));
    }
    socket.on('end', () => {
      this.#hasPeerEnded = true;
      // After a failed write this is no half-close: the peer is gone, and said so to the write.
      if (this.#error === null) this.#sink.onEnd(this.side);
      else socket.destroy();
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.#sink.onClose(this.side, this.#error));
  }

  /** Takes over what a listener accepted, and starts reading from it; a connection that was read before, as it is. */
  static accept(accepted: Accepted | Connection, transport: Transport, sink: ConnectionSink): Connection {
    if (accepted instanceof Connection) {
      accepted.attach(sink);
      return accepted;
    }
    if (accepted instanceof Socket || transport.kind === 'portable') {
      if (!(accepted instanceof Socket))
        throw new Error('a bare handle was accepted for the portable transport');
      const connection = new Connection('client', accepted, PORTABLE, sink);
      accepted.resume();
      return connection;
    }
    const lender = new BufferLender(transport.readBuffer);
    const socket = socketWithHandle(accepted, lender.options);
    const connection = new Connection('client', socket, transport, sink);
    lender.borrower = connection;
    socket.resume();
    return connection;
  }

  /** Begins a connection to a server; `onConnect` is called once it stands. */
  static dial(
    address: { readonly host: string; readonly port: number },
    transport: Transport,
    sink: ConnectionSink,
    onConnect: () => void,
  ): Connection {
    const lender = transport.kind === 'fast' ? new BufferLender(transport.readBuffer) : null;
    const socket = new Socket({ ...(lender?.options ?? { allowHalfOpen: true }), ...SERVER_SOCKET });
    const connection = new Connection('server', socket, transport, sink);
    if (lender !== null) lender.borrower = connection;
    socket.once('connect', onConnect);
    socket.connect({ host: address.host, port: address.port, autoSelectFamily: false });
    return connection;
  }

  /** The peer is a proxy and speaks for somebody else: who that is counts from now on. */
  speakFor(proxied: { readonly address: string; readonly port: number }): void {
    this.#proxied = proxied;
  }

  /** Hands the connection to another sink: a dialled server goes from its dial to its session. */
  attach(sink: ConnectionSink): void {
    this.#sink = sink;
  }

  /**
   * Puts TLS around the connection: from here on, what comes is decrypted and what is written is encrypted. The caller
   * listens for the TLS socket's own events.
   *
   * @param rest what was read already and belongs to TLS
   * @param wrap makes the TLS socket around the TCP socket
   */
  secure(rest: Buffer, wrap: (raw: Socket) => TLSSocket): TLSSocket {
    const raw = this.#socket;
    // Ours, and Node's own that turns a half-open socket's end into nothing.
    for (const event of ['data', 'drain', 'end', 'close', 'error']) raw.removeAllListeners(event);
    // What is unread goes to TLS, and not to nobody.
    raw.pause();
    if (rest.length > 0) raw.unshift(Buffer.from(rest));
    const secured = wrap(raw);
    this.#socket = secured;
    this.#isFast = false;
    this.#listen(secured);
    // Node tells its own TLS servers only, and leaves it to them to close.
    secured.on('_tlsError', (error: NodeJS.ErrnoException) => {
      this.#error ??= error;
      secured.destroy();
    });
    return secured;
  }

  /** Sends bytes that nobody is to find in memory afterwards, `bytes` included. */
  writeSecret(bytes: Buffer): void {
    if (!this.#isWritable) return;
    this.#socket.write(bytes, () => bytes.fill(0));
  }

  /** Called by the lender with bytes in the thread's read buffer. */
  receive(buffer: Buffer, length: number): void {
    this.#sink.onBytes(this.side, buffer, length);
  }

  /**
   * Sends `buffer[start, end)`. All of it is sent or queued, in order; the caller may reuse the buffer at once.
   *
   * @returns bytes now waiting: when that is not 0, the other side should not be read until `onDrain`
   */
  write(buffer: Buffer, start: number, end: number): number {
    if (!this.#isWritable || start === end) return 0;
    const socket = this.#socket;
    if (!this.#isFast) {
      const bytes = buffer.subarray(start, end);
      return socket.write(buffer.buffer === this.#lentBytes ? Buffer.from(bytes) : bytes)
        ? 0
        : socket.writableLength;
    }
    let next = start;
    if (socket.writableLength === 0) {
      next += this.#writeNow(buffer, start, end);
      if (next === end || !this.#isWritable) return 0;
    }
    // `'drain'` would not do: it comes only after more than a high-water mark was queued.
    socket.write(Buffer.from(buffer.subarray(next, end)), this.#flushed);
    return socket.writableLength;
  }

  /** Bytes accepted by `write` and not yet taken by the kernel. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** The peer has sent FIN, and everything it sent before has been read. */
  get hasPeerEnded(): boolean {
    return this.#hasPeerEnded;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Once it is secured. */
  get tls(): TLSSocket | null {
    return this.#socket instanceof TLSSocket ? this.#socket : null;
  }

  get remoteAddress(): string {
    return this.#proxied?.address ?? this.#socket.remoteAddress ?? '';
  }

  get remotePort(): number {
    return this.#proxied?.port ?? this.#socket.remotePort ?? 0;
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends FIN after what is queued. */
  end(): void {
    if (!this.#isWritable) return;
    this.#isWritable = false;
    this.#socket.end();
  }

  /** Ends at once; what is queued is lost. */
  destroy(): void {
    this.#isWritable = false;
    this.#socket.destroy();
  }

  /**
   * Writes to the descriptor what the kernel takes now.
   *
   * The descriptor is asked for at every write: a closed socket has none, so a number that the system has given to
   * another connection meanwhile is never written to. After a failed write the socket is still read: the peer's last
   * words (an ERR before it closed) may be waiting, and the read that follows them tells how it ended.
   */
  #writeNow(buffer: Buffer, start: number, end: number): number {
    const handle = handleOf(this.#socket);
    if (handle === null) return 0;
    try {
      return writeSync(handle.fd, buffer, start, end - start);
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code === 'EAGAIN') return 0;
      this.#error = error;
      this.#isWritable = false;
      if (this.#socket.readableEnded) this.#socket.destroy();
      else this.#socket.resume();
      return 0;
    }
  }
}

/** Lends the thread's read buffer to one socket. */
class BufferLender {
  readonly options: SocketConstructorOpts;
  borrower: Connection | null = null;

  constructor(readBuffer: Buffer) {
    const callback = (length: number): boolean => {
      this.borrower?.receive(readBuffer, length);
      return true;
    };
    this.options = { allowHalfOpen: true, onread: { buffer: readBuffer, callback } };
  }
}

const PORTABLE: Transport = { kind: 'portable' };

export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}

/** A server that vanished without a word is noticed by the kernel's probes (after 10 s), not only by the next write. */
const SERVER_SOCKET = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 } as const;
