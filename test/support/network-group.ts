/** A group of three and a router, each on a host of its own in a network that can be cut, with a table to write to. */
import type { Test } from 'tap';
import { CREATE_WRITES, Load, type LoadSize } from '../../bench/failover/load.ts';
import {
  type Attempt,
  countedByName,
  errorsByClient,
  lostWrites,
  overlappingWrites,
  type StoredRow,
} from '../../bench/failover/record.ts';
import {
  createSandbox,
  type Group,
  type Network,
  type Pod,
  type Sandbox,
  type Server,
  waitFor,
} from '../../src/sandbox/index.ts';
import { RouterProcess } from './router-process.ts';
import type { Scope } from './scope.ts';

export type NetworkGroup = {
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly group: Group;
  readonly podOf: (server: Server) => Pod;
  /** After it was deleted: again, at the same address; the server is not running. */
  readonly renewPod: (server: Server) => Promise<void>;
  /** One more router, on a host of its own. */
  readonly addRouter: (name: string) => Promise<RouterProcess>;
  /** The one that was started last. */
  readonly router: RouterProcess;
  readonly routerPod: Pod;
  /** On the same host, after the one before was ended; returns when it serves. */
  readonly startRouter: () => Promise<void>;
};

type Discovery = { readonly seeds: readonly string[]; readonly flags: readonly string[] };

export type NetworkGroupOptions = {
  /** What routers are told instead of the members' addresses, and further flags. */
  readonly discovery?: (sandbox: Sandbox, network: Network, group: Group) => Promise<Discovery>;
};

/** Returns when it serves. All of it is gone at the end of `t`. */
export async function startNetworkGroup(t: Scope, options: NetworkGroupOptions = {}): Promise<NetworkGroup> {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const network = await sandbox.createNetwork();
  const pods = new Map<string, Pod>();
  const group = await sandbox.startGroup({
    size: 3,
    place: async (name) => {
      const pod = await network.addPod({ name });
      pods.set(name, pod);
      // A pod may be deleted and come again while its server's data stays.
      return { host: pod.host, within: (command) => (pods.get(name) ?? pod).within(command) };
    },
  });
  const routerPod = await network.addPod({ name: 'router' });
  const { seeds, flags } = (await options.discovery?.(sandbox, network, group)) ?? {
    seeds: group.members.map(({ address }) => address),
    flags: [],
  };
  const start = (pod: Pod) =>
    RouterProcess.start(t, sandbox, {
      seeds,
      pod,
      flags: ['--hold-timeout=20s', '--threads=1', ...flags],
    });
  let router = await start(routerPod);
  await router.untilServing(2);
  const primary = await group.primary();
  await primary.query('CREATE DATABASE app');
  await primary.query(CREATE_WRITES);
  await group.waitUntilApplied();
  const podOf = (server: Server): Pod => {
    const pod = pods.get(server.name);
    if (pod === undefined) throw new Error(`${server.name} has no pod`);
    return pod;
  };
  return {
    sandbox,
    network,
    group,
    podOf,
    renewPod: async (server) => {
      pods.set(server.name, await network.addPod({ name: server.name, address: server.host }));
    },
    addRouter: async (name) => start(await network.addPod({ name })),
    get router() {
      return router;
    },
    routerPod,
    startRouter: async () => {
      router = await start(routerPod);
      await router.untilTopology('a primary', ({ primary }) => primary !== null);
    },
  };
}

/** Returns when every client of the load is at work. */
export async function startLoad(t: Scope, router: RouterProcess, size: LoadSize = {}): Promise<Load> {
  const { host, ports } = router;
  const load = Load.start({ host, ...ports }, Date.now() * 1000, size);
  t.teardown(() => load.stop(0));
  await waitFor({ what: 'load', timeoutMs: 10_000 }, async () => (isAtWork(load, 0) ? true : undefined));
  return load;
}

/** Returns when all of them are served again as if nothing had been. */
export async function untilAtWork(load: Load): Promise<void> {
  const sinceMs = performance.now();
  await waitFor({ what: 'every client to be served', timeoutMs: 30_000 }, async () =>
    isAtWork(load, sinceMs) ? true : undefined,
  );
}

function isAtWork(load: Load, sinceMs: number): boolean {
  const served = load.attempts.filter(
    ({ startedAtMs, outcome }) => startedAtMs > sinceMs && outcome.kind === 'served',
  );
  const kinds = ['kept writer', 'pooled writer', 'new writer', 'kept reader', 'pooled reader', 'new reader'];
  return kinds.every((kind) => served.filter(({ client }) => client.startsWith(kind)).length > 5);
}

/** What the primary of now has. */
export async function storedRows(primary: Server): Promise<readonly StoredRow[]> {
  const rows = await primary.query('SELECT id, member FROM app.writes');
  return rows.map(({ id, member }) => ({ id: Number(id), member: Number(member) }));
}

/** Promises 1 and 2: nothing acknowledged is lost, no two members take writes at once, and all have the same. */
export async function judgeWrites(t: Test, group: Group, attempts: readonly Attempt[]): Promise<void> {
  t.comment(`errors: ${countedByName([...errorsByClient(attempts).values()].flat())}`);
  const rows = await storedRows(await group.primary());
  t.same(lostWrites(attempts, rows), [], 'no acknowledged write is lost');
  t.same(overlappingWrites(attempts, rows), [], 'no two members took writes at once');
  await group.waitUntilApplied();
  const histories = await Promise.all(
    group.members.map(async (member) => {
      const [row] = await member.query('SELECT @@global.gtid_executed AS gtids');
      const { gtids } = row ?? {};
      return String(gtids).replaceAll('\n', '');
    }),
  );
  t.equal(new Set(histories).size, 1, 'every member has the same history');
}
