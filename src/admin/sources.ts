/**
 * What the admin server reads from the rest of the program. It changes nothing and keeps nothing: each answer is made
 * from these at the moment it is asked for.
 */
import type { Member, Topology } from '../../routing/topology.ts';
import type { Config, RouteProtocol } from '../config/config.ts';
import type { EventLevel } from '../shared/events.ts';
import type { GuidelineFacts } from '../shared/guideline.ts';
import type { BoundRoute, SessionFacts } from '../shared/messages.ts';
import type { ThreadPulse } from '../shared/thread-pulse.ts';

export type AdminSources = {
  /** Version of the program. */
  readonly version: string;
  readonly startedAtMs: number;
  /** Which process this is, for commands that send it signals. */
  readonly process: ProcessFacts;
  /** Data threads the program was started with: as many blocks the counters have. */
  readonly threads: number;
  readonly counters: SharedArrayBuffer;
  /** When the router counts as ready; a reload may change it. */
  readonly readinessRule: Config['readiness'];
  topology(): Topology;
  routes(): readonly RouteFacts[];
  /** The routing guideline, and what of it counts. */
  guideline?(): GuidelineFacts;
  /** Whether all data threads have set the member aside and none gets through to it. */
  isOutOfReach(member: Member, protocol: RouteProtocol): boolean;
  /** Data threads that are running now. */
  threadsAlive(): number;
  /** Of each data thread. */
  threadPulses(): readonly ThreadPulse[];
  /** True from the signal to stop on. */
  isDraining(): boolean;
  /** Null unless it is draining. */
  drain(): DrainFacts | null;
  /** The sessions that are open now, at most `limit` over all threads. May fail or never come: the caller gives up. */
  listSessions(limit: number): Promise<readonly SessionFacts[]>;
  limits(): SessionLimits;
  configReloads(): ReloadFacts;
  /** Events recorded since the start, by level. */
  eventsByLevel(): Readonly<Record<EventLevel, number>>;
  /** Lines of the log that were dropped; none where there is no log. */
  droppedLogLines?(): number;
  /** What the probes found, by the member's address; members never probed are missing. */
  memberProbes?(): ReadonlyMap<string, ProbeFacts>;
  /** Where addresses come from; none while there is no control plane. */
  discovery?(): readonly DiscoveryFacts[];
};

/** One source of addresses, as `SourceReport` of the control plane has it. */
export type DiscoveryFacts = {
  readonly name: string;
  /** `static`, `dns`, `kubernetes`, `metadata` or `state-file`. */
  readonly kind: string;
  /** The last good ones. */
  readonly destinations: readonly DestinationFacts[];
  /** Null while it has never succeeded. */
  readonly lastSuccessAtMs: number | null;
  /** Null while it is well. */
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly successes: number;
  readonly failures: number;
};

/** An address, and what its source says of the server behind it. */
export type DestinationFacts = {
  readonly address: string;
  readonly dialHost: string | null;
  readonly zone: string;
  readonly hint: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** A route, and what became of its listener. */
export type RouteFacts = Omit<
  BoundRoute,
  'tls' | 'consistency' | 'compression' | 'clientAttributes' | 'access' | 'proxyProtocol'
> & {
  /** The port it really has; null while it is not bound. */
  readonly port: number | null;
  readonly isListening: boolean;
  /** Why it is not listening, for people; empty when it is, or when nothing is wrong yet. */
  readonly problem: string;
};

/** Limits over all routes, as configured. */
export type SessionLimits = {
  /** 0 means no limit. */
  readonly maxConnections: number;
  /** 0 means no limit. */
  readonly maxConnectionsPerClient: number;
  /** 0 means that nobody is kept waiting. */
  readonly maxHeldSessions: number;
};

export type ProcessFacts = {
  readonly pid: number;
  /** The same for no other process anywhere; null where the system does not tell. */
  readonly identity: string | null;
  /** Asks it to let another process take its place. */
  readonly handOverSignal: NodeJS.Signals;
};

export type DrainFacts = {
  readonly startedAtMs: number;
  /** What is open then is closed. */
  readonly endsAtMs: number;
};

export type ReloadFacts = {
  readonly accepted: number;
  readonly rejected: number;
  /** When the configuration in force was read: at start or by the last reload that was accepted. */
  readonly lastAcceptedAtMs: number;
};

export type ProbeFacts = {
  /** How long the last answered probe took; null while none has been answered. */
  readonly lastProbeSeconds: number | null;
  /** When the last answer came; null while none has. */
  readonly lastAnswerAtMs: number | null;
  /** How far it was behind at that time; infinitely many seconds where replication stands still. Missing while unknown. */
  readonly lag?: { readonly seconds: number | null; readonly transactions: number | null };
  /** Probes that failed, by kind of failure: a small fixed set, such as `timeout`, `refused`, `access_denied`. */
  readonly errorsByKind: ReadonlyMap<string, number>;
};
