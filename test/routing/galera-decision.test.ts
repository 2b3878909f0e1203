/** Galera: which nodes are used, and which one takes the writes. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { Decision, DecisionInput, GaleraAnswer, Observation } from '../../routing/observations.ts';
import { fails, inputOf, inShort, NOW, type Said, says, settingsOf } from './group.ts';

const UUID = 'cf6c4c06-e587-11f1-a7e5-1eba0ddd18ed';
/** Joined in this order, which is neither that of the seeds nor that of the whole UUIDs. */
const NODES = {
  b: 'ffffffff-e587-11f1-8b82-77711a6c73c6',
  c: '00000001-e588-11f1-b83d-8afbc1267fe3',
  a: '00000002-e588-11f1-9ea1-82b0eaefca9f',
  d: '00000003-e588-11f1-9ea1-82b0eaefca9f',
} as const;

/** A node that is synced in a cluster of `members`, unless `facts` say otherwise. */
function node(
  name: keyof typeof NODES,
  members = 'abc',
  facts: Partial<GaleraAnswer> = {},
  said: Said = {},
): Observation {
  const galera: GaleraAnswer = {
    clusterUuid: UUID,
    isPrimaryComponent: true,
    isReady: true,
    localState: 4,
    setAside: '',
    configuration: 3,
    nodeUuid: NODES[name],
    uptimeSeconds: 3600,
    localIndex: members.indexOf(name),
    members: [...members].map((member) => `${member}:3306`),
    ...facts,
  };
  return says(name, null, { galera, ...said });
}

const SETTLED = [node('a'), node('b'), node('c')];
const alone = (name: string): Partial<GaleraAnswer> => ({
  isPrimaryComponent: false,
  isReady: false,
  configuration: null,
  localIndex: 0,
  members: [`${name}:3306`],
});

const CASES: readonly {
  readonly name: string;
  readonly seen: readonly Observation[];
  readonly after?: readonly Observation[];
  readonly expect: string;
}[] = [
  {
    name: 'the node whose process joined first takes the writes',
    seen: SETTLED,
    expect: 'rw=b ro=abc drain=ac',
  },
  {
    name: 'a donor is not used, and loses no session for reading',
    seen: [node('a'), node('b', 'abc', { localState: 2 }), node('c')],
    after: SETTLED,
    expect: 'rw=c ro=ac drain=ab',
  },
  {
    name: 'a node that was desynced by hand is not used',
    seen: [node('a'), node('b', 'abc', { setAside: 'wsrep_desync is ON' }), node('c')],
    expect: 'rw=c ro=ac drain=ab drain-ro=b',
  },
  {
    name: 'a node that is not ready is not used',
    seen: [node('a'), node('b', 'abc', { isReady: false }), node('c')],
    expect: 'rw=c ro=ac drain=ab drain-ro=b',
  },
  {
    name: 'a joiner is not used',
    seen: [node('a'), node('b'), node('c', 'abc', { localState: 3 })],
    expect: 'rw=b ro=ab drain=ac drain-ro=c',
  },
  {
    name: 'a node that is read-only never takes the writes',
    seen: [node('a'), node('b', 'abc', {}, { readOnly: true }), node('c')],
    expect: 'rw=c ro=abc drain=ab',
  },
  {
    name: 'a node outside of the primary component is not used; what is open there ends',
    seen: [
      node('a', 'ac', { configuration: 4 }),
      node('b', 'abc', alone('b')),
      node('c', 'ac', { configuration: 4 }),
    ],
    after: SETTLED,
    expect: 'rw=c ro=ac drain=ab drain-ro=b',
  },
  {
    name: 'without a primary component nobody is used, and there is an alarm',
    seen: (['a', 'b', 'c'] as const).map((name) => node(name, 'abc', alone(name))),
    after: SETTLED,
    expect: 'rw= ro= drain=abc drain-ro=abc no-quorum alarms=1',
  },
  {
    name: 'a frozen node that the others have given up is cut off',
    seen: [
      node('a', 'ac', { configuration: 4 }),
      node('b', 'abc', {}, { failure: 'timeout', askedAtMs: NOW - 2000 }),
      node('c', 'ac', { configuration: 4 }),
    ],
    after: SETTLED,
    expect: 'rw=c ro=ac drain=a cut=b',
  },
  {
    name: 'one late answer changes nothing',
    seen: [node('a'), node('b', 'abc', {}, { failure: 'timeout', askedAtMs: NOW - 1000 }), node('c')],
    after: SETTLED,
    expect: 'rw=b ro=abc drain=ac',
  },
  {
    name: 'a node that is gone is replaced at once',
    seen: [node('a'), node('b', 'abc', {}, { failure: 'refused' }), node('c')],
    after: SETTLED,
    expect: 'rw=c ro=ac drain=ab',
  },
  {
    name: 'two primary components of one cluster take no write',
    seen: [node('a', 'ac'), node('b', 'b'), node('c', 'ac')],
    after: SETTLED,
    expect: 'rw= ro=abc drain=ac alarms=1',
  },
  {
    name: 'a node of another cluster is a stranger',
    seen: [node('a'), node('b'), node('c', 'c', { clusterUuid: 'another' })],
    expect: 'rw=b ro=ab drain=ac alarms=1',
  },
];

for (const { name, seen, after, expect } of CASES) {
  t.test(name, async (t) => {
    const before = after === undefined ? undefined : decide(inputOf(after));
    t.equal(inShort(decide(inputOf(seen, {}, before))), expect);
  });
}

t.test('whatever the order of the seeds, every router chooses the same writer', async (t) => {
  for (const seeds of ['abc', 'cba', 'bac']) {
    const decision = decide(inputOf(SETTLED, { seeds: [...seeds].map((name) => `${name}:3306`) }));
    t.equal(decision.topology.primary, 'b:3306', seeds);
    t.equal(decision.topology.groupName, UUID);
  }
});

t.test('a restarted writer comes back as the youngest, and the writes stay', async (t) => {
  const gone = decide(inputOf([node('a'), fails('b', 'refused'), node('c')], {}, decide(inputOf(SETTLED))));
  t.equal(gone.topology.primary, 'c:3306');
  const back = [node('a'), node('b', 'abc', { nodeUuid: NODES.d }), node('c')];
  t.equal(
    decide({ ...inputOf(back, {}, gone), nowMs: NOW + 60_000 }).topology.primary,
    null,
    'answers are old by then',
  );
  t.equal(decide(inputOf(back, {}, gone)).topology.primary, 'c:3306');
});

t.test('a writer that comes back with its age takes over once it has been synced for a while', async (t) => {
  const donor = [node('a'), node('b', 'abc', { localState: 2 }), node('c')];
  let decision: Decision = decide(inputOf(donor, {}, decide(inputOf(SETTLED))));
  const primaries: string[] = [];
  for (let laterMs = 0; laterMs <= 12_000; laterMs += 1000) {
    decision = decide(at(laterMs, SETTLED, decision));
    const { primary } = decision.topology;
    if (primaries.at(-1) !== primary) primaries.push(primary ?? 'none');
  }
  t.strictSame(primaries, ['c:3306', 'b:3306']);
});

t.test('a writer that crashed and kept its UUID has been restarted all the same', async (t) => {
  const gone = decide(inputOf([node('a'), fails('b', 'refused'), node('c')], {}, decide(inputOf(SETTLED))));
  const primaries: string[] = [];
  let decision: Decision = gone;
  for (let laterMs = 0; laterMs <= 30_000; laterMs += 1000) {
    const b = node('b', 'abc', { uptimeSeconds: 2 + Math.floor(laterMs / 1000) });
    decision = decide(at(laterMs, [node('a'), b, node('c')], decision));
    primaries.push(decision.topology.primary ?? 'none');
  }
  t.strictSame([...new Set(primaries)], ['c:3306'], 'the writes stay');
  const fresh = decide(inputOf([node('a'), node('b', 'abc', { uptimeSeconds: 30 }), node('c')]));
  t.equal(fresh.topology.primary, 'c:3306', 'and a router that is started now agrees');
});

t.test(
  'nodes that were started together are told apart by their UUIDs, whatever seconds they tell',
  async (t) => {
    const primaries = new Set<string | null>();
    let decision: Decision | undefined;
    for (const [a, b, c] of [
      [9, 8, 9],
      [9, 9, 8],
      [10, 9, 10],
    ] as const) {
      const seen = [
        node('a', 'abc', { uptimeSeconds: a }),
        node('b', 'abc', { uptimeSeconds: b }),
        node('c', 'abc', { uptimeSeconds: c }),
      ];
      decision = decide(inputOf(seen, {}, decision));
      primaries.add(decision.topology.primary);
    }
    t.strictSame([...primaries], ['b:3306']);
  },
);

t.test('writes stay where they are, where the operator wants it so', async (t) => {
  const settings = { galeraFailback: 'never' } as const;
  const donor = [node('a'), node('b', 'abc', { localState: 2 }), node('c')];
  let decision: Decision = decide(inputOf(donor, settings, decide(inputOf(SETTLED, settings))));
  for (let laterMs = 0; laterMs <= 30_000; laterMs += 1000) {
    decision = decide({ ...at(laterMs, SETTLED, decision), settings: settingsOf('abc', settings) });
    t.equal(decision.topology.primary, 'c:3306');
  }
});

t.test('a node that goes to and fro does not take the writes with it', async (t) => {
  let decision: Decision = decide(inputOf(SETTLED));
  const primaries: string[] = [];
  for (let laterMs = 100; laterMs <= 30_000; laterMs += 100) {
    const isUnwell = Math.floor(laterMs / 1500) % 2 === 0;
    const b = node('b', 'abc', isUnwell ? { localState: 2 } : {});
    decision = decide(at(laterMs, [node('a'), b, node('c')], decision));
    const { primary } = decision.topology;
    if (primaries.at(-1) !== primary) primaries.push(primary ?? 'none');
  }
  t.strictSame(primaries, ['c:3306'], 'it moves once');
});

t.test('nodes are discovered from the view, met once, and leave with it', async (t) => {
  const one = { seeds: ['a:3306'] };
  const first = decide(inputOf([node('a')], one));
  t.equal(first.topology.primary, null, 'no writer before all have been compared');
  t.strictSame([...first.wanted].sort(), ['a:3306', 'b:3306', 'c:3306']);
  const all = decide(inputOf(SETTLED, one, first));
  t.strictSame(
    all.topology.members.map(({ address }) => address),
    ['a:3306', 'b:3306', 'c:3306'],
  );
  const smaller = [
    node('a', 'ac', { configuration: 4 }),
    node('b', 'abc', {}, { failure: 'refused' }),
    node('c', 'ac', { configuration: 4 }),
  ];
  const without = decide(inputOf(smaller, one, all));
  t.strictSame([...without.wanted].sort(), ['a:3306', 'c:3306']);
  t.equal(without.topology.members.length, 2);
  // The seed has a name that the cluster does not use.
  const named: Observation = { ...node('a'), address: 'name-of-a:3306' };
  const renamed = decide(inputOf([named, node('b'), node('c')], { seeds: ['name-of-a:3306'] }));
  t.strictSame([...renamed.wanted].sort(), ['b:3306', 'c:3306', 'name-of-a:3306']);
});

t.test('every node that is not used says why', async (t) => {
  const seen = [node('a', 'abc', { localState: 2 }), node('b', 'abc', alone('b')), fails('c', 'refused')];
  t.strictSame(
    decide(inputOf(seen)).topology.members.map(({ reason }) => reason),
    ['donor or desynced', 'not in the primary component', 'refuses connections'],
  );
});

function at(laterMs: number, seen: readonly Observation[], after: Decision): DecisionInput {
  const later = seen.map((observation): Observation => {
    const { answer } = observation;
    if (answer === null) return observation;
    const askedAtMs = answer.askedAtMs + laterMs;
    return { ...observation, answer: { ...answer, askedAtMs, answeredAtMs: askedAtMs + 2 } };
  });
  return { ...inputOf(later, {}, after), nowMs: NOW + laterMs };
}
