/**
 * The command-phase tracker: fed with the bytes of both directions as they pass, cut anywhere, it tells which command
 * is in flight, where its answer ends, how it ended, and when nothing is under way.
 *
 * It steps from header to header, copies no payload and allocates nothing per command. What it does not understand
 * makes it opaque, with a reason; it never guesses, and never throws. It keeps no clock: whoever wants durations
 * takes the time in the sink's calls.
 *
 * This file makes packets of bytes, in both directions: of each it looks at the header and a few bytes of the head,
 * in place, and passes over the rest. Only a head that is cut between two chunks is kept. What the packets mean is
 * in tracker/exchange.ts.
 *
 * What headers do not tell: LOCK TABLES, temporary tables, user variables, SQL-level PREPARE, GET_LOCK().
 */
import { CLIENT_PROTOCOL_41, COMPRESSION_CAPABILITIES, hasCapability } from './capability-flags.ts';
import { COM_CHANGE_USER, COM_SLEEP, COM_STMT_CLOSE } from './commands.ts';
import { MAX_PAYLOAD_BYTES, nextSequenceId, PACKET_HEADER_BYTES, readPayloadBytes } from './packet-header.ts';
import type { TrackerCapabilities } from './tracker/dialect.ts';
import {
  CLIENT_SENDS_ACKNOWLEDGEMENTS,
  CLIENT_SENDS_COMMANDS,
  CLIENT_SENDS_FILE,
  Exchange,
} from './tracker/exchange.ts';
import { HEAD_BYTES } from './tracker/packet-heads.ts';
import type { SessionFacts } from './tracker/session-facts.ts';
import type { OpaqueReason, TrackerSink } from './tracker/sink.ts';

export type { TrackerCapabilities } from './tracker/dialect.ts';
export type { SessionFacts } from './tracker/session-facts.ts';
export type { OpaqueReason, TrackerSink } from './tracker/sink.ts';

/**
 * Creates a tracker for a session whose connection phase has just ended. May call `becameOpaque` at once.
 *
 * @param stopsAtChangeUser `onClientBytes` stops in front of COM_CHANGE_USER, which somebody wants to change. That goes on
 *   where boundaries are not known any more, for a client's packets have headers all the same.
 */
export function createCommandTracker(
  agreed: TrackerCapabilities,
  sink: TrackerSink,
  stopsAtChangeUser = false,
): CommandTracker {
  return new CommandTracker(agreed, sink, stopsAtChangeUser);
}

export class CommandTracker {
  readonly #exchange: Exchange;

  /** Payload bytes of the server's current packet still to pass; -1 between packets. */
  #serverLeft = -1;
  /** The head of a packet cut between chunks; its last byte counts the others. */
  #serverPartial: Uint8Array | undefined = undefined;
  /** The server's current packet is continued in the next. */
  #serverContinues = false;

  /** Payload bytes of the client's current packet still to pass; -1 between packets. */
  #clientLeft = -1;
  /** The header of a packet cut between chunks: its bytes, and how many are there. */
  #clientHeader = 0;
  #clientHeaderBytes = 0;
  /** When the client's current packet is continued in the next: the sequence id that must have; else -1. */
  #continuationId = -1;
  #clientPacket = PACKET_UNANSWERED;
  readonly #stopsAtChangeUser: boolean;
  /** The next COM_CHANGE_USER is not stopped at. */
  #letsPass = false;

  constructor(agreed: TrackerCapabilities, sink: TrackerSink, stopsAtChangeUser = false) {
    this.#exchange = new Exchange(agreed, sink);
    this.#stopsAtChangeUser = stopsAtChangeUser;
    const { sharedCapabilities } = agreed;
    if (!hasCapability(sharedCapabilities, CLIENT_PROTOCOL_41)) this.#exchange.turnOpaque('old-protocol');
    if (isCompressed(sharedCapabilities)) this.#exchange.turnOpaque('compression');
  }

  /** Boundaries are not known, and will not be again. */
  get isOpaque(): boolean {
    return this.#exchange.opaqueReason !== undefined;
  }
  get opaqueReason(): OpaqueReason | undefined {
    return this.#exchange.opaqueReason;
  }

  /**
   * Nothing is under way: no command in flight, no packet begun in either direction, no file expected.
   * A transaction may be open all the same.
   */
  get isIdle(): boolean {
    return (
      this.#clientLeft < 0 &&
      this.#clientHeaderBytes === 0 &&
      this.#continuationId < 0 &&
      this.#serverLeft < 0 &&
      this.#serverPartial === undefined &&
      !this.#serverContinues &&
      this.#exchange.inFlight === 0 &&
      this.#exchange.clientSends === CLIENT_SENDS_COMMANDS &&
      !this.isOpaque
    );
  }

  /** Commands sent, or begun to be sent, whose answers have not ended; those without a reply never count. */
  get inFlight(): number {
    return this.#exchange.inFlight;
  }
  /** The COM_* number of the command in flight, the oldest when there are several; stale when there is none. */
  get command(): number {
    return this.#exchange.command;
  }

  /** What is known of the answer under way or just ended, and of the session. */
  get facts(): Readonly<SessionFacts> {
    return this.#exchange.facts;
  }

  /** Walks over `buffer[start, end)`, the server's next bytes. To be called before the client can have them. */
  onServerBytes(buffer: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange.opaqueReason !== undefined) return;
    let position = start;
    if (this.#serverPartial !== undefined)
      position = this.#resumeServerHead(this.#serverPartial, buffer, start, end);
    while (exchange.opaqueReason === undefined) {
      const left = this.#serverLeft;
      if (left > end - position) {
        this.#serverLeft = left - (end - position);
        return;
      }
      if (left >= 0) {
        position += left;
        this.#serverLeft = -1;
        if (!this.#serverContinues) exchange.payloadEnded();
      }
      if (position >= end) return;
      if (exchange.isInRows && !this.#serverContinues) {
        const passed = exchange.passRows(buffer, position, end);
        if (passed >= end) {
          if (passed > end) this.#serverLeft = passed - end;
          return;
        }
        position = passed;
      }
      const available = end - position;
      if (available > PACKET_HEADER_BYTES && !this.#serverContinues) {
        const length = readPayloadBytes(buffer, position);
        if (length <= available - PACKET_HEADER_BYTES && length < MAX_PAYLOAD_BYTES) {
          // The usual case: all of the packet is here.
          exchange.packetBegan(buffer, position, length, false);
          position += PACKET_HEADER_BYTES + length;
          exchange.payloadEnded();
          continue;
        }
      }
      if (available < this.#wantedServerBytes(buffer, position, available)) {
        this.#keepServerHead(buffer, position, end);
        return;
      }
      this.#serverLeft = this.#beginServerPacket(buffer, position);
      position += PACKET_HEADER_BYTES;
    }
  }

  /** The next COM_CHANGE_USER is walked over as any other command. */
  letChangeUserPass(): void {
    this.#letsPass = true;
  }

  /** Boundaries are not known, and still a COM_CHANGE_USER is stopped at. */
  get isGuarding(): boolean {
    const { opaqueReason } = this.#exchange;
    return this.#stopsAtChangeUser && opaqueReason !== undefined && !WITHOUT_PACKETS.has(opaqueReason);
  }

  /**
   * Walks over `buffer[start, end)`, the client's next bytes. To be called before the server can have them.
   *
   * @returns `end`; or, where it stops at COM_CHANGE_USER, where that begins, or where a header begins of which too little
   *   is there to tell (four bytes or fewer). What is from there on has not been walked over.
   */
  onClientBytes(buffer: Uint8Array, start: number, end: number): number {
    let position = start;
    while (this.#exchange.opaqueReason === undefined || this.isGuarding) {
      const left = this.#clientLeft;
      if (left > end - position) {
        this.#clientLeft = left - (end - position);
        return end;
      }
      if (left >= 0) {
        position += left;
        this.#clientLeft = -1;
      }
      if (position >= end) return end;
      if (this.#clientHeaderBytes === 0 && end - position > PACKET_HEADER_BYTES) {
        const first = buffer[position + 4] ?? 0;
        const sequenceId = buffer[position + 3] ?? 0;
        if (first === COM_CHANGE_USER && this.#isToStop(sequenceId, readPayloadBytes(buffer, position)))
          return position;
        this.#clientLeft = readPayloadBytes(buffer, position);
        this.#beginClientPacket(this.#clientLeft, sequenceId, first);
        position += PACKET_HEADER_BYTES;
      } else if (this.#stopsAtChangeUser && !isEmptyPacket(buffer, position, end)) return position;
      else position = this.#gatherClientHeader(buffer, position, end);
    }
    return end;
  }

  /** In front of a packet whose payload begins with COM_CHANGE_USER. */
  #isToStop(sequenceId: number, length: number): boolean {
    if (!this.#stopsAtChangeUser || sequenceId !== 0 || length === 0 || this.#continuationId >= 0)
      return false;
    if (!this.isOpaque && this.#exchange.clientSends !== CLIENT_SENDS_COMMANDS) return false;
    const isToStop = !this.#letsPass;
    this.#letsPass = false;
    return isToStop;
  }

  /** How many bytes from `position` on a decision needs, as far as the `available` ones tell. */
  #wantedServerBytes(buffer: Uint8Array, position: number, available: number): number {
    if (available < PACKET_HEADER_BYTES) return PACKET_HEADER_BYTES;
    const length = readPayloadBytes(buffer, position);
    if (length === 0 || this.#serverContinues) return PACKET_HEADER_BYTES;
    if (available === PACKET_HEADER_BYTES) return PACKET_HEADER_BYTES + 1;
    return PACKET_HEADER_BYTES + this.#exchange.wantedPayloadBytes(length, buffer[position + 4] ?? 0);
  }

  #keepServerHead(buffer: Uint8Array, position: number, end: number): void {
    const partial = new Uint8Array(PARTIAL_BYTES);
    partial.set(buffer.subarray(position, end));
    partial[PARTIAL_COUNT] = end - position;
    this.#serverPartial = partial;
  }

  /** Completes the head begun in an earlier chunk; the position after the bytes it took. */
  #resumeServerHead(partial: Uint8Array, buffer: Uint8Array, start: number, end: number): number {
    let position = start;
    let count = partial[PARTIAL_COUNT] ?? 0;
    while (count < this.#wantedServerBytes(partial, 0, count)) {
      if (position === end) {
        partial[PARTIAL_COUNT] = count;
        return end;
      }
      partial[count++] = buffer[position++] ?? 0;
    }
    this.#serverPartial = undefined;
    this.#serverLeft = this.#beginServerPacket(partial, 0) - (count - PACKET_HEADER_BYTES);
    return position;
  }

  /** The packet whose header is at `position`; the length of its payload. */
  #beginServerPacket(buffer: Uint8Array, position: number): number {
    const length = readPayloadBytes(buffer, position);
    const isContinuation = this.#serverContinues;
    this.#serverContinues = length === MAX_PAYLOAD_BYTES;
    this.#exchange.packetBegan(buffer, position, length, isContinuation);
    return length;
  }

  /** A header cut between chunks, or at the end of one: goes on until it and the first payload byte were seen. */
  #gatherClientHeader(buffer: Uint8Array, start: number, end: number): number {
    let position = start;
    while (this.#clientHeaderBytes < PACKET_HEADER_BYTES && position < end) {
      this.#clientHeader |= (buffer[position++] ?? 0) << (this.#clientHeaderBytes++ * 8);
    }
    if (this.#clientHeaderBytes < PACKET_HEADER_BYTES) return position;
    const length = this.#clientHeader & MAX_PAYLOAD_BYTES;
    if (length > 0 && position === end) return position;
    const sequenceId = this.#clientHeader >>> 24;
    this.#clientHeader = 0;
    this.#clientHeaderBytes = 0;
    this.#clientLeft = length;
    this.#beginClientPacket(length, sequenceId, buffer[position] ?? 0);
    return position;
  }

  /** `first` is the first byte of the payload, meaningless when `length` is 0. */
  #beginClientPacket(length: number, sequenceId: number, first: number): void {
    if (this.isOpaque) {
      // Only its header is looked at.
    } else if (this.#continuationId >= 0) {
      if (sequenceId !== this.#continuationId) this.#exchange.turnOpaque('sequence');
      else if (this.#clientPacket === PACKET_ANSWERED) this.#exchange.commandExtended(sequenceId);
      else if (this.#clientPacket === PACKET_REPLY) this.#exchange.replyBegan(sequenceId);
    } else this.#clientPacket = this.#beginClientPayload(length, sequenceId, first);
    this.#continuationId = length === MAX_PAYLOAD_BYTES ? nextSequenceId(sequenceId) : -1;
  }

  #beginClientPayload(length: number, sequenceId: number, first: number): number {
    const exchange = this.#exchange;
    const clientSends = exchange.clientSends;
    if (clientSends === CLIENT_SENDS_COMMANDS && sequenceId === 0) {
      // The server takes an empty packet for COM_SLEEP, and answers that there is no such command.
      const command = length === 0 ? COM_SLEEP : first;
      if (command === COM_STMT_CLOSE) exchange.facts.statementClosed(exchange.inFlight > 0);
      return exchange.commandBegan(command) ? PACKET_ANSWERED : PACKET_UNANSWERED;
    }
    if (clientSends === CLIENT_SENDS_ACKNOWLEDGEMENTS) return PACKET_UNANSWERED;
    if (!exchange.isReplyOfClient(sequenceId)) {
      exchange.turnOpaque('sequence');
      return PACKET_UNANSWERED;
    }
    exchange.replyBegan(sequenceId);
    if (clientSends === CLIENT_SENDS_FILE && length === 0) exchange.fileEnded();
    return PACKET_REPLY;
  }
}

/** All there is from `position` on is the header of a packet without payload. */
function isEmptyPacket(buffer: Uint8Array, position: number, end: number): boolean {
  return end - position === PACKET_HEADER_BYTES && readPayloadBytes(buffer, position) === 0;
}

function isCompressed(sharedCapabilities: number): boolean {
  return (sharedCapabilities & COMPRESSION_CAPABILITIES) !== 0;
}

/** A command that will be answered. */
const PACKET_ANSWERED = 0;
/** A command without a reply, or an acknowledgement. */
const PACKET_UNANSWERED = 1;
/** A part of an exchange that goes on: authentication or a file. */
const PACKET_REPLY = 2;

/** What the client sends from then on is no packets, or others than these. */
const WITHOUT_PACKETS: ReadonlySet<OpaqueReason> = new Set([
  'compression',
  'old-protocol',
  'foreign-protocol',
]);

const PARTIAL_COUNT = PACKET_HEADER_BYTES + HEAD_BYTES;
const PARTIAL_BYTES = PARTIAL_COUNT + 1;
