/** Two or more groups with an asynchronous channel between their primaries, and the metadata of a ClusterSet. */
import { randomUUID } from 'node:crypto';
import { ACCOUNTS } from './accounts.ts';
import type { Group } from './group.ts';
import { installSchema, recordCluster, recordInstance } from './metadata-fixture.ts';
import { METADATA_SCHEMA, type MetadataVersion } from './metadata-schema.ts';
import { SandboxError } from './outcome.ts';
import type { Server } from './server.ts';
import { waitFor } from './wait.ts';

export type ClusterSetOptions = {
  /** Names of the clusters and how many members each has; the first is the primary cluster. */
  readonly clusters: Readonly<Record<string, number>>;
  readonly version: Exclude<MetadataVersion, '2.0'>;
};

type Cluster = { readonly id: string; readonly name: string; readonly group: Group };

export class ClusterSet {
  readonly #id = randomUUID();
  readonly #clusters: readonly Cluster[];
  #primary: Cluster;
  #viewId = 0;

  private constructor(clusters: readonly Cluster[], primary: Cluster) {
    this.#clusters = clusters;
    this.#primary = primary;
  }

  /** `groups` run, are empty, and have no metadata. */
  static async form(
    groups: ReadonlyMap<string, Group>,
    version: ClusterSetOptions['version'],
  ): Promise<ClusterSet> {
    const [first] = groups.values();
    if (first === undefined) throw new SandboxError('a ClusterSet needs a cluster');
    const server = await first.primary();
    await installSchema(server, version);
    const clusters: Cluster[] = [];
    for (const [name, group] of groups) {
      const id = await recordCluster(server, group.name, name);
      for (const member of group.members) await recordInstance(server, id, member, 'group-member');
      clusters.push({ id, name, group });
    }
    const [primary, ...replicas] = clusters;
    if (primary === undefined) throw new SandboxError('a ClusterSet needs a cluster');
    const set = new ClusterSet(clusters, primary);
    await server.query(
      `INSERT INTO ${METADATA_SCHEMA}.clustersets (clusterset_id, domain_name, attributes, router_options)
        VALUES (?, 'world', '{}', '{}')`,
      [set.#id],
    );
    await server.query(`UPDATE ${METADATA_SCHEMA}.clusters SET clusterset_id = ?`, [set.#id]);
    await set.#recordView(server, 1, clusters);
    for (const replica of replicas) await set.#follow(replica);
    await set.waitUntilApplied();
    return set;
  }

  /** The member that takes the set's writes. */
  async primary(): Promise<Server> {
    return await this.#primary.group.primary();
  }

  group(name: string): Group {
    return this.#named(name).group;
  }

  /** As `setPrimaryCluster` does: nobody takes writes in between. Returns when the others follow. */
  async switchPrimary(name: string): Promise<void> {
    const former = this.#primary;
    await (await former.group.primary()).query('SET GLOBAL super_read_only = ON');
    await this.waitUntilApplied();
    await this.#promote(this.#named(name), 1, this.#clusters);
    for (const cluster of this.#clusters) if (cluster !== this.#primary) await this.#follow(cluster);
    await this.waitUntilApplied();
  }

  /** As `forcePrimaryCluster` does while the former primary cluster cannot be reached: that one is not asked, and left out. */
  async forcePrimary(name: string): Promise<void> {
    const former = this.#primary;
    const rest = this.#clusters.filter((cluster) => cluster !== former);
    await this.#promote(this.#named(name), 2 ** 32, rest);
    for (const cluster of rest) if (cluster !== this.#primary) await this.#follow(cluster);
  }

  /** Sets router options of the whole set, as `setRoutingOption` does. */
  async setRouterOptions(options: Readonly<Record<string, unknown>>): Promise<void> {
    const server = await this.primary();
    await server.query(`UPDATE ${METADATA_SCHEMA}.clustersets SET router_options = ?`, [
      JSON.stringify(options),
    ]);
    await this.waitUntilApplied();
  }

  /** Returns when the replica clusters have what the primary one has. */
  async waitUntilApplied(): Promise<void> {
    const [row] = await (await this.primary()).query('SELECT @@global.gtid_executed AS gtids');
    for (const { group } of this.#clusters.filter((cluster) => cluster !== this.#primary)) {
      for (const server of group.members) {
        const statement = 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS timedOut';
        const [answer] = await server.query(statement, [row?.['gtids'], APPLY_TIMEOUT_S]);
        if (answer?.['timedOut'] !== 0) throw new SandboxError(`${server.name} is behind`);
      }
    }
  }

  async #promote(cluster: Cluster, step: number, members: readonly Cluster[]): Promise<void> {
    const server = await cluster.group.primary();
    await server.query(`STOP REPLICA FOR CHANNEL '${CHANNEL}'`);
    await server.query(`RESET REPLICA ALL FOR CHANNEL '${CHANNEL}'`);
    await server.query('SET GLOBAL read_only = OFF');
    this.#primary = cluster;
    await this.#recordView(server, step, members);
  }

  async #follow(cluster: Cluster): Promise<void> {
    const [server, source] = [await cluster.group.primary(), await this.primary()];
    await server.query('SET GLOBAL super_read_only = ON');
    const { user, password } = ACCOUNTS.recovery;
    await server.query(
      'CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,' +
        ` SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1 FOR CHANNEL '${CHANNEL}'`,
      [source.host, source.port, user, password],
    );
    await server.query(`START REPLICA FOR CHANNEL '${CHANNEL}'`);
    await waitFor({ what: `${server.name} to replicate`, timeoutMs: CONNECT_TIMEOUT_MS }, async () => {
      const [status] = await server.query(`SHOW REPLICA STATUS FOR CHANNEL '${CHANNEL}'`);
      return status?.['Replica_IO_Running'] === 'Yes' && status['Replica_SQL_Running'] === 'Yes'
        ? true
        : undefined;
    });
  }

  /** A cluster that is not among `members` has been invalidated. */
  async #recordView(server: Server, step: number, members: readonly Cluster[]): Promise<void> {
    this.#viewId += step;
    for (const { id } of members) {
      await server.query(
        `INSERT INTO ${METADATA_SCHEMA}.clusterset_members (clusterset_id, view_id, cluster_id, member_role) VALUES (?, ?, ?, ?)`,
        [this.#id, this.#viewId, id, id === this.#primary.id ? 'PRIMARY' : 'REPLICA'],
      );
    }
    // Last, because the newest view counts as soon as it is there.
    await server.query(`INSERT INTO ${METADATA_SCHEMA}.clusterset_views VALUES (?, ?)`, [
      this.#id,
      this.#viewId,
    ]);
  }

  #named(name: string): Cluster {
    const cluster = this.#clusters.find((candidate) => candidate.name === name);
    if (cluster === undefined) throw new SandboxError(`there is no cluster ${name}`);
    return cluster;
  }
}

const CHANNEL = 'clusterset_replication';
const APPLY_TIMEOUT_S = 20;
const CONNECT_TIMEOUT_MS = 30_000;
