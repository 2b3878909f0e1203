/**
 * `group_replication_consistency` of a session, set by the router: before the client's first command, and again when the
 * client has put its session back to the beginning. The client sees nothing of it; what it sends meanwhile waits.
 *
 * A session that was to have a consistency and cannot does not go on without: the client's next command is answered with
 * the server's error.
 */
import { CLIENT_QUERY_ATTRIBUTES, hasCapability } from '../../protocol/capability-flags.ts';
import type { CommandTracker, OpaqueReason, TrackerSink } from '../../protocol/command-tracker.ts';
import { COM_CHANGE_USER, COM_QUERY, COM_RESET_CONNECTION } from '../../protocol/commands.ts';
import { decodeErrPacket, ERR_HEADER, type ErrPacket, encodeErr } from '../../protocol/err-packet.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { PacketGatherer } from '../../protocol/packet-gatherer.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import type { Consistency } from '../config/config.ts';
import type { EndReason } from '../shared/counters.ts';
import type { Connection, ConnectionSink, Side } from './connection.ts';

export type SetSession = {
  readonly client: Connection;
  readonly server: Connection;
  /** What both sides have. */
  readonly capabilities: number;
  /** Gets the connections back, and what the client has sent meanwhile. */
  readonly sink: ConnectionSink;
  /** The server refuses: told once. */
  onRefused(err: ErrPacket): void;
  end(reason: EndReason): void;
};

export class ConsistencySetting implements ConnectionSink {
  readonly #session: SetSession;
  readonly #answer = new PacketGatherer({ maxPayloadBytes: MAX_ANSWER_BYTES, side: 'server' });
  /** What the client has sent. */
  #held: Buffer = EMPTY;
  #err: ErrPacket | null = null;
  #hasClientEnded = false;

  /** Puts itself between the connections and the session, which has nothing under way. */
  constructor(session: SetSession, consistency: Consistency) {
    this.#session = session;
    session.client.attach(this);
    session.server.attach(this);
    const packet = statementFor(consistency, session.capabilities);
    session.server.write(packet, 0, packet.length);
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    const chunk = buffer.subarray(0, length);
    if (side === 'server') return this.#fromServer(chunk);
    this.#held = Buffer.concat([this.#held, chunk]);
    if (this.#held.length > MAX_HELD_BYTES) this.#session.client.pause();
    if (this.#err !== null) this.#refuse(this.#err);
  }

  onEnd(side: Side): void {
    if (side === 'server') return this.#give((sink) => sink.onEnd(side));
    // What the client has sent before is still to be answered.
    this.#hasClientEnded = true;
    if (this.#held.length === 0) this.#give(() => this.#session.end('client_closed'));
  }

  onDrain(side: Side): void {
    this.#session.sink.onDrain(side);
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    this.#give((sink) => sink.onClose(side, error));
  }

  #fromServer(chunk: Buffer): void {
    try {
      const offset = this.#answer.advance(chunk, 0);
      const { packet } = this.#answer;
      if (packet === undefined) return;
      const err = packet.payload[0] === ERR_HEADER ? decodeErrPacket(packet.payload) : null;
      // Whose password has expired may do nothing but change it.
      if (err !== null && err.errorCode !== ER_MUST_CHANGE_PASSWORD) return this.#refused(err);
      this.#goOn(chunk.subarray(offset));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#give(() => this.#session.end('server_error'));
    }
  }

  #goOn(rest: Buffer): void {
    const held = this.#held;
    this.#session.client.resume();
    this.#give((sink) => {
      if (held.length > 0) sink.onBytes('client', held, held.length);
      if (rest.length > 0) sink.onBytes('server', rest, rest.length);
      if (this.#hasClientEnded) sink.onEnd('client');
    });
  }

  #refused(err: ErrPacket): void {
    this.#err = err;
    this.#session.onRefused(err);
    if (this.#held.length > 0) this.#refuse(err);
  }

  #refuse(err: ErrPacket): void {
    const { client } = this.#session;
    const packet = encodeErr(err, 1);
    client.write(packet, 0, packet.length);
    this.#give(() => this.#session.end('server_error'));
  }

  /** Gives the connections back, and what has to be told. */
  #give(tell: (sink: ConnectionSink) => void): void {
    const { client, server, sink } = this.#session;
    client.attach(sink);
    server.attach(sink);
    tell(sink);
  }
}

/**
 * Tells when a session is at its beginning again: after a COM_RESET_CONNECTION or COM_CHANGE_USER that went well, as soon as
 * nothing else is under way and no transaction is open. Everything is told on to `inner`.
 */
export class ResetNotice implements TrackerSink {
  readonly #inner: TrackerSink;
  readonly #onReset: () => boolean;
  #tracker: CommandTracker | null = null;
  #isPending = false;

  /** @param onReset returns whether it could see to it now; otherwise it is told again after the next answer */
  constructor(inner: TrackerSink, onReset: () => boolean) {
    this.#inner = inner;
    this.#onReset = onReset;
  }

  /** Called once, with the tracker that this listens to. */
  watch(tracker: CommandTracker): void {
    this.#tracker = tracker;
  }

  commandBegan(command: number): void {
    this.#inner.commandBegan(command);
  }

  responseBegan(command: number): void {
    this.#inner.responseBegan(command);
  }

  responseEnded(command: number): void {
    this.#inner.responseEnded(command);
    const isReset = command === COM_RESET_CONNECTION || command === COM_CHANGE_USER;
    if (isReset && this.#tracker?.facts.errorNumber === 0) this.#isPending = true;
    // What the client has sent behind it already goes first: nothing may come between the pieces of a packet, and in a
    // transaction the server would refuse it.
    if (!this.#isPending || !this.#tracker?.isIdle || this.#tracker.facts.isInTransaction) return;
    this.#isPending = !this.#onReset();
  }

  unsolicitedError(errorNumber: number): void {
    this.#inner.unsolicitedError(errorNumber);
  }

  becameOpaque(reason: OpaqueReason): void {
    this.#inner.becameOpaque(reason);
  }
}

/** COM_QUERY; where query attributes were agreed, with none of them. */
function statementFor(consistency: Consistency, capabilities: number): Buffer {
  const head = hasCapability(capabilities, CLIENT_QUERY_ATTRIBUTES) ? [COM_QUERY, 0, 1] : [COM_QUERY];
  const value = consistency.toUpperCase().replaceAll('-', '_');
  const text = `SET SESSION group_replication_consistency = '${value}'`;
  return encodePacket(Buffer.concat([Buffer.from(head), Buffer.from(text)]), 0);
}

const EMPTY = Buffer.alloc(0);
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_HELD_BYTES = 64 * 1024;
const ER_MUST_CHANGE_PASSWORD = 1820;
