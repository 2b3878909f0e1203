/**
 * The command phase of one session as its tracker sees it: what a session asks of it, and the counters it feeds.
 */
import { CommandTracker } from '../../protocol/command-tracker.ts';
import { COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID } from '../../protocol/commands.ts';
import type { ConnectionFacts } from '../../protocol/connection-events.ts';
import type { Member } from '../../routing/topology.ts';
import { CommandMeter, SIGNAL_ERRORS } from './command-meter.ts';
import { ResetNotice } from './consistency.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

export class CommandWatch {
  readonly #tracker: CommandTracker;
  readonly #meter: CommandMeter;

  /**
   * `onOpaque` may be called before the constructor has returned: with compression agreed, boundaries are never known.
   *
   * @param stopsAtChangeUser see `CommandTracker.onClientBytes`
   * @param onReset the client has put its session back to the beginning; null where nobody wants to know
   */
  constructor(
    context: ThreadContext,
    route: RouteState,
    member: Member,
    agreed: ConnectionFacts,
    onOpaque: (reason: string) => void,
    stopsAtChangeUser: boolean,
    onReset: (() => boolean) | null,
  ) {
    this.#meter = new CommandMeter(context, route, member, onOpaque);
    const notice = onReset === null ? null : new ResetNotice(this.#meter, onReset);
    this.#tracker = new CommandTracker(agreed, notice ?? this.#meter, stopsAtChangeUser);
    notice?.watch(this.#tracker);
    if (!this.#tracker.isOpaque) this.#meter.watch(this.#tracker.facts);
  }

  /** @returns where it stopped, as `CommandTracker.onClientBytes` */
  onClientBytes(buffer: Buffer, start: number, end: number): number {
    this.#meter.chunkCame();
    return this.#tracker.onClientBytes(buffer, start, end);
  }

  letChangeUserPass(): void {
    this.#tracker.letChangeUserPass();
  }

  /** Boundaries are not known any more, and still it stops at COM_CHANGE_USER. */
  get isGuarding(): boolean {
    return this.#tracker.isGuarding;
  }

  onServerBytes(buffer: Buffer, start: number, end: number): void {
    this.#meter.chunkCame();
    this.#tracker.onServerBytes(buffer, start, end);
  }

  /** No command is under way; a transaction may be open. */
  get isIdle(): boolean {
    return this.#tracker.isIdle;
  }

  /** What is under way is a replica's dump of the binary log, which has no end. */
  get isDumping(): boolean {
    const { inFlight, command } = this.#tracker;
    return inFlight > 0 && (command === COM_BINLOG_DUMP || command === COM_BINLOG_DUMP_GTID);
  }

  /** A command is under way, and nobody has answered it yet. */
  get isUnanswered(): boolean {
    return this.#meter.isUnanswered;
  }

  get isInTransaction(): boolean {
    return this.#tracker.facts.isInTransaction;
  }

  /**
   * Whether a transaction is open is in doubt: what failed last may have been a procedure that had begun one, and errors do
   * not tell. What the member refuses for being no primary had nothing to lose.
   */
  get isTransactionInDoubt(): boolean {
    const { isStatusCurrent, errorNumber } = this.#tracker.facts;
    return !isStatusCurrent && !SIGNAL_ERRORS.has(errorNumber);
  }

  /**
   * The client may still be setting its session up, which few can do again: WordPress shows an error page when it is cut
   * short in these five round trips, and connects anew by itself ever after.
   */
  get isSettingUp(): boolean {
    return this.#meter.answers < SET_UP_ANSWERS;
  }

  /** A client that is left alone here may be about to say something that it could not say again elsewhere. */
  get isToBeAwaited(): boolean {
    return this.isSettingUp || this.isTransactionInDoubt;
  }

  /** No command has been under way for `forMs`, or for longer where the client is to be awaited. */
  isUnused(forMs: number): boolean {
    return this.#meter.idleForMs >= (this.isToBeAwaited ? Math.max(forMs, UNUSED_AWAITED_MS) : forMs);
  }

  /** The client has said goodbye: what follows is an orderly end. */
  get hasQuit(): boolean {
    return this.#meter.hasQuit;
  }

  /** And it has the answers to all it said before. */
  get hasQuitAnswered(): boolean {
    return this.#meter.hasQuit && this.#tracker.inFlight === 0;
  }

  /** Gives back the gauges it holds. */
  close(): void {
    this.#meter.close();
  }
}

/** Character set (twice), sql_mode (read and set), schema. */
const SET_UP_ANSWERS = 5;
/** Far longer than a program needs between two of these round trips, also on a machine that has too much to do. */
const UNUSED_AWAITED_MS = 1000;
