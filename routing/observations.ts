/**
 * What the control plane has seen of the members, and what a decision made of it is: the input and the output of
 * decision.ts. Times are milliseconds of one monotonic clock, given by the caller.
 */
import type { MetadataReading, MetadataSettings } from './metadata/facts.ts';
import type { HighestView } from './metadata/picture.ts';
import type { ReadHint, ReadSettings } from './reads.ts';
import type { DialAddress, MemberRole, MemberState, Topology } from './topology.ts';

/** One row of performance_schema.replication_group_members, channel group_replication_applier. */
export type ViewRow = {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly state: MemberState;
  readonly role: MemberRole;
};

/** What a member with the Group Replication plugin says about its group. */
export type GroupAnswer = {
  /** `group_replication_group_name`, not empty. */
  readonly groupName: string;
  /** `group_replication_single_primary_mode`. */
  readonly isSinglePrimary: boolean;
  /** `view_id` of replication_group_member_stats, or null where the account may not read it. Read before `rows`. */
  readonly viewId: string | null;
  readonly rows: readonly ViewRow[];
};

/** One asynchronous replication channel, as the replica itself shows it. */
export type Channel = {
  /** `server_uuid` of the source; empty where servers have none (MariaDB) and while it has never been reached. */
  readonly sourceUuid: string;
  /** `server_id` of the source, or 0 while it has never been reached. */
  readonly sourceServerId: number;
  /** Where the source is, as the replica was told. */
  readonly sourceAddress: string;
  /** The receiver is connected to the source. */
  readonly isReceiving: boolean;
  /** The applier runs. */
  readonly isApplying: boolean;
  /** Seconds_Behind_Source, or null where the replica does not know. */
  readonly secondsBehind: number | null;
};

/** What a node of a Galera cluster says of itself (`wsrep_*`). */
export type GaleraAnswer = {
  /** `wsrep_cluster_state_uuid`; empty while the node has none. */
  readonly clusterUuid: string;
  /** `wsrep_cluster_status`: the node is part of the component that has the majority. */
  readonly isPrimaryComponent: boolean;
  /** `wsrep_ready` and `wsrep_connected`. */
  readonly isReady: boolean;
  /** `wsrep_local_state`: 1 joining, 2 donor or desynced, 3 joined, 4 synced. */
  readonly localState: number;
  /** Whatever the operator has set that keeps clients away: `wsrep_desync`, `wsrep_reject_queries`, `pxc_maint_mode`. */
  readonly setAside: string;
  /** `wsrep_cluster_conf_id`: rises with each change of the membership; null outside of a primary component. */
  readonly configuration: number | null;
  /** `wsrep_gcomm_uuid`: begins with the time at which the node's process joined, and is reported alike to every router. */
  readonly nodeUuid: string;
  /** `Uptime`: how long the server's process has been there. */
  readonly uptimeSeconds: number;
  /** The node's own place in `members`. */
  readonly localIndex: number;
  /** `wsrep_incoming_addresses`, in the order of `localIndex`; empty for a node without an address, such as an arbitrator. */
  readonly members: readonly string[];
};

/** One row of information_schema.replica_host_status. */
export type AuroraRow = {
  /** The name of the instance, which is the first part of the name of its endpoint. */
  readonly serverId: string;
  readonly isWriter: boolean;
  /** `replica_lag_in_milliseconds`. */
  readonly lagMs: number | null;
};

/** What an instance of an Aurora cluster says of it. */
export type AuroraAnswer = {
  /** `aurora_server_id` of the one that answers. */
  readonly serverId: string;
  readonly rows: readonly AuroraRow[];
};

/** How far a member is behind. Null is unknown or not applicable. */
export type Lag = {
  /** Positive infinity for a replica whose replication stands still. */
  readonly seconds: number | null;
  /** Transactions that have been received and not been applied. */
  readonly transactions: number | null;
};

export const NO_LAG_KNOWN: Lag = { seconds: null, transactions: null };

/** What one answered probe said. All of it was true at some moment between the two times. */
export type MemberAnswer = {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  /** `server_uuid`, or what stands for it where servers have none: see src/control/detection.ts. */
  readonly serverUuid: string;
  /** `server_id`. */
  readonly serverId: number;
  /** `hostname`, `port` and `server_id` in one: of one server the same under all its names. Empty where it is not told. */
  readonly instance: string;
  readonly version: string;
  /** `read_only`, or `innodb_read_only`. */
  readonly readOnly: boolean;
  /** False where there is no such variable (MariaDB). */
  readonly superReadOnly: boolean;
  /** `mysqlx_port`, or null without the X plugin. */
  readonly mysqlxPort: number | null;
  /** `mysqlx_enable_hello_notice`; false without the X plugin, and where it is too old to have the variable. */
  readonly mysqlxGreets: boolean;
  /** Null where the Group Replication plugin is not there or has no group name. */
  readonly group: GroupAnswer | null;
  /** Null but on a node with a Galera provider. */
  readonly galera: GaleraAnswer | null;
  /** Null but on Aurora. */
  readonly aurora: AuroraAnswer | null;
  /** Replication channels other than a group's own; null where they are not known, for want of a privilege or of time. */
  readonly channels: readonly Channel[] | null;
  /** The GTIDs it has executed, in its own words; missing where not asked. */
  readonly gtids?: string;
  readonly lag: Lag;
};

export type FailureKind =
  /** Nobody listens there. */
  | 'refused'
  /** No connection, or no answer, in time. */
  | 'timeout'
  /** An established control session was closed or reset. */
  | 'closed'
  /** The name has never resolved. */
  | 'unknown-host'
  /** Something that does not speak MySQL listens there. */
  | 'not-mysql'
  /** `offline_mode` is ON: whoever is no administrator is sent away. */
  | 'offline-mode'
  | 'access-denied'
  /** The account may not read replication_group_members. */
  | 'missing-grant'
  | 'tls-required'
  /** TLS did not come about, or the certificate will not do. */
  | 'tls-failed'
  /** The router itself has no descriptors, ports or memory left to ask with: it says nothing about the member. */
  | 'router-exhausted'
  /** Anything else the server or the network said. */
  | 'error';

/** For people. */
export const FAILURE_REASONS = {
  refused: 'refuses connections',
  timeout: 'does not answer',
  closed: 'closed the control session',
  'unknown-host': 'name does not resolve',
  'not-mysql': 'does not speak MySQL',
  'offline-mode': 'is in offline mode',
  'access-denied': 'denies access to the monitoring account',
  'missing-grant': 'monitoring account lacks a grant',
  'tls-required': 'requires TLS',
  'tls-failed': 'has no TLS that will do',
  'router-exhausted': 'cannot be asked: this router is out of descriptors, ports or memory',
  error: 'answers with an error',
} as const satisfies Record<FailureKind, string>;

export type Failure = { readonly kind: FailureKind; readonly atMs: number };

/** Everything known about one address. */
export type Observation = {
  /** "host:port" as configured or as the group reports it. */
  readonly address: string;
  readonly dial: DialAddress | null;
  /** The last answer there was, however old. */
  readonly answer: MemberAnswer | null;
  /** What went wrong since that answer; null while nothing has. */
  readonly failure: Failure | null;
  /**
   * Since when clients are told by it that its group does not let them commit, without an answer to a question that was
   * asked later; null or undefined while that is not so.
   */
  readonly refusingSinceMs?: number | null;
  /** Its copy of the metadata; null before it was read, undefined where metadata is not read. */
  readonly metadata?: MetadataReading | null;
};

/** How roles are found out. The kinds of design and configuration that are not here map to one of these. */
export type DecisionTopology =
  | 'auto'
  | 'group-replication'
  | 'innodb-cluster'
  | 'replicaset'
  | 'galera'
  | 'aurora'
  | 'async'
  | 'static';

export type DecisionSettings = {
  readonly topology: DecisionTopology;
  /** Addresses that discovery names, in the order of its sources; what it has dropped last. */
  readonly seeds: readonly string[];
  /** Those of `seeds` that are to be given up. A group still decides itself who belongs to it. Default: none. */
  readonly dropped?: ReadonlySet<string>;
  /** Those of `seeds` that no source names any more: which cluster is meant they have no say in. Default: none. */
  readonly unnamed?: ReadonlySet<string>;
  /** Those of `seeds` whose servers are about to be stopped, as their platform says. Default: none. */
  readonly terminating?: ReadonlySet<string>;
  /** What members of a group without quorum may serve. */
  readonly quorumLoss: 'none' | 'read' | 'all';
  /**
   * How long a member's own word that it is a writable primary stands without being repeated, while another member's
   * later view still agrees. Half as long when nobody else has said so. Also how long a view counts.
   */
  readonly confirmationTtlMs: number;
  readonly closeRoOnPromotion: boolean;
  /** Whether writes go back to the eldest node of a Galera cluster that was away; see galera-nodes.ts. Default: settled. */
  readonly galeraFailback?: GaleraFailback;
  /** What the operator says about things that metadata may say too; undefined for nothing. */
  readonly metadata?: MetadataSettings;
  /** What the endpoints of Aurora's instances have in common, behind the name of the instance. Default: unknown. */
  readonly auroraDomain?: string;
  /** Which members reads should rather go to; undefined for no preference. */
  readonly reads?: ReadSettings;
};

export type GaleraFailback = 'settled' | 'never';

/** What the members were found to be. */
export type ClusterKind = 'group' | 'galera' | 'aurora' | 'plain';

/** What a decision has to know of the one before it, beyond the topology. */
export type DecisionMemory = {
  /** Null until the members have said what they are. */
  readonly kind: ClusterKind | null;
  /** The part of `view_id` that stays the same for as long as the group lives. */
  readonly incarnation: string | null;
  /** The highest view seen of that incarnation; missing while none was seen. */
  readonly newestView?: SeenView | null;
  /** Since when those who answer only know older ones, or null. */
  readonly behindSinceMs?: number | null;
  /** Since when more than one member claims to be the one primary, or null. */
  readonly conflictSinceMs: number | null;
  /**
   * By identity, for servers without a group: since when a server is known to be writable, null for one that is read-only,
   * negative infinity for one that was writable when it was first heard.
   */
  readonly writableSinceMs: ReadonlyMap<string, number | null>;
  /** Of a ClusterSet or ReplicaSet. */
  readonly highestView?: HighestView | null;
  /** Of the groups of a ClusterSet, by name. */
  readonly groups?: Readonly<Record<string, DecisionMemory>>;
  /**
   * By identity, for Galera: since when a node has been synced without interruption; null for one that is not, negative
   * infinity for one that was when it was first heard.
   */
  readonly syncedSinceMs: ReadonlyMap<string, number | null>;
  /** By identity, for Galera: when a node's process was started, as nearly as its answers have told. */
  readonly startedAtMs?: ReadonlyMap<string, number>;
  /** Identities, or addresses, of members that are too far behind for reads. */
  readonly behind?: ReadonlySet<string>;
};

/** A view of a group: the other part of its `view_id`, and when somebody had said so first. */
export type SeenView = { readonly incarnation: string; readonly sequence: number; readonly saidAtMs: number };

export const EMPTY_MEMORY: DecisionMemory = {
  kind: null,
  incarnation: null,
  conflictSinceMs: null,
  writableSinceMs: new Map(),
  syncedSinceMs: new Map(),
};

export type DecisionInput = {
  readonly observations: readonly Observation[];
  readonly previous: Topology;
  readonly memory: DecisionMemory;
  readonly nowMs: number;
  readonly settings: DecisionSettings;
  /** Where members are dialled, by `server_uuid`, where somebody knows better than the group's own rows. */
  readonly endpoints?: ReadonlyMap<string, string>;
  /** What discovery knows of members beside their addresses, by address. */
  readonly hints?: ReadonlyMap<string, ReadHint>;
};

export type Decision = {
  /** Without its version and with every slot -1: both are the publisher's. */
  readonly topology: Topology;
  /** Addresses that should be observed from now on. */
  readonly wanted: readonly string[];
  /** True while the next answers could change where writes go: probe more often. */
  readonly isInDoubt: boolean;
  readonly memory: DecisionMemory;
};

/** The last answer, unless it is too old or what happened since says that this server is no longer there. */
export function standingAnswer(
  observation: Observation | undefined,
  nowMs: number,
  ttlMs: number,
): MemberAnswer | null {
  const answer = observation?.answer ?? null;
  if (observation === undefined || answer === null || isGone(observation)) return null;
  return nowMs - answer.askedAtMs <= ttlMs ? answer : null;
}

/** True when nobody is served at the address, by its own word: an answer too, and a sure one. Silence is not. */
export function isGone(observation: Observation): boolean {
  switch (observation.failure?.kind) {
    case 'refused':
    case 'not-mysql':
    case 'offline-mode':
      return true;
    default:
      return false;
  }
}

/** True when the address was asked at least once and the outcome is known. */
export function isHeard(observation: Observation | undefined): boolean {
  return observation !== undefined && (observation.answer !== null || observation.failure !== null);
}

/** True when it has answered a question asked since then, or has failed since; also when nothing is known of it anyway. */
export function hasBeenHeardSince({ answer, failure }: Observation, ms: number): boolean {
  if (answer === null && failure === null) return true;
  return (answer !== null && answer.askedAtMs >= ms) || (failure !== null && failure.atMs >= ms);
}
