/**
 * Real servers for the demo, the tests and the benchmarks: fetched once into the cache, started on loopback on ports of
 * their own, and gone when the sandbox or its process is.
 *
 *     const sandbox = await createSandbox();
 *     const group = await sandbox.startGroup({ size: 3 });
 *     const primary = await group.primary();
 *     await primary.query('SELECT 1');
 *     await sandbox.close();
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ClusterSet, type ClusterSetOptions } from './cluster-set.ts';
import { Galera, type GaleraOptions } from './galera.ts';
import { Group, type GroupOptions } from './group.ts';
import type { Variables } from './mysqld-options.ts';
import { Network } from './network/network.ts';
import type { SandboxLog } from './outcome.ts';
import { type Part, type PartName, requirePart } from './parts.ts';
import { type CheckedHaproxyOptions, startCheckedHaproxy } from './peers/checked-haproxy.ts';
import { type Haproxy, type HaproxyOptions, startHaproxy } from './peers/haproxy.ts';
import {
  type BootstrappedRouter,
  type BootstrappedRouterOptions,
  type PassthroughRouter,
  type PassthroughRouterOptions,
  startBootstrappedRouter,
  startPassthroughRouter,
} from './peers/mysql-router.ts';
import type { PeerContext } from './peers/peer.ts';
import { reservePorts } from './ports.ts';
import { Replication, type ReplicationOptions } from './replication.ts';
import { type CommandOutput, type RunOptions, runCommand } from './run-command.ts';
import { Server, type ServerPlace } from './server.ts';
import { mariadbSoftware, mysqlSoftware, type Software } from './software.ts';
import { createRunDirectory, type RunDirectory } from './watchdog.ts';

export { ACCOUNTS, type Account, createAccount, type NewAccount } from './accounts.ts';
export type { ClusterSet, ClusterSetOptions } from './cluster-set.ts';
export type { Galera, GaleraOptions } from './galera.ts';
export type { AddMemberOptions, Group, GroupMode, GroupOptions, MemberRow } from './group.ts';
export {
  type ClusterMetadata,
  ReplicaSetMetadata,
  recordInstance,
  recordMembers,
  setRouterOptions,
  setTags,
} from './metadata-fixture.ts';
export { METADATA_SCHEMA, METADATA_VERSIONS, type MetadataVersion } from './metadata-schema.ts';
export type { Variables } from './mysqld-options.ts';
export type { Network } from './network/network.ts';
export {
  inOwnNetwork,
  isInOwnNetwork,
  missingNetwork,
  startAgainInOwnNetwork,
} from './network/own-network.ts';
export type { Pod } from './network/pod.ts';
export { type Availability, messageOf, SandboxError, UnavailableError } from './outcome.ts';
export { findPart, missingParts, type Part, type PartName } from './parts.ts';
export type { Haproxy, HaproxyOptions } from './peers/haproxy.ts';
export type {
  BootstrappedRouter,
  BootstrappedRouterOptions,
  PassthroughRouter,
  PassthroughRouterOptions,
} from './peers/mysql-router.ts';
export type { Peer } from './peers/peer.ts';
export type { Replication, ReplicationOptions } from './replication.ts';
export { type Command, type CommandOutput, type RunOptions, runCommand } from './run-command.ts';
export type { Row, Server, ServerPlace } from './server.ts';
export { type WaitOptions, waitFor } from './wait.ts';

export type SandboxOptions = {
  /** Told about downloads and unexpected ends of servers. Default: silence. */
  readonly log?: SandboxLog;
};

export type StartServerOptions = {
  readonly variables?: Variables;
  /** Where it runs; default loopback. */
  readonly place?: ServerPlace;
};

/** Makes a sandbox with nothing in it yet. Close it; if the process ends without, it is closed all the same. */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  return new Sandbox(await createRunDirectory(), options.log ?? (() => {}));
}

export class Sandbox {
  readonly #run: RunDirectory;
  readonly #log: SandboxLog;
  #isClosing = false;
  #startedServers = 0;
  #startedGroups = 0;
  #startedPeers = 0;

  constructor(run: RunDirectory, log: SandboxLog) {
    this.#run = run;
    this.#log = (message) => {
      // That everything ends now is no news.
      if (!this.#isClosing) log(message);
    };
  }

  /** A folder for whatever must go when the sandbox goes. */
  get directory(): string {
    return this.#run.path;
  }

  /** One server that replicates with nobody; returns when it answers. */
  async startServer(options: StartServerOptions = {}): Promise<Server> {
    const server = await this.#createServer(mysqlSoftware(await this.part('mysql')), options);
    await server.start();
    return server;
  }

  /** One MariaDB server; returns when it answers. */
  async startMariadb(options: StartServerOptions = {}): Promise<Server> {
    const server = await this.createMariadb(options);
    await server.start();
    return server;
  }

  /** As `startMariadb`, not running yet: for what must know all ports before the first start, as Galera does. */
  async createMariadb(options: StartServerOptions = {}): Promise<Server> {
    return this.#createServer(mariadbSoftware(await this.part('mariadb')), options);
  }

  /** Returns when all members are ONLINE. */
  async startGroup(options: GroupOptions = {}): Promise<Group> {
    this.#startedGroups += 1;
    const prefix = `group-${this.#startedGroups}-member-`;
    const software = mysqlSoftware(await this.part('mysql'));
    const context = { software, run: this.#run, log: this.#log };
    return Group.form(context, options, prefix);
  }

  /** The sandbox has one; this process must be in a network namespace of its own. */
  async createNetwork(): Promise<Network> {
    return Network.create(await this.part('network'), this.#run);
  }

  /** A MariaDB Galera Cluster; returns when all nodes are synced. */
  async startGalera(options: GaleraOptions = {}): Promise<Galera> {
    const supplies = {
      mariadb: await this.part('mariadb'),
      createServer: () => this.createMariadb(),
      reservePorts: (count: number) => this.reservePorts(count),
    };
    return Galera.form(supplies, options);
  }

  /** Servers under asynchronous replication; returns when the replicas are connected. */
  async startReplication(options: ReplicationOptions = {}): Promise<Replication> {
    const { size = 3, kind = 'mysql' } = options;
    const start = () => (kind === 'mysql' ? this.startServer() : this.startMariadb());
    return Replication.form(await Promise.all(Array.from({ length: size }, start)));
  }

  /** Starts a read-only server that replicates from `source`; returns when it is connected. */
  async startReadReplica(source: Server): Promise<Server> {
    const server = await this.startServer({ variables: { server_id: 1000 + this.#startedServers } });
    await Replication.form([source, server]);
    return server;
  }

  /** Returns when all clusters are up and the replica clusters follow the first. */
  async startClusterSet(options: ClusterSetOptions): Promise<ClusterSet> {
    const clusters = Object.entries(options.clusters);
    const starting = clusters.map(([, size], index) =>
      this.startGroup({ size, firstServerId: 1 + 10 * index }),
    );
    const groups = await Promise.all(starting);
    const byName = clusters.flatMap(([name], index): (readonly [string, Group])[] => {
      const group = groups[index];
      return group === undefined ? [] : [[name, group]];
    });
    return ClusterSet.form(new Map(byName), options.version);
  }

  /** MySQL Router, bootstrapped against a group that was started with `metadata`. */
  async startBootstrappedRouter(options: BootstrappedRouterOptions): Promise<BootstrappedRouter> {
    return startBootstrappedRouter(
      await this.part('mysql-router'),
      await this.#peerContext(options.place),
      options,
    );
  }

  /** MySQL Router with client_ssl_mode=PASSTHROUGH and static destinations. */
  async startPassthroughRouter(options: PassthroughRouterOptions): Promise<PassthroughRouter> {
    return startPassthroughRouter(await this.part('mysql-router'), await this.#peerContext(), options);
  }

  async startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
    return startHaproxy(await this.part('haproxy'), await this.#peerContext(), options);
  }

  /** HAProxy that asks the members who is primary. */
  async startCheckedHaproxy(options: CheckedHaproxyOptions): Promise<Haproxy> {
    const haproxy = await this.part('haproxy');
    const mysql = await this.part('mysql');
    return startCheckedHaproxy(haproxy, mysql, await this.#peerContext(options.place), options);
  }

  /** Runs one of a part's programs (`mysql`, `mysqldump`, `sysbench` …) to its end; a non-zero exit throws. */
  async run(
    name: PartName,
    program: string,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<CommandOutput> {
    const command = (await this.part(name)).command(program, args);
    return runCommand({ ...command, env: { ...command.env, ...this.#run.mark } }, options);
  }

  /** A real program's files, fetched if need be; throws `UnavailableError` when that cannot be. */
  part(name: PartName): Promise<Part> {
    return requirePart(name, this.#log);
  }

  /** Free ports on loopback, kept from other sandboxes until this one closes. */
  reservePorts(count: number): Promise<readonly number[]> {
    return reservePorts(count, this.#run.path);
  }

  /** Kills everything the sandbox started and removes its files. */
  close(): Promise<void> {
    this.#isClosing = true;
    return this.#run.close();
  }

  #createServer(software: Software, options: StartServerOptions): Promise<Server> {
    this.#startedServers += 1;
    const serverId = this.#startedServers;
    const context = { software, run: this.#run, log: this.#log };
    return Server.create(context, { name: `server-${serverId}`, serverId, ...options });
  }

  async #peerContext(place?: ServerPlace): Promise<PeerContext> {
    this.#startedPeers += 1;
    const directory = join(this.#run.path, `peer-${this.#startedPeers}`);
    await mkdir(directory);
    return { run: this.#run, log: this.#log, directory, ...(place === undefined ? {} : { place }) };
  }
}
