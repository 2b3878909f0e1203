/**
 * A client that may come through a proxy: between its being accepted and its session, the PROXY protocol header is read.
 *
 * Only proxies that the route lists are read at all; for everybody else the session begins at once, and a header there is
 * what it would be on any other route: a client that speaks before the server. What a listed proxy does wrong is refused,
 * but not counted against it (limits.maxConnectErrors): that would shut out everybody behind it.
 */
import { encodeErrBeforeHandshake } from '../../protocol/err-packet.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { withoutMapping } from '../../protocol/ip-address.ts';
import { readProxyHeader } from '../../protocol/proxy-protocol.ts';
import { encodeProxyHeaderV2 } from '../../protocol/proxy-protocol-v2.ts';
import { encodeXError } from '../../protocol/x/messages.ts';
import { add, REFUSAL_REASONS, ROUTE } from '../shared/counters.ts';
import { type Accepted, Connection, type ConnectionSink } from './connection.ts';
import type { NetworkSet } from './network-set.ts';
import { errFor, type Refusal } from './refusal.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

export type ProxiedClientSink = {
  /** Who it is is known, and told by the connection; `rest` is what it has sent itself. */
  onArrived(connection: Connection, rest: Buffer): void;
  /** It needs no more looking after: it has arrived, was refused, or is gone. */
  onSettled(client: ProxiedClient): void;
};

export class ProxiedClient implements ConnectionSink {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #connection: Connection;
  readonly #sink: ProxiedClientSink;
  #received: Buffer = EMPTY;
  #timer: NodeJS.Timeout | null = null;
  #isSettled = false;

  /** @param waiting how many others wait for their header in this thread */
  constructor(
    context: ThreadContext,
    route: RouteState,
    proxies: NetworkSet,
    accepted: Accepted,
    waiting: number,
    sink: ProxiedClientSink,
  ) {
    this.#context = context;
    this.#route = route;
    this.#sink = sink;
    this.#connection = Connection.accept(accepted, context.transport, this);
    const address = this.#connection.remoteAddress;
    // Reset before it was accepted, as health checks do: nobody can tell who it was.
    if (address === '') this.close();
    else if (!proxies.has(address)) this.#arrive(EMPTY);
    else if (waiting >= MAX_WAITING) this.#refuse({ reason: 'total_limit', detail: '' });
    else this.#timer = setTimeout(() => this.#late(), this.#patienceMs());
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  onBytes(_side: unknown, buffer: Buffer, length: number): void {
    if (this.#isSettled) return;
    this.#received = Buffer.concat([this.#received, buffer.subarray(0, length)]);
    try {
      this.#read(this.#received);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse({ reason: 'bad_proxy_header', detail: error.detail });
    }
  }

  /** A health check that only connects ends like this. */
  onEnd(): void {
    this.close();
  }

  onDrain(): void {
    // Nothing is written before the session.
  }

  onClose(): void {
    this.close();
  }

  close(): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#connection.destroy();
  }

  #read(received: Buffer): void {
    const read = readProxyHeader(received, MAX_HEADER_BYTES);
    switch (read.kind) {
      case 'incomplete':
        return;
      case 'absent':
        if (!this.#route.bound.proxyProtocol.isRequired) return this.#arrive(received);
        return this.#refuse({ reason: 'bad_proxy_header', detail: 'PROXY protocol: there is no header' });
      case 'header':
        if (read.header.kind === 'proxied') this.#connection.speakFor(read.header.source);
        return this.#arrive(received.subarray(read.consumedBytes));
      default:
        read satisfies never;
    }
  }

  #patienceMs(): number {
    const { isRequired } = this.#route.bound.proxyProtocol;
    return isRequired ? this.#context.config().limits.clientHandshakeTimeoutMs : OPTIONAL_WAIT_MS;
  }

  #late(): void {
    // A client of its own waits for the server's first word.
    if (!this.#route.bound.proxyProtocol.isRequired && this.#received.length === 0)
      return this.#arrive(EMPTY);
    this.#refuse({ reason: 'bad_proxy_header', detail: 'PROXY protocol: no whole header in time' });
  }

  #arrive(rest: Buffer): void {
    this.#settle();
    this.#sink.onArrived(this.#connection, rest);
  }

  #refuse(refusal: Refusal): void {
    this.#settle();
    const { bound, offset } = this.#route;
    const err = errFor(refusal);
    const packet = bound.protocol === 'x' ? encodeXError(err) : encodeErrBeforeHandshake(err);
    this.#connection.write(packet, 0, packet.length);
    add(this.#context.cells, offset + ROUTE.refused + REFUSAL_REASONS.indexOf(refusal.reason), 1);
    this.#context.event('warn', 'client_refused', `Route ${bound.name} refused a proxy: ${refusal.reason}`, {
      route: bound.name,
      client: this.#connection.remoteAddress,
      reason: refusal.reason,
      detail: refusal.detail,
      error: err.errorCode,
    });
    this.#context.farewells.leave(this.#connection);
  }

  #settle(): void {
    this.#isSettled = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#sink.onSettled(this);
  }
}

/** What a server is told of a client, on a route that tells it. */
export function proxyHeaderFor(client: Connection): Buffer {
  return encodeProxyHeaderV2({
    kind: 'proxied',
    source: { address: withoutMapping(client.remoteAddress), port: client.remotePort },
    destination: { address: withoutMapping(client.localAddress), port: client.localPort },
  });
}

const EMPTY = Buffer.alloc(0);
/** Addresses have 36 bytes at most; the rest is for a proxy's TLVs, of which a client's certificate is the longest. */
const MAX_HEADER_BYTES = 4096;
const OPTIONAL_WAIT_MS = 100;
/** Connections a thread keeps waiting for their header; each holds at most MAX_HEADER_BYTES and a read. */
const MAX_WAITING = 1000;
