/**
 * How a session enters that a routing guideline can place only once it knows the login: the router learns from a member
 * what servers offer, unless it knows, greets the client, and hears who it is, all within the client's time to log in.
 */
import { type ErrPacket, encodeErrBeforeHandshake } from '../../../protocol/err-packet.ts';
import { ProtocolError } from '../../../protocol/errors.ts';
import { decodeInitialHandshake } from '../../../protocol/initial-handshake.ts';
import { PACKET_HEADER_BYTES } from '../../../protocol/packet-header.ts';
import type { Member, Topology } from '../../../routing/topology.ts';
import type { Connection } from '../connection.ts';
import { maskedFlags } from '../handshake-changes.ts';
import { type MemberChoice, Placement, type PlacementFailure } from '../placement.ts';
import { type Refusal, refusalFor, SPOKE_FIRST } from '../refusal.ts';
import type { RouteState, ThreadContext } from '../thread-context.ts';
import type { RouteTls } from '../tls/route-tls.ts';
import { type IntroducedClient, Introduction } from './introduction.ts';
import { teachers } from './own-greeting.ts';

export type GuidedEntrySink = {
  onIntroduced(client: IntroducedClient): void;
  onUnplaced(failure: PlacementFailure): void;
  onRefusal(refusal: Refusal): void;
};

export class GuidedEntry {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #tls: RouteTls;
  readonly #client: Connection;
  readonly #sink: GuidedEntrySink;
  #lesson: Placement | null = null;
  #introduction: Introduction | null = null;
  #deadline: NodeJS.Timeout | null = null;

  constructor(
    context: ThreadContext,
    route: RouteState,
    tls: RouteTls,
    client: Connection,
    sink: GuidedEntrySink,
  ) {
    this.#context = context;
    this.#route = route;
    this.#tls = tls;
    this.#client = client;
    this.#sink = sink;
  }

  /** Calls nothing of the sink before it returns. */
  start(): void {
    if (this.#greet()) return;
    const lesson = new Placement(
      this.#context,
      this.#route,
      this.#client,
      {
        onPlaced: (_member, connection, greeting) => this.#learn(connection, greeting),
        onUnplaced: (failure) => {
          this.#endLesson();
          this.#sink.onUnplaced(failure);
        },
      },
      LESSON,
    );
    this.#lesson = lesson;
    lesson.start();
  }

  /** Whether no member could be asked so far. */
  get isHeld(): boolean {
    return this.#lesson?.isHeld ?? false;
  }

  onTopology(): void {
    this.#lesson?.onTopology();
  }

  onBytes(buffer: Buffer, length: number): void {
    const introduction = this.#introduction;
    if (introduction === null) return this.#sink.onRefusal(SPOKE_FIRST);
    try {
      introduction.fromClient(buffer, length);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#sink.onRefusal(refusalFor(error));
    }
  }

  encodeErr(err: ErrPacket): Buffer {
    return this.#introduction?.encodeErr(err) ?? encodeErrBeforeHandshake(err);
  }

  refusalAtClose(error: Error | null): Refusal | null {
    return this.#introduction?.refusalAtClose(error) ?? null;
  }

  close(): void {
    this.#endLesson();
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #endLesson(): void {
    this.#lesson?.abandon();
    this.#lesson = null;
  }

  #learn(connection: Connection, packet: Buffer): void {
    const { farewells, ownGreeting } = this.#context;
    this.#endLesson();
    try {
      const handshake = decodeInitialHandshake(packet.subarray(PACKET_HEADER_BYTES));
      farewells.abandonHandshake(connection);
      ownGreeting.learn(handshake, this.#context.topology());
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      connection.destroy();
      return this.#sink.onRefusal(refusalFor(error));
    }
    this.#greet();
  }

  /** @returns false where it is not known what to offer */
  #greet(): boolean {
    const { limits } = this.#context.config();
    const learned = this.#context.ownGreeting.offer(this.#context.topology());
    if (learned === null) return false;
    this.#introduction = new Introduction(
      this.#client,
      this.#tls,
      learned,
      { masked: maskedFlags(this.#route.bound), maxHandshakeResponseBytes: limits.maxHandshakeBytes },
      {
        onIntroduced: (client) => {
          if (this.#deadline !== null) clearTimeout(this.#deadline);
          this.#deadline = null;
          this.#sink.onIntroduced(client);
        },
        onRefusal: (refusal) => this.#sink.onRefusal(refusal),
      },
    );
    this.#deadline = setTimeout(() => this.#sink.onRefusal(LATE), limits.clientHandshakeTimeoutMs);
    return true;
  }
}

const LATE: Refusal = { reason: 'handshake_timeout', detail: 'the client did not say who it is in time' };

/** Any member will do. */
const LESSON: MemberChoice = {
  candidates: (topology: Topology, isQuarantined: (member: Member) => boolean) => {
    const members = teachers(topology);
    const healthy = members.filter((member) => !isQuarantined(member));
    return healthy.length > 0 ? healthy : members;
  },
  isCandidate: (topology, { id, address }) =>
    teachers(topology).some((member) => member.id === id && member.address === address),
  why: () => 'no member is there',
};
