/** ClusterSet on real servers: two groups of one with a replication channel between them. */
import t from 'tap';
import type { Topology } from '../../../routing/topology.ts';
import { createSandbox, missingParts } from '../../../src/sandbox/index.ts';
import { type PlaneFacts, startPlane } from '../peers.ts';

const noMysql = await missingParts('mysql');

t.test('a ClusterSet of two clusters', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const set = await sandbox.startClusterSet({ clusters: { north: 1, south: 1 }, version: '2.2' });
  const north = await set.group('north').primary();
  const south = await set.group('south').primary();
  const start = (facts: Partial<PlaneFacts> = {}) => {
    const started = startPlane({
      seeds: [[south.host, south.port]],
      topology: 'innodb-cluster',
      metadata: { intervalMs: 500 },
      ...facts,
    });
    t.teardown(() => started.plane.close());
    return started;
  };
  const { until, untilEvent, published, publishedAtMs } = start();
  const found = await until('a primary', ({ primary }) => primary !== null);
  t.equal(found.primary, north.address, 'found through a member of the replica cluster');
  t.match(found.cluster, { kind: 'clusterset', name: 'world', viewId: 1, state: 'ok' });
  t.match(at(found, south.address), {
    acceptsReads: false,
    acceptsWrites: false,
    metadata: { clusterName: 'south', clusterRole: 'REPLICA' },
  });
  const near = start({ topology: 'auto', metadata: { intervalMs: 500, targetCluster: 'south' } });
  const nearby = await near.until(
    'reads near',
    (topology) => at(topology, south.address)?.acceptsReads === true,
  );
  t.match(nearby, { primary: null, hasQuorum: true });

  await t.test('a switch of the primary cluster and back', async (t) => {
    for (const [name, server, former] of [
      ['south', south, north],
      ['north', north, south],
    ] as const) {
      const from = published.length;
      const startedAtMs = performance.now();
      await set.switchPrimary(name);
      const after = await until(`writes on ${name}`, ({ primary }) => primary === server.address);
      const ms = Math.max(0, publishedAtMs() - startedAtMs);
      t.comment(`writes moved to ${name} within ${ms.toFixed(0)} ms of the start of the switch`);
      t.match(at(after, former.address), { acceptsReads: false, primarySessions: 'drain' });
      t.ok(published.slice(from).every(offersAtMostOne), 'never two at once');
      await untilEvent('target_cluster_changed', new RegExp(`cluster ${name}`));
      // The router that follows south has writes while that is the primary cluster.
      const nearPrimary = name === 'south' ? south.address : null;
      await near.until(`${name} as the primary cluster`, ({ primary }) => primary === nearPrimary);
    }
  });

  await t.test('the target cluster as the metadata says', async () => {
    await set.setRouterOptions({ target_cluster: set.group('south').name });
    await until(
      'south',
      (topology) => topology.primary === null && at(topology, south.address)?.acceptsReads === true,
    );
    await set.setRouterOptions({ target_cluster: 'primary' });
    await until('north', ({ primary }) => primary === north.address);
  });

  await t.test('a partition: a failover by force, and an old primary that believes in itself', async (t) => {
    north.freeze();
    await until('no writes', ({ primary }) => primary === null);
    await set.forcePrimary('south');
    await until('writes on south', ({ primary }) => primary === south.address);
    const from = published.length;
    north.thaw();
    const back = await until('north back', (topology) => at(topology, north.address)?.state === 'ONLINE');
    const [row] = await north.query('SELECT @@global.super_read_only AS readOnly');
    t.equal(row?.['readOnly'], 0, 'the old primary takes writes from whoever asks it');
    t.match(at(back, north.address), {
      acceptsWrites: false,
      acceptsReads: false,
      primarySessions: 'cut',
      metadata: { clusterRole: null },
    });
    await until('its reason', (topology) => /invalidated/.test(at(topology, north.address)?.reason ?? ''));
    t.ok(published.slice(from).every(({ primary }) => primary === south.address));
    const reader = start({
      metadata: { intervalMs: 500, targetCluster: 'north', invalidatedClusterPolicy: 'accept-ro' },
    });
    const reading = await reader.until(
      'reads',
      (topology) => at(topology, north.address)?.acceptsReads === true,
    );
    t.equal(reading.primary, null);
    // One that begins with the old primary alone hears of the others before it offers anything for writing.
    const fresh = start({ seeds: [[north.host, north.port]] });
    const topology = await fresh.until('writes', ({ primary }) => primary !== null);
    t.equal(topology.primary, south.address);
    t.notOk(fresh.published.some(({ primary }) => primary === north.address));
  });

  await t.test('the newest view is remembered when nobody is left who knows it', async (t) => {
    await south.kill();
    const topology = await until('no writes', ({ primary }) => primary === null);
    t.equal(at(topology, north.address)?.acceptsWrites, false);
    await until('south away', (next) => /refuses/.test(at(next, south.address)?.reason ?? ''));
  });
});

function at({ members }: Topology, address: string): Topology['members'][number] | undefined {
  return members.find((member) => member.address === address);
}

function offersAtMostOne({ members }: Topology): boolean {
  return members.filter(({ acceptsWrites }) => acceptsWrites).length <= 1;
}
