/** What kind of cluster the members form, and that it does not change by the way. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { DecisionTopology, GaleraAnswer, Observation } from '../../routing/observations.ts';
import { fails, inputOf, inShort, says } from './group.ts';

const GALERA: GaleraAnswer = {
  clusterUuid: 'uuid',
  isPrimaryComponent: true,
  isReady: true,
  localState: 4,
  setAside: '',
  configuration: 3,
  nodeUuid: '00000001-e588-11f1-b83d-8afbc1267fe3',
  uptimeSeconds: 3600,
  localIndex: 0,
  members: [],
};
const galera = (name: string) => says(name, null, { galera: GALERA });
const group = (name: string) => says(name, 'aOP bOS cOS');
const plain = (name: string, readOnly = true) => says(name, null, { readOnly });
const aurora = (name: string, readOnly = true) =>
  says(name, null, { readOnly, serverUuid: name, aurora: { serverId: name, rows: [] } });

const KINDS: readonly (readonly [string, readonly Observation[], string])[] = [
  ['a group under Group Replication', [group('a'), group('b'), group('c')], 'group'],
  ['a Galera cluster', [galera('a'), galera('b'), galera('c')], 'galera'],
  ['an Aurora cluster', [aurora('a', false), aurora('b'), aurora('c')], 'aurora'],
  ['servers under asynchronous replication', [plain('a', false), plain('b'), plain('c')], 'plain'],
];

for (const [name, seen, kind] of KINDS) {
  t.test(`topology auto recognises ${name}`, async (t) => {
    const settled = decide(inputOf(seen));
    t.equal(settled.memory.kind, kind);
    const wellKnown = inShort(settled);
    t.not(settled.topology.primary, null);

    // One after the other goes silent, dies, is replaced by something that was never heard, or stalls for long.
    for (const unwell of ['a', 'b', 'c']) {
      const others = seen.map((observation) =>
        observation.address === `${unwell}:3306` ? fails(unwell, 'timeout') : observation,
      );
      const doubtful = decide(inputOf(others, {}, settled));
      t.equal(doubtful.memory.kind, kind, `${unwell} is silent`);
      const nobody = decide(
        inputOf(
          ['a', 'b', 'c'].map((each) => fails(each, 'timeout')),
          {},
          doubtful,
        ),
      );
      t.equal(nobody.memory.kind, kind, 'nobody answers');
      const unheard = decide(inputOf([fails('x', 'unknown-host')], { seeds: ['x:3306'] }, nobody));
      t.equal(unheard.memory.kind, kind, 'other seeds, not heard yet');
      t.equal(inShort(decide(inputOf(seen, {}, unheard))), wellKnown, 'and all is as it was');
    }
  });
}

t.test('a stranger among the seeds is outvoted, whatever it is', async (t) => {
  for (const stranger of [group('c'), galera('c'), aurora('c', false), plain('c', false)]) {
    for (const [name, seen, kind] of KINDS) {
      const mixed = [...seen.slice(0, 2), stranger];
      t.equal(decide(inputOf(mixed)).memory.kind, kind, name);
    }
  }
});

t.test('when most of the seeds have become something else, the router follows', async (t) => {
  const before = decide(inputOf([plain('a', false), plain('b'), plain('c')]));
  const one = decide(inputOf([galera('a'), plain('b'), plain('c')], {}, before));
  t.equal(one.memory.kind, 'plain');
  t.equal(decide(inputOf([galera('a'), galera('b'), plain('c')], {}, one)).memory.kind, 'galera');
});

t.test('a kind that was named is the only one looked for', async (t) => {
  const seen = [plain('a', false), galera('b'), group('c')];
  const kinds: readonly (readonly [DecisionTopology, string | null])[] = [
    ['async', 'plain'],
    ['galera', 'galera'],
    ['group-replication', 'group'],
    ['aurora', null],
  ];
  for (const [topology, kind] of kinds) {
    t.equal(decide(inputOf(seen, { topology })).memory.kind, kind, topology);
  }
});

t.test('a node that has no cluster yet does not decide what the cluster is', async (t) => {
  const joining = says('a', null, { galera: { ...GALERA, clusterUuid: '', isPrimaryComponent: false } });
  t.equal(decide(inputOf([joining, fails('b', 'refused'), fails('c', 'refused')])).memory.kind, null);
});

t.test('seeds that the configuration no longer names have no say', async (t) => {
  const other = says('d', 'dOP', { groupName: 'other', viewId: '7:1' });
  const seen = [other, group('a'), group('b'), group('c')];
  const seeds = ['d:3306', 'a:3306', 'b:3306', 'c:3306'];
  const unnamed = new Set(seeds.slice(1));
  t.equal(decide(inputOf(seen, { seeds })).topology.primary, 'a:3306');
  t.equal(decide(inputOf(seen, { seeds, unnamed })).topology.primary, 'd:3306');
});

t.test('while it is not known which cluster is meant, no session ends and nobody is forgotten', async (t) => {
  const settled = decide(inputOf([group('a'), group('b'), group('c')], { seeds: ['a:3306'] }));
  t.equal(settled.topology.members.length, 3);
  const asked = { ...settled, topology: { ...settled.topology, groupName: null } };
  const other = says('d', 'dOP', { groupName: 'other', viewId: '7:1' });
  const tie = decide(
    inputOf([group('a'), other, group('b'), group('c')], { seeds: ['a:3306', 'd:3306'] }, asked),
  );
  t.match(tie.topology.alarms, [/different clusters/]);
  t.match(
    tie.topology.members.map(({ address, primarySessions, acceptsWrites }) => [
      address,
      primarySessions,
      acceptsWrites,
    ]),
    ['a', 'd', 'b', 'c'].map((name) => [`${name}:3306`, 'keep', false]),
  );
  t.strictSame(tie.wanted, ['a:3306', 'd:3306', 'b:3306', 'c:3306']);
});

t.test(
  'seeds of another kind than cluster.topology names are an alarm, and each says what it is',
  async (t) => {
    const seeds = ['a:3306', 'b:3306'];
    const table: readonly (readonly [DecisionTopology, readonly Observation[], RegExp])[] = [
      ['galera', [plain('a', false), plain('b')], /^is a plain server, and cluster\.topology is galera$/],
      ['group-replication', [plain('a', false), plain('b')], /^is a plain server/],
      ['innodb-cluster', [galera('a'), galera('b')], /^is a Galera node/],
      ['aurora', [group('a'), group('b')], /^runs Group Replication/],
    ];
    for (const [topology, seen, reason] of table) {
      const { topology: decided } = decide(inputOf(seen, { topology, seeds }));
      t.equal(decided.primary, null);
      t.match(decided.members, [{ reason }, { reason }], topology);
      t.match(decided.alarms.join(), new RegExp(`no seed is of cluster\\.topology ${topology}`));

      const half = [...seen.slice(0, 1), fails('b', 'refused')];
      t.notMatch(
        decide(inputOf(half, { topology, seeds })).topology.alarms.join(),
        /no seed is of/,
        'not while one is silent',
      );
    }
  },
);
