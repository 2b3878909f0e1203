/** Who is primary among servers under asynchronous replication. `a` is writable unless said; time goes on by `at`. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { Channel, Decision, Observation } from '../../routing/observations.ts';
import { fails, inputOf, inShort, NOW, type Said, says, TTL } from './group.ts';

const STEP_MS = 100;
const writable = (name: string, said: Said = {}) => says(name, null, { channels: [], ...said });
const replica = (name: string, source: string, said: Said = {}) =>
  says(name, null, { readOnly: true, channels: [from(source)], ...said });

function from(source: string, facts: Partial<Channel> = {}): Channel {
  return {
    sourceUuid: `uuid-${source}`,
    sourceServerId: source.charCodeAt(0),
    sourceAddress: `${source}:3306`,
    isReceiving: true,
    isApplying: true,
    secondsBehind: 0,
    ...facts,
  };
}

/** Decides one after the other; each step is later by a tenth of a second, and its answers are new. */
function story(...steps: readonly (readonly Observation[])[]): Decision {
  let decision: Decision | undefined;
  steps.forEach((seen, index) => {
    const laterMs = index * STEP_MS;
    const input = inputOf(
      seen.map((observation) => postponed(observation, laterMs)),
      {},
      decision,
    );
    decision = decide({ ...input, nowMs: NOW + laterMs });
  });
  if (decision === undefined) throw new Error('a story has a step');
  return decision;
}

/** What failed has not answered anew. */
function postponed(observation: Observation, laterMs: number): Observation {
  const { answer, failure } = observation;
  if (answer === null || failure !== null) return observation;
  return {
    ...observation,
    answer: { ...answer, askedAtMs: answer.askedAtMs + laterMs, answeredAtMs: answer.answeredAtMs + laterMs },
  };
}

const SETTLED = [writable('a'), replica('b', 'a'), replica('c', 'a')];

const CASES: readonly {
  readonly name: string;
  readonly steps: readonly (readonly Observation[])[];
  readonly expect: string;
}[] = [
  {
    name: 'the one writable server is the primary',
    steps: [SETTLED],
    expect: 'rw=a ro=abc drain=bc no-quorum',
  },
  {
    name: 'a promoted member that still has the channel to its dead source is the primary',
    steps: [SETTLED, [fails('a', 'refused'), writable('b', { channels: [from('a')] }), replica('c', 'b')]],
    expect: 'rw=b ro=bc drain=c no-quorum',
  },
  {
    name: 'an old primary that was made read-only drains',
    steps: [SETTLED, [replica('a', 'b'), writable('b'), replica('c', 'b')]],
    expect: 'rw=b ro=abc drain=ac no-quorum',
  },
  {
    name: 'while two are writable and neither replicates from the other nobody takes writes, and nobody loses a session',
    steps: [SETTLED, [writable('a'), writable('b'), replica('c', 'a')]],
    expect: 'rw= ro=abc drain=c no-quorum',
  },
  {
    name: 'when both have repeated it there is an alarm',
    steps: [
      SETTLED,
      [writable('a'), writable('b'), replica('c', 'a')],
      [writable('a'), writable('b'), replica('c', 'a')],
    ],
    expect: 'rw= ro=abc drain=c no-quorum alarms=1',
  },
  {
    name: 'a replica that is writable by mistake is no primary, drains, and is told',
    steps: [
      [writable('a'), writable('b', { channels: [from('a')] })],
      [writable('a'), writable('b', { channels: [from('a')] })],
    ],
    expect: 'rw=a ro=ab drain=b no-quorum alarms=1',
  },
  {
    name: 'MariaDB has no server_uuid: the source is known by its server_id',
    steps: [[writable('a'), writable('b', { channels: [from('a', { sourceUuid: '' })] })]],
    expect: 'rw=a ro=ab drain=b no-quorum',
  },
  {
    name: 'a channel whose receiver is not connected makes no replica',
    steps: [[writable('a'), writable('b', { channels: [from('a', { isReceiving: false })] })]],
    expect: 'rw= ro=ab no-quorum',
  },
  {
    name: 'two that replicate from each other are both sources',
    steps: [[writable('a', { channels: [from('b')] }), writable('b', { channels: [from('a')] })]],
    expect: 'rw= ro=ab no-quorum',
  },
  {
    name: 'without the privilege to see channels two writable servers stay two',
    steps: [[writable('a', { channels: null }), writable('b', { channels: null })]],
    expect: 'rw= ro=ab no-quorum',
  },
  {
    name: 'a frozen primary has been replaced when a replica is promoted, and its sessions end at once',
    steps: [SETTLED, [writable('a', { failure: 'timeout' }), writable('b'), replica('c', 'b')]],
    expect: 'rw=b ro=abc drain=c no-quorum',
  },
  {
    name: 'a slow one of two that were writable all along does not leave it to the other',
    steps: [
      [writable('a'), writable('b')],
      [writable('a', { failure: 'timeout' }), writable('b')],
    ],
    expect: 'rw= ro=ab no-quorum',
  },
  {
    name: 'nor does a primary that is late leave it to a replica that is writable by mistake',
    steps: [
      [writable('a'), writable('b', { channels: [from('a')] })],
      [writable('a', { failure: 'timeout' }), writable('b', { channels: [from('a')] })],
    ],
    expect: 'rw=a ro=ab drain=b no-quorum',
  },
  {
    name: 'one late answer of the primary changes nothing',
    steps: [SETTLED, [writable('a', { failure: 'timeout' }), replica('b', 'a'), replica('c', 'a')]],
    expect: 'rw=a ro=abc drain=bc no-quorum',
  },
];

for (const { name, steps, expect } of CASES) {
  t.test(name, async (t) => t.equal(inShort(story(...steps)), expect));
}

t.test(
  'a replica that came back writable does not get the writes because its source falls silent',
  async (t) => {
    const at = (decision: Decision | undefined, laterMs: number, ...seen: readonly Observation[]): Decision =>
      decide({ ...inputOf(seen, {}, decision), nowMs: NOW + laterMs });
    const said = (laterMs: number) => ({ askedAtMs: NOW + laterMs - 10, channels: null });
    const settled = at(undefined, 0, ...SETTLED);
    const two = at(settled, 100, writable('a', said(100)), writable('b', said(100)));
    t.equal(two.topology.primary, null);
    const laterMs = 100 + 2 * TTL;
    const silent = at(
      two,
      laterMs,
      writable('a', { ...said(100), failure: 'timeout' }),
      writable('b', said(laterMs)),
    );
    t.equal(silent.topology.primary, null, 'its silence settles nothing');
    t.match(silent.topology.alarms, [
      /^b:3306 is writable, and a:3306 was when it was last heard: set read_only/,
    ]);
    const gone = at(
      silent,
      laterMs,
      writable('a', { ...said(100), failure: 'refused' }),
      writable('b', said(laterMs)),
    );
    t.equal(gone.topology.primary, 'b:3306', 'a server that is gone is none');

    const stillMs = laterMs + 100;
    const unheard = writable('a', { ...said(100), failure: 'timeout' });
    const made = at(silent, stillMs, unheard, replica('b', 'a', { askedAtMs: NOW + stillMs - 10 }));
    const promoted = at(made, stillMs + 100, unheard, writable('b', said(stillMs + 100)));
    t.equal(promoted.topology.primary, 'b:3306', 'once somebody has promoted it, it is the primary');
  },
);

t.test('the sessions of a primary that was replaced in its silence are cut, and of no other', async (t) => {
  const { topology } = story(SETTLED, [
    writable('a', { failure: 'timeout' }),
    writable('b'),
    replica('c', 'b'),
  ]);
  t.strictSame(
    topology.members.map((member) => member.primarySessions),
    ['cut', 'keep', 'drain'],
  );
});

t.test('what is to be done about two writable servers is said', async (t) => {
  const two = [writable('a', { channels: null }), writable('b', { channels: null })];
  t.match(story(two, two).topology.alarms, [/2 servers are writable: a:3306, b:3306; .*REPLICATION CLIENT/]);
  t.equal(story(two, two).topology.isContested, true);
  const known = [writable('a'), writable('b', { channels: [from('a')] })];
  t.match(story(known, known).topology.alarms, [/b:3306 is writable and a replica: set read_only there/]);
  t.equal(story(known, known).topology.isContested, undefined, 'one of them is the primary');
});

t.test('the word of a primary that is gone lapses', async (t) => {
  const before = decide(inputOf(SETTLED));
  const silent = [writable('a', { failure: 'timeout' }), replica('b', 'a'), replica('c', 'a')];
  const later = NOW + TTL + 100;
  const seen = silent.map((observation) => postponed(observation, later - NOW));
  t.equal(decide({ ...inputOf(seen, {}, before), nowMs: later }).topology.primary, null);
});

t.test('the first choice waits until all servers have been heard', async (t) => {
  const unheard: Observation = { ...fails('b', 'timeout'), failure: null };
  const first = decide(inputOf([writable('a'), unheard, replica('c', 'a')]));
  t.equal(first.topology.primary, null);
  t.match(first.topology.members[0]?.reason, /others have not been heard/);
  t.equal(first.isInDoubt, true);
  t.strictSame(first.topology.alarms, []);
  const second = decide(inputOf([writable('a'), writable('b'), replica('c', 'a')], {}, first));
  t.equal(second.topology.primary, null, 'and there are two');
  const silent = decide(inputOf([writable('a'), fails('b', 'timeout'), replica('c', 'a')], {}, first));
  t.equal(silent.topology.primary, 'a:3306', 'silence is heard');
  const added = decide(inputOf([writable('a'), replica('c', 'a'), unheard], {}, silent));
  t.equal(added.topology.primary, 'a:3306', 'what was chosen stays while a new one is asked');
});
