/**
 * The meaning of the packets: which commands are in flight, and where the answer to the oldest stands.
 *
 * It is told of each packet once, when its head is there (header and at most HEAD_BYTES of payload, read in place),
 * and once more when it has passed.
 *
 * What follows what is written in MySQL's source documentation under "Command Phase", and was checked against
 * mysqld 9.7 and MariaDB 10.11; the answer to each command starts in the phase `firstPhase` names.
 */
import { COM_STMT_EXECUTE, COM_STMT_PREPARE } from '../commands.ts';
import { nextSequenceId, PACKET_HEADER_BYTES } from '../packet-header.ts';
import {
  SERVER_MORE_RESULTS_EXISTS,
  SERVER_PS_OUT_PARAMS,
  SERVER_STATUS_CURSOR_EXISTS,
} from '../status-flags.ts';
import {
  DEPRECATES_EOF,
  isTerminator,
  REPORTS_PROGRESS,
  readDialect,
  readTerminatorStatus,
  type TrackerCapabilities,
} from './dialect.ts';
import { HEAD_BYTES, MALFORMED, readEofStatus, readErrNumber, readUint16 } from './packet-heads.ts';
import { PipelineQueue } from './pipeline-queue.ts';
import {
  firstPhase,
  isBulkPhase,
  PHASE_AUTHENTICATION,
  PHASE_DEFINITIONS,
  PHASE_DEFINITIONS_EOF,
  PHASE_EVENTS,
  PHASE_FETCH,
  PHASE_FIELD_LIST,
  PHASE_NO_REPLY,
  PHASE_PREPARE,
  PHASE_RESULT,
  PHASE_ROWS,
  PHASE_SINGLE,
  PHASE_STATISTICS,
} from './response-phases.ts';
import {
  areDefinitionsLeftOut,
  isAuthenticationRequest,
  isForeignProtocol,
  mayChangeTransaction,
  passOrdinaryRows,
  readDefinitionCount,
} from './result-heads.ts';
import { SessionFacts } from './session-facts.ts';
import type { OpaqueReason, TrackerSink } from './sink.ts';

/** The client's next packet is a command. */
export const CLIENT_SENDS_COMMANDS = 0;
/** The client's next packet is a part of the file for LOAD DATA LOCAL, until an empty one. */
export const CLIENT_SENDS_FILE = 1;
/** The client may send acknowledgements of events. */
export const CLIENT_SENDS_ACKNOWLEDGEMENTS = 2;

export class Exchange {
  readonly #sink: TrackerSink;
  readonly #dialect: number;
  readonly facts: SessionFacts;
  #opaqueReason: OpaqueReason | undefined = undefined;

  /** The sequence id the server's next packet must have. */
  #sequence = 0;

  #command = 0;
  #phase = PHASE_NO_REPLY;
  #inFlight = 0;
  #queue: PipelineQueue | undefined = undefined;
  #clientSends = CLIENT_SENDS_COMMANDS;
  /** The first packet of the current answer has begun. */
  #isAnswering = false;
  /** The answer ends with the current packet. */
  #endsHere = false;
  #definitionsLeft = 0;
  /** COM_STMT_PREPARE: definitions in the block after the current one; -1 when there is none. */
  #definitionsNext = -1;
  /** The rows under way are OUT parameters. */
  #areOutParameters = false;

  constructor(agreed: TrackerCapabilities, sink: TrackerSink) {
    this.#sink = sink;
    this.facts = new SessionFacts(agreed.statusFlags);
    this.#dialect = readDialect(agreed);
  }

  get opaqueReason(): OpaqueReason | undefined {
    return this.#opaqueReason;
  }
  get inFlight(): number {
    return this.#inFlight;
  }
  get command(): number {
    return this.#command;
  }
  get clientSends(): number {
    return this.#clientSends;
  }
  get isInRows(): boolean {
    return this.#phase === PHASE_ROWS;
  }

  /** The client has begun to send `command`. Whether an answer will come. */
  commandBegan(command: number): boolean {
    const phase = firstPhase(command);
    const isAnswered = phase !== PHASE_NO_REPLY;
    if (isAnswered) {
      if (this.#inFlight === 0) this.#expectAnswer(command, 0);
      else {
        this.#queue ??= new PipelineQueue();
        if (!this.#queue.push(command)) this.turnOpaque('pipeline-depth');
      }
      this.#inFlight++;
      if (phase === PHASE_EVENTS) this.#clientSends = CLIENT_SENDS_ACKNOWLEDGEMENTS;
    }
    if (this.#opaqueReason === undefined) this.#sink.commandBegan(command);
    return isAnswered;
  }

  /** The newest command goes on in another packet with `sequenceId`. */
  commandExtended(sequenceId: number): void {
    if (this.#inFlight === 1) this.#sequence = nextSequenceId(sequenceId);
    else if (this.#queue?.extendLast(sequenceId) === false) this.turnOpaque('pipeline-depth');
  }

  /** Whether `sequenceId` continues the exchange: the client answers an authentication request, or sends its file. */
  isReplyOfClient(sequenceId: number): boolean {
    // The server may have given up on the file; the client then sends the rest of it all the same.
    if (this.#inFlight === 0) return this.#clientSends === CLIENT_SENDS_FILE;
    const mayReply =
      this.#clientSends === CLIENT_SENDS_FILE || (this.#phase === PHASE_AUTHENTICATION && this.#isAnswering);
    return mayReply && sequenceId === this.#sequence;
  }

  /** The client's reply took `sequenceId`. */
  replyBegan(sequenceId: number): void {
    this.#sequence = nextSequenceId(sequenceId);
  }

  /** The client has sent its whole file. */
  fileEnded(): void {
    this.#clientSends = CLIENT_SENDS_COMMANDS;
  }

  turnOpaque(reason: OpaqueReason): void {
    if (this.#opaqueReason !== undefined) return;
    this.#opaqueReason = reason;
    this.#queue = undefined;
    this.#sink.becameOpaque(reason);
  }

  passRows(buffer: Uint8Array, start: number, end: number): number {
    const before = this.facts.rows;
    const position = passOrdinaryRows(this.facts, buffer, start, end, this.#sequence);
    this.#sequence = (this.#sequence + this.facts.rows - before) & 0xff;
    return position;
  }

  /** How many bytes of a payload, which starts with `first` and is not empty, a decision needs. */
  wantedPayloadBytes(length: number, first: number): number {
    if (first < 0xfe && isBulkPhase(this.#phase)) return 1;
    return Math.min(length, HEAD_BYTES);
  }

  /** A packet of the server begins; its header is at `position`, with as much payload as `wantedPayloadBytes`. */
  packetBegan(buffer: Uint8Array, position: number, length: number, isContinuation: boolean): void {
    const sequenceId = buffer[position + 3] ?? 0;
    const first = length === 0 || isContinuation ? -1 : (buffer[position + 4] ?? 0);
    const offset = position + PACKET_HEADER_BYTES;
    if (this.#inFlight === 0) {
      if (!isContinuation) this.#beginUnasked(buffer, offset, length, first);
      return;
    }
    if (sequenceId !== this.#sequence && this.#isOutOfTurn(buffer, offset, length, first)) return;
    this.#sequence = nextSequenceId(sequenceId);
    if (!this.#isAnswering) this.#beginAnswer();
    this.facts.responseBytes += PACKET_HEADER_BYTES + length;
    if (isContinuation) return;
    if (first < 0) this.turnOpaque('malformed-packet');
    else if (first === ERR) this.#onErr(buffer, offset, length);
    else this.#onPayload(buffer, offset, length, first);
  }

  /** The last byte of a packet of the server has passed, and it is not continued. */
  payloadEnded(): void {
    if (this.#endsHere) this.#endAnswer();
  }

  #beginUnasked(buffer: Uint8Array, offset: number, length: number, first: number): void {
    const number = first === ERR ? readErrNumber(buffer, offset, length) : MALFORMED;
    if (number === MALFORMED) this.turnOpaque('unasked-response');
    else this.#sink.unsolicitedError(number);
  }

  /**
   * Judges a wrong sequence id; whether the packet is dealt with. An ERR that crossed a command on its way is not
   * its answer; while the client sends a file or acknowledgements, how far the server has read is not known.
   */
  #isOutOfTurn(buffer: Uint8Array, offset: number, length: number, first: number): boolean {
    if (this.#phase === PHASE_EVENTS) return false;
    if (first === ERR && this.#clientSends === CLIENT_SENDS_FILE) return false;
    if (first === ERR && !this.#isAnswering) this.#beginUnasked(buffer, offset, length, first);
    else this.turnOpaque('sequence');
    return true;
  }

  #expectAnswer(command: number, lastSequenceId: number): void {
    this.#command = command;
    this.#phase = firstPhase(command);
    this.#sequence = nextSequenceId(lastSequenceId);
  }

  #beginAnswer(): void {
    this.#isAnswering = true;
    this.facts.responseBegan();
    this.#sink.responseBegan(this.#command);
  }

  #endAnswer(): void {
    const command = this.#command;
    this.#endsHere = false;
    this.#isAnswering = false;
    this.#inFlight--;
    this.#phase = PHASE_NO_REPLY;
    if (this.#clientSends === CLIENT_SENDS_ACKNOWLEDGEMENTS && firstPhase(command) === PHASE_EVENTS) {
      this.#clientSends = CLIENT_SENDS_COMMANDS;
    }
    if (this.#inFlight === 0) this.facts.allAnswered();
    if (this.#queue !== undefined) this.#expectNext(this.#queue);
    this.#sink.responseEnded(command);
  }

  #expectNext(queue: PipelineQueue): void {
    if (queue.length > 0) {
      const entry = queue.shift();
      this.#expectAnswer(entry & 0xff, entry >> 8);
    } else if (queue.isLarge) this.#queue = undefined;
  }

  #onPayload(buffer: Uint8Array, offset: number, length: number, first: number): void {
    switch (this.#phase) {
      case PHASE_ROWS:
      case PHASE_FETCH:
        this.#phase = PHASE_ROWS;
        if (isTerminator(this.#dialect, first, length)) this.#onTerminator(buffer, offset, length);
        else this.facts.rows++;
        return;
      case PHASE_DEFINITIONS:
        if (first === EOF) this.turnOpaque('unexpected-packet');
        else if (--this.#definitionsLeft === 0) this.#endDefinitions();
        return;
      case PHASE_RESULT:
        this.#onResultHead(buffer, offset, length, first);
        return;
      case PHASE_DEFINITIONS_EOF:
        this.#onDefinitionsEof(buffer, offset, length, first);
        return;
      case PHASE_SINGLE:
        if (first === OK || first === EOF) this.#onTerminator(buffer, offset, length);
        else this.turnOpaque('unexpected-packet');
        return;
      case PHASE_PREPARE:
        this.#onPrepareHead(buffer, offset, length, first);
        return;
      case PHASE_FIELD_LIST:
        if (isTerminator(this.#dialect, first, length)) this.#onTerminator(buffer, offset, length);
        return;
      case PHASE_STATISTICS:
        this.#endsHere = true;
        return;
      case PHASE_AUTHENTICATION:
        if (first === OK) this.#onTerminator(buffer, offset, length);
        else if (!isAuthenticationRequest(first)) this.turnOpaque('unexpected-packet');
        return;
      case PHASE_EVENTS:
        if (isTerminator(this.#dialect, first, length)) this.#onTerminator(buffer, offset, length);
        else if (first !== OK) this.turnOpaque('unexpected-packet');
        return;
      default:
        this.turnOpaque(isForeignProtocol(this.#command) ? 'foreign-protocol' : 'unknown-command');
    }
  }

  /** An OK or EOF that ends a result, and with it the answer unless another result was announced. */
  #onTerminator(buffer: Uint8Array, offset: number, length: number): void {
    const status = readTerminatorStatus(this.#dialect, buffer, offset, length);
    if (status === MALFORMED) {
      this.turnOpaque('malformed-packet');
      return;
    }
    this.facts.statusSeen(status);
    this.facts.results++;
    if (this.#isAnotherAnnounced(status)) {
      this.#phase = PHASE_RESULT;
      return;
    }
    this.#endsHere = true;
    this.facts.commandSucceeded(this.#command, status);
  }

  /**
   * Whether another result follows. After OUT parameters one always does, but without CLIENT_DEPRECATE_EOF mysqld
   * (9.7, as its predecessors) says so only before them: the EOF behind them has neither flag.
   */
  #isAnotherAnnounced(status: number): boolean {
    if (firstPhase(this.#command) !== PHASE_RESULT) return false;
    if ((status & SERVER_MORE_RESULTS_EXISTS) !== 0) return true;
    return this.#phase === PHASE_ROWS && (this.#areOutParameters || (status & SERVER_PS_OUT_PARAMS) !== 0);
  }

  /** An ERR ends every answer, except that MariaDB's progress reports look like one. */
  #onErr(buffer: Uint8Array, offset: number, length: number): void {
    const number = readErrNumber(buffer, offset, length);
    if (number === MALFORMED) this.turnOpaque('malformed-packet');
    else if (number === PROGRESS_REPORT) {
      if ((this.#dialect & REPORTS_PROGRESS) === 0) this.turnOpaque('progress-not-agreed');
    } else {
      this.facts.errorSeen(number, buffer, offset, length, mayChangeTransaction(this.#command));
      this.#endsHere = true;
    }
  }

  #onResultHead(buffer: Uint8Array, offset: number, length: number, first: number): void {
    if (first === OK) this.#onTerminator(buffer, offset, length);
    else if (first === LOCAL_INFILE && this.#inFlight > 1) this.turnOpaque('infile-pipelined');
    else if (first === LOCAL_INFILE) this.#clientSends = CLIENT_SENDS_FILE;
    else if (first === EOF) this.turnOpaque('unexpected-packet');
    else this.#onColumnCount(buffer, offset, length, first);
  }

  #onColumnCount(buffer: Uint8Array, offset: number, length: number, first: number): void {
    const count = readDefinitionCount(this.#dialect, buffer, offset, length, first);
    if (count === MALFORMED) this.turnOpaque('malformed-packet');
    else this.#beginDefinitions(count);
  }

  /** `0x00, statement_id int<4>, num_columns int<2>, num_params int<2>, 0x00, warnings int<2>`, perhaps a flag. */
  #onPrepareHead(buffer: Uint8Array, offset: number, length: number, first: number): void {
    if (first !== OK || length < 12) {
      this.turnOpaque(first === OK ? 'malformed-packet' : 'unexpected-packet');
      return;
    }
    const columns = readUint16(buffer, offset + 5);
    const parameters = readUint16(buffer, offset + 7);
    const isLeftOut = areDefinitionsLeftOut(this.#dialect, buffer, offset, length);
    this.facts.openStatements++;
    this.#definitionsNext = columns === 0 ? -1 : isLeftOut ? 0 : columns;
    if (parameters > 0) this.#beginDefinitions(isLeftOut ? 0 : parameters);
    else this.#endBlock();
  }

  #beginDefinitions(count: number): void {
    this.#definitionsLeft = count;
    this.#phase = PHASE_DEFINITIONS;
    if (count === 0) this.#endDefinitions();
  }

  #endDefinitions(): void {
    if ((this.#dialect & DEPRECATES_EOF) === 0) this.#phase = PHASE_DEFINITIONS_EOF;
    else this.#endBlock();
  }

  #onDefinitionsEof(buffer: Uint8Array, offset: number, length: number, first: number): void {
    const status = isTerminator(this.#dialect, first, length)
      ? readEofStatus(buffer, offset, length)
      : MALFORMED;
    if (status === MALFORMED) {
      this.turnOpaque('unexpected-packet');
      return;
    }
    this.facts.statusSeen(status);
    this.#areOutParameters = (status & SERVER_PS_OUT_PARAMS) !== 0;
    // A cursor: the rows come with COM_STMT_FETCH.
    if (this.#command === COM_STMT_EXECUTE && (status & SERVER_STATUS_CURSOR_EXISTS) !== 0) {
      this.facts.results++;
      this.#endsHere = true;
      this.facts.commandSucceeded(this.#command, status);
    } else this.#endBlock();
  }

  #endBlock(): void {
    if (this.#command !== COM_STMT_PREPARE) this.#phase = PHASE_ROWS;
    else if (this.#definitionsNext < 0) this.#endsHere = true;
    else {
      const count = this.#definitionsNext;
      this.#definitionsNext = -1;
      this.#beginDefinitions(count);
    }
  }
}

const OK = 0x00;
const LOCAL_INFILE = 0xfb;
const EOF = 0xfe;
const ERR = 0xff;
const PROGRESS_REPORT = 0xffff;
