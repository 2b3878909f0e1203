/**
 * What the sessions of one data thread share: settings, the topology of the moment, counters, and the ways to speak to
 * the main thread. Owned by DataThread; everybody else reads it.
 */

import type { MemberLoad } from '../../routing/preference.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import type { RouteProtocol } from '../config/config.ts';
import type { ConnectErrors } from '../shared/connect-errors.ts';
import type { EndReason } from '../shared/counters.ts';
import type { EventFields, EventLevel } from '../shared/events.ts';
import type { BoundRoute, DataConfig, SessionFacts } from '../shared/messages.ts';
import type { SignalKind } from '../shared/signals.ts';
import type { Admission } from './admission.ts';
import type { Transport } from './connection.ts';
import type { Farewells } from './farewell.ts';
import type { OwnGreeting } from './guidelines/own-greeting.ts';
import type { ThreadGuideline } from './guidelines/thread-guideline.ts';
import type { NetworkSet } from './network-set.ts';
import type { Reachability } from './reachability.ts';
import type { RouteTls } from './tls/route-tls.ts';

export type ThreadContext = {
  readonly transport: Transport;
  /** This thread's own counters. */
  readonly cells: Float64Array;
  /** What all threads share; changed with Atomics only. */
  readonly header: Int32Array;
  /** Sessions and dials on a member, over all threads. */
  readonly loadOf: MemberLoad;
  /** What is known of the members as each protocol reaches them. */
  readonly reach: Readonly<Record<RouteProtocol, Reachability>>;
  readonly admission: Admission;
  readonly connectErrors: ConnectErrors;
  readonly farewells: Farewells;
  readonly sessions: Set<OpenSession>;
  /** Null where the roles of routes decide. */
  readonly guideline: ThreadGuideline | null;
  readonly ownGreeting: OwnGreeting;
  /** Those of them that are to be looked at every second whatever the settings: see sweeper.ts. */
  readonly watched: Set<OpenSession>;
  readonly clock: CoarseClock;
  config(): DataConfig;
  topology(): Topology;
  signal(kind: SignalKind, member: Member, errorNumber?: number): void;
  event(level: EventLevel, kind: string, message: string, fields?: EventFields): void;
};

/** Time for what needs no more than seconds, and is asked too often for a real clock. */
export type CoarseClock = {
  /** Goes on by one about every second. */
  readonly second: number;
};

/** A session of either protocol, as the thread knows it. */
export type OpenSession = {
  /** Bytes taken from one side and not yet by the kernel for the other. */
  readonly queuedBytes: number;
  /** What a new topology says of the session's member. */
  onTopology(topology: Topology): void;
  /**
   * Ends it at a command boundary outside a transaction, at the latest after the grace.
   *
   * @param patienceMs for how long a client that is at work is left alone until it pauses
   */
  endAtBoundary(reason: EndReason, patienceMs: number): void;
  /** Ends it at once. */
  cut(reason: EndReason): void;
  /** Called about once a second, where the session is watched or has a limited time to live. */
  sweep(idleTimeoutMs: number): void;
  /** Bytes are queued, or only the server has ended. */
  readonly isWatchable: boolean;
  facts(): SessionFacts;
};

/** A route as the data thread works with it. A reload replaces `bound`; sessions keep the object. */
export type RouteState = {
  bound: BoundRoute;
  /** Where the route's counters begin. */
  readonly offset: number;
  /** Whose clients are let in; null where everybody's are. */
  access: NetworkSet | null;
  /** Proxies that say for whom they connect; null where there are none. */
  proxies: NetworkSet | null;
  /** Null where TLS is passed through. */
  tls: RouteTls | null;
};
