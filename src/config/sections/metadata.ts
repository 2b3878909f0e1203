/** What is taken from the metadata of an InnoDB Cluster, ClusterSet or ReplicaSet, and what is written to it. */
import { z } from 'zod';
import { boolean, choice, duration, text } from '../keys.ts';

export const metadata = z.strictObject({
  interval: duration({
    doc: "Time between two readings of a member's metadata. It is read with topology `auto`, `innodb-cluster` and `replicaset`.",
    why: 'Sets how soon a tag or a router option counts. Roles do not wait for it: the metadata is read anew when a member changes, and five times a second while there is no primary.',
    min: '500ms',
    max: '1h',
    default: '5s',
  }),
  readOnlyTargets: choice(['auto', 'secondaries', 'read-replicas', 'all'] as const, {
    doc: 'Who serves the routes of role `secondary`: secondaries, read replicas, or both. `auto`: what `read_only_targets` in the metadata says, else `secondaries`.',
    why: 'Set it to overrule the metadata for this router. The primary is fallen back to as ever.',
    default: 'auto',
  }),
  targetCluster: text({
    doc: 'The cluster of a ClusterSet that sessions go to: `primary`, or the name, the group name or the id of one. Without it: what `target_cluster` in the metadata says, else `primary`.',
    why: 'Name a replica cluster for a router that serves reads near it. Writes go to that cluster only while it is the primary one.',
    maxLength: 63,
  }),
  invalidatedClusterPolicy: choice(['auto', 'drop-all', 'accept-ro'] as const, {
    doc: 'What a target cluster that a forced failover left behind may serve: nothing, or reads. `auto`: what `invalidated_cluster_policy` in the metadata says, else `drop-all`.',
    why: 'Its data may be old, and may hold what no other cluster has.',
    default: 'auto',
  }),
  useReplicaPrimaryAsRw: choice(['auto', 'yes', 'no'] as const, {
    doc: 'Whether routes to the primary lead to the primary of a replica cluster while that cluster is the target; it takes no writes. `auto`: what `use_replica_primary_as_rw` in the metadata says, else no.',
    why: 'For applications that connect to the port for writing and only read as long as their cluster is a replica: they go on, and write again after a switch, without another address.',
    default: 'auto',
  }),
  register: boolean({
    doc: 'Enter this router into `v2_routers` of the metadata, and check in there now and then, through the primary.',
    why: "AdminAPI's listRouters shows it then, and router options can be set for it alone. Off by default: a router writes to your database only where you say so. Needs INSERT and UPDATE on mysql_innodb_cluster_metadata.routers, v2_routers and, from schema 2.4 on, router_stats.",
    default: false,
  }),
  routerAddress: text({
    doc: 'Under which address the router registers; without it the host name, which is the name of the pod in Kubernetes.',
    why: 'A row is known by address and name together: two routers on one host need different ones.',
    maxLength: 255,
  }),
  routerName: text({
    doc: 'Under which name the router registers; without it the empty name.',
    why: "MySQL's operator for Kubernetes removes the row of a deleted pod only where the name is empty.",
    maxLength: 255,
  }),
});
