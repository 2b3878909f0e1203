/** What the metadata makes of the members: clusters, ClusterSets, ReplicaSets, as tables of cases. */
import t, { type Test } from 'tap';
import { decide } from '../../../routing/decision.ts';
import type { MetadataFacts } from '../../../routing/metadata/facts.ts';
import {
  type Decision,
  type DecisionSettings,
  EMPTY_MEMORY,
  type Observation,
} from '../../../routing/observations.ts';
import { candidates } from '../../../routing/strategies.ts';
import { EMPTY_TOPOLOGY } from '../../../routing/topology.ts';
import { fails, inputOf, inShort, NOW, type Said, says, TTL } from '../group.ts';
import { clusterOf, holding, replicaSetOf, setOf } from './copies.ts';

type Case = {
  readonly name: string;
  readonly seen: readonly Observation[];
  readonly settings?: Partial<DecisionSettings>;
  readonly after?: Decision;
  readonly expect: string;
  /** Reasons by member, as far as they matter. */
  readonly because?: Readonly<Record<string, RegExp>>;
};

function run(test: Test, cases: readonly Case[], seeds: string): void {
  for (const { name, seen, settings, after, expect, because = {} } of cases) {
    const decision = decideOn(seen, seeds, settings, after);
    test.equal(inOrder(inShort(decision)), expect, name);
    for (const [member, reason] of Object.entries(because)) {
      const found = decision.topology.members.find(({ address }) => address.startsWith(member));
      test.match(found?.reason, reason, `${name}: ${member}`);
    }
  }
}

/** Members come in the order of the seeds; what they are offered for does not depend on it. */
function inOrder(short: string): string {
  return short.replaceAll(/=(\w+)/g, (_, names: string) => `=${[...names].sort().join('')}`);
}

function decideOn(
  seen: readonly Observation[],
  seeds: string,
  settings: Partial<DecisionSettings> = {},
  after?: Decision,
): Decision {
  return decide(inputOf(seen, { seeds: [...seeds].map((name) => `${name}:3306`), ...settings }, after));
}

const VIEW = 'aOP bOS cOS';
const ABC = clusterOf('abc');
const members = (facts: MetadataFacts, view = VIEW) =>
  [...view.matchAll(/(\w)O/g)].map(([, name = '']) => holding(says(name, view), facts));
const EXPLICIT: Partial<DecisionSettings> = { topology: 'innodb-cluster' };
const HIDDEN_B = { b: { _hidden: true } };
const OPERATOR = {
  readOnlyTargets: null,
  targetCluster: null,
  invalidatedClusterPolicy: null,
  quorumLoss: null,
} as const;
const replica = (name: string, facts: MetadataFacts, said: Said = {}) =>
  holding(says(name, null, { readOnly: true, superReadOnly: true, ...said }), facts);

t.test('an InnoDB Cluster', async (t) => {
  const withReplica = clusterOf('abc', { readReplicas: 'r' });
  const allTargets = clusterOf('abc', { readReplicas: 'r', options: { readOnlyTargets: 'all' } });
  const onlyReplicas = clusterOf('abc', { readReplicas: 'r', options: { readOnlyTargets: 'read-replicas' } });
  const settled = decideOn(members(ABC), 'abc');
  run(
    t,
    [
      { name: 'in good order', seen: members(ABC), expect: 'rw=a ro=abc drain=bc' },
      {
        name: 'nothing is offered before a copy was read',
        seen: [{ ...says('a', VIEW), metadata: null }, fails('b', 'refused')],
        expect: 'rw= ro= no-quorum',
      },
      {
        name: 'one copy is enough',
        seen: [
          holding(says('a', VIEW), null, 'missing-grant'),
          holding(says('b', VIEW), ABC),
          says('c', VIEW),
        ],
        expect: 'rw=a ro=abc drain=bc',
      },
      {
        name: 'a hidden secondary is offered for nothing, and its sessions end',
        seen: members(clusterOf('abc', { tags: HIDDEN_B })),
        expect: 'rw=a ro=ac drain=bc drain-ro=b',
        because: { b: /hidden by its tag/ },
      },
      {
        name: 'unless their tag says that they stay',
        seen: members(
          clusterOf('abc', {
            tags: { b: { _hidden: true, _disconnect_existing_sessions_when_hidden: false } },
          }),
        ),
        expect: 'rw=a ro=ac drain=bc',
      },
      {
        name: 'a hidden primary takes no writes, and no other member does in its place',
        seen: members(clusterOf('abc', { tags: { a: { _hidden: true } } })),
        expect: 'rw= ro=bc drain=abc drain-ro=a',
      },
      {
        name: 'a tag that is not true hides nothing',
        seen: members(clusterOf('abc', { tags: { b: { _hidden: 'yes' } } })),
        expect: 'rw=a ro=abc drain=bc',
      },
      {
        name: 'a member that the metadata does not list is not used in an InnoDB Cluster',
        seen: members(clusterOf('ab')),
        settings: EXPLICIT,
        expect: 'rw=a ro=ab drain=bc',
        because: { c: /not in the metadata/ },
      },
      {
        name: 'and is used, with a note, where nobody said that it is one',
        seen: members(clusterOf('ab')),
        expect: 'rw=a ro=abc drain=bc',
        because: { c: /not in the metadata/ },
      },
      {
        name: 'a primary that is not listed takes no writes',
        seen: members(clusterOf('bc')),
        settings: EXPLICIT,
        expect: 'rw= ro=bc drain=bc',
      },
      {
        name: 'without metadata an InnoDB Cluster is a group, and an alarm says so',
        seen: [
          holding(says('a', VIEW), null),
          holding(says('b', VIEW), null),
          holding(says('c', VIEW), null),
        ],
        settings: EXPLICIT,
        expect: 'rw=a ro=abc drain=bc alarms=1',
      },
      {
        name: 'during an upgrade the copy read before counts',
        seen: [holding(says('a', VIEW), ABC, 'upgrading'), says('b', VIEW), says('c', VIEW)],
        settings: EXPLICIT,
        expect: 'rw=a ro=abc drain=bc',
      },
      {
        name: 'metadata of a group that its server is not in does not count',
        seen: ['a', 'b', 'c'].map((name) => holding(says(name, VIEW, { groupName: 'made anew' }), ABC)),
        expect: 'rw=a ro=abc drain=bc',
      },
      {
        name: 'a group without quorum offers nothing',
        seen: [
          holding(says('a', 'aOP bUS cUS'), ABC),
          holding(says('b', null, { failure: 'refused' }), ABC),
          fails('c', 'refused'),
        ],
        expect: 'rw= ro= no-quorum alarms=1',
      },
      {
        name: 'unless the metadata allows reads',
        seen: [
          holding(says('a', 'aOP bUS cUS'), clusterOf('abc', { options: { quorumLoss: 'read' } })),
          fails('b', 'refused'),
          fails('c', 'refused'),
        ],
        expect: 'rw= ro=a no-quorum alarms=1',
      },
      {
        name: 'the word of the operator stands above that of the metadata',
        seen: [
          holding(says('a', 'aOP bUS cUS'), clusterOf('abc', { options: { quorumLoss: 'all' } })),
          fails('b', 'refused'),
          fails('c', 'refused'),
        ],
        settings: { metadata: { ...OPERATOR, quorumLoss: 'none' } },
        expect: 'rw= ro= no-quorum alarms=1',
      },
      {
        name: 'read replicas are not asked for by default',
        seen: [...members(withReplica), replica('r', withReplica)],
        expect: 'rw=a ro=abc drain=bcr drain-ro=r',
        because: { r: /read_only_targets is secondaries/ },
      },
      {
        name: 'read replicas beside the secondaries',
        seen: [...members(allTargets), replica('r', allTargets)],
        expect: 'rw=a ro=abcr drain=bcr',
      },
      {
        name: 'read replicas in the place of the secondaries; the primary is what is fallen back to',
        seen: [...members(onlyReplicas), replica('r', onlyReplicas)],
        expect: 'rw=a ro=ar drain=bcr drain-ro=bc',
      },
      {
        name: 'the operator asks for read replicas',
        seen: [...members(withReplica), replica('r', withReplica)],
        settings: { metadata: { ...OPERATOR, readOnlyTargets: 'all' } },
        expect: 'rw=a ro=abcr drain=bcr',
      },
      {
        name: 'a read replica that is writable takes no writes for all that',
        seen: [...members(allTargets), replica('r', allTargets, { readOnly: false, superReadOnly: false })],
        expect: 'rw=a ro=abcr drain=bcr',
      },
      {
        name: 'a read replica whose address another server has taken is not used',
        seen: [...members(allTargets), replica('r', allTargets, { serverUuid: 'uuid-x' })],
        expect: 'rw=a ro=abc drain=bcr alarms=1',
      },
      {
        name: 'a read replica that refuses is not offered',
        seen: [...members(allTargets), fails('r', 'refused')],
        expect: 'rw=a ro=abc drain=bcr',
      },
      {
        name: 'what was known stays while nobody answers',
        seen: [
          holding(says('a', VIEW, { askedAtMs: NOW - TTL / 3, failure: 'timeout' }), ABC),
          holding(says('b', VIEW, { askedAtMs: NOW - TTL / 3, failure: 'timeout' }), ABC),
          holding(says('c', VIEW, { askedAtMs: NOW - TTL / 3, failure: 'timeout' }), ABC),
        ],
        after: settled,
        expect: 'rw=a ro=abc drain=bc',
      },
    ],
    'abc',
  );
});

t.test('which InnoDB Cluster is followed', async (t) => {
  const settled = decideOn(members(ABC), 'abc');
  const anew = (names: string): MetadataFacts => ({
    ...clusterOf(names),
    clusterId: 'cluster-2',
    clusters: [{ id: 'cluster-2', name: 'anew', groupName: 'anew', role: 'PRIMARY', isInvalidated: false }],
    instances: clusterOf(names).instances.map((instance) => ({ ...instance, clusterId: 'cluster-2' })),
  });
  const inNew = (name: string, view: string, said: Said = {}) =>
    holding(says(name, view, { groupName: 'anew', ...said }), anew('abc'));
  const bare = (name: string) => holding(says(name, null, { readOnly: false, superReadOnly: false }), null);
  const dissolved = decideOn(['a', 'b', 'c'].map(bare), 'abc', {}, settled);
  run(
    t,
    [
      {
        name: 'the first seed that answers does not elect it',
        seen: [inNew('c', 'cOP')],
        expect: 'rw= ro= no-quorum',
      },
      {
        name: 'most of them do',
        seen: [...members(ABC, 'aOP bOS'), inNew('c', 'cOP')],
        expect: 'rw=a ro=ab drain=b cut=c alarms=1',
      },
      {
        name: 'nobody does where they cannot agree, which is an alarm',
        seen: [...members(ABC, 'aOP'), inNew('c', 'cOP'), fails('b', 'refused')],
        expect: 'rw= ro= no-quorum alarms=1',
      },
      {
        name: 'one that was dissolved and made anew of the same servers is followed',
        seen: [inNew('a', VIEW), inNew('b', VIEW), inNew('c', VIEW)],
        after: dissolved,
        expect: 'rw=a ro=abc drain=bc',
      },
      {
        name: 'but not by the first of them',
        seen: [inNew('a', 'aOP'), bare('b'), bare('c')],
        after: dissolved,
        expect: 'rw= ro= drain=bc no-quorum alarms=4',
      },
      {
        name: 'other servers at the addresses of all that answer are strangers, whatever their metadata says',
        seen: [
          inNew('a', 'aOP', { serverUuid: 'uuid-x' }),
          inNew('b', 'aOP bOS', { serverUuid: 'uuid-y' }),
          fails('c', 'refused'),
        ],
        after: settled,
        expect: 'rw= ro= drain=c no-quorum alarms=3',
      },
    ],
    'abc',
  );
});

t.test('endpoints of the metadata are what is dialled', async (t) => {
  const facts = clusterOf('abc', { endpoints: { b: 'b.example:3307', c: 'c.example:3308' } });
  const first = decideOn([holding(says('a', VIEW), facts)], 'a');
  t.strictSame(first.wanted, ['a:3306', 'b.example:3307', 'c.example:3308']);
  t.strictSame(
    first.topology.members.map(({ address }) => address),
    ['a:3306', 'b.example:3307', 'c.example:3308'],
  );
  // A seed under another name is not asked twice.
  const seeded = decideOn([holding(says('a', VIEW), facts), holding(says('b', VIEW), facts)], 'ab');
  t.strictSame(seeded.wanted, ['a:3306', 'b:3306', 'c.example:3308']);
  t.equal(inShort(seeded), 'rw=a ro=ab drain=bc');
  // A member of the metadata that is in no view is shown, and asked.
  const larger = decideOn([holding(says('a', VIEW), clusterOf('abcd'))], 'a');
  t.ok(larger.wanted.includes('d:3306'));
  t.match(larger.topology.members.at(-1), { address: 'd:3306', acceptsReads: false, acceptsWrites: false });
});

t.test('what is shown of a cluster', async (t) => {
  const facts = clusterOf('abc', {
    tags: { a: { zone: 'x' } },
    options: { readOnlyTargets: 'all', unknown: ['foo = 1'] },
  });
  const { topology } = decideOn(members(facts), 'abc');
  t.match(topology.cluster, {
    kind: 'cluster',
    state: 'ok',
    id: 'cluster-1',
    name: 'mycluster',
    schemaVersion: '2.4.0',
    clusters: [{ name: 'mycluster', isTarget: true }],
    options: { readOnlyTargets: 'all', targetCluster: 'primary' },
    unknownOptions: ['foo = 1'],
  });
  t.match(topology.members[0]?.metadata, {
    label: 'a',
    kind: 'member',
    clusterName: 'mycluster',
    clusterRole: 'PRIMARY',
    xEndpoint: 'a:33060',
    tags: { zone: 'x' },
    isHidden: false,
  });
  const without = decideOn(
    members(ABC).map((seen) => holding(seen, null)),
    'abc',
  );
  t.equal(without.topology.cluster, undefined, 'nothing is said of metadata where nobody expects any');
  const leftOver = decideOn(
    ['a', 'b', 'c'].map((name) => holding(says(name, VIEW, { groupName: 'made anew' }), ABC)),
    'abc',
  );
  t.match(leftOver.topology.cluster, { state: 'not-listed', detail: /another group/ });
  const noGrant = decideOn(
    members(ABC).map((seen) => holding(seen, null, 'missing-grant')),
    'abc',
  );
  t.match(noGrant.topology.cluster, { kind: 'unknown', state: 'missing-grant' });
});

t.test('a ClusterSet', async (t) => {
  const NORTH = 'aOP bOS';
  const SOUTH = 'cOP dOS';
  const north = (name: string, facts: MetadataFacts, said: Said = {}) =>
    holding(says(name, NORTH, { groupName: 'group-north', ...said }), facts);
  const south = (name: string, facts: MetadataFacts, said: Said = {}) =>
    holding(says(name, SOUTH, { groupName: 'group-south', superReadOnly: true, ...said }), facts);
  const roles = 'north:ab:P south:cd:R';
  const swapped = 'north:ab:R south:cd:P';
  const forced = 'north:ab:- south:cd:P';
  const seen = (options: Parameters<typeof setOf>[3] = {}) => [
    ...['a', 'b'].map((name) => north(name, setOf('north', 5, roles, options))),
    ...['c', 'd'].map((name) => south(name, setOf('south', 5, roles, options))),
  ];
  const standIn = decideOn(
    seen({ options: { targetCluster: 'south', useReplicaPrimaryAsRw: true } }),
    'abcd',
  );
  const offered = candidates(
    standIn.topology,
    { role: 'primary', strategy: 'first-available' },
    0,
    () => false,
  );
  t.strictSame(
    offered.map(({ address }) => address),
    ['c:3306'],
    'the primary of a replica cluster stands in',
  );
  const settled = decideOn(seen(), 'ac');
  const north5 = ['a', 'b'].map((name) => north(name, setOf('north', 5, roles)));
  const south6 = ['c', 'd'].map((name) => south(name, setOf('south', 6, forced), { superReadOnly: false }));
  const failedOver = decideOn([...north5, ...south6], 'ac', {}, settled);
  run(
    t,
    [
      {
        name: 'writes and reads go to the primary cluster',
        seen: seen(),
        expect: 'rw=a ro=ab drain=bcd drain-ro=cd',
      },
      {
        name: 'a switch moves both, and sessions on the former primary cluster end in good order',
        seen: [
          ...['a', 'b'].map((name) => north(name, setOf('north', 6, swapped), { superReadOnly: true })),
          ...['c', 'd'].map((name) =>
            south(name, setOf('south', 6, swapped), { superReadOnly: name === 'd' }),
          ),
        ],
        after: settled,
        expect: 'rw=c ro=cd drain=abd drain-ro=ab',
      },
      {
        name: 'the new primary cluster takes no writes before its primary is writable',
        seen: [
          ...['a', 'b'].map((name) => north(name, setOf('north', 6, swapped), { superReadOnly: true })),
          ...['c', 'd'].map((name) => south(name, setOf('south', 6, swapped))),
        ],
        after: settled,
        expect: 'rw= ro=cd drain=abd drain-ro=ab',
      },
      {
        name: 'a partition: the old primary cluster believes in itself, the newer view counts',
        seen: [...north5, ...south6],
        after: settled,
        expect: 'rw=c ro=cd drain=d drain-ro=ab',
        because: { a: /north was invalidated/ },
      },
      {
        name: 'the same without anything known before',
        seen: [...north5, ...south6],
        expect: 'rw=c ro=cd drain=d drain-ro=ab',
      },
      {
        name: 'at the start nothing is offered before most of the seeds were heard',
        seen: north5,
        expect: 'rw= ro= no-quorum',
      },
      {
        name: 'once heard that nobody is there, it is',
        seen: [...north5, fails('c', 'timeout'), fails('d', 'timeout')],
        expect: 'rw=a ro=ab drain=bcd drain-ro=cd',
      },
      {
        name: 'the view seen before is not forgotten when only the old primary cluster answers',
        seen: [...north5, fails('c', 'refused'), fails('d', 'refused')],
        after: failedOver,
        expect: 'rw= ro=ab drain=bcd drain-ro=cd alarms=1',
      },
      {
        name: 'a replica cluster that lost its quorum does not matter to writes, and is told',
        seen: [...seen().slice(0, 2), south('c', setOf('south', 5, roles), {}), fails('d', 'refused')].map(
          (observation, index) =>
            index === 2
              ? holding(says('c', 'cOP dUS eUS', { groupName: 'group-south' }), setOf('south', 5, roles))
              : observation,
        ),
        expect: 'rw=a ro=ab drain=bcd drain-ro=cd alarms=1',
      },
      {
        name: 'a named target is served for reads while it is a replica',
        seen: seen(),
        settings: { metadata: { ...OPERATOR, targetCluster: 'south' } },
        expect: 'rw= ro=cd drain=abcd drain-ro=ab',
      },
      {
        name: 'its primary keeps sessions of routes to the primary where the metadata says so',
        seen: seen({ options: { targetCluster: 'south', useReplicaPrimaryAsRw: true } }),
        expect: 'rw= ro=cd drain=abd drain-ro=ab',
        because: { c: /stands in for the primary/ },
      },
      {
        name: 'but not against the word of the operator',
        seen: seen({ options: { targetCluster: 'south', useReplicaPrimaryAsRw: true } }),
        settings: { metadata: { ...OPERATOR, useReplicaPrimaryAsRw: false } },
        expect: 'rw= ro=cd drain=abcd drain-ro=ab',
      },
      {
        name: 'the metadata may name it by its group',
        seen: seen({ options: { targetCluster: 'group-south' } }),
        expect: 'rw= ro=cd drain=abcd drain-ro=ab',
      },
      {
        name: 'a target that does not exist is served by nobody',
        seen: seen(),
        settings: { metadata: { ...OPERATOR, targetCluster: 'west' } },
        expect: 'rw= ro= drain=bd no-quorum alarms=1',
      },
      {
        name: 'an invalidated target serves nothing by default',
        seen: [...north5.map((one) => holding(one, setOf('north', 6, forced))), ...south6],
        settings: { metadata: { ...OPERATOR, targetCluster: 'north' } },
        expect: 'rw= ro= drain=cd drain-ro=abcd',
      },
      {
        name: 'or reads, where the policy accepts that',
        seen: [...north5.map((one) => holding(one, setOf('north', 6, forced))), ...south6],
        settings: {
          metadata: { ...OPERATOR, targetCluster: 'north', invalidatedClusterPolicy: 'accept-ro' },
        },
        expect: 'rw= ro=ab drain=cd drain-ro=cd',
      },
      {
        name: 'a primary of the primary cluster that is super_read_only gets no writes',
        seen: [north('a', setOf('north', 5, roles), { superReadOnly: true }), ...seen().slice(1)],
        after: settled,
        expect: 'rw= ro=ab drain=bcd drain-ro=cd',
      },
    ],
    'ac',
  );
  t.strictSame(
    [...settled.wanted].sort(),
    ['a:3306', 'b:3306', 'c:3306', 'd:3306'],
    'the members of all clusters are watched',
  );
  t.strictSame(failedOver.memory.highestView, { id: 'set', viewId: 6 });
  t.match(failedOver.topology.cluster, { kind: 'clusterset', name: 'world', viewId: 6 });
  t.equal(failedOver.topology.groupName, 'group-south');
  t.equal(settled.isInDoubt, false);
});

t.test('a ReplicaSet', async (t) => {
  const writable: Said = { readOnly: false, superReadOnly: false };
  const readOnly: Said = { readOnly: true, superReadOnly: true };
  const one = replicaSetOf(1, 'aP bS cS');
  const two = replicaSetOf(2, 'aS bP cS');
  const forced = replicaSetOf(65_537, 'a- bP cS');
  const holds = (name: string, facts: MetadataFacts, said: Said) => holding(says(name, null, said), facts);
  const settled = decideOn(
    [holds('a', one, writable), holds('b', one, readOnly), holds('c', one, readOnly)],
    'abc',
  );
  const failedOver = decideOn(
    [holds('a', one, writable), holds('b', forced, writable), holds('c', forced, readOnly)],
    'abc',
    {},
    settled,
  );
  /** As a router knows it that is started with its former state file. */
  const restartedWith = (viewId: number): Decision => ({
    ...settled,
    topology: EMPTY_TOPOLOGY,
    memory: { ...EMPTY_MEMORY, highestView: { id: 'replicaset-1', viewId, isFormer: true } },
  });
  run(
    t,
    [
      {
        name: 'the primary of the metadata takes writes when it is writable',
        seen: [holds('a', one, writable), holds('b', one, readOnly), holds('c', one, readOnly)],
        expect: 'rw=a ro=abc drain=bc no-quorum',
      },
      {
        name: 'the primary of the metadata is read-only: no writes until that is resolved',
        seen: [holds('a', one, readOnly), holds('b', one, readOnly), holds('c', one, readOnly)],
        after: settled,
        expect: 'rw= ro=abc drain=abc no-quorum',
        because: { a: /but read-only/ },
      },
      {
        name: 'a writable server that the metadata does not name gets no writes',
        seen: [holds('a', one, readOnly), holds('b', one, writable), holds('c', one, readOnly)],
        after: settled,
        expect: 'rw= ro=abc drain=abc no-quorum',
        because: { b: /not read-only/ },
      },
      {
        name: 'after a switch, also with a copy that has not caught up',
        seen: [holds('a', two, readOnly), holds('b', two, writable), holds('c', one, readOnly)],
        after: settled,
        expect: 'rw=b ro=abc drain=ac no-quorum',
      },
      {
        name: 'a replaced primary that comes back writable with its old copy gets no writes',
        seen: [holds('a', one, writable), holds('b', forced, writable), holds('c', forced, readOnly)],
        after: settled,
        expect: 'rw=b ro=bc drain=c cut=a no-quorum alarms=1',
        because: { a: /invalidated/ },
      },
      {
        name: 'also when nothing was known before',
        seen: [holds('a', one, writable), holds('b', forced, writable), holds('c', forced, readOnly)],
        expect: 'rw=b ro=bc drain=c cut=a no-quorum alarms=1',
      },
      {
        name: 'nor when it is the only one that answers',
        seen: [holds('a', one, writable), fails('b', 'refused'), fails('c', 'refused')],
        after: failedOver,
        expect: 'rw= ro=a drain=bc no-quorum alarms=1',
      },
      {
        name: 'at the start nothing is offered before most were heard',
        seen: [holds('a', one, writable)],
        expect: 'rw= ro= no-quorum',
      },
      {
        name: 'and nobody is written to before all were',
        seen: [holds('a', one, writable), holds('b', one, readOnly)],
        expect: 'rw= ro=ab drain=bc no-quorum',
      },
      {
        name: 'a replaced primary that alone answers a router which was restarted gets no writes: it knew of the failover',
        seen: [holds('a', one, writable), fails('b', 'refused'), fails('c', 'refused')],
        after: restartedWith(65_537),
        expect: 'rw= ro=a drain=bc no-quorum alarms=1',
      },
      {
        name: 'what an earlier run knew does not stand for hearing the others',
        seen: [holds('a', one, writable), holds('b', one, readOnly)],
        after: restartedWith(1),
        expect: 'rw= ro=ab drain=bc no-quorum',
      },
      {
        name: 'nor does it stand in the way when they have been heard',
        seen: [holds('a', one, writable), holds('b', one, readOnly), holds('c', one, readOnly)],
        after: restartedWith(1),
        expect: 'rw=a ro=abc drain=bc no-quorum',
      },
      {
        name: 'a server that is not in it is not used',
        seen: [holds('a', one, writable), holds('b', one, readOnly), fails('c', 'refused'), says('x', null)],
        expect: 'rw=a ro=ab drain=bc no-quorum',
        settings: { seeds: ['a:3306', 'b:3306', 'x:3306'] },
      },
      {
        name: 'hidden members and options count here too',
        seen: ['a', 'b', 'c'].map((name) =>
          holds(name, replicaSetOf(1, 'aP bS cS', { tags: HIDDEN_B }), name === 'a' ? writable : readOnly),
        ),
        expect: 'rw=a ro=ac drain=bc drain-ro=b no-quorum',
      },
      {
        name: 'without metadata the one writable server is the primary, and an alarm says so',
        seen: [
          holding(says('a', null, writable), null, 'missing-grant'),
          holding(says('b', null, readOnly), null, 'missing-grant'),
          holding(says('c', null, readOnly), null, 'missing-grant'),
        ],
        settings: { topology: 'replicaset' },
        expect: 'rw=a ro=abc drain=bc no-quorum alarms=1',
      },
    ],
    'abc',
  );
});
