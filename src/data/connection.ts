/**
 * One side of a session: a TCP connection to the client or to the server, and how bytes come from it and go to it.
 *
 * Two ways carry the bytes, with the same behaviour (transport-self-test.ts chooses at start): bare handles (`fast`,
 * bare-wire.ts) and sockets (`portable`, socket-wire.ts). Under TLS it is always a socket.
 */
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type BareTcp, BareWire } from './bare-wire.ts';
import { SocketWire } from './socket-wire.ts';
import type { TcpHandle } from './tcp-handle.ts';
import { TlsWire } from './tls/tls-wire.ts';
import type { Endpoint, Wire, WireOwner } from './wire.ts';

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
export type Transport = { readonly kind: 'fast'; readonly tcp: BareTcp } | { readonly kind: 'portable' };

/** What a listener hands over: a bare handle for the fast transport, a paused socket for the portable one. */
export type Accepted = TcpHandle | Socket;

export class Connection implements WireOwner {
  readonly side: Side;
  #sink: ConnectionSink;
  #wire: Wire;
  /** Who the peer is, once somebody has asked, or it has said that it speaks for somebody else. */
  #remote: Endpoint | null = null;

  private constructor(side: Side, sink: ConnectionSink, connect: (owner: Connection) => Wire) {
    this.side = side;
    this.#sink = sink;
    this.#wire = connect(this);
  }

  /** Takes over what a listener accepted, and starts reading from it; a connection that was read before, as it is. */
  static accept(accepted: Accepted | Connection, transport: Transport, sink: ConnectionSink): Connection {
    if (accepted instanceof Connection) {
      accepted.attach(sink);
      return accepted;
    }
    if (accepted instanceof Socket) {
      const connection = new Connection('client', sink, (owner) => new SocketWire(accepted, owner, null));
      accepted.resume();
      return connection;
    }
    if (transport.kind === 'portable')
      throw new Error('a bare handle was accepted for the portable transport');
    return new Connection('client', sink, (owner) => BareWire.accept(transport.tcp, accepted, owner));
  }

  /** Begins a connection to a server; `onConnect` is called once it stands. `host` is an IP address. */
  static dial(
    { host: address, port }: { readonly host: string; readonly port: number },
    transport: Transport,
    sink: ConnectionSink,
    onConnect: () => void,
  ): Connection {
    const to = { address, port };
    return new Connection('server', sink, (owner) =>
      transport.kind === 'fast'
        ? BareWire.dial(transport.tcp, to, owner, onConnect)
        : SocketWire.dial(to, owner, onConnect),
    );
  }

  /** The peer is a proxy and speaks for somebody else: who that is counts from now on. */
  speakFor(proxied: Endpoint): void {
    this.#remote = proxied;
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
    const { tcp } = this.#wire;
    const raw = this.#wire.toSocket();
    if (rest.length > 0) raw.unshift(Buffer.from(rest));
    const secured = wrap(raw);
    const wire = tcp === null ? new SocketWire(secured, this, null) : new TlsWire(tcp, secured, this);
    this.#wire = wire;
    // Node tells its own TLS servers only, and leaves it to them to close.
    secured.on('_tlsError', (error: NodeJS.ErrnoException) => wire.fail(error));
    return secured;
  }

  /** Sends bytes that nobody is to find in memory afterwards, `bytes` included. */
  writeSecret(bytes: Buffer): void {
    this.#wire.writeSecret(bytes);
  }

  /**
   * Sends `buffer[start, end)`. All of it is sent or queued, in order. A buffer lent by a wire may be reused at once, any other is
   * the wire's until it is sent.
   *
   * @returns bytes now waiting: when that is not 0, the other side should not be read until `onDrain`
   */
  write(buffer: Buffer, start: number, end: number): number {
    return this.#wire.write(buffer, start, end);
  }

  /** Bytes accepted by `write` and not yet taken by the kernel. */
  get queuedBytes(): number {
    return this.#wire.queuedBytes;
  }

  /** The peer has sent FIN, and everything it sent before has been read. */
  get hasPeerEnded(): boolean {
    return this.#wire.hasPeerEnded;
  }

  get isOpen(): boolean {
    return this.#wire.isOpen;
  }

  /** Once it is secured. */
  get tls(): TLSSocket | null {
    return this.#wire.tls;
  }

  get remoteAddress(): string {
    this.#remote ??= this.#wire.remote;
    return this.#remote?.address ?? '';
  }

  get remotePort(): number {
    this.#remote ??= this.#wire.remote;
    return this.#remote?.port ?? 0;
  }

  get localAddress(): string {
    return this.#wire.local?.address ?? '';
  }

  get localPort(): number {
    return this.#wire.local?.port ?? 0;
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  /** Sends FIN after what is queued. */
  end(): void {
    this.#wire.end();
  }

  /** Ends at once with RST, or inside TLS without its goodbye: the peer is not to take it for an end in order. */
  reset(): void {
    this.#wire.reset();
  }

  /** Ends at once; what is queued is lost. */
  destroy(): void {
    this.#wire.destroy();
  }

  wireRead(buffer: Buffer, length: number): void {
    this.#sink.onBytes(this.side, buffer, length);
  }

  wireEnded(): void {
    this.#sink.onEnd(this.side);
  }

  wireDrained(): void {
    this.#sink.onDrain(this.side);
  }

  wireClosed(error: NodeJS.ErrnoException | null): void {
    this.#sink.onClose(this.side, error);
  }
}
