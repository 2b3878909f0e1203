/**
 * What is known of one session from outside: the counters it adds to while it lives and gives back, once, when it is
 * over; its line in the list of sessions; what the log says of it.
 */
import type { HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { judgeAge, type SessionAge } from '../../routing/session-age.ts';
import type { Member } from '../../routing/topology.ts';
import {
  add,
  changeLoad,
  END_REASONS,
  type EndReason,
  MEMBER,
  memberOffset,
  REFUSAL_REASONS,
  type RefusalReason,
  ROUTE,
} from '../shared/counters.ts';
import type { SessionFacts } from '../shared/messages.ts';
import type { Connection, Side } from './connection.ts';
import type { Guidance } from './guidelines/guidance.ts';
import type { Refusal } from './refusal.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

export class SessionAccount {
  readonly #context: ThreadContext;
  readonly #cells: Float64Array;
  readonly #routeOffset: number;
  readonly #route: RouteState;
  readonly #id: number;
  readonly #client: Connection;
  /** Empty unless sessions are limited by client address. */
  readonly #limitedAddress: string;
  /** For people. */
  readonly #openedAtMs = Date.now();
  /** Of a clock that nobody sets. */
  readonly #startedAtMs = performance.now();
  #member: Member | null = null;
  #guidance: Guidance | null = null;
  #username = '';
  #database = '';
  #isAuthenticated = false;
  #isOpaque = false;
  #isAdmitted = false;
  #bytesToServer = 0;
  #bytesToClient = 0;
  #lastSide: Side = 'server';
  /** The thread's clock when bytes last came. */
  #movedAtSecond: number;
  /** Bytes in both directions when `takeMoved` was last asked. */
  #seenBytes = 0;

  constructor(context: ThreadContext, route: RouteState, id: number, client: Connection) {
    this.#context = context;
    this.#cells = context.cells;
    this.#routeOffset = route.offset;
    this.#route = route;
    this.#id = id;
    this.#client = client;
    this.#movedAtSecond = context.clock.second;
    const isLimitedByAddress = context.config().limits.maxConnectionsPerClient > 0;
    this.#limitedAddress = isLimitedByAddress ? client.remoteAddress : '';
    add(this.#cells, this.#routeOffset + ROUTE.sessionsAccepted, 1);
    add(this.#cells, this.#routeOffset + ROUTE.sessionsOpen, 1);
  }

  /** Asks to be let in. @returns null when it is, else why not */
  enter(): Refusal | null {
    const refusal = this.#context.admission.enter(this.#route, this.#client, this.#limitedAddress);
    this.#isAdmitted = refusal === null;
    return refusal;
  }

  placedOn(member: Member, guidance: Guidance | null = null): void {
    this.#member = member;
    this.#guidance = guidance;
    const offset = memberOffset(member.slot);
    add(this.#cells, offset + MEMBER.sessionsOpen, 1);
    add(this.#cells, offset + MEMBER.sessionsTotal, 1);
    changeLoad(this.#cells, this.#context.header, member.slot, 1);
  }

  introduced({ username, database }: HandshakeResponse41): void {
    this.#username = shortened(username);
    this.#database = shortened(database ?? '');
  }

  authenticated(): void {
    this.#isAuthenticated = true;
    this.#behaved();
    add(this.#cells, this.#routeOffset + ROUTE.sessionsAuthenticated, 1);
  }

  becameOpaque(reason: string): void {
    this.#isOpaque = true;
    // TLS that is passed through hides the login: what could be read of it was in order.
    if (!this.#isAuthenticated) this.#behaved();
    add(this.#cells, this.#routeOffset + ROUTE.sessionsOpaque, 1);
    this.#context.event('debug', 'session_opaque', 'Command boundaries of a session are not known', {
      session: this.#id,
      reason,
    });
  }

  toServer(bytes: number): void {
    this.#movedAtSecond = this.#context.clock.second;
    this.#lastSide = 'client';
    this.#bytesToServer += bytes;
    add(this.#cells, this.#routeOffset + ROUTE.bytesToServer, bytes);
  }

  toClient(bytes: number): void {
    this.#movedAtSecond = this.#context.clock.second;
    this.#lastSide = 'server';
    this.#bytesToClient += bytes;
    add(this.#cells, this.#routeOffset + ROUTE.bytesToClient, bytes);
  }

  /** Who sent last. */
  get lastSide(): Side {
    return this.#lastSide;
  }

  /** Whether bytes have come since this was last asked. */
  takeMoved(): boolean {
    const bytes = this.#bytesToServer + this.#bytesToClient;
    const hasMoved = bytes !== this.#seenBytes;
    this.#seenBytes = bytes;
    return hasMoved;
  }

  /** How long nothing has moved, in whole seconds: up to one more may have gone by. */
  get idleForMs(): number {
    return Math.max(0, this.#context.clock.second - this.#movedAtSecond - 1) * 1000;
  }

  judgeAge(maxAgeMs: number): SessionAge {
    return judgeAge(performance.now() - this.#startedAtMs, maxAgeMs, this.#id);
  }

  refused(refusal: Refusal, errorCode: number): void {
    add(this.#cells, this.#routeOffset + ROUTE.refused + REFUSAL_REASONS.indexOf(refusal.reason), 1);
    if (MISBEHAVIOUR.has(refusal.reason)) this.#misbehaved();
    const route = this.#route.bound.name;
    this.#context.event('warn', 'client_refused', `Route ${route} refused a client: ${refusal.reason}`, {
      route,
      client: this.#client.remoteAddress,
      reason: refusal.reason,
      detail: refusal.detail,
      error: errorCode,
      member: this.#member?.address ?? null,
    });
  }

  /** Counts what a client did wrong itself, and shuts its address out when that was too often. */
  #misbehaved(): void {
    const { maxConnectErrors } = this.#context.config().limits;
    if (maxConnectErrors === 0) return;
    const client = this.#client.remoteAddress;
    if (client === '' || this.#context.connectErrors.failed(client) !== maxConnectErrors) return;
    this.#context.event(
      'warn',
      'client_blocked',
      `${client} is shut out: ${maxConnectErrors} malformed logins in a row`,
      {
        client,
        route: this.#route.bound.name,
        max_connect_errors: maxConnectErrors,
      },
    );
  }

  #behaved(): void {
    if (!this.#context.connectErrors.isEmpty)
      this.#context.connectErrors.succeeded(this.#client.remoteAddress);
  }

  /** Called once. */
  close(reason: EndReason): void {
    if (this.#isAdmitted) this.#context.admission.leave(this.#route, this.#limitedAddress);
    add(this.#cells, this.#routeOffset + ROUTE.ended + END_REASONS.indexOf(reason), 1);
    add(this.#cells, this.#routeOffset + ROUTE.sessionsOpen, -1);
    if (this.#isAuthenticated) add(this.#cells, this.#routeOffset + ROUTE.sessionsAuthenticated, -1);
    if (this.#isOpaque) add(this.#cells, this.#routeOffset + ROUTE.sessionsOpaque, -1);
    if (this.#member !== null) {
      add(this.#cells, memberOffset(this.#member.slot) + MEMBER.sessionsOpen, -1);
      changeLoad(this.#cells, this.#context.header, this.#member.slot, -1);
    }
    this.#context.event('debug', 'session_closed', 'A session has ended', {
      session: this.#id,
      route: this.#route.bound.name,
      member: this.#member?.address ?? null,
      reason,
      bytes_to_server: this.#bytesToServer,
      bytes_to_client: this.#bytesToClient,
    });
  }

  facts(state: string, inTransaction: boolean): SessionFacts {
    return {
      id: String(this.#id),
      route: this.#route.bound.name,
      client: `${this.#client.remoteAddress}:${this.#client.remotePort}`,
      member: this.#member?.address ?? null,
      state,
      user: this.#username,
      database: this.#database,
      openedAtMs: this.#openedAtMs,
      idleForMs: this.idleForMs,
      isOpaque: this.#isOpaque,
      inTransaction,
      guidelineRoute: this.#guidance?.routeName ?? null,
      bytesToServer: this.#bytesToServer,
      bytesToClient: this.#bytesToClient,
    };
  }
}

/** Names are for looking at here, and who has no account may send any: a list of sessions is not to be filled with them. */
function shortened(name: string): string {
  // A copy: a part of a text keeps the whole.
  return name.length <= MAX_NAME ? name : `${Buffer.from(name.slice(0, MAX_NAME)).toString()}…`;
}

/** MariaDB's users have up to 128 characters, all other names fewer. */
const MAX_NAME = 128;

/** What counts towards `limits.maxConnectErrors`: the client sent what nobody can read. */
const MISBEHAVIOUR: ReadonlySet<RefusalReason> = new Set(['bad_handshake', 'out_of_order']);
