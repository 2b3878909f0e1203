/** A group on hosts of its own, and every proxy before it, each on its own too. */
import {
  ACCOUNTS,
  createSandbox,
  type Group,
  type Network,
  type Pod,
  type Sandbox,
  type Server,
} from '../../src/sandbox/index.ts';
import { CREATE_WRITES } from './load.ts';
import type { Contender, ContenderKind } from './proxies.ts';

export type Stage = {
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly group: Group;
  readonly proxies: readonly Contender[];
  podOf(server: Server): Pod;
  /** Ends the member's host; the member that is added next gets its address. */
  forget(server: Server): Promise<void>;
};

/** Returns when every proxy routes. Must be called in a network namespace of its own. */
export async function setStage(kinds: readonly ContenderKind[], log: (what: string) => void): Promise<Stage> {
  const sandbox = await createSandbox({ log });
  const network = await sandbox.createNetwork();
  const pods = new Map<string, Pod>();
  const free: string[] = [];
  const group = await sandbox.startGroup({
    size: 3,
    metadata: { version: '2.2' },
    variables: { max_connections: 1000, max_connect_errors: 1_000_000 },
    place: async (name) => {
      const address = free.shift();
      const pod = await network.addPod({ name, ...(address === undefined ? {} : { address }) });
      pods.set(pod.host, pod);
      return pod;
    },
  });
  const primary = await group.primary();
  await primary.query('CREATE DATABASE app');
  await primary.query(CREATE_WRITES);
  await primary.query('CREATE TABLE app.direct (id INT AUTO_INCREMENT PRIMARY KEY)');
  await group.waitUntilApplied();
  await rememberPasswords(group);
  const proxies = await Promise.all(
    kinds.map(async (kind) => {
      const pod = await network.addPod({ name: kind.name });
      return kind.start(sandbox, group, pod);
    }),
  );
  const podOf = (server: Server): Pod => {
    const pod = pods.get(server.host);
    if (pod === undefined) throw new Error(`${server.name} has no pod`);
    return pod;
  };
  const forget = async (server: Server): Promise<void> => {
    await podOf(server).delete('closes');
    free.push(server.host);
  };
  return { sandbox, network, group, proxies, podOf, forget };
}

/** After one login over TLS, caching_sha2_password logs an account in by a digest: as on a server that has run a while. */
export async function rememberPasswords(group: Group): Promise<void> {
  for (const member of group.members) {
    const connection = await member.connect({ ...ACCOUNTS.app, ssl: { rejectUnauthorized: false } });
    await connection.end();
  }
}
