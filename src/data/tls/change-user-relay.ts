/**
 * One COM_CHANGE_USER on its way: who the client is stands in its attributes as in those of the login, and where only one
 * side of the session has TLS, its authentication goes through the same bridge as the login did.
 *
 * It stands between the connections and their session from the command's first byte to the end of its answer. The session
 * (its tracker, its counters) is shown what the client sees.
 */
import type { AuthBridge, AuthMove } from '../../../protocol/auth-bridge.ts';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_PLUGIN_AUTH,
  hasCapability,
} from '../../../protocol/capability-flags.ts';
import { type ChangeUser, decodeChangeUser, encodeChangeUser } from '../../../protocol/change-user.ts';
import type { ConnectionAttribute } from '../../../protocol/connection-attributes.ts';
import { ERR_HEADER } from '../../../protocol/err-packet.ts';
import { CLIENT_COMMAND_FAULT, ProtocolError } from '../../../protocol/errors.ts';
import { OK_HEADER } from '../../../protocol/ok-packet.ts';
import { type GatheredPacket, PacketGatherer } from '../../../protocol/packet-gatherer.ts';
import { encodePacket, nextSequenceId, PACKET_HEADER_BYTES } from '../../../protocol/packet-header.ts';
import type { Connection, ConnectionSink, Side } from '../connection.ts';
import { replaceIdentity } from '../handshake-changes.ts';
import { type Refusal, refusalFor } from '../refusal.ts';

/** What the relay needs of its session. */
export type ChangingSession = {
  readonly client: Connection;
  readonly server: Connection;
  /** What both sides have. */
  readonly capabilities: number;
  /** There where only one side has TLS. */
  readonly bridge: AuthBridge | null;
  /** Who the client is; null where the server is not told. */
  readonly identity: readonly ConnectionAttribute[] | null;
  /** For everything but the command. */
  readonly sink: ConnectionSink;
  /** What else is under way: `unknown` where that will never be known again, `over` once the session is. */
  underWay(): 'nothing' | 'something' | 'unknown' | 'over';
  /** The client has sent this, the command itself or an answer behind it; the server gets it in another form. */
  toServer(packet: Buffer, isCommand: boolean): void;
  /** To be sent to the client. */
  toClient(packet: Buffer): void;
  /** Ends the session with an ERR in answer to the client's last packet. */
  refuseCommand(refusal: Refusal, sequenceId: number): void;
};

export class ChangeUserRelay implements ConnectionSink {
  readonly #session: ChangingSession;
  #exchange: Exchange | null = null;
  /** What the client has sent and nobody has read yet. */
  #held: Buffer;
  #isOver = false;

  /**
   * Puts itself between both connections and the session.
   *
   * @param chunk the command's beginning; with four bytes or fewer it may turn out to be another command's
   */
  constructor(session: ChangingSession, chunk: Buffer) {
    this.#session = session;
    this.#held = Buffer.from(chunk);
    session.client.attach(this);
    session.server.attach(this);
    if (chunk.length > PACKET_HEADER_BYTES) this.#begin();
  }

  /** It has given the connections back: until then nobody else may stand in their way, for it holds what the client has sent. */
  get isOver(): boolean {
    return this.#isOver;
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    const exchange = this.#exchange;
    if (exchange === null) {
      if (side === 'client') return this.#hold(buffer.subarray(0, length));
      this.#session.sink.onBytes('server', buffer, length);
      if (this.#held.length > PACKET_HEADER_BYTES) this.#begin();
      return;
    }
    this.#advance(exchange, side, buffer.subarray(0, length));
  }

  onEnd(side: Side): void {
    this.#session.bridge?.end();
    this.#session.sink.onEnd(side);
  }

  onDrain(side: Side): void {
    // A client whose command waits for an answer is not read on because there is room.
    const isWaiting = this.#exchange === null && this.#held.length > PACKET_HEADER_BYTES;
    if (side === 'client' || !isWaiting) this.#session.sink.onDrain(side);
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    this.#session.bridge?.end();
    this.#session.sink.onClose(side, error);
  }

  #hold(chunk: Buffer): void {
    const wasCut = this.#held.length <= PACKET_HEADER_BYTES;
    this.#held = Buffer.concat([this.#held, chunk]);
    if (this.#held.length > MAX_PACKET_BYTES) return this.#refuse(OUT_OF_TURN, 1);
    if (!wasCut) return;
    // Which command it is, the session tells.
    const held = this.#held;
    this.#leave();
    this.#session.sink.onBytes('client', held, held.length);
  }

  /** As soon as nothing else is under way: few clients send it ahead of an answer, but they may. */
  #begin(): void {
    const underWay = this.#session.underWay();
    if (underWay === 'unknown') return this.#refuse(UNSEEN, 1);
    if (underWay === 'something') return this.#session.client.pause();
    if (underWay === 'over') return;
    const held = this.#held;
    this.#held = EMPTY;
    this.#exchange = createExchange();
    this.#session.client.resume();
    this.#advance(this.#exchange, 'client', held);
    // It may have held a password.
    held.fill(0);
  }

  #advance(exchange: Exchange, side: Side, chunk: Buffer): void {
    try {
      if (side === 'client') this.#fromClient(exchange, chunk);
      else this.#fromServer(exchange, chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(refusalFor(error), exchange.toClientSequenceId);
    }
  }

  #leave(): void {
    this.#isOver = true;
    this.#exchange = null;
    this.#session.client.attach(this.#session.sink);
    this.#session.server.attach(this.#session.sink);
  }

  #fromClient(exchange: Exchange, chunk: Buffer): void {
    for (let offset = 0; offset < chunk.length && this.#exchange === exchange; ) {
      offset = exchange.fromClient.advance(chunk, offset);
      const { packet } = exchange.fromClient;
      if (packet !== undefined) this.#clientPacket(exchange, packet);
    }
  }

  #clientPacket(exchange: Exchange, { payload, sequenceId, lastSequenceId }: GatheredPacket): void {
    // Who answers what the server has asked for has nothing queued for it.
    const isFlooding = exchange.hasBegun && this.#session.server.queuedBytes > MAX_PACKET_BYTES;
    if (sequenceId !== exchange.toClientSequenceId || isFlooding)
      throw new ProtocolError(
        { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'client' },
        'packets ahead of the server, in COM_CHANGE_USER',
      );
    exchange.toClientSequenceId = nextSequenceId(lastSequenceId);
    const seen = encodePacket(payload, sequenceId);
    this.#session.toServer(seen, !exchange.hasBegun);
    seen.fill(0);
    if (!exchange.hasBegun) {
      exchange.hasBegun = true;
      this.#toServer(exchange, this.#changed(payload), true);
      return void payload.fill(0);
    }
    const { bridge } = this.#session;
    if (bridge === null) return this.#toServer(exchange, payload, true);
    this.#perform(exchange, bridge.fromClient(payload));
  }

  /** The command as the server is to get it. */
  #changed(payload: Buffer): Buffer {
    const { capabilities, bridge, identity } = this.#session;
    const command = decodeChangeUser(payload, capabilities);
    const changed = identity === null ? command : withIdentity(command, identity, capabilities);
    const { authPluginName } = changed;
    if (bridge === null || authPluginName === undefined) return encodeChangeUser(changed, capabilities);
    const { plugin, response } = bridge.begin(authPluginName, changed.authResponse);
    const whole = { ...changed, authPluginName: plugin, authResponse: response };
    return encodeChangeUser(whole, capabilities);
  }

  #fromServer(exchange: Exchange, chunk: Buffer): void {
    for (let offset = 0; offset < chunk.length; ) {
      // The command is over; what follows is none of this.
      if (this.#exchange !== exchange) {
        const rest = chunk.subarray(offset);
        return this.#session.sink.onBytes('server', rest, rest.length);
      }
      offset = exchange.fromServer.advance(chunk, offset);
      const { packet } = exchange.fromServer;
      if (packet !== undefined) this.#serverPacket(exchange, packet);
    }
  }

  #serverPacket(exchange: Exchange, { payload, lastSequenceId }: GatheredPacket): void {
    exchange.toServerSequenceId = nextSequenceId(lastSequenceId);
    const isOk = payload[0] === OK_HEADER && payload.length >= OK_MIN_BYTES;
    const { bridge } = this.#session;
    if (!isOk && payload[0] !== ERR_HEADER) {
      if (bridge === null) return this.#toClient(exchange, payload);
      return this.#perform(exchange, bridge.fromServer(payload));
    }
    bridge?.end();
    // First: with the answer the session may end, and hand its connections to others.
    this.#leave();
    this.#toClient(exchange, payload);
  }

  #perform(exchange: Exchange, move: AuthMove): void {
    switch (move.kind) {
      case 'to-client':
        return this.#toClient(exchange, move.payload);
      case 'to-server':
        return this.#toServer(exchange, move.payload, move.isSecret);
      case 'refused':
        return this.#refuse({ reason: 'auth_impossible', detail: move.why }, exchange.toClientSequenceId);
      default:
        move satisfies never;
    }
  }

  #toClient(exchange: Exchange, payload: Buffer): void {
    const packet = encodePacket(payload, exchange.toClientSequenceId);
    exchange.toClientSequenceId = nextSequenceId(exchange.toClientSequenceId);
    this.#session.toClient(packet);
  }

  #toServer(exchange: Exchange, payload: Buffer, isSecret: boolean): void {
    const packet = encodePacket(payload, exchange.toServerSequenceId);
    exchange.toServerSequenceId = nextSequenceId(exchange.toServerSequenceId);
    if (!isSecret) return void this.#session.server.write(packet, 0, packet.length);
    payload.fill(0);
    this.#session.server.writeSecret(packet);
  }

  #refuse(refusal: Refusal, sequenceId: number): void {
    this.#session.bridge?.end();
    this.#leave();
    this.#session.refuseCommand(refusal, sequenceId);
  }
}

/** @throws ProtocolError where nobody can say what the server would read as attributes */
function withIdentity(
  command: ChangeUser,
  identity: readonly ConnectionAttribute[],
  capabilities: number,
): ChangeUser {
  if (!hasCapability(capabilities, CLIENT_CONNECT_ATTRS)) return command;
  if (command.authPluginName === undefined) {
    if (hasCapability(capabilities, CLIENT_PLUGIN_AUTH) && command.rest.length === 0) return command;
    throw new ProtocolError(CLIENT_COMMAND_FAULT, 'COM_CHANGE_USER with attributes and without a plugin');
  }
  return { ...command, attributes: replaceIdentity(command.attributes ?? EMPTY, identity), rest: EMPTY };
}

/** One COM_CHANGE_USER and its authentication. */
type Exchange = {
  readonly fromClient: PacketGatherer;
  readonly fromServer: PacketGatherer;
  hasBegun: boolean;
  /** Of the next packet of either side in the client's numbering; the server's runs apart once a packet was added. */
  toClientSequenceId: number;
  toServerSequenceId: number;
};

function createExchange(): Exchange {
  return {
    fromClient: new PacketGatherer({ maxPayloadBytes: MAX_PACKET_BYTES, side: 'client' }),
    fromServer: new PacketGatherer({ maxPayloadBytes: MAX_PACKET_BYTES, side: 'server' }),
    hasBegun: false,
    toClientSequenceId: 0,
    toServerSequenceId: 0,
  };
}

const OUT_OF_TURN: Refusal = {
  reason: 'out_of_order',
  detail: 'packets ahead of the server, at COM_CHANGE_USER',
};
const UNSEEN: Refusal = {
  reason: 'auth_impossible',
  detail: 'the router does not follow this session any more and cannot pass COM_CHANGE_USER on; connect anew',
};

const EMPTY = Buffer.alloc(0);
/** 64 KiB of connection attributes, and as much of an answer. */
const MAX_PACKET_BYTES = 128 * 1024;
/** Header, two length-encoded integers of one byte, status flags and warnings. */
const OK_MIN_BYTES = 7;
