/**
 * Metadata as AdminAPI would write it, for servers the sandbox started, where there is no MySQL Shell: an InnoDB Cluster,
 * a ClusterSet, a ReplicaSet, read replicas.
 */
import { randomUUID } from 'node:crypto';
import { METADATA_SCHEMA, type MetadataVersion, metadataSchemaStatements } from './metadata-schema.ts';
import { SandboxError } from './outcome.ts';
import type { Server } from './server.ts';

export type ClusterMetadata = {
  readonly version: MetadataVersion;
  /** `cluster_name`; default "mycluster". */
  readonly clusterName?: string;
};

/** Creates the schema through `primary` and enters the cluster; its members are entered by {@link recordMembers}. */
export async function installMetadata(
  primary: Server,
  groupName: string,
  metadata: ClusterMetadata,
): Promise<void> {
  await installSchema(primary, metadata.version);
  await recordCluster(primary, groupName, metadata.clusterName ?? 'mycluster');
}

/** The schema of `version`, empty; replaces what is there. */
export async function installSchema(primary: Server, version: MetadataVersion): Promise<void> {
  await primary.query(`DROP DATABASE IF EXISTS ${METADATA_SCHEMA}`);
  for (const statement of metadataSchemaStatements(version)) await primary.query(statement);
}

/** Enters a cluster under Group Replication. @returns its `cluster_id` */
export async function recordCluster(
  primary: Server,
  groupName: string,
  clusterName: string,
): Promise<string> {
  const clusterId = randomUUID();
  const attributes = {
    group_replication_group_name: groupName,
    adopted: 0,
    default: true,
    opt_gtidSetIsComplete: true,
  };
  await primary.query(
    `INSERT INTO ${METADATA_SCHEMA}.clusters (cluster_id, cluster_name, cluster_type, attributes, router_options)
      VALUES (?, ?, 'gr', ?, '{}')`,
    [clusterId, clusterName, JSON.stringify(attributes)],
  );
  return clusterId;
}

/** Makes the members of the one cluster in the metadata exactly `members`; read replicas stay. */
export async function recordMembers(primary: Server, members: readonly Server[]): Promise<void> {
  const uuids = members.map((member) => member.uuid);
  await primary.query(
    `DELETE FROM ${METADATA_SCHEMA}.instances WHERE instance_type <> 'read-replica' AND mysql_server_uuid NOT IN (?)`,
    [uuids],
  );
  const [cluster] = await primary.query(`SELECT cluster_id AS id FROM ${METADATA_SCHEMA}.clusters LIMIT 1`);
  for (const member of members)
    await recordInstance(primary, String(cluster?.['id']), member, 'group-member');
}

export type InstanceType = 'group-member' | 'async-member' | 'read-replica';

/** Enters `server` unless it is there. */
export async function recordInstance(
  primary: Server,
  clusterId: string,
  server: Server,
  type: InstanceType,
): Promise<void> {
  const addresses = {
    mysqlClassic: server.address,
    mysqlX: `${server.host}:${server.xPort}`,
    grLocal: `${server.host}:${server.groupPort}`,
  };
  const attributes = { server_id: server.serverId };
  await primary.query(
    `INSERT IGNORE INTO ${METADATA_SCHEMA}.instances
      (cluster_id, instance_name, mysql_server_uuid, address, addresses, attributes, instance_type)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [
      clusterId,
      server.address,
      server.uuid,
      server.address,
      JSON.stringify(addresses),
      JSON.stringify(attributes),
      type,
    ],
  );
}

/** Sets the tags of an instance, as AdminAPI's `setInstanceOption('tag:…')` does. */
export async function setTags(
  primary: Server,
  server: Server,
  tags: Readonly<Record<string, unknown>>,
): Promise<void> {
  await primary.query(
    `UPDATE ${METADATA_SCHEMA}.instances SET attributes = JSON_SET(attributes, '$.tags', CAST(? AS JSON))
      WHERE mysql_server_uuid = ?`,
    [JSON.stringify(tags), server.uuid],
  );
}

/** Sets router options of all clusters, as `setRoutingOption` does. */
export async function setRouterOptions(
  primary: Server,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  await primary.query(`UPDATE ${METADATA_SCHEMA}.clusters SET router_options = ?`, [JSON.stringify(options)]);
}

/** The metadata of a ReplicaSet, written through whoever is its primary. */
export class ReplicaSetMetadata {
  readonly #clusterId = randomUUID();
  #viewId = 0;

  /** Creates the schema and enters `members`, the first as the primary. */
  async install(members: readonly Server[], version: MetadataVersion): Promise<void> {
    const [primary] = members;
    if (primary === undefined) throw new SandboxError('a ReplicaSet needs a member');
    await installSchema(primary, version);
    await primary.query(
      `INSERT INTO ${METADATA_SCHEMA}.clusters (cluster_id, cluster_name, cluster_type, attributes, router_options)
        VALUES (?, 'myreplicas', 'ar', '{}', '{}')`,
      [this.#clusterId],
    );
    for (const member of members) await recordInstance(primary, this.#clusterId, member, 'async-member');
    await this.recordView(primary, members);
  }

  /**
   * Enters a new view through `primary`, which leads it. Members that are not named are left out: a failover by force
   * does that to those it could not reach, and counts up in large steps so that a lost view is not numbered again.
   */
  async recordView(
    primary: Server,
    members: readonly Server[],
    options: { readonly isForced?: boolean } = {},
  ): Promise<void> {
    this.#viewId += options.isForced === true ? 65_536 : 1;
    await primary.query(`INSERT INTO ${METADATA_SCHEMA}.async_cluster_views VALUES (?, ?)`, [
      this.#clusterId,
      this.#viewId,
    ]);
    await primary.query(
      `INSERT INTO ${METADATA_SCHEMA}.async_cluster_members (cluster_id, view_id, instance_id, primary_instance_id)
        SELECT cluster_id, ?, instance_id, IF(mysql_server_uuid = ?, NULL,
          (SELECT p.instance_id FROM ${METADATA_SCHEMA}.instances p WHERE p.mysql_server_uuid = ?))
        FROM ${METADATA_SCHEMA}.instances WHERE mysql_server_uuid IN (?)`,
      [this.#viewId, primary.uuid, primary.uuid, members.map(({ uuid }) => uuid)],
    );
  }
}
