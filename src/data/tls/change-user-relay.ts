/**
 * COM_CHANGE_USER in a session of which only one side has TLS: its authentication goes through the same bridge as the login
 * did. Everything else passes untouched.
 *
 * It stands between the connections and their session, and only in such sessions; all others have nothing of it. The session
 * (its tracker, its counters) is shown what the client sees.
 */
import type { AuthBridge, AuthMove } from '../../../protocol/auth-bridge.ts';
import { decodeChangeUser, encodeChangeUser } from '../../../protocol/change-user.ts';
import { COM_CHANGE_USER } from '../../../protocol/commands.ts';
import { ERR_HEADER } from '../../../protocol/err-packet.ts';
import { ProtocolError } from '../../../protocol/errors.ts';
import { OK_HEADER } from '../../../protocol/ok-packet.ts';
import { type GatheredPacket, PacketGatherer } from '../../../protocol/packet-gatherer.ts';
import { encodePacket, nextSequenceId, PACKET_HEADER_BYTES } from '../../../protocol/packet-header.ts';
import type { Connection, ConnectionSink, Side } from '../connection.ts';
import { type Refusal, refusalFor } from '../refusal.ts';

/** What the relay needs of its session. */
export type BridgedSession = {
  /** For everything but COM_CHANGE_USER. */
  readonly sink: ConnectionSink;
  /** Nothing is under way, so the client's next byte begins a command. False where that is not known. */
  isIdle(): boolean;
  /** The client has sent this, or is sent it; it is relayed in another form. */
  observe(side: Side, packet: Buffer): void;
  /** Ends the session with an ERR in answer to the client's last packet. */
  refuseCommand(refusal: Refusal, sequenceId: number): void;
};

export class ChangeUserRelay implements ConnectionSink {
  readonly #client: Connection;
  readonly #server: Connection;
  readonly #bridge: AuthBridge;
  /** What both sides have. */
  readonly #capabilities: number;
  readonly #session: BridgedSession;
  #exchange: Exchange | null = null;
  /** The beginning of a command, too short to tell which. */
  #held: Buffer = EMPTY;

  /** Puts itself between both connections and the session. */
  constructor(
    client: Connection,
    server: Connection,
    bridge: AuthBridge,
    capabilities: number,
    session: BridgedSession,
  ) {
    this.#client = client;
    this.#server = server;
    this.#bridge = bridge;
    this.#capabilities = capabilities;
    this.#session = session;
    client.attach(this);
    server.attach(this);
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    const exchange = this.#exchange;
    if (exchange === null) {
      if (side === 'client' && this.#session.isIdle()) this.#commandBegins(buffer, length);
      else this.#session.sink.onBytes(side, buffer, length);
      return;
    }
    try {
      if (side === 'client') this.#fromClient(exchange, buffer.subarray(0, length));
      else this.#fromServer(exchange, buffer.subarray(0, length));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(exchange, refusalFor(error));
    }
  }

  onEnd(side: Side): void {
    this.#bridge.end();
    this.#session.sink.onEnd(side);
  }

  onDrain(side: Side): void {
    this.#session.sink.onDrain(side);
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    this.#bridge.end();
    this.#session.sink.onClose(side, error);
  }

  #commandBegins(buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    const chunk = this.#held.length === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    this.#held = EMPTY;
    if (chunk.length <= PACKET_HEADER_BYTES) {
      this.#held = Buffer.from(chunk);
      return;
    }
    if (chunk[PACKET_HEADER_BYTES] !== COM_CHANGE_USER)
      return this.#session.sink.onBytes('client', chunk, chunk.length);
    this.#exchange = createExchange();
    this.onBytes('client', chunk, chunk.length);
  }

  #fromClient(exchange: Exchange, chunk: Buffer): void {
    for (let offset = 0; offset < chunk.length && this.#exchange === exchange; ) {
      offset = exchange.fromClient.advance(chunk, offset);
      const { packet } = exchange.fromClient;
      if (packet !== undefined) this.#clientPacket(exchange, packet);
    }
  }

  #clientPacket(exchange: Exchange, { payload, sequenceId, lastSequenceId }: GatheredPacket): void {
    if (sequenceId !== exchange.toClientSequenceId)
      throw new ProtocolError(
        { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'client' },
        'packets ahead of the server, in COM_CHANGE_USER',
      );
    exchange.toClientSequenceId = nextSequenceId(lastSequenceId);
    const seen = encodePacket(payload, sequenceId);
    this.#session.observe('client', seen);
    seen.fill(0);
    if (!exchange.hasBegun) {
      exchange.hasBegun = true;
      return this.#toServer(exchange, this.#changed(payload), true);
    }
    this.#perform(exchange, this.#bridge.fromClient(payload));
  }

  /** The command as the server is to get it. */
  #changed(payload: Buffer): Buffer {
    const command = decodeChangeUser(payload, this.#capabilities);
    const { authPluginName } = command;
    if (authPluginName === undefined) return payload;
    const first = this.#bridge.begin(authPluginName, command.authResponse);
    if (first.plugin === authPluginName) return payload;
    const changed = { ...command, authPluginName: first.plugin, authResponse: first.response };
    return encodeChangeUser(changed, this.#capabilities);
  }

  #fromServer(exchange: Exchange, chunk: Buffer): void {
    for (let offset = 0; offset < chunk.length; ) {
      if (this.#exchange !== exchange) {
        // The command is over; what follows is none of this.
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
    if (!isOk && payload[0] !== ERR_HEADER) return this.#perform(exchange, this.#bridge.fromServer(payload));
    this.#bridge.end();
    this.#exchange = null;
    this.#toClient(exchange, payload);
  }

  #perform(exchange: Exchange, move: AuthMove): void {
    switch (move.kind) {
      case 'to-client':
        return this.#toClient(exchange, move.payload);
      case 'to-server':
        return this.#toServer(exchange, move.payload, move.isSecret);
      case 'refused':
        return this.#refuse(exchange, { reason: 'auth_impossible', detail: move.why });
      default:
        move satisfies never;
    }
  }

  #toClient(exchange: Exchange, payload: Buffer): void {
    const packet = encodePacket(payload, exchange.toClientSequenceId);
    exchange.toClientSequenceId = nextSequenceId(exchange.toClientSequenceId);
    this.#client.write(packet, 0, packet.length);
    this.#session.observe('server', packet);
  }

  #toServer(exchange: Exchange, payload: Buffer, isSecret: boolean): void {
    const packet = encodePacket(payload, exchange.toServerSequenceId);
    exchange.toServerSequenceId = nextSequenceId(exchange.toServerSequenceId);
    if (!isSecret) return void this.#server.write(packet, 0, packet.length);
    payload.fill(0);
    this.#server.writeSecret(packet);
  }

  #refuse(exchange: Exchange, refusal: Refusal): void {
    this.#bridge.end();
    this.#exchange = null;
    this.#session.refuseCommand(refusal, exchange.toClientSequenceId);
  }
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

const EMPTY = Buffer.alloc(0);
/** 64 KiB of connection attributes, and as much of an answer. */
const MAX_PACKET_BYTES = 128 * 1024;
/** Header, two length-encoded integers of one byte, status flags and warnings. */
const OK_MIN_BYTES = 7;
