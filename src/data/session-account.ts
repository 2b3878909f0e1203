/**
 * The counters of one session: what it adds to while it lives, and what it gives back, once, when it is over.
 */
import type { Member } from '../../routing/topology.ts';
import {
  add,
  END_REASONS,
  type EndReason,
  MEMBER,
  memberOffset,
  REFUSAL_REASONS,
  type RefusalReason,
  ROUTE,
} from '../shared/counters.ts';

export class SessionAccount {
  readonly #cells: Float64Array;
  readonly #route: number;
  /** Where the member's counters begin; -1 before there is one. */
  #member = -1;
  #isAuthenticated = false;
  #isOpaque = false;
  #isClosed = false;

  constructor(cells: Float64Array, routeOffset: number) {
    this.#cells = cells;
    this.#route = routeOffset;
    add(cells, routeOffset + ROUTE.sessionsAccepted, 1);
    add(cells, routeOffset + ROUTE.sessionsOpen, 1);
  }

  placedOn(member: Member): void {
    this.#member = memberOffset(member.slot);
    add(this.#cells, this.#member + MEMBER.sessionsOpen, 1);
    add(this.#cells, this.#member + MEMBER.sessionsTotal, 1);
  }

  authenticated(): void {
    this.#isAuthenticated = true;
    add(this.#cells, this.#route + ROUTE.sessionsAuthenticated, 1);
  }

  becameOpaque(): void {
    this.#isOpaque = true;
    add(this.#cells, this.#route + ROUTE.sessionsOpaque, 1);
  }

  toServer(bytes: number): void {
    add(this.#cells, this.#route + ROUTE.bytesToServer, bytes);
  }

  toClient(bytes: number): void {
    add(this.#cells, this.#route + ROUTE.bytesToClient, bytes);
  }

  refused(reason: RefusalReason): void {
    add(this.#cells, this.#route + ROUTE.refused + REFUSAL_REASONS.indexOf(reason), 1);
  }

  close(reason: EndReason): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    add(this.#cells, this.#route + ROUTE.ended + END_REASONS.indexOf(reason), 1);
    add(this.#cells, this.#route + ROUTE.sessionsOpen, -1);
    if (this.#isAuthenticated) add(this.#cells, this.#route + ROUTE.sessionsAuthenticated, -1);
    if (this.#isOpaque) add(this.#cells, this.#route + ROUTE.sessionsOpaque, -1);
    if (this.#member >= 0) add(this.#cells, this.#member + MEMBER.sessionsOpen, -1);
  }
}
