/** Aurora: a real server answers, and what only Aurora has is laid over it. */
import t, { type Test } from 'tap';
import type { NameResolver } from '../../src/control/resolver.ts';
import { createSandbox, missingParts, type Server } from '../../src/sandbox/index.ts';
import {
  type AuroraClusterFacts,
  type AuroraInstance,
  startAuroraInstance,
} from '../support/aurora-instance.ts';
import { startPlane } from './peers.ts';

const noMysql = await missingParts('mysql');

t.test('an Aurora cluster of three instances', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const aurora = await Aurora.start(t, await sandbox.startServer());
  const { plane, until, published } = startPlane({
    seeds: [[`shop.cluster-abc.${REGION}`, aurora.port]],
    resolver: aurora.resolver,
    probe: { timeoutMs: 500 },
  });
  t.teardown(() => plane.close());

  await t.test('the cluster endpoint is enough to find the instances by their own names', async (t) => {
    const { members } = await until(
      'all three',
      (topology) => topology.members.length === 3 && topology.primary === aurora.addressOf('db-1'),
    );
    t.strictSame(
      members.map(({ address, id, role }) => [address, id, role]),
      ['db-1', 'db-2', 'db-3'].map((id) => [
        aurora.addressOf(id),
        id,
        id === 'db-1' ? 'PRIMARY' : 'SECONDARY',
      ]),
    );
  });

  await t.test('a failover is followed before the cluster endpoint moves', async (t) => {
    const first = published.length;
    const failedOverAtMs = performance.now();
    aurora.failOver('db-2');
    await until('db-2', ({ primary }) => primary === aurora.addressOf('db-2'));
    t.comment(
      `followed ${(performance.now() - failedOverAtMs).toFixed(0)} ms after the failover; the name has not moved yet`,
    );
    const { members } = await until('db-1 as a reader', (topology) =>
      topology.members.some(({ id, role }) => id === 'db-1' && role === 'SECONDARY'),
    );
    t.equal(members.find(({ id }) => id === 'db-1')?.primarySessions, 'drain');
    t.ok(
      published
        .slice(first)
        .every(({ members }) => members.filter((member) => member.acceptsWrites).length <= 1),
    );
    aurora.moveClusterEndpoint('db-2');
  });

  await t.test('a dead writer is left when another has taken over', async () => {
    aurora.stop('db-2');
    await until('no writer', ({ primary }) => primary === null);
    aurora.failOver('db-3');
    await until('db-3', ({ primary }) => primary === aurora.addressOf('db-3'));
    await aurora.start('db-2');
    await until('db-2 as a reader', ({ members }) =>
      members.some(({ id, acceptsReads }) => id === 'db-2' && acceptsReads),
    );
  });

  await t.test('an instance that was deleted leaves when its row is old', async (t) => {
    aurora.stop('db-1');
    aurora.cluster.instances.set('db-1', { lagMs: 0, ageSeconds: 600 });
    const { members } = await until('two', (topology) => topology.members.length === 2);
    t.strictSame(
      members.map(({ id }) => id),
      ['db-2', 'db-3'],
    );
  });
});

/** Instances at loopback addresses of their own, one port for all, as Aurora has it. */
class Aurora {
  readonly cluster: AuroraClusterFacts = {
    writer: 'db-1',
    instances: new Map(NAMES.map((id) => [id, { lagMs: 20, ageSeconds: 1 }])),
  };
  readonly resolver: NameResolver;
  readonly #instances = new Map<string, AuroraInstance>();
  readonly #server: Server;
  #clusterEndpoint = 'db-1';
  port = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.resolver = {
      lookup: async (name) => {
        const id = name.startsWith('shop.cluster-') ? this.#clusterEndpoint : (name.split('.')[0] ?? '');
        const place = NAMES.indexOf(id);
        if (place === -1 || !name.endsWith(REGION)) return { kind: 'not-found', code: 'ENOTFOUND' };
        return { kind: 'found', host: hostOf(id), ttlMs: 1000 };
      },
      lookupAll: async () => ({ kind: 'not-found', code: 'ENOTFOUND' }),
      lookupServices: async () => ({ kind: 'not-found', code: 'ENOTFOUND' }),
      configure: () => undefined,
      close: () => undefined,
    };
  }

  static async start(t: Test, server: Server): Promise<Aurora> {
    const aurora = new Aurora(server);
    for (const id of NAMES) await aurora.start(id);
    t.teardown(() => {
      for (const id of NAMES) aurora.stop(id);
    });
    return aurora;
  }

  addressOf(id: string): string {
    return `${id}.abc.${REGION}:${this.port}`;
  }

  failOver(id: string): void {
    this.cluster.writer = id;
  }

  moveClusterEndpoint(id: string): void {
    this.#clusterEndpoint = id;
  }

  async start(id: string): Promise<void> {
    const facts = { serverId: id, host: hostOf(id), serverPort: this.#server.port, cluster: this.cluster };
    const instance = await startAuroraInstance(facts, this.port);
    this.port = instance.port;
    this.#instances.set(id, instance);
  }

  stop(id: string): void {
    this.#instances.get(id)?.close();
    this.#instances.delete(id);
  }
}

function hostOf(id: string): string {
  return `127.0.0.${21 + NAMES.indexOf(id)}`;
}

const NAMES: readonly string[] = ['db-1', 'db-2', 'db-3'];
const REGION = 'eu-west-1.rds.amazonaws.com';
