/**
 * How a session finds its member: by the role of its route, or by the routing guideline in force. Where that goes by the
 * login, the router greets the client itself first.
 */
import { decodeErrPacket, type ErrPacket, encodeErrBeforeHandshake } from '../../protocol/err-packet.ts';
import type { HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { PACKET_HEADER_BYTES } from '../../protocol/packet-header.ts';
import type { Member } from '../../routing/topology.ts';
import type { Connection } from './connection.ts';
import { Guidance } from './guidelines/guidance.ts';
import { GuidedEntry } from './guidelines/guided-entry.ts';
import type { IntroducedClient } from './guidelines/introduction.ts';
import { Placement, type PlacementFailure } from './placement.ts';
import { type Refusal, SPOKE_FIRST } from './refusal.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

/** A server that has greeted, and the way to it. */
export type FoundServer = {
  readonly member: Member;
  readonly connection: Connection;
  readonly greeting: Buffer;
  /** Where the router has greeted the client itself. */
  readonly introduced: IntroducedClient | null;
  /** Null where the roles of routes decide. */
  readonly guidance: Guidance | null;
  /** To be told when the login is over. */
  readonly placement: Placement | null;
};

export type SessionStartSink = {
  /** The client has said who it is, and no server has been told. */
  onIntroduced(response: HandshakeResponse41): void;
  onFound(found: FoundServer): void;
  /** The server's own ERR in place of its greeting, as the client is to get it. */
  onServerError(packet: Buffer): void;
  onRefusal(refusal: Refusal): void;
};

export class SessionStart {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #client: Connection;
  readonly #sink: SessionStartSink;
  readonly #guidance: Guidance | null;
  #placement: Placement | null = null;
  /** There from the router's own greeting on. */
  #entry: GuidedEntry | null = null;
  #introduced: IntroducedClient | null = null;

  constructor(context: ThreadContext, route: RouteState, client: Connection, sink: SessionStartSink) {
    this.#context = context;
    this.#route = route;
    this.#client = client;
    this.#sink = sink;
    this.#guidance = context.guideline === null ? null : new Guidance(context, route, client);
  }

  begin(): void {
    const guidance = this.#guidance;
    if (guidance === null) return this.#place();
    const match = guidance.match();
    const { tls } = this.#route;
    if (match.kind === 'route') return this.#place();
    // With TLS passed through nobody could read the login.
    if (match.kind === 'none' || tls === null) return this.#refuseByGuideline(guidance);
    this.#entry = new GuidedEntry(this.#context, this.#route, tls, this.#client, {
      onIntroduced: (client) => this.#introduce(guidance, client),
      onUnplaced: (failure) => this.#unplaced(failure),
      onRefusal: (refusal) => this.#sink.onRefusal(refusal),
    });
    this.#entry.start();
  }

  /** Of the client, before a server has greeted. */
  onBytes(buffer: Buffer, length: number): void {
    if (this.#entry !== null && this.#introduced === null) return this.#entry.onBytes(buffer, length);
    this.#sink.onRefusal(SPOKE_FIRST);
  }

  onTopology(): void {
    this.#entry?.onTopology();
    this.#placement?.onTopology();
  }

  get state(): 'held' | 'dialling' | 'entering' {
    if (this.#placement?.isHeld || this.#entry?.isHeld) return 'held';
    return this.#entry !== null && this.#introduced === null ? 'entering' : 'dialling';
  }

  /** An ERR packet as the client expects it at this moment. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#entry?.encodeErr(err) ?? encodeErrBeforeHandshake(err);
  }

  /** Why the client's connection has ended, where this knows better than the connection. */
  refusalAtClose(error: Error | null): Refusal | null {
    return this.#entry?.refusalAtClose(error) ?? null;
  }

  /** The session is over. */
  abandon(): void {
    this.#entry?.close();
    this.#placement?.abandon();
  }

  #introduce(guidance: Guidance, client: IntroducedClient): void {
    this.#introduced = client;
    this.#sink.onIntroduced(client.response);
    guidance.learn(client.response);
    if (guidance.match().kind === 'route') this.#place();
    else this.#refuseByGuideline(guidance);
  }

  #place(): void {
    const sink = {
      onPlaced: (member: Member, connection: Connection, greeting: Buffer) => {
        this.#entry?.close();
        this.#sink.onFound({
          ...{ member, connection, greeting },
          introduced: this.#introduced,
          guidance: this.#guidance,
          placement: this.#placement,
        });
      },
      onUnplaced: (failure: PlacementFailure) => this.#unplaced(failure),
    };
    this.#placement = new Placement(this.#context, this.#route, this.#client, sink, this.#guidance);
    this.#placement.start();
  }

  #unplaced(failure: PlacementFailure): void {
    if (failure.kind === 'refusal') return this.#sink.onRefusal(failure.refusal);
    // Whoever was greeted expects it in another form.
    const packet =
      this.#entry === null
        ? failure.packet
        : this.#entry.encodeErr(decodeErrPacket(failure.packet.subarray(PACKET_HEADER_BYTES)));
    this.#sink.onServerError(packet);
  }

  #refuseByGuideline(guidance: Guidance): void {
    this.#sink.onRefusal({ reason: 'no_destination', detail: guidance.why() });
  }
}
