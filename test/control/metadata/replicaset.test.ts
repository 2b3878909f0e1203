/** InnoDB ReplicaSet on real servers: a switch, a failover by force, and the old primary that comes back. */
import t from 'tap';
import type { Topology } from '../../../routing/topology.ts';
import { createSandbox, missingParts, ReplicaSetMetadata } from '../../../src/sandbox/index.ts';
import { startPlane } from '../peers.ts';

const noMysql = await missingParts('mysql');

t.test('a ReplicaSet of three', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const replication = await sandbox.startReplication({ size: 3 });
  const [a, b, c] = replication.members;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three were started');
  const metadata = new ReplicaSetMetadata();
  await metadata.install([a, b, c], '2.0');

  const { plane, until, untilEvent, published, publishedAtMs } = startPlane({
    // The others are found in the metadata.
    seeds: [[c.host, c.port]],
    topology: 'replicaset',
    metadata: { intervalMs: 500 },
  });
  t.teardown(() => plane.close());
  const found = await until(
    'everybody',
    (topology) => topology.primary !== null && reads(topology).length === 3,
  );
  t.equal(found.primary, a.address);
  t.match(found.cluster, { kind: 'replicaset', name: 'myreplicas', viewId: 1, state: 'ok' });
  t.match(reads(found), [a.address, b.address, c.address].sort());

  await t.test('a switch: nobody takes writes before metadata and server agree', async (t) => {
    await replication.demote(a);
    await until('no writes', ({ primary }) => primary === null);
    await replication.promote(b);
    // The metadata still names the old primary.
    const between = await until('b writable', ({ members }) =>
      members.some(({ address, reason }) => address === b.address && /not read-only/.test(reason)),
    );
    t.equal(between.primary, null);
    await metadata.recordView(b, [b, a, c]);
    const recordedAtMs = performance.now();
    await replication.follow(a, b);
    await replication.follow(c, b);
    const after = await until('writes on b', ({ primary }) => primary === b.address);
    t.comment(`published ${(publishedAtMs() - recordedAtMs).toFixed(0)} ms after the new view was recorded`);
    t.match(memberAt(after, a.address), { role: 'SECONDARY', primarySessions: 'drain' });
  });

  await t.test(
    'a failover by force: the old primary gets no writes when it comes back writable',
    async (t) => {
      await b.kill();
      await until('no writes', ({ primary }) => primary === null);
      await replication.promote(c);
      await metadata.recordView(c, [c, a], { isForced: true });
      await replication.follow(a, c);
      await until('writes on c', ({ primary }) => primary === c.address);
      const from = published.length;
      await b.start();
      await b.query('SET GLOBAL super_read_only = OFF');
      await b.query('SET GLOBAL read_only = OFF');
      const back = await until('b back', (topology) => memberAt(topology, b.address)?.state === 'ONLINE');
      t.match(memberAt(back, b.address), {
        acceptsWrites: false,
        acceptsReads: false,
        primarySessions: 'cut',
        reason: /invalidated/,
      });
      await until('the alarm', ({ alarms }) => alarms.some((alarm) => alarm.includes(b.address)));
      await untilEvent('alarm_raised', /left out of the ReplicaSet/);
      t.ok(
        published.slice(from).every(({ primary }) => primary === c.address),
        'c has the writes all the time',
      );
      t.equal(back.cluster?.viewId, 2 + 65_536);
    },
  );

  await t.test('a router that is new, and starts with the old primary, finds out as well', async (t) => {
    const fresh = startPlane({ seeds: [[b.host, b.port]], metadata: { intervalMs: 500 } });
    t.teardown(() => fresh.plane.close());
    const topology = await fresh.until('writes', ({ primary }) => primary !== null);
    t.equal(topology.primary, c.address);
    t.notOk(fresh.published.some(({ primary }) => primary === b.address));
    t.equal(topology.cluster?.kind, 'replicaset', 'without being told that it is one');
  });
});

function reads({ members }: Topology): readonly string[] {
  return members
    .filter(({ acceptsReads }) => acceptsReads)
    .map(({ address }) => address)
    .sort();
}

function memberAt({ members }: Topology, address: string): Topology['members'][number] | undefined {
  return members.find((member) => member.address === address);
}
