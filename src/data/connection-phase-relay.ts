/**
 * Relays the connection phase of one session: bytes go through as they come, but never before they were understood. What the
 * client sends is held back until a packet is whole, and an SSLRequest until a ClientHello is, so that half a packet never
 * reaches a server (which would count it against the router's address when the rest does not come, see max_connect_errors).
 */

import type { AuthBridge } from '../../protocol/auth-bridge.ts';
import { ByteCollector } from '../../protocol/byte-collector.ts';
import { readClientHello } from '../../protocol/client-hello.ts';
import type { ConnectionEvent, ConnectionFacts } from '../../protocol/connection-events.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import { MAX_AUTH_PACKET_BYTES } from '../../protocol/connection-phase-feed.ts';
import type { ErrPacket } from '../../protocol/err-packet.ts';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError } from '../../protocol/errors.ts';
import { encodeHandshakeResponse41, type HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodeInitialHandshake, type InitialHandshake } from '../../protocol/initial-handshake.ts';
import { encodePacket, PACKET_HEADER_BYTES } from '../../protocol/packet-header.ts';
import type { Connection } from './connection.ts';
import type { Farewells } from './farewell.ts';
import { changeOffer, changeResponse, clientIdentity } from './handshake-changes.ts';

/** How the connection phase ended; each is called once, as the last thing the relay does. */
export type ConnectionPhaseSink = {
  /** The client has said who it is; the server has been told. */
  onHandshakeResponse(response: HandshakeResponse41): void;
  /** The final OK has been forwarded. The bytes belong to the command phase and have not been forwarded. */
  onAuthenticated(
    facts: ConnectionFacts,
    fromServer: Buffer,
    fromClient: Buffer,
    /** Where only one side has TLS: later authentications need it too. */
    bridge?: AuthBridge,
  ): void;
  /** The SSLRequest has been forwarded; what came behind it is the client's TLS. */
  onTls(fromClient: Buffer): void;
  /** The server's ERR has been forwarded; it closes next. */
  onRefused(err: ErrPacket): void;
};

export class ConnectionPhaseRelay {
  readonly #phase: ConnectionPhase;
  readonly #client: Connection;
  readonly #server: Connection;
  readonly #sink: ConnectionPhaseSink;
  /** Capability flags kept from both sides. */
  readonly #masked: number;
  readonly #addsIdentity: boolean;
  /** The client's bytes that may not be read yet, or were not a whole header. */
  #clientRest: Buffer = EMPTY;
  #isHolding = false;
  #awaitsFirstPacket = true;
  /** What has come of the client's packet, until it is whole. */
  readonly #partial: ByteCollector;
  /** Bytes of the client's that the phase has read. */
  #clientOffset = 0;
  /** Whether the client has whole packets of the server's: only then can another be put behind them. */
  #isClientBetweenPackets = true;
  /** The client's SSLRequest and what has come of its ClientHello, until that is whole. */
  #tlsStart: { readonly request: Buffer; readonly hello: Buffer } | null = null;

  constructor(
    client: Connection,
    server: Connection,
    changes: {
      readonly maxHandshakeResponseBytes: number;
      readonly masked: number;
      readonly addsIdentity: boolean;
    },
    sink: ConnectionPhaseSink,
  ) {
    const { maxHandshakeResponseBytes, masked } = changes;
    this.#phase = new ConnectionPhase({
      maxHandshakeResponseBytes,
      maskedCapabilities: masked,
    });
    this.#partial = new ByteCollector(
      PACKET_HEADER_BYTES + Math.max(maxHandshakeResponseBytes, MAX_AUTH_PACKET_BYTES),
    );
    this.#masked = masked;
    this.#addsIdentity = changes.addsIdentity;
    this.#client = client;
    this.#server = server;
    this.#sink = sink;
  }

  /** The client is gone, or not to be let in: brings the server's part to an end that it does not count as a failure. */
  leaveServer(farewells: Farewells): void {
    this.#partial.take().fill(0);
    if (this.#awaitsFirstPacket || this.#tlsStart !== null) farewells.abandonHandshake(this.#server);
    else farewells.abandonAuthentication(this.#server, this.#phase.awaitedSequenceId ?? null);
  }

  /** The client is not to be read: what it has sent waits for the server's word. */
  get holdsClient(): boolean {
    return this.#isHolding;
  }

  /** An ERR packet as the client expects it at this moment; nothing in the middle of a packet of the server's. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#isClientBetweenPackets ? this.#phase.encodeErr(err) : EMPTY;
  }

  /** @throws ProtocolError when the server breaks the protocol */
  fromServer(buffer: Buffer, length: number): void {
    const chunk = buffer.subarray(0, length);
    // It has not been told of the client's TLS: whatever it says, it says to nobody.
    if (this.#tlsStart !== null) throw new ProtocolError(SERVER_OUT_OF_TURN, 'it spoke before TLS began');
    const { events, consumedBytes, next } = this.#phase.feedServer(chunk);
    const [first] = events;
    let from = 0;
    if (this.#masked !== 0 && first?.kind === 'initial-handshake') {
      this.#offer(first.initialHandshake);
      from = first.endOffset;
    }
    this.#client.write(chunk, from, consumedBytes);
    this.#isClientBetweenPackets = this.#phase.isServerBetweenPackets;
    const held = this.#clientRest;
    this.#clientRest = EMPTY;
    this.#isHolding = false;
    if (held.length > 0) this.#client.resume();
    if (next === 'done') return this.#finish(events, chunk.subarray(consumedBytes), held);
    if (held.length > 0) this.fromClient(held, held.length);
  }

  /** @throws ProtocolError when the client breaks the protocol; nothing of what broke it has been forwarded */
  fromClient(buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    if (this.#tlsStart !== null) return this.#beginTls(this.#tlsStart.request, this.#tlsStart.hello, fresh);
    const chunk = this.#clientRest.length === 0 ? fresh : Buffer.concat([this.#clientRest, fresh]);
    this.#clientRest = EMPTY;
    const { events, consumedBytes, next } = this.#phase.feedClient(chunk);
    this.#forwardToServer(events, chunk, consumedBytes);
    const rest = chunk.subarray(consumedBytes);
    if (next === 'done') return this.#finish(events, EMPTY, rest);
    if (rest.length > 0) this.#clientRest = Buffer.from(rest);
    if (next !== 'hold') return;
    this.#isHolding = true;
    this.#client.pause();
  }

  #forwardToServer(events: readonly ConnectionEvent[], chunk: Buffer, consumedBytes: number): void {
    this.#clientOffset += consumedBytes;
    const [first, last] = [events[0], events.at(-1)];
    if (first === undefined || last === undefined) return this.#partial.add(chunk, 0, consumedBytes);
    const begun = this.#partial.take();
    const startOffset = this.#clientOffset - consumedBytes;
    const wholeEnd = last.endOffset - startOffset;
    const firstEnd = this.#awaitsFirstPacket ? first.endOffset - startOffset : 0;
    if (this.#awaitsFirstPacket)
      this.#forwardFirst(first, Buffer.concat([begun, chunk.subarray(0, firstEnd)]));
    else if (begun.length > 0) this.#server.writeSecret(begun);
    this.#server.write(chunk, firstEnd, wholeEnd);
    this.#partial.add(chunk, wholeEnd, consumedBytes);
  }

  #forwardFirst(first: ConnectionEvent, whole: Buffer): void {
    const changed = first.kind === 'handshake-response' ? this.#changed(first.handshakeResponse) : null;
    this.#awaitsFirstPacket = false;
    if (first.kind === 'ssl-request') {
      this.#tlsStart = { request: whole, hello: EMPTY };
      return;
    }
    const packet = changed === null ? whole : encodePacket(changed, first.sequenceId);
    this.#server.write(packet, 0, packet.length);
    if (first.kind === 'handshake-response') this.#sink.onHandshakeResponse(first.handshakeResponse);
  }

  /** Once its ClientHello is whole, the client's wish is forwarded. @throws ProtocolError when it is no TLS */
  #beginTls(request: Buffer, before: Buffer, fresh: Buffer): void {
    const hello = Buffer.concat([before, fresh]);
    switch (readClientHello(hello)) {
      case 'no-tls':
        throw new ProtocolError(CLIENT_HANDSHAKE_FAULT, 'the client asked for TLS and sent something else');
      case 'not-yet-whole':
        this.#tlsStart = { request, hello };
        return;
      case 'whole':
        this.#tlsStart = null;
        this.#server.write(request, 0, request.length);
        return this.#sink.onTls(hello);
    }
  }

  /** The server's initial handshake without the flags the client is not to know of. */
  #offer(offer: InitialHandshake): void {
    const packet = encodePacket(encodeInitialHandshake(changeOffer(offer, this.#masked)), 0);
    this.#client.write(packet, 0, packet.length);
  }

  /**
   * What the server gets in place of the client's payload; null where that is to stay as it is.
   *
   * @throws ProtocolError as `changeResponse`
   */
  #changed(response: HandshakeResponse41): Buffer | null {
    const addsIdentity = this.#addsIdentity && response.attributes !== undefined;
    if (!addsIdentity && this.#masked === 0) return null;
    const identity = addsIdentity ? clientIdentity(this.#client, null) : null;
    return encodeHandshakeResponse41(changeResponse(response, this.#masked, identity));
  }

  #finish(events: readonly ConnectionEvent[], fromServer: Buffer, fromClient: Buffer): void {
    const last = events.at(-1);
    switch (last?.kind) {
      case 'ok':
        return this.#sink.onAuthenticated(last.facts, fromServer, fromClient);
      case 'ssl-request':
        return this.#beginTls(this.#tlsStart?.request ?? EMPTY, EMPTY, fromClient);
      case 'err':
        return this.#sink.onRefused(last.err);
      default:
        throw new Error(`the connection phase ended with ${last?.kind ?? 'nothing'}`);
    }
  }
}

const EMPTY = Buffer.alloc(0);
const SERVER_OUT_OF_TURN = { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'server' } as const;
