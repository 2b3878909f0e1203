/**
 * Turns the boundaries the tracker finds into counters, and keeps what the session wants to know of itself: whether a
 * command is in flight, and since when.
 */
// The global of that name is a getter, which costs more than the clock.
import { performance } from 'node:perf_hooks';
import type { OpaqueReason, SessionFacts, TrackerSink } from '../../protocol/command-tracker.ts';
import { COM_QUIT, COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA } from '../../protocol/commands.ts';
import { ERRORS } from '../../protocol/error-codes.ts';
import type { Member } from '../../routing/topology.ts';
import {
  add,
  COMMAND_KINDS,
  countErrorNumber,
  MEMBER,
  memberOffset,
  observeSeconds,
  ROUTE,
} from '../shared/counters.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

export class CommandMeter implements TrackerSink {
  readonly #context: ThreadContext;
  readonly #routeOffset: number;
  readonly #memberOffset: number;
  readonly #isPrimaryRoute: boolean;
  readonly #member: Member;
  readonly #onOpaque: (reason: OpaqueReason) => void;
  #facts: Readonly<SessionFacts> | null = null;
  /** Commands whose answers have not ended. */
  #awaited = 0;
  /** Answers that have ended since the login. */
  #answers = 0;
  /** When the oldest of them became the server's to answer; with none, when the last answer or the login was over. */
  #sinceMs = performance.now();
  /** The time in the chunk that is being walked over; 0 until somebody has asked. */
  #chunkMs = 0;
  #isAnswering = false;
  #hasQuit = false;
  #isInTransaction = false;

  constructor(
    context: ThreadContext,
    route: RouteState,
    member: Member,
    onOpaque: (reason: OpaqueReason) => void,
  ) {
    this.#context = context;
    this.#routeOffset = route.offset;
    this.#memberOffset = memberOffset(member.slot);
    this.#isPrimaryRoute = route.bound.role === 'primary';
    this.#member = member;
    this.#onOpaque = onOpaque;
  }

  /** Called once, with the facts of the tracker this meter listens to. */
  watch(facts: Readonly<SessionFacts>): void {
    this.#facts = facts;
    this.#noteTransaction(facts);
  }

  /** Commands that have been answered since the login. */
  get answers(): number {
    return this.#answers;
  }

  /** How long no command has been under way, in milliseconds. */
  get idleForMs(): number {
    return this.#awaited > 0 ? 0 : performance.now() - this.#sinceMs;
  }

  /** A command is under way, and no byte of its answer has come. */
  get isUnanswered(): boolean {
    return this.#awaited > 0 && !this.#isAnswering;
  }

  /** The client has said goodbye: what follows is an orderly end. */
  get hasQuit(): boolean {
    return this.#hasQuit;
  }

  /** To be called before a chunk is walked over: all that is found in it happens at one time, and the clock is read once. */
  chunkCame(): void {
    this.#chunkMs = 0;
  }

  commandBegan(command: number): void {
    const { cells } = this.#context;
    const kind = Math.min(command, COMMAND_KINDS - 1);
    add(cells, this.#routeOffset + ROUTE.commands + kind, 1);
    add(cells, this.#memberOffset + MEMBER.commands, 1);
    if (command === COM_QUIT) this.#hasQuit = true;
    if (command === COM_QUIT || command === COM_STMT_CLOSE || command === COM_STMT_SEND_LONG_DATA) return;
    if (this.#awaited++ > 0) return;
    this.#sinceMs = this.#nowMs();
    add(cells, this.#routeOffset + ROUTE.sessionsBusy, 1);
  }

  responseBegan(): void {
    this.#isAnswering = true;
    const seconds = (this.#nowMs() - this.#sinceMs) / 1000;
    observeSeconds(this.#context.cells, this.#routeOffset + ROUTE.firstByteSeconds, seconds);
  }

  responseEnded(): void {
    this.#isAnswering = false;
    this.#answers++;
    const { cells } = this.#context;
    const nowMs = this.#nowMs();
    observeSeconds(cells, this.#routeOffset + ROUTE.commandSeconds, (nowMs - this.#sinceMs) / 1000);
    // Of pipelined commands each is timed from the end of the one before: that is when the server turned to it.
    this.#sinceMs = nowMs;
    if (--this.#awaited === 0) add(cells, this.#routeOffset + ROUTE.sessionsBusy, -1);
    const facts = this.#facts;
    if (facts === null) return;
    if (facts.rows > 0) add(cells, this.#routeOffset + ROUTE.rows, facts.rows);
    if (facts.errorNumber !== 0) this.#noteError(facts.errorNumber);
    this.#noteTransaction(facts);
  }

  unsolicitedError(errorNumber: number): void {
    this.#noteError(errorNumber);
  }

  becameOpaque(reason: OpaqueReason): void {
    this.close();
    this.#onOpaque(reason);
  }

  /** Gives back the gauges this session holds. */
  close(): void {
    const { cells } = this.#context;
    if (this.#awaited > 0) add(cells, this.#routeOffset + ROUTE.sessionsBusy, -1);
    if (this.#isInTransaction) add(cells, this.#routeOffset + ROUTE.sessionsInTransaction, -1);
    this.#awaited = 0;
    this.#isInTransaction = false;
    this.#facts = null;
  }

  #nowMs(): number {
    if (this.#chunkMs === 0) this.#chunkMs = performance.now();
    return this.#chunkMs;
  }

  #noteTransaction(facts: Readonly<SessionFacts>): void {
    if (facts.isInTransaction === this.#isInTransaction) return;
    this.#isInTransaction = facts.isInTransaction;
    add(this.#context.cells, this.#routeOffset + ROUTE.sessionsInTransaction, this.#isInTransaction ? 1 : -1);
  }

  #noteError(errorNumber: number): void {
    countErrorNumber(this.#context.cells, errorNumber);
    if (!this.#isPrimaryRoute || !SIGNAL_ERRORS.has(errorNumber)) return;
    this.#context.signal('server-error', this.#member, errorNumber);
  }
}

/** What a member that is no longer the primary, or about to go, answers to a write. */
export const SIGNAL_ERRORS: ReadonlySet<number> = new Set([
  ERRORS.ER_OPTION_PREVENTS_STATEMENT.number,
  ERRORS.ER_READ_ONLY_MODE.number,
  ERRORS.ER_RUN_HOOK_ERROR.number,
  ERRORS.ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING.number,
  ERRORS.ER_SERVER_SHUTDOWN.number,
]);
