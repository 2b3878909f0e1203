/**
 * One session under routing guidelines: what is known of it, which route it belongs to, and whether it may stay where it
 * is. It goes by the guideline of the moment, so another one judges it anew.
 */
import { decodeConnectionAttributes } from '../../../protocol/connection-attributes.ts';
import type { HandshakeResponse41 } from '../../../protocol/handshake-response41.ts';
import { withoutMapping } from '../../../protocol/ip-address.ts';
import { guidedCandidates, isDestination } from '../../../routing/guidelines/members.ts';
import type { LoginFacts, RouteMatch, SessionOrigin } from '../../../routing/guidelines/sessions.ts';
import { sessionFate } from '../../../routing/session-fate.ts';
import type { Member, SessionFate, Topology } from '../../../routing/topology.ts';
import { sameMember } from '../../../routing/topology-difference.ts';
import { add, type EndReason, HEADER, THREAD } from '../../shared/counters.ts';
import type { Connection } from '../connection.ts';
import type { MemberChoice } from '../placement.ts';
import type { RouteState, ThreadContext } from '../thread-context.ts';

export class Guidance implements MemberChoice {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #origin: SessionOrigin;
  #login: LoginFacts | null = null;
  /** The guideline's route it was placed by. */
  #routeName: string | null = null;

  constructor(context: ThreadContext, route: RouteState, client: Connection) {
    this.#context = context;
    this.#route = route;
    this.#origin = {
      routeName: route.bound.name,
      bindAddress: route.bound.listen.host,
      targetIP: withoutMapping(client.localAddress),
      targetPort: client.localPort,
      sourceIP: withoutMapping(client.remoteAddress),
      randomValue: Math.random(),
    };
  }

  /** By the guideline of the moment; there is one when a session begins to be guided, and it may be gone later. */
  match(): RouteMatch {
    return this.#context.guideline?.match(this.#origin, this.#login) ?? { kind: 'none' };
  }

  /** What the client has said of itself. */
  learn({ username, database, attributes }: HandshakeResponse41): void {
    this.#login = { user: username, schema: database ?? '', connectAttrs: attributesIn(attributes) };
  }

  get routeName(): string | null {
    return this.#routeName;
  }

  candidates(_topology: Topology, isQuarantined: (member: Member) => boolean): readonly Member[] {
    const { guideline, header } = this.#context;
    const match = this.match();
    if (guideline === null || match.kind !== 'route') return [];
    const turn = HEADER.guidelinePosition + guideline.slotOf(match.route);
    const position = Atomics.add(header, turn, 1);
    return guidedCandidates(match.route, guideline.classes, position, isQuarantined);
  }

  isCandidate(topology: Topology, member: Member): boolean {
    const { guideline } = this.#context;
    const match = this.match();
    if (guideline === null || match.kind !== 'route') return false;
    const now = sameMember(topology.members, member);
    return guidedCandidates(match.route, guideline.classes, 0, () => false).some((other) => other === now);
  }

  why(): string {
    const match = this.match();
    const name = this.#context.guideline?.name;
    if (name === undefined) return 'the routing guideline was taken back; connect again';
    switch (match.kind) {
      case 'none':
        return `no route of the routing guideline ${name} matches the session`;
      case 'login-needed':
        return `the routing guideline ${name} now asks for the login; connect again`;
      default:
        return `no member for route ${match.route.name} of the routing guideline ${name}`;
    }
  }

  /** The session has a member, by the route that matches now. */
  placed(): void {
    const { guideline, cells } = this.#context;
    const match = this.match();
    if (guideline === null || match.kind !== 'route') return;
    this.#routeName = match.route.name;
    add(cells, THREAD.guidelineSessions + guideline.slotOf(match.route), 1);
  }

  /**
   * What becomes of the session on `member`, which is as it was when the session was placed there. It stays where its
   * route still leads; a doubt about the member ends nothing here either.
   */
  fate(topology: Topology, member: Member): { readonly fate: SessionFate; readonly reason: EndReason } {
    const { id: memberId, address, role } = member;
    const { guideline } = this.#context;
    if (guideline === null) {
      const fate = sessionFate(topology, { memberId, address, role }, this.#route.bound.role);
      return { fate, reason: 'guideline' };
    }
    const now = sameMember(topology.members, member);
    if (now === undefined) return { fate: 'cut', reason: 'member_gone' };
    const isForWriting = role === 'PRIMARY' && member.acceptsWrites;
    const own = isForWriting ? now.primarySessions : now.secondarySessions;
    if (own !== 'keep') return { fate: own, reason: isForWriting ? 'member_demoted' : 'member_promoted' };
    const match = this.match();
    // What cannot be judged is left alone.
    const mayStay =
      match.kind === 'login-needed' ||
      (match.kind === 'route' && isDestination(match.route, guideline.classes, now));
    return { fate: mayStay ? 'keep' : 'drain', reason: 'guideline' };
  }
}

/** As many and as much of each as anybody uses: a session keeps them for as long as it lives. */
function attributesIn(block: Buffer | undefined): ReadonlyMap<string, string> {
  if (block === undefined) return new Map();
  const kept = decodeConnectionAttributes(block).slice(0, MAX_ATTRIBUTES);
  return new Map(
    kept.map(({ name, value }) => [name.slice(0, MAX_ATTRIBUTE_NAME), value.slice(0, MAX_ATTRIBUTE_VALUE)]),
  );
}

const MAX_ATTRIBUTES = 64;
const MAX_ATTRIBUTE_NAME = 64;
const MAX_ATTRIBUTE_VALUE = 512;
