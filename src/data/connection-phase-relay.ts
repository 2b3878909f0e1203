/**
 * Relays the connection phase of one session: bytes go through as they come, but never before they were understood. The
 * client's first packet is held back until it is whole, so that half a handshake never reaches a server (which would
 * count it against the router's address, see max_connect_errors).
 */

import type { AuthBridge } from '../../protocol/auth-bridge.ts';
import type { ConnectionEvent, ConnectionFacts } from '../../protocol/connection-events.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import type { ErrPacket } from '../../protocol/err-packet.ts';
import { encodeHandshakeResponse41, type HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodeInitialHandshake, type InitialHandshake } from '../../protocol/initial-handshake.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
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
  /** The pieces of the client's first packet, until it is whole. */
  #firstPacket: Buffer[] | null = [];

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
    this.#phase = new ConnectionPhase({ maxHandshakeResponseBytes, maskedCapabilities: masked });
    this.#masked = masked;
    this.#addsIdentity = changes.addsIdentity;
    this.#client = client;
    this.#server = server;
    this.#sink = sink;
  }

  /** The client is gone, or not to be let in: brings the server's part to an end that it does not count as a failure. */
  leaveServer(farewells: Farewells): void {
    if (this.#firstPacket !== null) farewells.abandonHandshake(this.#server);
    else farewells.abandonAuthentication(this.#server, this.#phase.awaitedSequenceId ?? null);
  }

  /** An ERR packet as the client expects it at this moment. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#phase.encodeErr(err);
  }

  /** @throws ProtocolError when the server breaks the protocol */
  fromServer(buffer: Buffer, length: number): void {
    const chunk = buffer.subarray(0, length);
    const { events, consumedBytes, next } = this.#phase.feedServer(chunk);
    const [first] = events;
    if (this.#masked !== 0 && first?.kind === 'initial-handshake') this.#offer(first.initialHandshake);
    else this.#client.write(chunk, 0, consumedBytes);
    const held = this.#clientRest;
    this.#clientRest = EMPTY;
    if (held.length > 0) this.#client.resume();
    if (next === 'done') return this.#finish(events, chunk.subarray(consumedBytes), held);
    if (held.length > 0) this.fromClient(held, held.length);
  }

  /** @throws ProtocolError when the client breaks the protocol; nothing of what broke it has been forwarded */
  fromClient(buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    const chunk = this.#clientRest.length === 0 ? fresh : Buffer.concat([this.#clientRest, fresh]);
    this.#clientRest = EMPTY;
    const { events, consumedBytes, next } = this.#phase.feedClient(chunk);
    this.#forwardToServer(events, chunk, consumedBytes);
    const rest = chunk.subarray(consumedBytes);
    if (next === 'done') return this.#finish(events, EMPTY, rest);
    if (rest.length > 0) this.#clientRest = Buffer.from(rest);
    if (next === 'hold') this.#client.pause();
  }

  #forwardToServer(events: readonly ConnectionEvent[], chunk: Buffer, consumedBytes: number): void {
    if (this.#firstPacket === null) {
      this.#server.write(chunk, 0, consumedBytes);
      return;
    }
    const [first] = events;
    if (first === undefined) {
      this.#firstPacket.push(Buffer.from(chunk.subarray(0, consumedBytes)));
      return;
    }
    const whole = Buffer.concat([...this.#firstPacket, chunk.subarray(0, consumedBytes)]);
    this.#firstPacket = null;
    const changed = first.kind === 'handshake-response' ? this.#changed(first.handshakeResponse) : null;
    const packet = changed === null ? whole : encodePacket(changed, first.sequenceId);
    this.#server.write(packet, 0, packet.length);
    if (first.kind === 'handshake-response') this.#sink.onHandshakeResponse(first.handshakeResponse);
  }

  /** The server's initial handshake without the flags the client is not to know of. */
  #offer(offer: InitialHandshake): void {
    const packet = encodePacket(encodeInitialHandshake(changeOffer(offer, this.#masked)), 0);
    this.#client.write(packet, 0, packet.length);
  }

  /** What the server gets in place of the client's payload; null where that is to stay as it is. */
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
        return this.#sink.onTls(fromClient);
      case 'err':
        return this.#sink.onRefused(last.err);
      default:
        throw new Error(`the connection phase ended with ${last?.kind ?? 'nothing'}`);
    }
  }
}

const EMPTY = Buffer.alloc(0);
