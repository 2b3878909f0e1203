/**
 * What a member's copy of the metadata schema says: which cluster it belongs to, who the members are and where they are
 * dialled, what the administrator wants routers to do. Every member has a copy, and copies differ for a while after a
 * change, for longer on a member that was cut off.
 */

export type MetadataState =
  | 'ok'
  /** There is no metadata schema. */
  | 'none'
  /** The account may not read it; where it may read nothing of it, servers do not tell this from `none`. */
  | 'missing-grant'
  /** AdminAPI is upgrading the schema: version 0.0.0, or views that are not there for a moment. */
  | 'upgrading'
  /** A schema of another major version than 2. */
  | 'unsupported'
  /** The schema is there and does not know the server it lies on, or the group this server is in. */
  | 'not-listed'
  /** It could not be read for another reason. */
  | 'error';

/** The outcome of the last time a member's copy was read. */
export type MetadataReading = {
  readonly state: MetadataState;
  /** Why the state is not `ok`, for people; empty otherwise. */
  readonly detail: string;
  /** When it was asked for, in milliseconds of the observations' clock. */
  readonly atMs: number;
  /** The last copy that could be read, also if it could not be this time; null once it is certain that there is none. */
  readonly facts: MetadataFacts | null;
};

export type MetadataFacts = {
  readonly kind: 'cluster' | 'replicaset';
  /** "2.4.0". */
  readonly schemaVersion: string;
  /** `cluster_id` of the server that was asked. */
  readonly clusterId: string;
  readonly clusterSet: ClusterSetFacts | null;
  /** The server's own cluster, or all clusters of its ClusterSet. */
  readonly clusters: readonly MetadataCluster[];
  /** The instances of these clusters. */
  readonly instances: readonly MetadataInstance[];
  /** The ReplicaSet's view; rises with each change of its members and roles. Null for other kinds. */
  readonly viewId: number | null;
  readonly options: RouterOptions;
  /**
   * The routing guideline that the options name, parsed JSON; null or missing where they name none, or one that is not
   * there.
   */
  readonly guideline?: unknown;
};

export type ClusterSetFacts = {
  readonly id: string;
  /** `domain_name`. */
  readonly name: string;
  /** Rises with each change of roles in the set; of two copies the one with the higher is the newer. */
  readonly viewId: number;
};

export type MetadataCluster = {
  readonly id: string;
  readonly name: string;
  /** `group_replication_group_name`; empty for a ReplicaSet. */
  readonly groupName: string;
  /** In the ClusterSet; PRIMARY for a cluster that is in none. Null once invalidated. */
  readonly role: 'PRIMARY' | 'REPLICA' | null;
  /** Left behind by a failover that was forced: it may hold what no other cluster has, and lack what others have. */
  readonly isInvalidated: boolean;
};

export type MetadataInstance = {
  /** `mysql_server_uuid`. */
  readonly id: string;
  readonly clusterId: string;
  /** "host:port" of the classic protocol. */
  readonly endpoint: string;
  /** "host:port" of the X protocol, or null. */
  readonly xEndpoint: string | null;
  /** The name AdminAPI shows. */
  readonly label: string;
  readonly kind: 'member' | 'read-replica';
  /** In a ReplicaSet's newest view; null for other kinds, and for an instance that a forced failover left out. */
  readonly role: 'PRIMARY' | 'SECONDARY' | null;
  /** What the administrator attached, `_hidden` among it. */
  readonly tags: Tags;
};

export type Tags = Readonly<Record<string, unknown>>;

export type ReadOnlyTargets = 'all' | 'read-replicas' | 'secondaries';
export type InvalidatedClusterPolicy = 'drop-all' | 'accept-ro';
export type QuorumLossPolicy = 'none' | 'read' | 'all';

/** What AdminAPI's setRoutingOption leaves for routers; null where nothing was set. */
export type RouterOptions = {
  /** `read_only_targets`. */
  readonly readOnlyTargets: ReadOnlyTargets | null;
  /** `target_cluster`: "primary", or the name, group name or id of one cluster of the set. */
  readonly targetCluster: string | null;
  /** `invalidated_cluster_policy`. */
  readonly invalidatedClusterPolicy: InvalidatedClusterPolicy | null;
  /** `unreachable_quorum_allowed_traffic`. */
  readonly quorumLoss: QuorumLossPolicy | null;
  /** `stats_updates_frequency` in seconds; 0 for never. */
  readonly statsUpdatesFrequencyS: number | null;
  /** `use_replica_primary_as_rw`. */
  readonly useReplicaPrimaryAsRw: boolean | null;
  /** `guideline`: the id of a routing guideline. */
  readonly guidelineId: string | null;
  /** `tags` of the router itself. */
  readonly tags: Tags;
  /** Options whose value is none this version knows, as "name = value". */
  readonly unknown: readonly string[];
};

export const NO_OPTIONS: RouterOptions = {
  readOnlyTargets: null,
  targetCluster: null,
  invalidatedClusterPolicy: null,
  quorumLoss: null,
  statsUpdatesFrequencyS: null,
  useReplicaPrimaryAsRw: null,
  guidelineId: null,
  tags: {},
  unknown: [],
};

/** What the operator says in the configuration; null leaves it to the metadata. */
export type MetadataSettings = Pick<
  RouterOptions,
  'readOnlyTargets' | 'targetCluster' | 'invalidatedClusterPolicy' | 'quorumLoss'
> & {
  readonly useReplicaPrimaryAsRw?: boolean | null;
  /** Where a routing guideline comes from that counts in place of `read_only_targets`; null for nowhere. */
  readonly guidelines?: 'file' | 'metadata' | null;
};

/** The options in force: the operator's word, else the metadata's, else the default AdminAPI documents. */
export type EffectiveOptions = {
  readonly readOnlyTargets: ReadOnlyTargets;
  readonly targetCluster: string;
  readonly invalidatedClusterPolicy: InvalidatedClusterPolicy;
  readonly quorumLoss: QuorumLossPolicy;
  readonly statsUpdatesFrequencyS: number | null;
  /** Whether routes to the primary lead to the primary of a replica cluster that is the target; it takes no writes. */
  readonly useReplicaPrimaryAsRw: boolean;
};

export function effectiveOptions(
  settings: MetadataSettings | undefined,
  options: RouterOptions,
): EffectiveOptions {
  // A guideline says itself who serves reads.
  const isGuided =
    settings?.guidelines === 'file' || (settings?.guidelines === 'metadata' && options.guidelineId !== null);
  return {
    readOnlyTargets: isGuided
      ? 'all'
      : (settings?.readOnlyTargets ?? options.readOnlyTargets ?? 'secondaries'),
    targetCluster: settings?.targetCluster ?? options.targetCluster ?? 'primary',
    invalidatedClusterPolicy:
      settings?.invalidatedClusterPolicy ?? options.invalidatedClusterPolicy ?? 'drop-all',
    quorumLoss: settings?.quorumLoss ?? options.quorumLoss ?? 'none',
    statsUpdatesFrequencyS: options.statsUpdatesFrequencyS,
    useReplicaPrimaryAsRw: settings?.useReplicaPrimaryAsRw ?? options.useReplicaPrimaryAsRw ?? false,
  };
}

/** No new session goes to a hidden instance. */
export function isHidden(tags: Tags): boolean {
  return tags['_hidden'] === true;
}

/** Whether sessions that are open on it end too; they do unless the tag is false. */
export function endsSessionsWhenHidden(tags: Tags): boolean {
  return tags['_disconnect_existing_sessions_when_hidden'] !== false;
}
