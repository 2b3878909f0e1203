/**
 * Looks after members in quarantine: each is tried again at its interval, and is back with its first initial handshake.
 * So a member comes back without a client having to be the one who tries.
 */
import type { Member, Topology } from '../../routing/topology.ts';
import { MEMBER, memberOffset } from '../shared/counters.ts';
import { Dial } from './dial.ts';
import type { ThreadContext } from './thread-context.ts';

export class Readmission {
  readonly #context: ThreadContext;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: ThreadContext) {
    this.#context = context;
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
    this.#context.quarantine.keepOnly(topology.members);
    for (const member of topology.members) this.show(member);
  }

  /** Brings the member's gauge up to date. */
  show(member: Member): void {
    const isQuarantined = this.#context.quarantine.isQuarantined(member);
    this.#context.cells[memberOffset(member.slot) + MEMBER.isQuarantined] = isQuarantined ? 1 : 0;
  }

  #tick(): void {
    const { quarantine, transport } = this.#context;
    const { members } = this.#context.topology();
    for (const member of quarantine.dueForProbe(members, Date.now())) {
      if (member.dial === null) continue;
      new Dial(member, member.dial, transport, this.#context.config().dial, (_dial, outcome) => {
        if (outcome.kind === 'greeted') this.#context.farewells.abandonHandshake(outcome.connection);
        else if (outcome.kind !== 'error-packet') return;
        this.succeeded(member);
      });
    }
    if (quarantine.nextProbeAtMs() === null) this.close();
  }

  /** The member greeted. */
  succeeded(member: Member): void {
    if (!this.#context.quarantine.reportSuccess(member)) return;
    this.show(member);
    this.#context.event('info', 'member_readmitted', `${member.address} answers again`, {
      member: member.address,
    });
  }

  /** The member could not be reached, or did not greet. */
  failed(member: Member, why: string): void {
    if (!this.#context.quarantine.reportFailure(member, Date.now())) return;
    this.show(member);
    this.watch();
    const fields = { member: member.address, why };
    this.#context.event('warn', 'member_quarantined', `${member.address} is set aside: ${why}`, fields);
  }
}

/** How often is looked whether somebody is due; quarantine.interval is 1 s or more. */
const TICK_MS = 100;
