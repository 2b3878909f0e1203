/**
 * How a session of either protocol ends: once, with one reason that is counted, and so that nobody loses what was already
 * on its way to them.
 *
 * | who ends it | how |
 * |---|---|
 * | the client or the server | FIN is passed on, and the session is over with the second one; a lost connection ends it at once, the server's RST with RST |
 * | the topology, a drain, its age, idleness | orderly: at a command boundary, the server told with COM_QUIT where that is possible |
 * | a refusal | with an ERR packet |
 * | what leaves no choice: its member is gone, the grace is over | cut: with RST where a command was forwarded and not answered |
 *
 * The session decides which of them it is; here is what is done then, and the waiting for the right moment.
 */
import type { ErrPacket } from '../../protocol/err-packet.ts';
import { sessionFate } from '../../routing/session-fate.ts';
import type { Member, SessionFate, Topology } from '../../routing/topology.ts';
import type { EndReason } from '../shared/counters.ts';
import { stackOf } from '../shared/message-of.ts';
import { type BoundaryKnowledge, BoundaryWait, patientSilenceMs } from './boundary-wait.ts';
import type { Connection, Side } from './connection.ts';
import { endReasonFor, errFor, type Refusal } from './refusal.ts';
import type { SessionAccount } from './session-account.ts';
import type { OpenSession, RouteState, ThreadContext } from './thread-context.ts';

/**
 * What becomes of the server's connection: it is told that the client goes, where nothing is under way; it still gets
 * what was sent to it; or it is closed at once.
 */
export type Parting = 'quit' | 'leave' | 'break';

/** What a session tells its end, and does for it. */
export type EndingSession = OpenSession & {
  /** Whether `boundary` knows, or only guesses by silence. */
  readonly hasBoundaries: boolean;
  /** Bytes taken from the client and not yet by the kernel for the server. */
  readonly queuedToServer: number;
  /** A command of the client's is with the server, as far as that is known, and no byte of an answer has come. */
  readonly isUnanswered: boolean;
  /** The login is over and, as far as that is known, no command is under way. */
  readonly isIdle: boolean;
  /** What is under way has no end, and so no boundary behind it. */
  readonly isEndless: boolean;
  boundary(): BoundaryKnowledge;
  /** Nothing is known to be under way, and has not been for `forMs`, or longer where the client may be setting up. */
  isUnused(forMs: number): boolean;
  /** Lets go of everything but the client. Called once. */
  release(parting: Parting): void;
};

export class SessionEnd {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #account: SessionAccount;
  readonly #client: Connection;
  readonly #session: EndingSession;
  /** There while the session has to end as soon as it can. */
  #boundaryWait: BoundaryWait | null = null;
  /** Who has sent FIN and waits for the other's. */
  #firstToEnd: Side | null = null;
  #isOver = false;

  constructor(
    context: ThreadContext,
    route: RouteState,
    account: SessionAccount,
    client: Connection,
    session: EndingSession,
  ) {
    this.#context = context;
    this.#route = route;
    this.#account = account;
    this.#client = client;
    this.#session = session;
  }

  /** What the new topology says of the session's member. */
  onTopology(topology: Topology, { id: memberId, address, role }: Member): void {
    const routeRole = this.#route.bound.role;
    const fate = sessionFate(topology, { memberId, address, role }, routeRole);
    this.meetFate(fate, routeRole === 'primary' ? 'member_demoted' : 'member_promoted');
  }

  /** @param reason of a drain */
  meetFate(fate: SessionFate, reason: EndReason): void {
    if (fate === 'cut') return this.#session.cut('member_gone');
    if (fate === 'drain') return this.atBoundary(reason);
    if (this.#boundaryWait === null || this.#boundaryWait.reason === 'shutdown') return;
    this.#boundaryWait.close();
    this.#boundaryWait = null;
  }

  /**
   * Ends the session at a command boundary outside a transaction, at the latest after the grace; at once where there
   * will be none.
   *
   * @param patienceMs for how long a client that is at work is left alone until it pauses
   */
  atBoundary(reason: EndReason, patienceMs = 0): void {
    if (this.#isOver) return;
    // A doubt that passes calls off other waits, but not the router's own end.
    const isWaiting = this.#boundaryWait !== null && this.#boundaryWait.reason !== 'max_session_age';
    if (isWaiting && reason !== 'shutdown') return;
    const session = this.#session;
    if (session.isEndless) {
      // A replica comes back by itself and knows where it was: nothing is gained by waiting for the grace to pass.
      if (reason !== 'max_session_age') this.now(reason);
      return;
    }
    if (session.isUnused(Math.max(UNUSED_MS, patientSilenceMs(patienceMs)))) return this.orderly(reason);
    this.#boundaryWait?.close();
    const isVoluntary = reason === 'max_session_age';
    const graceMs = isVoluntary ? null : this.#context.config().drain.graceMs;
    const limits = { patienceMs: Math.min(patienceMs, (graceMs ?? 0) * PATIENT_SHARE), graceMs };
    this.#boundaryWait = new BoundaryWait(reason, limits, {
      // Where boundaries are unknown, nothing is ended that might as well go on.
      knowledge: () => (isVoluntary && !session.hasBoundaries ? 'busy' : session.boundary()),
      takeMoved: () => this.#account.takeMoved(),
      end: () => this.orderly(reason),
      cut: () => session.cut(reason),
    });
  }

  get isServerFirstToEnd(): boolean {
    return this.#firstToEnd === 'server';
  }

  /** The server has said something, and may have reached a boundary that is waited for. */
  serverSpoke(): void {
    this.#boundaryWait?.check();
  }

  /** Ends what is too old, what has been idle for too long, and what cannot go on. */
  sweep(idleTimeoutMs: number): void {
    const { idleForMs } = this.#account;
    const { maxSessionAgeMs } = this.#route.bound;
    if (maxSessionAgeMs > 0 && this.#endOfAge(maxSessionAgeMs, idleForMs)) return;
    if (idleForMs === 0) return;
    // A server that has closed reads no more, and many clients do not notice before their next command.
    if (this.#firstToEnd === 'server' && this.#session.queuedToServer === 0) return this.now('server_closed');
    if (idleTimeoutMs === 0 || idleForMs < idleTimeoutMs) return;
    if (this.#session.isIdle) this.orderly('idle_timeout');
  }

  /** @returns whether the session has ended */
  #endOfAge(maxSessionAgeMs: number, idleForMs: number): boolean {
    const age = this.#account.judgeAge(maxSessionAgeMs);
    if (age === 'young' || !this.#session.hasBoundaries) return false;
    if (idleForMs > 0 && this.#session.boundary() === 'boundary') {
      this.orderly('max_session_age');
      return true;
    }
    if (age === 'overdue' && this.#boundaryWait === null) this.atBoundary('max_session_age');
    return false;
  }

  /**
   * A side sends no more.
   *
   * @returns whether the session is over with that; else the other side may still have something to say
   */
  sideEnded(side: Side): boolean {
    if (this.#firstToEnd === null) {
      this.#firstToEnd = side;
      if (side === 'server') this.#context.watched.add(this.#session);
      return false;
    }
    this.bothDone(this.#firstToEnd === 'server' ? 'server_closed' : 'client_closed');
    return true;
  }

  /** Neither side has anything more to say; what each has still to get reaches it. */
  bothDone(reason: EndReason): void {
    if (this.#close(reason, 'leave')) this.#context.farewells.leave(this.#client);
  }

  /** Nothing is under way: the server is told with COM_QUIT where it would understand, the client with FIN. */
  orderly(reason: EndReason): void {
    if (this.#close(reason, 'quit')) this.#context.farewells.leave(this.#client);
  }

  /** Ends the session; what was sent to the client before still reaches it. */
  now(reason: EndReason): void {
    if (this.#close(reason, 'break')) this.#context.farewells.leave(this.#client);
  }

  /**
   * Ends the session without regard to what is under way; what was sent to the client before still reaches it.
   *
   * FIN without an answer says that the command was not forwarded, and may be repeated on another session. Where it was,
   * and whether it is carried out is not known, the client gets RST.
   */
  cut(reason: EndReason): void {
    const isUnanswered = this.#session.isUnanswered && this.#client.queuedBytes === 0;
    if (!this.#close(reason, 'break')) return;
    if (isUnanswered) this.#client.reset();
    else this.#context.farewells.leave(this.#client);
  }

  /** What nobody has foreseen was thrown on behalf of this session, and is no reason to end those of others. */
  defect(error: unknown): void {
    const fields = { route: this.#route.bound.name, error: stackOf(error) };
    this.#context.event(
      'error',
      'session_failed',
      'A session ends because of a defect of the router',
      fields,
    );
    this.now('internal_error');
  }

  /**
   * Ends the session of a server whose connection is over; `error` is null when that ended in order. Its RST is passed on, but
   * not in the middle of an answer, of which as much as there is reaches the client. MariaDB resets sessions that have been
   * idle for too long: libraries say 2006 to the next statement then, which was not sent, and after FIN 2013.
   */
  serverGone(error: NodeJS.ErrnoException | null): void {
    if (error === null) return this.now('server_closed');
    const { isIdle, isUnanswered } = this.#session;
    const isReset = error.code === 'ECONNRESET' && (isIdle || isUnanswered) && this.#client.queuedBytes === 0;
    if (!this.#close('server_error', 'break')) return;
    if (isReset) this.#client.reset();
    else this.#context.farewells.leave(this.#client);
  }

  /** Ends the session of a client that is gone. */
  clientGone(reason: EndReason): void {
    if (this.#close(reason, 'break')) this.#client.destroy();
  }

  /**
   * Answers the client with an error of the router's own, and ends the session.
   *
   * @param encode as the client expects it at this moment; null where nothing can be said
   */
  refuse(refusal: Refusal, encode: (err: ErrPacket) => Buffer | null): void {
    if (this.#isOver) return;
    const err = errFor(refusal);
    const packet = encode(err);
    if (packet !== null) this.#client.write(packet, 0, packet.length);
    this.#account.refused(refusal, err.errorCode);
    this.now(endReasonFor(refusal.reason));
  }

  /** @returns whether it was still open */
  #close(reason: EndReason, parting: Parting): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#boundaryWait?.close();
    this.#boundaryWait = null;
    this.#session.release(parting);
    this.#account.close(reason);
    this.#context.sessions.delete(this.#session);
    this.#context.watched.delete(this.#session);
    return true;
  }
}

/** No command has been under way for so long that none is likely to come just now. */
const UNUSED_MS = 50;
/** The rest of the grace is for those who never pause, or are in a transaction. */
const PATIENT_SHARE = 0.5;
