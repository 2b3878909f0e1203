import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { Decision, DecisionSettings, FailureKind, Observation } from '../../routing/observations.ts';
import { fails, inputOf, inShort, NOW, says, TTL } from './group.ts';

const HEALTHY = 'aOP bOS cOS';
const healthy = [says('a', HEALTHY), says('b', HEALTHY), says('c', HEALTHY)];
/** The decision most cases start from. */
const SETTLED = decide(inputOf(healthy));
const OLD = NOW - TTL - 1;
const LATE = NOW - TTL / 2 - 1;

type Case = {
  readonly name: string;
  readonly seen: readonly Observation[];
  readonly settings?: Partial<DecisionSettings>;
  /** What was decided before; nothing by default. */
  readonly after?: Decision;
  readonly expect: string;
};

const GROUP: readonly Case[] = [
  { name: 'a healthy group', seen: healthy, expect: 'rw=a ro=abc drain=bc' },
  {
    name: 'one seed that has not been asked yet does not hold up the others',
    seen: [says('a', HEALTHY), says('b', HEALTHY)],
    expect: 'rw=a ro=ab drain=bc',
  },
  {
    name: 'the primary is not writable before its super_read_only is off',
    seen: [says('a', HEALTHY, { superReadOnly: true }), says('b', HEALTHY), says('c', HEALTHY)],
    expect: 'rw= ro=abc drain=bc',
  },
  {
    name: 'a primary that refuses commits is waited for a moment: its next answer may explain it',
    seen: [says('a', HEALTHY, { refusingSinceMs: NOW - 5 }), says('b', HEALTHY), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'one whose answers take longer is waited for longer',
    seen: [
      says('a', HEALTHY, { askedAtMs: NOW - 200, answeredAtMs: NOW - 120, refusingSinceMs: NOW - 180 }),
      says('b', HEALTHY),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a primary that refuses commits and does not answer since gets no write, whoever names it',
    seen: [
      says('a', HEALTHY, { askedAtMs: NOW - 100, refusingSinceMs: NOW - 80 }),
      says('b', HEALTHY),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw= ro=abc drain=bc',
  },
  {
    name: 'a primary named by everybody but never heard itself gets no write',
    seen: [fails('a', 'access-denied'), says('b', HEALTHY), says('c', HEALTHY)],
    expect: 'rw= ro=abc drain=bc',
  },
  {
    name: 'after a switchover the old primary drains and the new one serves',
    seen: [says('a', 'aOS bOP cOS'), says('b', 'aOS bOP cOS'), says('c', 'aOS bOP cOS')],
    after: SETTLED,
    expect: 'rw=b ro=abc drain=ac',
  },
  {
    name: 'in a switchover a third member that lags behind does not hold up the new primary',
    seen: [
      says('a', 'aOS bOP cOS'),
      says('b', 'aOS bOP cOS', { askedAtMs: NOW - 10 }),
      says('c', HEALTHY, { askedAtMs: NOW - 11 }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=abc drain=ac',
  },
  {
    name: 'a third member that names the new primary takes writes from the old one at once',
    seen: [
      says('a', HEALTHY, { askedAtMs: NOW - 100 }),
      says('b', HEALTHY, { askedAtMs: NOW - 90 }),
      says('c', 'aOS bOP cOS'),
    ],
    after: SETTLED,
    expect: 'rw= ro=abc drain=ac',
  },
  {
    name: 'two claims in one sequence: none is believed until the earlier one is asked again',
    seen: [
      says('a', HEALTHY, { askedAtMs: NOW - 100 }),
      says('b', 'aOS bOP cOS'),
      says('c', HEALTHY, { askedAtMs: NOW - 90 }),
    ],
    after: SETTLED,
    expect: 'rw= ro=abc drain=ac',
  },
  {
    name: 'an old primary that wakes up with its old view is not believed',
    seen: [
      says('a', HEALTHY, { viewId: '100:3' }),
      says('b', 'bOP cOS', { viewId: '100:4', askedAtMs: NOW - 200 }),
      says('c', 'bOP cOS', { viewId: '100:4', askedAtMs: NOW - 200 }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=bc drain=c cut=a',
  },
  {
    name: 'a single slow answer of the primary changes nothing while another still names it',
    seen: [
      says('a', HEALTHY, { askedAtMs: LATE, failure: 'timeout' }),
      says('b', HEALTHY),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a late primary that nobody else speaks for is believed half as long',
    seen: [
      says('a', HEALTHY, { askedAtMs: LATE, failure: 'timeout' }),
      says('b', HEALTHY, { askedAtMs: LATE - 1, failure: 'timeout' }),
      says('c', HEALTHY, { askedAtMs: LATE - 1, failure: 'timeout' }),
    ],
    after: SETTLED,
    expect: 'rw= ro=abc drain=bc',
  },
  {
    name: 'but as long as any other while all are there and let the monitoring account in no more',
    seen: [
      says('a', HEALTHY, { askedAtMs: LATE, failure: 'access-denied' }),
      says('b', HEALTHY, { askedAtMs: LATE - 1, failure: 'access-denied' }),
      says('c', HEALTHY, { askedAtMs: LATE - 1, failure: 'access-denied' }),
    ],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a primary that has not answered for longer than its word stands gets no write, and keeps its sessions',
    seen: [
      says('a', HEALTHY, { askedAtMs: OLD, failure: 'timeout' }),
      says('b', HEALTHY),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw= ro=bc drain=bc',
  },
  {
    name: 'a primary that refuses connections gets no write at once',
    seen: [says('a', HEALTHY, { failure: 'refused' }), says('b', HEALTHY), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw= ro=bc drain=bc',
  },
  {
    name: 'a control session that was closed proves nothing',
    seen: [says('a', HEALTHY, { failure: 'closed' }), says('b', HEALTHY), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a killed primary: the group names a new one and the old one is cut off',
    seen: [
      says('a', HEALTHY, { failure: 'refused', askedAtMs: NOW - 500 }),
      says('b', 'bOP cOS', { viewId: '100:4' }),
      says('c', 'bOP cOS', { viewId: '100:4' }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=bc drain=c cut=a',
  },
  {
    name: 'a secondary that answers slowly is still read from',
    seen: [
      says('a', HEALTHY),
      says('b', HEALTHY, { askedAtMs: LATE + 100, failure: 'timeout' }),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a secondary that has gone silent is passed over, and keeps its sessions',
    seen: [
      says('a', HEALTHY),
      says('b', HEALTHY, { askedAtMs: LATE, failure: 'timeout' }),
      says('c', HEALTHY),
    ],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc',
  },
  {
    name: 'a secondary the group cannot reach is not read from, and keeps its sessions',
    seen: [
      says('a', 'aOP bUS cOS'),
      says('b', HEALTHY, { askedAtMs: NOW - 4000, failure: 'timeout' }),
      says('c', 'aOP bUS cOS'),
    ],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=c',
  },
  {
    name: 'a secondary that only one other member cannot reach is still read from, whoever answered last',
    seen: [says('a', HEALTHY), says('b', HEALTHY), says('c', 'aOP bUS cOS', { askedAtMs: NOW - 1 })],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'when all go silent reads stay as they were, and writes stop',
    seen: healthy.map((seen) => ({
      ...seen,
      answer: { ...answerOf(seen), askedAtMs: OLD },
      failure: { kind: 'timeout' as const, atMs: NOW },
    })),
    after: SETTLED,
    expect: 'rw= ro=abc drain=bc no-quorum alarms=1',
  },
  {
    name: 'when all refuse nothing is offered',
    seen: healthy.map((seen) => ({ ...seen, failure: { kind: 'refused' as const, atMs: NOW } })),
    after: SETTLED,
    expect: 'rw= ro= drain=bc no-quorum alarms=1',
  },
  {
    name: 'RECOVERING counts for the quorum and is not read from',
    seen: [says('a', 'aOP bRS cRS'), says('b', 'aOP bRS cRS'), says('c', 'aOP bRS cRS')],
    expect: 'rw=a ro=a drain=bc',
  },
  {
    name: 'a primary that is the donor of a recovery stays primary',
    seen: [
      says('a', 'aOP bRS cOS', { askedAtMs: LATE, failure: 'timeout' }),
      says('b', 'aOP bRS cOS'),
      says('c', 'aOP bRS cOS'),
    ],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc',
  },
  {
    name: 'one member that cannot see the primary does not outvote another that can',
    seen: [says('a', HEALTHY, { askedAtMs: NOW - 50 }), says('b', HEALTHY), says('c', 'aUP bOS cOS')],
    after: SETTLED,
    expect: 'rw=a ro=abc drain=bc',
  },
  {
    name: 'a primary that no other member can see gets no new write, and keeps its sessions',
    seen: [says('a', HEALTHY, { askedAtMs: NOW - 50 }), says('b', 'aUP bOS cOS'), says('c', 'aUP bOS cOS')],
    after: SETTLED,
    expect: 'rw= ro=bc drain=bc',
  },
  {
    name: 'ERROR in a view with quorum cuts sessions off',
    seen: [says('a', 'aOP bE- cOS'), says('b', 'bE-'), says('c', 'aOP bE- cOS')],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=c cut=b',
  },
  {
    name: 'a member that left the group in good order lets what is under way on it end',
    seen: [
      says('a', 'aOP cOS', { viewId: '100:4' }),
      says('b', 'bF-', { viewId: '' }),
      says('c', 'aOP cOS', { viewId: '100:4' }),
    ],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc drain-ro=b',
  },
  {
    name: 'a member that says it is OFFLINE is not read from, whatever the others still think',
    seen: [says('a', HEALTHY), says('b', 'bF-'), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc',
  },
  {
    name: 'a minority that still believes in its primary is no match for the majority',
    seen: [
      says('a', 'aOP bUS cUS'),
      says('b', 'bOP cOS', { viewId: '100:4' }),
      says('c', 'bOP cOS', { viewId: '100:4' }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=bc drain=c cut=a',
  },
  {
    name: 'a minority alone is nothing',
    seen: [
      says('a', 'aOP bUS cUS'),
      says('b', HEALTHY, { failure: 'refused' }),
      says('c', HEALTHY, { failure: 'refused' }),
    ],
    after: SETTLED,
    expect: 'rw= ro= drain=bc no-quorum alarms=1',
  },
  {
    name: 'with quorumLoss: read a minority is read from',
    seen: [
      says('a', 'aOP bUS cUS'),
      says('b', HEALTHY, { failure: 'refused' }),
      says('c', HEALTHY, { failure: 'refused' }),
    ],
    settings: { quorumLoss: 'read' },
    after: SETTLED,
    expect: 'rw= ro=a drain=bc no-quorum alarms=1',
  },
  {
    name: 'with quorumLoss: all the one primary of a minority is written to',
    seen: [
      says('a', 'aOP bUS cUS'),
      says('b', HEALTHY, { failure: 'refused' }),
      says('c', HEALTHY, { failure: 'refused' }),
    ],
    settings: { quorumLoss: 'all' },
    after: SETTLED,
    expect: 'rw=a ro=a drain=bc no-quorum alarms=1',
  },
  {
    name: 'with quorumLoss: all two minorities with a primary each are not written to',
    seen: [says('a', 'aOP bUS cUS'), says('b', 'aUS bOP cUS'), says('c', HEALTHY, { failure: 'refused' })],
    settings: { quorumLoss: 'all' },
    after: SETTLED,
    expect: 'rw= ro=ab drain=bc no-quorum alarms=1',
  },
  {
    name: 'another identity at the address of a member is another member',
    seen: [
      says('a', 'aOP cOS', { viewId: '100:4' }),
      says('b', 'xF-', { serverUuid: 'uuid-x' }),
      says('c', 'aOP cOS', { viewId: '100:4' }),
    ],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc drain-ro=b',
  },
  {
    name: 'a member that answers for another group is not used',
    seen: [says('a', HEALTHY), says('b', 'bOP', { groupName: 'elsewhere' }), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc alarms=1',
  },
  {
    name: 'the group that was published is followed though the seeds say another',
    seen: ['a', 'b', 'c'].map((name) => says(name, HEALTHY, { groupName: 'elsewhere' })),
    after: SETTLED,
    expect: 'rw= ro= drain=bc no-quorum alarms=4',
  },
  {
    name: 'at the start the majority of the seeds names the group',
    seen: [says('a', 'aOP', { groupName: 'elsewhere' }), says('b', 'bOP cOS'), says('c', 'bOP cOS')],
    expect: 'rw=b ro=bc drain=c cut=a alarms=1',
  },
  {
    name: 'at the start one seed of three is not enough while the others have not been heard',
    seen: [says('a', HEALTHY)],
    expect: 'rw= ro= no-quorum',
  },
  {
    name: 'at the start one seed of three is enough once the others have failed',
    seen: [says('a', 'aOP'), fails('b', 'refused'), fails('c', 'unknown-host')],
    expect: 'rw=a ro=a cut=bc',
  },
  {
    name: 'a secondary in offline mode serves nobody, though its group says that it is well',
    seen: [says('a', HEALTHY), says('b', HEALTHY, { failure: 'offline-mode' }), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw=a ro=ac drain=bc',
  },
  {
    name: 'a primary in offline mode takes no writes, and nobody else does',
    seen: [says('a', HEALTHY, { failure: 'offline-mode' }), says('b', HEALTHY), says('c', HEALTHY)],
    after: SETTLED,
    expect: 'rw= ro=bc drain=bc',
  },
  {
    name: 'seeds of different groups without a majority are an alarm',
    seen: [
      says('a', 'aOP', { groupName: 'one' }),
      says('b', 'bOP', { groupName: 'two' }),
      fails('c', 'timeout'),
    ],
    expect: 'rw= ro= no-quorum alarms=1',
  },
  {
    name: 'a group that was bootstrapped a second time has two primaries, so none',
    seen: [
      says('a', 'aOP', { viewId: '200:1' }),
      says('b', 'bOP cOS', { viewId: '100:4' }),
      says('c', 'bOP cOS', { viewId: '100:4' }),
    ],
    after: SETTLED,
    expect: 'rw= ro=bc drain=c cut=a alarms=1',
  },
  {
    name: 'a group that was restarted as a whole is followed under its new incarnation',
    seen: [
      says('a', HEALTHY, { failure: 'refused', askedAtMs: NOW - 100 }),
      says('b', 'bOP', { viewId: '200:1' }),
      says('c', HEALTHY, { failure: 'refused', askedAtMs: NOW - 100 }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=b cut=ac',
  },
  {
    name: 'in a multi-primary group every confirmed primary takes writes',
    seen: ['a', 'b', 'c'].map((name) => says(name, 'aOP bOP cOP', { isSinglePrimary: false })),
    expect: 'rw=abc ro=abc',
  },
  {
    name: 'in a multi-primary group a member that is not confirmed takes none',
    seen: [
      says('a', 'aOP bOP cOP', { isSinglePrimary: false, failure: 'refused' }),
      says('b', 'aOP bOP cOP', { isSinglePrimary: false }),
      says('c', 'aOP bOP cOP', { isSinglePrimary: false, superReadOnly: true }),
    ],
    expect: 'rw=b ro=bc',
  },
  {
    name: 'with closeRoOnPromotion reads end on a promoted member when others can be read',
    seen: healthy,
    settings: { closeRoOnPromotion: true },
    expect: 'rw=a ro=abc drain=bc drain-ro=a',
  },
  {
    name: 'with closeRoOnPromotion reads stay on a primary that is alone',
    seen: [says('a', 'aOP'), fails('b', 'refused'), fails('c', 'refused')],
    settings: { closeRoOnPromotion: true },
    expect: 'rw=a ro=a cut=bc',
  },
  {
    name: 'without access to view_id time alone decides',
    seen: [
      says('a', 'aOS bOP cOS', { viewId: null }),
      says('b', 'aOS bOP cOS', { viewId: null }),
      says('c', HEALTHY, { viewId: null, askedAtMs: NOW - 200 }),
    ],
    after: SETTLED,
    expect: 'rw=b ro=abc drain=ac',
  },
];

const PLAIN: readonly Case[] = [
  {
    name: 'a single writable server without a group serves everything',
    seen: [says('a', null)],
    settings: { seeds: ['a:3306'] },
    expect: 'rw=a ro=a no-quorum',
  },
  {
    name: 'the one writable server among replicas is the primary',
    seen: [says('a', null, { readOnly: true }), says('b', null), says('c', null, { superReadOnly: true })],
    expect: 'rw=b ro=abc drain=ac no-quorum',
  },
  {
    name: 'two writable servers are an alarm and take no write',
    seen: [
      says('a', null, { askedAtMs: NOW }),
      says('b', null, { askedAtMs: NOW }),
      says('c', null, { readOnly: true }),
    ],
    after: decide(inputOf([says('a', null), says('b', null)], {}, undefined)),
    expect: 'rw= ro=abc drain=c no-quorum alarms=1',
  },
  {
    name: 'a primary that goes silent takes no write when its word has lapsed, and is still read from',
    seen: [
      says('a', null, { askedAtMs: OLD, failure: 'timeout' }),
      says('b', null, { readOnly: true }),
      says('c', null, { readOnly: true }),
    ],
    after: decide(
      inputOf([says('a', null), says('b', null, { readOnly: true }), says('c', null, { readOnly: true })]),
    ),
    expect: 'rw= ro=abc drain=bc no-quorum',
  },
  {
    name: 'a server that is stopped with Group Replication off is not taken for a plain one',
    seen: [
      says('a', '', { readOnly: false, superReadOnly: false }),
      says('b', '', {}),
      fails('c', 'refused'),
    ],
    expect: 'rw= ro= no-quorum',
  },
  {
    name: 'with topology: static the first seed is the primary and nobody is asked',
    seen: ['a', 'b', 'c'].map((name) => ({ ...fails(name, 'timeout'), failure: null })),
    settings: { topology: 'static' },
    expect: 'rw=a ro=abc drain=bc no-quorum',
  },
];

for (const [topic, cases] of [
  ['Group Replication', GROUP],
  ['without Group Replication', PLAIN],
] as const) {
  t.test(topic, async (t) => {
    for (const test of cases) {
      const decision = decide(inputOf(test.seen, test.settings ?? {}, test.after));
      const primary = decision.topology.members.filter((member) => member.acceptsWrites);
      t.equal(inShort(decision), test.expect, test.name);
      t.equal(primary.length > 0, decision.topology.primary !== null, `${test.name}: a primary is named`);
    }
  });
}

t.test('a conflict becomes an alarm when both claims have been repeated', async (t) => {
  const both = (askedAtMs: number) => [
    says('a', 'aOP', { viewId: '200:1', askedAtMs }),
    says('b', 'bOP cOS', { viewId: '100:4', askedAtMs }),
    says('c', 'bOP cOS', { viewId: '100:4', askedAtMs }),
  ];
  const first = decide({ ...inputOf(both(NOW - 10), {}, SETTLED), nowMs: NOW });
  t.equal(first.memory.conflictSinceMs, NOW);
  t.notMatch(first.topology.alarms.join(), /claim to be/);
  t.equal(first.topology.isContested, undefined);
  const second = decide({ ...inputOf(both(NOW + 10), {}, first), nowMs: NOW + 20 });
  t.match(second.topology.alarms.join(), '2 members claim to be the one primary: a:3306, b:3306');
  t.equal(second.topology.isContested, true);
  t.match(second.topology.alarms.join(), /exists twice/);
});

t.test('members are discovered from the views, keep their place, and leave with the group', async (t) => {
  const one = { seeds: ['b:3306'] };
  const first = decide(inputOf([says('b', 'aOP bOS cOS')], one));
  t.strictSame(first.wanted, ['b:3306', 'a:3306', 'c:3306']);
  t.strictSame(
    first.topology.members.map((member) => member.address),
    ['b:3306', 'a:3306', 'c:3306'],
  );
  t.equal(first.topology.primary, null, 'nobody has heard the primary itself yet');
  const second = decide(
    inputOf([says('b', 'aOP bOS cOS'), says('a', 'aOP bOS cOS'), says('c', 'aOP bOS cOS')], one, first),
  );
  t.equal(inShort(second), 'rw=a ro=bac drain=bc');
  const silent = decide(
    inputOf(
      [
        says('b', 'aOP bOS cOS', { askedAtMs: OLD, failure: 'timeout' }),
        says('a', 'aOP bOS cOS', { askedAtMs: OLD, failure: 'timeout' }),
      ],
      one,
      second,
    ),
  );
  t.equal(silent.topology.members.length, 3, 'doubt removes nobody');
  const left = decide(
    inputOf(
      [says('b', 'aOP bOS', { viewId: '100:4' }), says('a', 'aOP bOS', { viewId: '100:4' })],
      one,
      second,
    ),
  );
  t.strictSame(left.wanted, ['b:3306', 'a:3306']);
});

t.test('a seed under another name than the group reports is one member', async (t) => {
  const seen = [
    { ...says('a', HEALTHY), address: 'db-0.example:3306' },
    { ...says('b', HEALTHY), address: 'db-1.example:3306' },
    { ...says('a', HEALTHY), address: 'alias-of-0:3306' },
  ];
  const decision = decide(
    inputOf(seen, { seeds: ['db-0.example:3306', 'db-1.example:3306', 'alias-of-0:3306'] }),
  );
  t.strictSame(
    decision.topology.members.map((member) => member.address),
    ['db-0.example:3306', 'db-1.example:3306', 'c:3306'],
  );
  t.equal(decision.topology.primary, 'db-0.example:3306');
});

t.test('in a multi-primary group the primary in use is kept while it is good', async (t) => {
  const multi = (view: string) => ['a', 'b', 'c'].map((name) => says(name, view, { isSinglePrimary: false }));
  const first = decide(
    inputOf(multi('aOP bOP cOP'), {}, { ...SETTLED, topology: { ...SETTLED.topology, primary: 'b:3306' } }),
  );
  t.equal(first.topology.primary, 'b:3306');
  t.equal(first.topology.mode, 'multi-primary');
  const back = decide(
    inputOf(
      ['a', 'b', 'c'].map((name) => says(name, 'aOS bOS cOP')),
      {},
      first,
    ),
  );
  t.equal(inShort(back), 'rw=c ro=abc drain=ab');
  t.equal(back.topology.mode, 'single-primary');
});

t.test('a settled group is not in doubt; a missing or contested primary is', async (t) => {
  t.equal(SETTLED.isInDoubt, false);
  const slow = decide(
    inputOf(
      [says('a', HEALTHY, { failure: 'timeout' }), says('b', HEALTHY), says('c', HEALTHY)],
      {},
      SETTLED,
    ),
  );
  t.equal(slow.isInDoubt, true);
  const lagging = decide(
    inputOf([says('a', HEALTHY), says('b', HEALTHY), says('c', 'aOS bOP cOS')], {}, SETTLED),
  );
  t.equal(lagging.isInDoubt, true);
});

t.test('every member that is not offered says why', async (t) => {
  const decision = decide(
    inputOf([
      says('a', HEALTHY, { superReadOnly: true }),
      says('b', HEALTHY, { failure: 'refused' }),
      fails('c', 'missing-grant'),
    ]),
  );
  t.strictSame(
    decision.topology.members.map((member) => member.reason),
    ['primary, but read-only', 'refuses connections', 'monitoring account lacks a grant'],
  );
});

t.test('where nobody can be asked, the alarm names what all have in common', async (t) => {
  const alarmsWhere = (one: FailureKind, other: FailureKind) =>
    decide(inputOf([says('a', HEALTHY, { askedAtMs: NOW - 60_000, failure: one }), fails('b', other)]))
      .topology.alarms;
  const table: readonly (readonly [FailureKind, FailureKind, RegExp])[] = [
    ['timeout', 'access-denied', /^no member answers$/],
    ['missing-grant', 'access-denied', /the monitoring account is not let in or lacks a grant/],
    ['offline-mode', 'offline-mode', /^every member is in offline mode$/],
    ['router-exhausted', 'router-exhausted', /this router is out of descriptors/],
  ];
  for (const [one, other, alarm] of table) t.match(alarmsWhere(one, other), [alarm]);
});

function answerOf(observation: Observation) {
  if (observation.answer === null) throw new Error('it has never answered');
  return observation.answer;
}

t.test('a member that its group has left behind is not believed when nobody else answers', async (t) => {
  const settled = decide(
    inputOf([
      says('a', 'aOP bOS cOS', { viewId: '100:3', askedAtMs: NOW - 50 }),
      says('b', 'bOP cOS', { viewId: '100:4' }),
      says('c', 'bOP cOS', { viewId: '100:4' }),
    ]),
  );
  t.equal(settled.topology.primary, 'b:3306');
  const later = (viewId: string, facts = {}) =>
    decide({
      ...inputOf(
        [
          says('a', 'aOP bOS cOS', { viewId, askedAtMs: NOW + 50 }),
          fails('b', 'refused'),
          fails('c', 'refused'),
        ],
        facts,
        settled,
      ),
      nowMs: NOW + 100,
    });
  const behind = later('100:3', { quorumLoss: 'all' });
  t.equal(behind.topology.primary, null);
  t.match(behind.topology.alarms, [/nobody who answers knows the newest view/]);
  t.equal(behind.topology.members[0]?.reason, 'does not know the newest view');
  t.equal(behind.topology.members[0]?.primarySessions, 'cut');
  t.equal(behind.topology.members[1]?.primarySessions, 'keep', 'doubt takes nothing back');
  t.equal(later('100:5').topology.primary, 'a:3306', 'it has come back');
  const forced = inputOf([says('a', 'aOP', { viewId: '100:3', askedAtMs: NOW + 50 })], {}, settled);
  const decided = decide({ ...forced, nowMs: NOW + 100 });
  t.equal(decided.topology.primary, 'a:3306', 'it was forced on alone from an older view');
  const awake = [
    says('a', 'aOP bOS cOS', { viewId: '100:3', askedAtMs: NOW + 30_050 }),
    fails('b', 'refused'),
  ];
  const lasting = decide({ ...inputOf(awake, {}, behind), nowMs: NOW + 30_100 });
  t.equal(lasting.topology.primary, 'a:3306', 'it has kept its quorum for so long that it cannot have slept');
  t.equal(later('200:1').topology.primary, 'a:3306', 'the group was bootstrapped anew');
});

t.test('why a primary is not written to is told as it is', async (t) => {
  const cases: readonly (readonly [said: Parameters<typeof says>[2], reason: string])[] = [
    [{ superReadOnly: true }, 'primary, but read-only'],
    [{ askedAtMs: NOW - 100, refusingSinceMs: NOW - 80 }, 'primary, but refuses commits'],
    [{ askedAtMs: LATE }, 'primary, but not confirmed'],
  ];
  for (const [said, reason] of cases) {
    const others = ['b', 'c'].map((name) => says(name, HEALTHY, { askedAtMs: LATE - 20 }));
    const seen = [says('a', HEALTHY, said), ...others];
    const { topology } = decide(inputOf(seen, {}, SETTLED));
    t.match(topology.members[0], { acceptsWrites: false, reason });
  }
});
