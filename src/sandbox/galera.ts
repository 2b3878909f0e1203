/** A MariaDB Galera Cluster of real servers on loopback. */
import { join } from 'node:path';
import { SandboxError } from './outcome.ts';
import type { Part } from './parts.ts';
import type { Server } from './server.ts';
import { waitFor } from './wait.ts';

export type GaleraOptions = {
  /** Nodes at the start, 1 to 5. Default 3. */
  readonly size?: number;
};

/** What `form` needs of the sandbox. */
export type GaleraSupplies = {
  readonly mariadb: Part;
  /** A server that is not running. */
  createServer(): Promise<Server>;
  reservePorts(count: number): Promise<readonly number[]>;
};

export class Galera {
  readonly nodes: readonly Server[];

  private constructor(nodes: readonly Server[]) {
    this.nodes = nodes;
  }

  /** Returns when all nodes are synced. The first one has begun the cluster. */
  static async form(supplies: GaleraSupplies, options: GaleraOptions = {}): Promise<Galera> {
    const nodes = await Promise.all(Array.from({ length: options.size ?? 3 }, () => supplies.createServer()));
    const transferPorts = await supplies.reservePorts(nodes.length);
    const cluster = nodes.map((node) => `${node.host}:${node.groupPort}`).join(',');
    for (const [index, node] of nodes.entries()) {
      await node.configure({
        wsrep_on: 'ON',
        wsrep_provider: join(supplies.mariadb.root, 'usr', 'lib', 'galera', 'libgalera_smm.so'),
        wsrep_cluster_address: `gcomm://${cluster}`,
        wsrep_node_address: `${node.host}:${node.groupPort}`,
        wsrep_node_incoming_address: node.address,
        wsrep_node_name: node.name,
        wsrep_sst_method: 'rsync',
        wsrep_sst_receive_address: `${node.host}:${transferPorts[index]}`,
        wsrep_provider_options: `"${providerOptions(node)}"`,
        innodb_autoinc_lock_mode: 2,
      });
    }
    const galera = new Galera(nodes);
    const [first, ...others] = nodes;
    if (first === undefined) throw new SandboxError('a cluster needs a node');
    await first.start(['--wsrep-new-cluster']);
    await galera.waitUntilSynced(first);
    // One after the other, so that their age is that of the list.
    for (const node of others) await galera.join(node);
    return galera;
  }

  /** Starts a node that is stopped; returns when it is synced. */
  async join(node: Server): Promise<void> {
    await node.start();
    await this.waitUntilSynced(node);
  }

  async waitUntilSynced(node: Server): Promise<void> {
    await waitFor({ what: `${node.name} to be synced`, timeoutMs: SYNC_TIMEOUT_MS }, async () =>
      (await this.status(node, 'wsrep_local_state')) === '4' ? true : undefined,
    );
  }

  async status(node: Server, name: string): Promise<string> {
    const [row] = await node.query('SHOW GLOBAL STATUS WHERE Variable_name = ?', [name]);
    return String(Object.values(row ?? {})[1] ?? '');
  }
}

/** Suspicion after two seconds instead of five, so that tests do not wait for it. */
function providerOptions(node: Server): string {
  return [
    `gmcast.listen_addr=tcp://${node.host}:${node.groupPort}`,
    `ist.recv_addr=${node.host}:${node.xPort}`,
    'gcache.size=16M',
    'evs.suspect_timeout=PT2S',
    'evs.inactive_timeout=PT6S',
    'evs.keepalive_period=PT0.5S',
    'pc.recovery=true',
  ].join(';');
}

const SYNC_TIMEOUT_MS = 60_000;
