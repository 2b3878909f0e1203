/**
 * The one immutable picture of destinations that everything else looks at.
 *
 * The control plane decides a new Topology from what the members say; data threads swap one pointer to it.
 */
import type { EffectiveOptions, MetadataCluster, MetadataState, Tags } from './metadata/facts.ts';

/** `member_role` of performance_schema.replication_group_members; UNKNOWN while nobody has said. */
export type MemberRole = 'PRIMARY' | 'SECONDARY' | 'UNKNOWN';

/** `member_state` of performance_schema.replication_group_members; UNKNOWN while nobody has said. */
export type MemberState = 'ONLINE' | 'RECOVERING' | 'OFFLINE' | 'ERROR' | 'UNREACHABLE' | 'UNKNOWN';

/**
 * What becomes of sessions that are open on a member.
 * - `keep`: they stay. Doubt (a slow probe, a lost quorum) is no reason to end anything.
 * - `drain`: they end at their next command boundary outside a transaction, within `drain.grace`.
 * - `cut`: they end at once: the member is gone.
 */
export type SessionFate = 'keep' | 'drain' | 'cut';

/** Where a member is dialled: always an IP address, resolved by the control plane. */
export type DialAddress = { readonly host: string; readonly port: number };

/** What the metadata says of a member, and what follows from it. */
export type MemberMetadata = {
  /** The name AdminAPI shows; empty for a member that the metadata does not list. */
  readonly label: string;
  readonly kind: 'member' | 'read-replica' | 'unlisted';
  /** `cluster_id`; empty where it is not known. */
  readonly clusterId: string;
  readonly clusterName: string;
  /** The cluster's place in its ClusterSet; PRIMARY where there is none. Null once invalidated, or unknown. */
  readonly clusterRole: 'PRIMARY' | 'REPLICA' | null;
  /** "host:port" of the X protocol, or null. */
  readonly xEndpoint: string | null;
  /** What the administrator attached. */
  readonly tags: Tags;
  /** By the tag `_hidden`: no new session goes there. */
  readonly isHidden: boolean;
};

/** Where a member speaks X Protocol, and how. */
export type XListener = {
  readonly dial: DialAddress;
  /** It sends a notice (hello) before the client has said anything: `mysqlx_enable_hello_notice`. */
  readonly greets: boolean;
};

/** A destination as the cluster reports it, with what the router concluded for it. */
export type Member = {
  /** `server_uuid`; empty while the member has never answered and no view has named it. */
  readonly id: string;
  /** "host:port" as configured or as the group reports it: the name in logs, metrics and the API. */
  readonly address: string;
  /** Null while the name has not resolved: then the member is never a candidate. */
  readonly dial: DialAddress | null;
  /** Missing while that is not known, and where the member does not speak X Protocol. */
  readonly x?: XListener;
  readonly role: MemberRole;
  readonly state: MemberState;
  /** True only for a confirmed, writable primary of a group with quorum. */
  readonly acceptsWrites: boolean;
  readonly acceptsReads: boolean;
  /**
   * Routes to the primary lead here though it takes no writes: it leads the replica cluster that is the target, and the
   * administrator wants it so (`use_replica_primary_as_rw`).
   */
  readonly standsInAsPrimary?: true;
  /** Fate of the sessions opened through a route of role `primary`. */
  readonly primarySessions: SessionFate;
  /** Fate of the sessions opened through any other route. */
  readonly secondarySessions: SessionFate;
  /** `@@version`, empty while unknown. */
  readonly version: string;
  /** Why the member is not offered, or what is odd about it; empty when all is well. For people. */
  readonly reason: string;
  /** Index of the member's block of counters, 0 to MAX_MEMBER_SLOTS - 1, or -1 when all blocks are taken. */
  readonly slot: number;
  /** Only where reads prefer some members to others. */
  readonly preference?: {
    /** Empty while unknown. */
    readonly zone: string;
    /** In the router's own zone. */
    readonly isNear: boolean;
    /** Share of new sessions relative to others; 0 for a last resort. */
    readonly weight: number;
  };
  /** Only where roles or rules come from InnoDB metadata. */
  readonly metadata?: MemberMetadata;
};

export type TopologyMode = 'single-primary' | 'multi-primary' | 'unknown';

/** The InnoDB Cluster, ClusterSet or ReplicaSet, as its metadata describes it. */
export type ClusterFacts = {
  readonly kind: 'cluster' | 'clusterset' | 'replicaset' | 'unknown';
  /** How reading the metadata went, and why it did not go well; the rest may be from before. */
  readonly state: MetadataState;
  readonly detail: string;
  /** Of the ClusterSet, cluster or ReplicaSet; empty while unknown. */
  readonly id: string;
  readonly name: string;
  /** "2.4.0"; empty while unknown. */
  readonly schemaVersion: string;
  /** Of a ClusterSet or ReplicaSet; rises with each change of roles. */
  readonly viewId: number | null;
  readonly clusters: readonly (MetadataCluster & {
    /** True for the one cluster that sessions go to. */
    readonly isTarget: boolean;
  })[];
  /** The router options in force. */
  readonly options: EffectiveOptions;
  /** The `tags` of this router among its options. */
  readonly routerTags?: Tags;
  /** The routing guideline that the options name, parsed JSON; null for none, missing while that is not known. */
  readonly guideline?: unknown;
  /** Options in the metadata that are not understood. */
  readonly unknownOptions: readonly string[];
};

export type Topology = {
  /** Rises by one with every published change; 0 is the empty topology before the first decision. */
  readonly version: number;
  /** `group_replication_group_name`, or null while unknown or where there is no group. */
  readonly groupName: string | null;
  readonly mode: TopologyMode;
  /** True when some member is ONLINE in a view that has quorum. */
  readonly hasQuorum: boolean;
  /** Address of the member that RW goes to first, or null when no write may be sent anywhere. */
  readonly primary: string | null;
  /** In a stable order: seeds first, as configured, then discovered members by address. */
  readonly members: readonly Member[];
  /** Conditions an operator must hear of, in words; empty when all is well. */
  readonly alarms: readonly string[];
  /** More than one member claims to be the one that takes writes, and insists: so none does. */
  readonly isContested?: true;
  /** Only where metadata is read. */
  readonly cluster?: ClusterFacts;
};

/** Where one member at most takes writes, and it is known by its own word. */
export function singleWriterTopology(
  members: readonly Member[],
  alarms: readonly string[],
  isContested = false,
): Topology {
  const primary = members.find(({ acceptsWrites }) => acceptsWrites)?.address ?? null;
  return {
    ...EMPTY_TOPOLOGY,
    mode: 'single-primary',
    primary,
    members,
    alarms,
    ...(isContested ? { isContested } : {}),
  };
}

/** What the router knows before it has asked anyone. */
export const EMPTY_TOPOLOGY: Topology = {
  version: 0,
  groupName: null,
  mode: 'unknown',
  hasQuorum: false,
  primary: null,
  members: [],
  alarms: [],
};
