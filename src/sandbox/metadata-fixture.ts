/** InnoDB Cluster metadata for a group the sandbox formed, where there is no MySQL Shell to write it. */
import { randomUUID } from 'node:crypto';
import { METADATA_SCHEMA, type MetadataVersion, metadataSchemaStatements } from './metadata-schema.ts';
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
  await primary.query(`DROP DATABASE IF EXISTS ${METADATA_SCHEMA}`);
  for (const statement of metadataSchemaStatements(metadata.version)) await primary.query(statement);
  const attributes = {
    group_replication_group_name: groupName,
    adopted: 0,
    default: true,
    opt_gtidSetIsComplete: true,
  };
  await primary.query(
    `INSERT INTO ${METADATA_SCHEMA}.clusters (cluster_id, cluster_name, cluster_type, attributes, router_options)
      VALUES (?, ?, 'gr', ?, '{}')`,
    [randomUUID(), metadata.clusterName ?? 'mycluster', JSON.stringify(attributes)],
  );
}

/** Makes the metadata's instances exactly `members`. */
export async function recordMembers(primary: Server, members: readonly Server[]): Promise<void> {
  const uuids = members.map((member) => member.uuid);
  await primary.query(`DELETE FROM ${METADATA_SCHEMA}.instances WHERE mysql_server_uuid NOT IN (?)`, [uuids]);
  for (const member of members) {
    const addresses = {
      mysqlClassic: member.address,
      mysqlX: `${member.host}:${member.xPort}`,
      grLocal: `${member.host}:${member.groupPort}`,
    };
    const attributes = { server_id: member.serverId };
    await primary.query(
      `INSERT IGNORE INTO ${METADATA_SCHEMA}.instances
        (cluster_id, instance_name, mysql_server_uuid, address, addresses, attributes)
        SELECT cluster_id, ?, ?, ?, ?, ? FROM ${METADATA_SCHEMA}.clusters`,
      [member.address, member.uuid, member.address, JSON.stringify(addresses), JSON.stringify(attributes)],
    );
  }
}
