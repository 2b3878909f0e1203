/**
 * Looks after members in quarantine: each is tried again at its interval, and is back with its first initial handshake.
 * So a member comes back without a client having to be the one who tries. Of members that are full it tells when that begins
 * and ends; there only a client can find out.
 */
import { ERRORS } from '../../protocol/error-codes.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { add, MEMBER, memberOffset } from '../shared/counters.ts';
import { Dial } from './dial.ts';
import type { Reachability } from './reachability.ts';
import type { ThreadContext } from './thread-context.ts';

export class Readmission {
  readonly #context: ThreadContext;
  readonly #reach: Reachability;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: ThreadContext, reach: Reachability) {
    this.#context = context;
    this.#reach = reach;
  }

  /** A member was set aside. */
  watch(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  onTopology(topology: Topology): void {
    this.#reach.quarantine.keepOnly(topology.members);
    this.#reach.fullMembers.keepOnly(topology.members);
    for (const member of topology.members) this.show(member);
  }

  /** Brings the member's gauge up to date. */
  show(member: Member): void {
    const isQuarantined = this.#reach.quarantine.isQuarantined(member);
    const gauge = this.#reach.protocol === 'x' ? MEMBER.isXQuarantined : MEMBER.isQuarantined;
    const isSetAside = isQuarantined || this.#reach.fullMembers.isFull(member);
    this.#context.cells[memberOffset(member.slot) + gauge] = isSetAside ? 1 : 0;
    if (!isQuarantined) this.#context.cells[this.#vainRetries(member)] = 0;
  }

  #tick(): void {
    const { transport, farewells } = this.#context;
    const { quarantine, firstWord } = this.#reach;
    const { members } = this.#reach.topology();
    for (const member of quarantine.dueForProbe(members, performance.now())) {
      if (member.dial === null) continue;
      new Dial(member, member.dial, transport, firstWord, this.#context.config().dial, (_dial, outcome) => {
        if (outcome.kind === 'greeted') firstWord.leave(outcome.connection, farewells);
        else if (outcome.kind !== 'error-packet')
          return add(this.#context.cells, this.#vainRetries(member), 1);
        this.succeeded(member);
      });
    }
    if (quarantine.nextProbeAtMs() === null) this.close();
  }

  /** The member greeted. */
  succeeded(member: Member): void {
    if (!this.#reach.quarantine.reportSuccess(member, performance.now())) return;
    this.show(member);
    const fields = { member: member.address, protocol: this.#reach.protocol };
    this.#context.event('info', 'member_readmitted', `${this.#named(member)} answers again`, fields);
  }

  /** The member could not be reached, or did not greet, in an attempt that began at `sinceMs`. */
  failed(member: Member, why: string, sinceMs: number): void {
    if (!this.#reach.quarantine.reportFailure(member, performance.now(), sinceMs)) return;
    this.show(member);
    this.watch();
    const fields = { member: member.address, protocol: this.#reach.protocol, why };
    this.#context.event('warn', 'member_quarantined', `${this.#named(member)} is set aside: ${why}`, fields);
  }

  /** The member answered a client with an error, in place of its greeting or after the login. */
  turnedAway(member: Member, errorNumber: number): void {
    if (errorNumber !== ERRORS.ER_CON_COUNT_ERROR.number) return;
    if (!this.#reach.fullMembers.reportFull(member, performance.now())) return;
    this.show(member);
    const text = `${this.#named(member)} lets nobody in: all its connections are taken (error ${errorNumber})`;
    this.#context.event('warn', 'member_full', text, { member: member.address, error: errorNumber });
  }

  /** The member has let a client in. */
  letIn(member: Member): void {
    if (!this.#reach.fullMembers.reportRoom(member)) return;
    this.show(member);
    const text = `${this.#named(member)} lets clients in again`;
    this.#context.event('info', 'member_has_room', text, { member: member.address });
  }

  #vainRetries({ slot }: Member): number {
    return memberOffset(slot) + (this.#reach.protocol === 'x' ? MEMBER.vainXRetries : MEMBER.vainRetries);
  }

  #named(member: Member): string {
    return this.#reach.protocol === 'x' ? `X Protocol of ${member.address}` : member.address;
  }
}

/** How often is looked whether somebody is due; quarantine.interval is 1 s or more. */
const TICK_MS = 100;
