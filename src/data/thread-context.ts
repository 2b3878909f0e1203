/**
 * What the sessions of one data thread share: settings, the topology of the moment, counters, and the ways to speak to
 * the main thread. Owned by DataThread; everybody else reads it.
 */

import type { FailedMembers } from '../../routing/failed-members.ts';
import type { Quarantine } from '../../routing/quarantine.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import type { EventFields, EventLevel } from '../shared/events.ts';
import type { BoundRoute, DataConfig } from '../shared/messages.ts';
import type { SignalKind } from '../shared/signals.ts';
import type { Admission } from './admission.ts';
import type { Transport } from './connection.ts';
import type { Farewells } from './farewell.ts';
import type { GreetingPace } from './greeting-pace.ts';
import type { HoldQueue } from './hold.ts';
import type { Readmission } from './readmission.ts';
import type { Session } from './session.ts';

export type ThreadContext = {
  readonly transport: Transport;
  /** This thread's own counters. */
  readonly cells: Float64Array;
  /** What all threads share; changed with Atomics only. */
  readonly header: Int32Array;
  readonly quarantine: Quarantine;
  /** For routes of strategy `next-available`. */
  readonly failedMembers: FailedMembers;
  readonly readmission: Readmission;
  readonly admission: Admission;
  readonly holdQueue: HoldQueue;
  readonly greetingPace: GreetingPace;
  readonly farewells: Farewells;
  readonly sessions: Set<Session>;
  config(): DataConfig;
  topology(): Topology;
  signal(kind: SignalKind, member: Member, errorNumber?: number): void;
  event(level: EventLevel, kind: string, message: string, fields?: EventFields): void;
};

/** A route as the data thread works with it. A reload replaces `bound`; sessions keep the object. */
export type RouteState = {
  bound: BoundRoute;
  /** Where the route's counters begin. */
  readonly offset: number;
};
