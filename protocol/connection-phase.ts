import type { Buffer } from 'node:buffer';
import { AUTH_MORE_DATA, CACHING_SHA2_FAST_AUTH_OK } from './auth-more-data.ts';
import { AUTH_NEXT_FACTOR, decodeAuthNextFactor } from './auth-next-factor.ts';
import { AUTH_SWITCH_REQUEST, decodeAuthSwitchRequest } from './auth-switch-request.ts';
import { ByteCollector } from './byte-collector.ts';
import { CLIENT_MULTI_FACTOR_AUTHENTICATION, CLIENT_SSL, hasCapability } from './capability-flags.ts';
import { type ConnectionEvent, createConnectionFacts, type PacketFacts } from './connection-events.ts';
import { type ConnectionPhaseOptions, DEFAULT_OPTIONS, type FeedResult } from './connection-phase-feed.ts';
import {
  type ConnectionPhaseState,
  type ConnectionPhaseTrigger,
  isFinalState,
  nextConnectionPhaseState,
} from './connection-phase-transitions.ts';
import {
  decodeErrPacket,
  ERR_HEADER,
  type ErrPacket,
  encodeErr,
  encodeErrBeforeHandshake,
} from './err-packet.ts';
import type { ErrorName } from './error-codes.ts';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError, type Side } from './errors.ts';
import {
  decodeHandshakeResponse41,
  type HandshakeResponse41,
  isHandshakeResponse320,
} from './handshake-response41.ts';
import { decodeInitialHandshake, type InitialHandshake } from './initial-handshake.ts';
import { decodeOkPacketHead, OK_HEADER } from './ok-packet.ts';
import { MAX_PAYLOAD_BYTES, nextSequenceId, PACKET_HEADER_BYTES } from './packet-header.ts';
import { PacketSplitter } from './packet-splitter.ts';
import { decodeSslRequest } from './ssl-request.ts';
import { unreachable } from './unreachable.ts';

/**
 * The connection phase of one relayed session: watches the bytes of both sides, changes none, and says what
 * each packet is and when the phase is over.
 *
 * The caller feeds each chunk before it forwards it, and forwards `consumedBytes` of it. It may hold back the
 * server's first packet and the client's until their events come, and forward other bytes instead. See
 * `FeedResult.next` for bytes that were not consumed.
 *
 * Memory: the server's packets up to 4 KiB each and the client's first packet; of the client's later packets,
 * which may hold passwords, nothing.
 */
export class ConnectionPhase {
  readonly #options: Required<ConnectionPhaseOptions>;
  readonly #server: Direction;
  readonly #client: Direction;
  #state: ConnectionPhaseState = 'initial-handshake';
  #expectedSequenceId = 0;
  #initialHandshake: InitialHandshake | undefined;
  #handshakeResponse: HandshakeResponse41 | undefined;
  #authPluginName = '';

  constructor(options: ConnectionPhaseOptions = {}) {
    this.#options = { ...DEFAULT_OPTIONS, ...options };
    this.#server = createDirection('server', SERVER_KEPT_BYTES);
    this.#client = createDirection('client', this.#options.maxHandshakeResponseBytes);
  }

  get state(): ConnectionPhaseState {
    return this.#state;
  }

  /** The sequence id of the packet the server waits for, of which a part may have been fed; undefined while it waits for none. */
  get awaitedSequenceId(): number | undefined {
    if (this.#state !== 'auth-response' && this.#state !== 'auth-data') return undefined;
    const { splitter } = this.#client;
    return splitter.remainingBytes > 0 ? splitter.sequenceId : this.#expectedSequenceId;
  }

  /** Nothing of a packet of the server's has been fed without the rest of it. */
  get isServerBetweenPackets(): boolean {
    return this.#server.splitter.isBetweenPackets;
  }

  /** Reads what the server sent. @throws ProtocolError; the phase has then `failed`. */
  feedServer(chunk: Uint8Array): FeedResult {
    return this.#feed(this.#server, chunk);
  }

  /** Reads what the client sent. @throws ProtocolError; the phase has then `failed`. */
  feedClient(chunk: Uint8Array): FeedResult {
    return this.#feed(this.#client, chunk);
  }

  /**
   * An ERR packet of the router's own for the client, as it must look at this moment: without SQLSTATE before
   * the initial handshake, and with the sequence id the client expects.
   */
  encodeErr(err: ErrPacket): Buffer {
    if (this.#initialHandshake === undefined) return encodeErrBeforeHandshake(err);
    return encodeErr(err, this.#expectedSequenceId);
  }

  #feed(direction: Direction, chunk: Uint8Array): FeedResult {
    try {
      return this.#read(direction, chunk);
    } catch (error) {
      this.#step('violation', direction.side);
      throw error;
    }
  }

  #read(direction: Direction, chunk: Uint8Array): FeedResult {
    const events: ConnectionEvent[] = [];
    const { splitter } = direction;
    let offset = 0;
    let next: FeedResult['next'] = 'read';
    while (offset < chunk.length && next !== 'tls' && !isFinalState(this.#state)) {
      const turn = direction.side === 'client' ? this.#clientTurn(chunk, offset) : 'go-on';
      if (turn !== 'go-on') {
        next = turn;
        break;
      }
      const from = offset;
      offset = splitter.advance(chunk, from);
      direction.offset += offset - from;
      if (splitter.step === 'header') this.#checkHeader(direction);
      if (splitter.step === 'payload') this.#keepPayload(direction, chunk, from, offset);
      if (splitter.step !== 'starved' && splitter.remainingBytes === 0) {
        const event = direction.side === 'server' ? this.#serverEvent() : this.#clientEvent();
        events.push(event);
        if (event.kind === 'ssl-request') next = 'tls';
      }
    }
    return { events, consumedBytes: offset, next: isFinalState(this.#state) ? 'done' : next };
  }

  /**
   * Whether the client's next byte may be read. Out of its turn, a client's packet is either a second one of
   * its plugin's, which continues the sequence, or the first command sent ahead of the server's OK, which
   * begins a sequence of its own; only a whole header tells.
   */
  #clientTurn(chunk: Uint8Array, offset: number): 'go-on' | 'read' | 'hold' {
    if (!this.#client.splitter.isBetweenPackets) return 'go-on';
    if (this.#state === 'initial-handshake') throw outOfOrder('client', 'bytes before the initial handshake');
    if (!this.#server.splitter.isBetweenPackets) return 'hold';
    if (this.#state !== 'auth-result' && this.#state !== 'auth-data') return 'go-on';
    const sequenceId = chunk[offset + PACKET_HEADER_BYTES - 1];
    if (sequenceId === undefined) return 'read';
    // After 255 packets the plugin's own sequence comes by 0 as well.
    const isExpected = this.#state === 'auth-data' && sequenceId === this.#expectedSequenceId;
    return sequenceId === 0 && !isExpected ? 'hold' : 'go-on';
  }

  /** Lengths first: a peer that does not speak MySQL at all is recognised by its first four bytes. */
  #checkHeader(direction: Direction): void {
    const { side, splitter } = direction;
    const limit = this.#payloadLimit(side);
    if (side === 'client') this.#checkSequenceId(direction);
    if (splitter.payloadBytes > limit.bytes) {
      throw new ProtocolError(
        { code: limit.code, side },
        `a packet of ${splitter.payloadBytes} bytes in the connection phase, ${limit.bytes} are allowed`,
      );
    }
    if (side === 'server' && splitter.payloadBytes === 0) this.#checkSequenceId(direction);
  }

  #payloadLimit(side: Side): { readonly bytes: number; readonly code: ErrorName } {
    if (this.#state === 'initial-handshake') {
      return { bytes: SERVER_KEPT_BYTES, code: 'CR_SERVER_HANDSHAKE_ERR' };
    }
    const isFirstOfClient = side === 'client' && this.#awaitsHandshakeResponse;
    const bytes = isFirstOfClient
      ? this.#options.maxHandshakeResponseBytes
      : this.#options.maxAuthPacketBytes;
    return {
      bytes: Math.min(bytes, MAX_PAYLOAD_BYTES - 1),
      code: side === 'client' ? 'ER_NET_PACKET_TOO_LARGE' : 'CR_MALFORMED_PACKET',
    };
  }

  #checkSequenceId({ side, splitter }: Direction): void {
    const expected = this.#expectedSequenceId;
    this.#expectedSequenceId = nextSequenceId(splitter.sequenceId);
    if (splitter.sequenceId !== expected) {
      throw outOfOrder(side, `sequence id ${splitter.sequenceId}, not ${expected}`);
    }
  }

  #keepPayload(direction: Direction, chunk: Uint8Array, from: number, to: number): void {
    const { side, splitter, kept } = direction;
    const isFirstPiece = splitter.payloadBytes - splitter.remainingBytes === to - from;
    // The server's ERR may cross a packet of the client's, so it may come with any sequence id: it is the last.
    if (side === 'server' && isFirstPiece && chunk[from] !== ERR_HEADER) this.#checkSequenceId(direction);
    if (side === 'server' || this.#awaitsHandshakeResponse) kept.add(chunk, from, to);
  }

  #serverEvent(): ConnectionEvent {
    const payload = this.#server.kept.take();
    const packet = packetFacts(this.#server);
    if (payload[0] === ERR_HEADER) {
      const err = decodeErrPacket(payload);
      this.#step('err', 'server');
      return { kind: 'err', err, isBeforeHandshake: this.#initialHandshake === undefined, ...packet };
    }
    if (!this.#client.splitter.isBetweenPackets) {
      throw outOfOrder('server', "an answer before the client's packet has ended");
    }
    if (this.#initialHandshake === undefined) return this.#initialHandshakeEvent(payload, packet);
    return this.#authEvent(this.#initialHandshake, payload, packet);
  }

  #initialHandshakeEvent(payload: Buffer, packet: PacketFacts): ConnectionEvent {
    const initialHandshake = decodeInitialHandshake(payload);
    this.#step('initial-handshake', 'server');
    this.#initialHandshake = initialHandshake;
    this.#authPluginName = initialHandshake.authPluginName;
    return { kind: 'initial-handshake', initialHandshake, payload, ...packet };
  }

  #authEvent(initialHandshake: InitialHandshake, payload: Buffer, packet: PacketFacts): ConnectionEvent {
    const kind = this.#classify(payload, packet.payloadBytes);
    switch (kind) {
      case 'auth-switch-request': {
        const request = decodeAuthSwitchRequest(payload);
        this.#step(kind, 'server');
        this.#authPluginName = request.kind === 'named' ? request.authPluginName : OLD_PASSWORD;
        return { kind, authPluginName: this.#authPluginName, ...packet };
      }
      case 'auth-next-factor': {
        const { authPluginName } = decodeAuthNextFactor(payload);
        this.#step(kind, 'server');
        this.#authPluginName = authPluginName;
        return { kind, authPluginName, ...packet };
      }
      case 'ok': {
        const { statusFlags } = decodeOkPacketHead(payload);
        if (this.#handshakeResponse === undefined)
          throw outOfOrder('server', 'OK before HandshakeResponse41');
        this.#step(kind, 'server');
        const facts = createConnectionFacts({
          initialHandshake,
          handshakeResponse: this.#handshakeResponse,
          serverCapabilities: this.#offeredCapabilities(),
          maskedCapabilities: this.#options.maskedCapabilities,
          authPluginName: this.#authPluginName,
          statusFlags,
        });
        return { kind, facts, ...packet };
      }
      case 'auth-more-data':
      case 'fast-auth-ok':
        this.#step(kind, 'server');
        return { kind, ...packet };
      default:
        return unreachable(kind);
    }
  }

  /**
   * What a server's packet is during authentication. MySQL wraps its plugins' packets in AuthMoreData; MariaDB
   * sends most of them bare, so an unknown first byte is plugin data as well.
   */
  #classify(payload: Buffer, payloadBytes: number): AuthKind {
    switch (payload[0]) {
      case OK_HEADER:
        return payloadBytes >= OK_MIN_BYTES ? 'ok' : 'auth-more-data';
      case AUTH_SWITCH_REQUEST:
        return 'auth-switch-request';
      case AUTH_NEXT_FACTOR:
        return this.#isMultiFactorAgreed() ? 'auth-next-factor' : 'auth-more-data';
      case AUTH_MORE_DATA: {
        const isFastAuthOk =
          this.#authPluginName === CACHING_SHA2 &&
          payloadBytes === 2 &&
          payload[1] === CACHING_SHA2_FAST_AUTH_OK;
        return isFastAuthOk ? 'fast-auth-ok' : 'auth-more-data';
      }
      default:
        return 'auth-more-data';
    }
  }

  #clientEvent(): ConnectionEvent {
    const packet = packetFacts(this.#client);
    if (this.#awaitsHandshakeResponse) return this.#firstClientEvent(this.#client.kept.take(), packet);
    this.#step('auth-response', 'client');
    return { kind: 'auth-response', ...packet };
  }

  #firstClientEvent(payload: Buffer, packet: PacketFacts): ConnectionEvent {
    const hasFlags = payload.length >= 4 && !isHandshakeResponse320(payload);
    // Inside TLS the flag stands in the HandshakeResponse41 as well.
    const mayBeSslRequest = hasFlags && this.#state === 'handshake-response';
    if (mayBeSslRequest && hasCapability(payload.readUInt32LE(), CLIENT_SSL)) {
      const sslRequest = decodeSslRequest(payload);
      if (!hasCapability(this.#offeredCapabilities(), CLIENT_SSL)) {
        throw new ProtocolError(CLIENT_HANDSHAKE_FAULT, 'the client asks for TLS, which it was not offered');
      }
      this.#step(this.#options.tls === 'ended-here' ? 'ssl-request-here' : 'ssl-request', 'client');
      return { kind: 'ssl-request', sslRequest, ...packet };
    }
    const handshakeResponse = decodeHandshakeResponse41(payload);
    this.#step('handshake-response', 'client');
    this.#handshakeResponse = handshakeResponse;
    this.#authPluginName = handshakeResponse.authPluginName || this.#authPluginName;
    return { kind: 'handshake-response', handshakeResponse, payload, ...packet };
  }

  get #awaitsHandshakeResponse(): boolean {
    return this.#state === 'handshake-response' || this.#state === 'handshake-response-in-tls';
  }

  #offeredCapabilities(): number {
    return ((this.#initialHandshake?.capabilityFlags ?? 0) & ~this.#options.maskedCapabilities) >>> 0;
  }

  #isMultiFactorAgreed(): boolean {
    const shared = (this.#handshakeResponse?.capabilityFlags ?? 0) & this.#offeredCapabilities();
    return hasCapability(shared, CLIENT_MULTI_FACTOR_AUTHENTICATION);
  }

  /** The only place that changes the state. */
  #step(trigger: ConnectionPhaseTrigger, side: Side): void {
    const next = nextConnectionPhaseState(this.#state, trigger);
    if (next === undefined) throw outOfOrder(side, `${trigger} while awaiting ${this.#state}`);
    this.#state = next;
  }
}

/** One side's stream. */
interface Direction {
  readonly side: Side;
  readonly splitter: PacketSplitter;
  readonly kept: ByteCollector;
  /** Bytes consumed. */
  offset: number;
}

type AuthKind = 'ok' | 'auth-switch-request' | 'auth-next-factor' | 'auth-more-data' | 'fast-auth-ok';

function createDirection(side: Side, maxKeptBytes: number): Direction {
  return { side, splitter: new PacketSplitter(), kept: new ByteCollector(maxKeptBytes), offset: 0 };
}

function packetFacts({ splitter, offset }: Direction): PacketFacts {
  return { sequenceId: splitter.sequenceId, payloadBytes: splitter.payloadBytes, endOffset: offset };
}

function outOfOrder(side: Side, detail: string): ProtocolError {
  return new ProtocolError({ code: 'ER_NET_PACKETS_OUT_OF_ORDER', side }, detail);
}

/**
 * As much of a server's packet as is kept, and the longest initial handshake. MySQL's has about 80 bytes, its
 * version at most 60 of them; an ERR message at most 512.
 */
const SERVER_KEPT_BYTES = 4096;

/** Header, two length-encoded integers of one byte, status flags and warnings. */
const OK_MIN_BYTES = 7;

const CACHING_SHA2 = 'caching_sha2_password';
const OLD_PASSWORD = 'mysql_old_password';
