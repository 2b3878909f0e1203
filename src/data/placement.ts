/**
 * Finds a server for a session: candidates in order, each dialled within its deadlines; a silent one is overtaken by the
 * next; and when there is nobody, the session is held until a topology offers somebody or its time is up.
 */
import { ERRORS } from '../../protocol/error-codes.ts';
import { memberKey } from '../../routing/member-key.ts';
import { candidates } from '../../routing/strategies.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import {
  add,
  changeLoad,
  DIAL_RESULTS,
  type DialResult,
  HEADER,
  MEMBER,
  memberOffset,
  observeSeconds,
  ROUTE,
} from '../shared/counters.ts';
import { Deadline } from '../shared/deadline.ts';
import { hasDecisionLapsed } from '../shared/decision-lapse.ts';
import type { SignalKind } from '../shared/signals.ts';
import type { Connection } from './connection.ts';
import { Dial, type DialOutcome } from './dial.ts';
import type { HeldSession } from './hold.ts';
import { proxyHeaderFor } from './proxied-client.ts';
import type { Reachability } from './reachability.ts';
import type { Refusal } from './refusal.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

/** What became of the search. Called once, and not after `abandon`. */
export type PlacementSink = {
  onPlaced(member: Member, connection: Connection, greeting: Buffer): void;
  onUnplaced(failure: PlacementFailure): void;
};

/** Who may be tried, where that is not the role and the strategy of the route. */
export type MemberChoice = {
  /** The members to try now, in order. */
  candidates(topology: Topology, isQuarantined: (member: Member) => boolean): readonly Member[];
  isCandidate(topology: Topology, member: Member): boolean;
  /** Why there is nobody, for people. */
  why(): string;
};

export type PlacementFailure =
  /** The server's own ERR in place of its initial handshake, to be relayed as it is. */
  | { readonly kind: 'server-error'; readonly packet: Buffer }
  | { readonly kind: 'refusal'; readonly refusal: Refusal };

export class Placement implements HeldSession {
  readonly #context: ThreadContext;
  readonly #reach: Reachability;
  readonly #route: RouteState;
  readonly #sink: PlacementSink;
  readonly #startedAtMs = performance.now();
  /** Dials that have not been settled; more than one only while a silent server is being overtaken. */
  readonly #dials = new Set<Dial>();
  /** Candidates of this round that have not been tried. */
  #untried: readonly Member[] = [];
  readonly #overtaking = new Deadline('others');
  #deadlineTimer: NodeJS.Timeout | null = null;
  /** Somebody was dialled in this round. */
  #hasTried = false;
  #heldSinceMs: number | null = null;
  /** Of this round; and of the round before, which counts while this one is under way. */
  #serverError: ServerError | null = null;
  #errorBefore: ServerError | null = null;
  #lastFailure = '';
  #isOver = false;
  /** Told to each server before anything else. */
  readonly #prologue: Buffer | null;
  readonly #choice: MemberChoice | null;

  constructor(
    context: ThreadContext,
    route: RouteState,
    client: Connection,
    sink: PlacementSink,
    choice: MemberChoice | null = null,
  ) {
    this.#context = context;
    this.#choice = choice;
    this.#prologue = route.bound.proxyProtocol.toServers === 'none' ? null : proxyHeaderFor(client);
    this.#reach = context.reach[route.bound.protocol];
    this.#route = route;
    this.#sink = sink;
  }

  start(): void {
    this.#tryCandidates();
  }

  /** A new topology, or the time to try again. */
  wake(): void {
    if (this.#isOver || this.#dials.size > 0) return;
    this.#tryCandidates();
  }

  /**
   * The topology has changed. A member that is no candidate any more is not waited for: a server that was hung may greet
   * at any moment, and be the primary no longer.
   */
  onTopology(): void {
    if (this.#isOver || this.#dials.size === 0) return;
    this.#untried = this.#untried.filter((member) => this.#isCandidate(member));
    for (const dial of this.#dials) {
      if (this.#isCandidate(dial.member)) continue;
      this.#abandonDial(dial);
    }
    if (this.#dials.size > 0) return;
    this.#overtaking.close();
    // The queue is woken next, and goes by its window.
    this.#wait();
  }

  get isHeld(): boolean {
    return this.#heldSinceMs !== null;
  }

  /** The login this search led to is over: the next held session may go on. */
  loginOver(): void {
    this.#reach.holdQueue.through(this);
  }

  /** Nobody waits for a server any more, nor for the login that one led to. */
  abandon(): void {
    if (!this.#isOver) {
      if (this.#heldSinceMs !== null) this.#count(ROUTE.holdsAbandoned);
      this.#close();
    }
    this.loginOver();
  }

  #tryCandidates(): void {
    const topology = this.#reach.topology();
    const { isSetAside } = this.#reach;
    const isLapsed = this.#route.bound.role === 'primary' && hasDecisionLapsed(this.#context.header);
    if (isLapsed) this.#lastFailure = 'it was not looked for too long who is primary';
    this.#untried = isLapsed
      ? []
      : (this.#choice?.candidates(topology, isSetAside) ?? this.#byRole(topology));
    // The next decision need not bring a new topology.
    this.#hasTried = isLapsed || this.#untried.length > 0;
    this.#errorBefore = this.#serverError;
    this.#serverError = null;
    this.#dialNext();
  }

  #byRole(topology: Topology): readonly Member[] {
    const { bound } = this.#route;
    const position = Atomics.add(this.#context.header, HEADER.roundRobinPosition + bound.index, 1);
    const { isSetAside, failedMembers } = this.#reach;
    const { loadOf } = this.#context;
    return candidates(topology, bound, position, isSetAside, failedMembers.hasFailed, loadOf);
  }

  #dialNext(): void {
    const [member, ...others] = this.#untried;
    this.#untried = others;
    if (member === undefined || member.dial === null) {
      if (this.#dials.size === 0) this.#roundFailed();
      return;
    }
    const { transport } = this.#context;
    const deadlines = this.#context.config().dial;
    const settle = (settled: Dial, outcome: DialOutcome) => this.#settled(settled, outcome);
    const { firstWord } = this.#reach;
    const dial = new Dial(member, member.dial, transport, firstWord, deadlines, settle, this.#prologue);
    this.#dials.add(dial);
    this.#changeLoad(member, 1);
    this.#armOvertaking(dial);
  }

  /** While there is another candidate, a server that does not greet is not waited for alone. */
  #armOvertaking(dial: Dial): void {
    if (this.#untried.length === 0) return this.#overtaking.close();
    this.#overtaking.set(this.#reach.greetingPace.patienceMs(), () => {
      // Others need not find out for themselves; the dial goes on and may still be the first.
      this.#signal('no-handshake', dial.member);
      this.#reportFailure(dial, 'slow to greet');
      this.#dialNext();
    });
  }

  #settled(dial: Dial, outcome: DialOutcome): void {
    this.#dials.delete(dial);
    const { member } = dial;
    this.#changeLoad(member, -1);
    if (outcome.kind !== 'greeted') this.#armDeadline();
    switch (outcome.kind) {
      case 'greeted':
        return this.#succeed(dial, outcome.connection, outcome.firstBytes);
      case 'error-packet':
        this.#countDial(member, 'error_packet');
        this.#serverError = outcome;
        this.#reach.readmission.turnedAway(member, outcome.errorNumber);
        this.#lastFailure = `${member.address} answered with error ${outcome.errorNumber}`;
        if (outcome.errorNumber === ERRORS.ER_SERVER_SHUTDOWN.number)
          this.#signal('server-error', member, outcome.errorNumber);
        break;
      case 'refused':
      case 'unreachable':
        this.#countDial(member, outcome.kind === 'refused' ? 'refused' : 'error');
        this.#signal('dial-refused', member);
        this.#reportFailure(dial, outcome.code);
        break;
      case 'connect-timeout':
        this.#countDial(member, 'timeout');
        this.#signal('dial-timeout', member);
        this.#reportFailure(dial, 'no connection in time');
        break;
      case 'no-handshake':
        this.#countDial(member, 'no_handshake');
        this.#signal('no-handshake', member);
        this.#reportFailure(dial, `no initial handshake: ${outcome.why}`);
        break;
      case 'out-of-resources':
        this.#countDial(member, 'error');
        this.#lastFailure = `the router is out of resources: ${outcome.code}`;
        this.#context.event('error', 'router_out_of_resources', 'The router cannot open a connection', {
          code: outcome.code,
        });
        break;
      default:
        outcome satisfies never;
    }
    this.#dialNext();
  }

  #succeed(dial: Dial, connection: Connection, greeting: Buffer): void {
    const nowMs = performance.now();
    const { cells } = this.#context;
    const { readmission, greetingPace } = this.#reach;
    const { member } = dial;
    this.#countDial(member, 'ok');
    greetingPace.observe(nowMs - dial.startedAtMs);
    observeSeconds(cells, this.#route.offset + ROUTE.connectSeconds, (nowMs - dial.startedAtMs) / 1000);
    readmission.succeeded(member);
    if (this.#heldSinceMs !== null) {
      this.#count(ROUTE.holdsServed);
      observeSeconds(cells, this.#route.offset + ROUTE.holdSeconds, (nowMs - this.#heldSinceMs) / 1000);
    }
    this.#close();
    this.#sink.onPlaced(member, connection, greeting);
  }

  /** Nobody can be tried now: wait for the next topology, or for a while when somebody is there but does not answer. */
  #roundFailed(): void {
    this.#armDeadline();
    if (this.#serverError !== null && !isPassing(this.#serverError.errorNumber)) return this.#giveUp();
    if (!this.#wait()) return;
    // Without a candidate only a new topology helps.
    if (this.#hasTried) this.#reach.holdQueue.retrySoon();
  }

  /** Joins those who wait; false when that is not possible and the search is over. */
  #wait(): boolean {
    if (this.#heldSinceMs === null && !this.#beginHold()) return false;
    this.#reach.holdQueue.join(this);
    return true;
  }

  #isCandidate(member: Member): boolean {
    if (this.#choice !== null) return this.#choice.isCandidate(this.#reach.topology(), member);
    const key = memberKey(member);
    const now = candidates(this.#reach.topology(), this.#route.bound, 0, () => false);
    return now.some((candidate) => memberKey(candidate) === key);
  }

  /** The time a client may wait counts from its first moment; most never wait and need no timer. */
  #armDeadline(): void {
    const { timeoutMs } = this.#context.config().hold;
    // Without a hold every candidate is tried once, each within its own deadlines.
    if (timeoutMs === 0) return;
    const leftMs = this.#startedAtMs + timeoutMs - performance.now();
    this.#deadlineTimer ??= setTimeout(() => this.#giveUp(), Math.max(0, leftMs));
  }

  #beginHold(): boolean {
    const { header, cells } = this.#context;
    const { maxSessions, timeoutMs } = this.#context.config().hold;
    if (timeoutMs === 0) {
      this.#giveUp();
      return false;
    }
    if (Atomics.add(header, HEADER.heldInAll, 1) >= maxSessions) {
      Atomics.sub(header, HEADER.heldInAll, 1);
      this.#close();
      const detail = 'too many clients are waiting for a destination';
      this.#sink.onUnplaced({ kind: 'refusal', refusal: { reason: 'hold_full', detail } });
      return false;
    }
    this.#heldSinceMs = performance.now();
    add(cells, this.#route.offset + ROUTE.holdsStarted, 1);
    add(cells, this.#route.offset + ROUTE.sessionsHeld, 1);
    return true;
  }

  #giveUp(): void {
    if (this.#isOver) return;
    const serverError = this.#serverError ?? (this.#dials.size > 0 ? this.#errorBefore : null);
    if (this.#heldSinceMs !== null) this.#count(ROUTE.holdsExpired);
    this.#close();
    if (serverError !== null)
      return this.#sink.onUnplaced({ kind: 'server-error', packet: serverError.packet });
    const refusal: Refusal = { reason: 'no_destination', detail: this.#why() };
    this.#sink.onUnplaced({ kind: 'refusal', refusal });
  }

  #why(): string {
    const { bound } = this.#route;
    const waited = ((performance.now() - this.#startedAtMs) / 1000).toFixed(1);
    const reason = this.#lastFailure === '' ? this.#whyNobody() : this.#lastFailure;
    return `${reason} (route ${bound.name}, waited ${waited} s)`;
  }

  #whyNobody(): string {
    if (this.#choice !== null) return this.#choice.why();
    const { role, strategy } = this.#route.bound;
    const isWritten = role === 'primary';
    const others = candidates(this.#context.topology(), { role, strategy }, 0, () => false);
    // Members are there, only not for this protocol.
    if (others.length > 0) return `no X Protocol port is known of ${others[0]?.address}`;
    return isWritten ? 'no confirmed writable primary' : 'no member accepts reads';
  }

  #close(): void {
    this.#isOver = true;
    this.#overtaking.close();
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    for (const dial of this.#dials) this.#abandonDial(dial);
    this.#reach.holdQueue.leave(this);
    if (this.#heldSinceMs === null) return;
    Atomics.sub(this.#context.header, HEADER.heldInAll, 1);
    add(this.#context.cells, this.#route.offset + ROUTE.sessionsHeld, -1);
  }

  #abandonDial(dial: Dial): void {
    this.#dials.delete(dial);
    this.#changeLoad(dial.member, -1);
    dial.abandon(this.#context.farewells);
    this.#countDial(dial.member, 'abandoned');
  }

  /**
   * A dead X port says nothing of the member: the control plane knows how it is from a session of its own, and is not
   * made to ask for what that session cannot tell.
   */
  #signal(kind: SignalKind, member: Member, errorNumber?: number): void {
    if (this.#reach.protocol === 'classic') this.#context.signal(kind, member, errorNumber);
  }

  #reportFailure({ member, startedAtMs }: Dial, why: string): void {
    this.#lastFailure = `${member.address}: ${why}`;
    this.#reach.failedMembers.reportFailure(member);
    this.#reach.readmission.failed(member, why, startedAtMs);
  }

  /** A dial counts as the session it may become, or many that come at once would all choose the same member. */
  #changeLoad(member: Member, amount: 1 | -1): void {
    changeLoad(this.#context.cells, this.#context.header, member.slot, amount);
  }

  #count(cell: number): void {
    add(this.#context.cells, this.#route.offset + cell, 1);
  }

  #countDial(member: Member, result: DialResult): void {
    const dials = this.#reach.protocol === 'x' ? MEMBER.xDials : MEMBER.dials;
    const offset = memberOffset(member.slot) + dials + DIAL_RESULTS.indexOf(result);
    add(this.#context.cells, offset, 1);
  }
}

/** An ERR in place of the initial handshake. */
type ServerError = Extract<DialOutcome, { readonly kind: 'error-packet' }>;

/** Errors that may be gone in a moment: the server is full, or on its way down or up. */
function isPassing(errorNumber: number): boolean {
  return errorNumber === ERRORS.ER_CON_COUNT_ERROR.number || errorNumber === ERRORS.ER_SERVER_SHUTDOWN.number;
}
