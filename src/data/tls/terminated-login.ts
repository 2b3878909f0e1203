/**
 * The connection phase of a session whose TLS ends here: the client speaks TLS with the router or not, and so does the
 * server, each as the route says. Authentication stays between client and server, who see each other's nonce and answers.
 *
 *     server            router                                client
 *     initial handshake → CLIENT_SSL as the route offers it →
 *                         ← SSLRequest, TLS                    where both want it
 *                         ← HandshakeResponse41
 *     ← SSLRequest, TLS                                        where the route wants it
 *     ← HandshakeResponse41, CLIENT_SSL as it is there
 *     … then packets as they come, each side numbered for itself (an SSLRequest counts); AuthBridge where only one side
 *     has TLS
 *
 * Nothing reaches the server before the client's HandshakeResponse41 is whole, so that one who leaves early leaves no half
 * handshake there. Packets are gathered whole here, up to a limit; in the command phase nothing is.
 */
import { AuthBridge } from '../../../protocol/auth-bridge.ts';
import {
  CLIENT_MULTI_FACTOR_AUTHENTICATION,
  CLIENT_SSL,
  capabilityNames,
  hasCapability,
} from '../../../protocol/capability-flags.ts';
import { ConnectionPhase } from '../../../protocol/connection-phase.ts';
import { MAX_AUTH_PACKET_BYTES } from '../../../protocol/connection-phase-feed.ts';
import { ERR_HEADER, type ErrPacket } from '../../../protocol/err-packet.ts';
import { ProtocolError, SERVER_FAULT } from '../../../protocol/errors.ts';
import {
  encodeHandshakeResponse41,
  type HandshakeResponse41,
} from '../../../protocol/handshake-response41.ts';
import {
  decodeInitialHandshake,
  encodeInitialHandshake,
  type InitialHandshake,
} from '../../../protocol/initial-handshake.ts';
import { OK_HEADER } from '../../../protocol/ok-packet.ts';
import { type GatheredPacket, PacketGatherer } from '../../../protocol/packet-gatherer.ts';
import {
  encodePacket,
  nextSequenceId,
  PACKET_HEADER_BYTES,
  readPayloadBytes,
} from '../../../protocol/packet-header.ts';
import { encodeSslRequest } from '../../../protocol/ssl-request.ts';
import type { Connection } from '../connection.ts';
import type { ConnectionPhaseSink } from '../connection-phase-relay.ts';
import type { Farewells } from '../farewell.ts';
import type { IntroducedClient } from '../guidelines/introduction.ts';
import { missingFlags, type OwnGreeting } from '../guidelines/own-greeting.ts';
import { changeOffer, changeResponse, clientIdentity, type TlsFacts } from '../handshake-changes.ts';
import { type Refusal, refusalFor } from '../refusal.ts';
import { acceptTls, connectTls } from './handshake.ts';
import type { RouteTls } from './route-tls.ts';

export type TerminatedLoginOptions = {
  readonly client: Connection;
  readonly server: Connection;
  /** The member's name, which its certificate is to bear. */
  readonly memberHost: string;
  readonly tls: RouteTls;
  readonly maxHandshakeResponseBytes: number;
  /** Capability flags kept from both sides. */
  readonly masked: number;
  readonly addsIdentity: boolean;
  /** Where the router has greeted the client itself: it has said who it is. */
  readonly introduced: IntroducedClient | null;
  readonly ownGreeting: OwnGreeting;
};

export type TerminatedLoginSink = ConnectionPhaseSink & {
  /** The client is not let in. Called as the last thing. */
  onRefusal(refusal: Refusal): void;
};

/** What is waited for. */
type Stage =
  | 'server-greeting'
  | 'client'
  | 'client-tls'
  | 'server-tls'
  /** TLS with the server stands, but its certificate will not do. */
  | 'server-unverified'
  | 'authentication'
  | 'left';

export class TerminatedLogin {
  readonly #options: TerminatedLoginOptions;
  readonly #sink: TerminatedLoginSink;
  /** Sees what the client sees, and decides what may come. */
  readonly #phase: ConnectionPhase;
  readonly #fromClient: PacketGatherer;
  readonly #fromServer: PacketGatherer;
  #stage: Stage = 'server-greeting';
  #offer: InitialHandshake | null = null;
  #clientTls: TlsFacts | null = null;
  #bridge: AuthBridge | null = null;
  /** Of the next packet to each side. */
  #toClientSequenceId = 0;
  #toServerSequenceId = 1;
  /** The client's bytes that may not be read yet, or were not a whole header. */
  #clientRest: Buffer = EMPTY;
  #isHolding = false;
  /** Bytes of the client's that the phase has read. */
  #clientOffset = 0;
  #onSecuredTooLate: () => void = () => undefined;

  constructor(options: TerminatedLoginOptions, sink: TerminatedLoginSink) {
    this.#options = options;
    this.#sink = sink;
    const { introduced, maxHandshakeResponseBytes } = options;
    this.#clientTls = introduced?.tls ?? null;
    this.#phase = introduced?.phase ?? new ConnectionPhase({ maxHandshakeResponseBytes, tls: 'ended-here' });
    this.#fromClient = new PacketGatherer({ maxPayloadBytes: MAX_AUTH_PACKET_BYTES, side: 'client' });
    this.#fromServer = new PacketGatherer({ maxPayloadBytes: MAX_AUTH_PACKET_BYTES, side: 'server' });
  }

  /** Brings the server's part to an end that it does not count as a failure. */
  leaveServer(farewells: Farewells): void {
    const { server } = this.#options;
    const stage = this.#stage;
    this.#stage = 'left';
    this.#bridge?.end();
    if (stage === 'authentication') {
      const isClientsTurn = this.#phase.awaitedSequenceId !== undefined;
      farewells.abandonAuthentication(server, isClientsTurn ? this.#toServerSequenceId : null);
    } else if (stage === 'server-tls' || stage === 'server-unverified') {
      farewells.abandonSecuring(server);
      this.#onSecuredTooLate = () => farewells.introduceNobody(server);
      if (stage === 'server-unverified') this.#onSecuredTooLate();
    } else farewells.abandonHandshake(server);
  }

  /** An ERR packet as the client expects it at this moment; nothing while only TLS is expected. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#stage === 'client-tls' ? EMPTY : this.#phase.encodeErr(err);
  }

  /** The client is not to be read: what it has sent waits for the server. */
  get holdsClient(): boolean {
    return this.#isHolding || this.#stage === 'server-tls' || this.#stage === 'server-unverified';
  }

  /** Why a connection that is over has ended, where this knows better than the connection. */
  refusalAtClose(side: 'client' | 'server', error: Error | null): Refusal | null {
    const why = error?.message ?? 'it closed the connection';
    if (side === 'client' && this.#stage === 'client-tls')
      return { reason: 'tls_client', detail: `TLS with the client failed: ${why}` };
    if (side === 'server' && this.#stage === 'server-tls') return tlsServerRefusal(why);
    return null;
  }

  /** @throws ProtocolError when the server breaks the protocol */
  fromServer(buffer: Buffer, length: number): void {
    const chunk = buffer.subarray(0, length);
    if (this.#stage === 'server-greeting') return this.#greet(chunk);
    let offset = 0;
    while (offset < chunk.length) {
      offset = this.#fromServer.advance(chunk, offset);
      const { packet } = this.#fromServer;
      if (packet === undefined) continue;
      if (this.#serverPacket(packet, chunk.subarray(offset))) return;
    }
  }

  /** @throws ProtocolError when the client breaks the protocol; nothing of what broke it has been forwarded */
  fromClient(buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    const chunk = this.#clientRest.length === 0 ? fresh : Buffer.concat([this.#clientRest, fresh]);
    this.#clientRest = EMPTY;
    const stage = this.#stage;
    if (stage === 'server-tls' || stage === 'server-unverified') {
      this.#clientRest = Buffer.from(chunk);
      return this.#options.client.pause();
    }
    const { events, consumedBytes, next } = this.#phase.feedClient(chunk);
    this.#clientOffset += consumedBytes;
    const rest = chunk.subarray(consumedBytes);
    if (next === 'tls') return this.#beginClientTls(rest);
    if (rest.length > 0) this.#clientRest = Buffer.from(rest);
    this.#isHolding = next === 'hold';
    if (this.#isHolding) this.#options.client.pause();
    if (stage !== 'authentication') {
      const [first] = events;
      if (first?.kind !== 'handshake-response') return;
      // A command that waits for its turn is not among them.
      if (first.endOffset !== this.#clientOffset) throw outOfTurn();
      return this.#introduce(first.handshakeResponse, first.sequenceId);
    }
    for (let offset = 0; offset < consumedBytes && this.#stage === 'authentication'; ) {
      offset = this.#fromClient.advance(chunk.subarray(0, consumedBytes), offset);
      const { packet } = this.#fromClient;
      if (packet !== undefined) this.#clientPacket(packet);
    }
    // It may have been a password.
    chunk.fill(0, 0, consumedBytes);
  }

  #greet(chunk: Buffer): void {
    const { tls, masked, client, introduced } = this.#options;
    if (chunk.length !== PACKET_HEADER_BYTES + readPayloadBytes(chunk, 0))
      throw new ProtocolError(SERVER_FAULT, 'bytes behind the initial handshake');
    const offer = decodeInitialHandshake(chunk.subarray(PACKET_HEADER_BYTES));
    const hasTls = hasCapability(offer.capabilityFlags, CLIENT_SSL);
    const isAlike = tls.clientMode === 'required' || introduced?.tls != null;
    const isNeeded = tls.serverMode === 'required' || (tls.serverMode === 'as-client' && isAlike);
    this.#stage = 'client';
    if (isNeeded && !hasTls) return this.#refuse('tls_required', NOT_AT_SERVER);
    if (introduced !== null) return this.#meet(introduced, offer);
    // What the client has with the router it is to have with the server as well.
    const isOffered =
      tls.clientMode === 'required' ||
      (tls.clientMode === 'preferred' && (tls.serverMode !== 'as-client' || hasTls));
    this.#offer = offer;
    const changed = encodeInitialHandshake(changeOffer(offer, masked, isOffered));
    const packet = encodePacket(changed, 0);
    this.#phase.feedServer(packet);
    client.write(packet, 0, packet.length);
  }

  /** The client was promised what servers offered before. */
  #meet({ response, sequenceId, agreed }: IntroducedClient, offer: InitialHandshake): void {
    this.#offer = offer;
    const missing = missingFlags(agreed, offer);
    if (missing === 0) return this.#introduce(response, sequenceId);
    this.#options.ownGreeting.narrow(offer);
    this.#refuse(
      'server_handshake',
      `the server lacks ${capabilityNames(missing).join(', ')}; connect again`,
    );
  }

  #beginClientTls(rest: Buffer): void {
    this.#stage = 'client-tls';
    acceptTls(this.#options.client, this.#options.tls, rest, (outcome) => {
      if (this.#stage !== 'client-tls') return;
      if (outcome.kind === 'objection') {
        this.#stage = 'client';
        return this.#refuse('tls_required', `the client's certificate is not accepted: ${outcome.why}`);
      }
      this.#clientTls = outcome.facts;
      this.#stage = 'client';
    });
  }

  #introduce(response: HandshakeResponse41, sequenceId: number): void {
    const { tls, masked, addsIdentity, client } = this.#options;
    const offer = this.#offer;
    if (offer === null) throw outOfTurn();
    this.#toClientSequenceId = nextSequenceId(sequenceId);
    const isSecure = this.#clientTls !== null;
    if (tls.clientMode === 'required' && !isSecure) return this.#refuse('tls_required', NOT_AT_CLIENT);
    const hasTls = hasCapability(offer.capabilityFlags, CLIENT_SSL);
    const wantsTls =
      tls.serverMode === 'required' ||
      (tls.serverMode === 'preferred' && hasTls) ||
      (tls.serverMode === 'as-client' && isSecure);
    this.#sink.onHandshakeResponse(response);
    const identity = addsIdentity ? clientIdentity(client, this.#clientTls) : null;
    const changed = changeResponse(response, masked, identity, wantsTls);
    if (isSecure !== wantsTls) this.#bridge = this.#createBridge(offer, changed, isSecure);
    const plugin = changed.authPluginName || offer.authPluginName;
    const first = this.#bridge?.begin(plugin, changed.authResponse);
    const whole =
      first === undefined || first.plugin === plugin
        ? changed
        : { ...changed, authPluginName: first.plugin, authResponse: first.response };
    if (wantsTls) this.#beginServerTls(whole);
    else this.#sendResponse(whole);
  }

  #createBridge(offer: InitialHandshake, response: HandshakeResponse41, isClientSecure: boolean): AuthBridge {
    const flags = offer.capabilityFlags & response.capabilityFlags;
    return new AuthBridge({
      secure: isClientSecure ? 'client' : 'server',
      key: this.#options.tls.authKey,
      isMultiFactorAgreed: hasCapability(flags, CLIENT_MULTI_FACTOR_AUTHENTICATION),
      authPluginData: offer.authPluginData,
    });
  }

  #beginServerTls(response: HandshakeResponse41): void {
    const { server, client, tls, memberHost } = this.#options;
    this.#stage = 'server-tls';
    client.pause();
    this.#toServer(encodeSslRequest(response), false);
    connectTls(server, tls, memberHost, (outcome) => {
      if (this.#stage !== 'server-tls') return this.#onSecuredTooLate();
      if (outcome.kind === 'objection') {
        this.#stage = 'server-unverified';
        return this.#sink.onRefusal(tlsServerRefusal(outcome.why));
      }
      this.#sendResponse(response);
      client.resume();
      if (this.#clientRest.length > 0) this.#readOn();
    });
  }

  /** What came meanwhile; nobody is there to catch what is wrong with it. */
  #readOn(): void {
    try {
      this.fromClient(EMPTY, 0);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#sink.onRefusal(refusalFor(error));
    }
  }

  #sendResponse(response: HandshakeResponse41): void {
    this.#stage = 'authentication';
    this.#toServer(encodeHandshakeResponse41(response), true);
  }

  /** @returns whether the phase is over */
  #serverPacket({ payload, sequenceId, lastSequenceId }: GatheredPacket, rest: Buffer): boolean {
    const isErr = payload[0] === ERR_HEADER;
    if (!isErr && this.#stage !== 'authentication')
      throw new ProtocolError(SERVER_FAULT, 'the server speaks out of turn');
    // An ERR may cross a packet of the client's, and is the last.
    if (!isErr && sequenceId !== this.#toServerSequenceId)
      throw new ProtocolError(
        { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'server' },
        `sequence id ${sequenceId}, not ${this.#toServerSequenceId}`,
      );
    this.#toServerSequenceId = nextSequenceId(lastSequenceId);
    // No ERR can be said while the client speaks only TLS; the session ends with the connection.
    if (isErr && this.#stage === 'client-tls') return true;
    const isOk = payload[0] === OK_HEADER;
    if (isErr || isOk || this.#bridge === null) return this.#toClient(payload, rest);
    const move = this.#bridge.fromServer(payload);
    if (move.kind === 'to-client') return this.#toClient(move.payload, rest);
    if (move.kind === 'to-server') this.#toServer(move.payload, move.isSecret);
    else this.#refuse('auth_impossible', move.why);
    return move.kind === 'refused';
  }

  #clientPacket({ payload, lastSequenceId }: GatheredPacket): void {
    this.#toClientSequenceId = nextSequenceId(lastSequenceId);
    if (this.#bridge === null) return this.#toServer(payload, true);
    const move = this.#bridge.fromClient(payload);
    if (move.kind === 'to-client') this.#toClient(move.payload, EMPTY);
    else if (move.kind === 'to-server') this.#toServer(move.payload, move.isSecret);
    else this.#refuse('auth_impossible', move.why);
  }

  #toServer(payload: Buffer, isSecret: boolean): void {
    const { server } = this.#options;
    const packet = encodePacket(payload, this.#toServerSequenceId);
    this.#toServerSequenceId = nextSequenceId(this.#toServerSequenceId);
    if (!isSecret) return void server.write(packet, 0, packet.length);
    payload.fill(0);
    server.writeSecret(packet);
  }

  /** @returns whether that was the end; then `rest` belongs to the command phase */
  #toClient(payload: Buffer, rest: Buffer): boolean {
    const packet = encodePacket(payload, this.#toClientSequenceId);
    this.#toClientSequenceId = nextSequenceId(this.#toClientSequenceId);
    const { events, next } = this.#phase.feedServer(packet);
    const { client } = this.#options;
    client.write(packet, 0, packet.length);
    const held = this.#clientRest;
    this.#clientRest = EMPTY;
    this.#isHolding = false;
    if (held.length > 0) client.resume();
    if (next === 'done') {
      this.#bridge?.end();
      const [last] = events;
      const bridge = this.#bridge ?? undefined;
      if (last?.kind === 'ok') this.#sink.onAuthenticated(last.facts, rest, held, bridge);
      else if (last?.kind === 'err') this.#sink.onRefused(last.err);
      return true;
    }
    if (held.length > 0) this.fromClient(held, held.length);
    return false;
  }

  #refuse(reason: Refusal['reason'], detail: string): void {
    this.#sink.onRefusal({ reason, detail });
  }
}

function tlsServerRefusal(why: string): Refusal {
  return { reason: 'tls_server', detail: `connecting to destination failed with TLS error: ${why}` };
}

function outOfTurn(): ProtocolError {
  const fault = { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'client' } as const;
  return new ProtocolError(fault, 'packets ahead of the server');
}

const EMPTY = Buffer.alloc(0);

/** MySQL Router's words. */
const NOT_AT_CLIENT = 'SSL is required from client';
const NOT_AT_SERVER = "SSL is required by router, but the server doesn't support it";
