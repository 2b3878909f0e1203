/** Which of several members reads should rather go to: by lag, by zone, by weight, by load. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { Channel, Decision, Lag, Observation } from '../../routing/observations.ts';
import { isBehind, type ReadSettings } from '../../routing/reads.ts';
import { type CandidateRoute, candidates, type StrategyName } from '../../routing/strategies.ts';
import type { Member } from '../../routing/topology.ts';
import { inputOf, says } from './group.ts';
import { memberNamed, primaryNamed, topologyOf } from './members.ts';

const NONE: ReadSettings = {
  maxLagSeconds: 0,
  maxQueue: 0,
  whenAllBehind: 'use',
  zone: '',
  zones: new Map(),
  weights: new Map(),
};

t.test('a member is behind over the limit, and until it is at half of it', async (t) => {
  const table: readonly (readonly [value: number | null, limit: number, was: boolean, is: boolean])[] = [
    [11, 10, false, true],
    [10, 10, false, false],
    [6, 10, false, false],
    [6, 10, true, true],
    [5, 10, true, false],
    [Number.POSITIVE_INFINITY, 10, false, true],
    [null, 10, true, false],
    [1000, 0, true, false],
  ];
  for (const [value, limit, was, is] of table)
    t.equal(isBehind(value, limit, was), is, `${value} of ${limit}`);
});

const lagging = (name: string, seconds: number | null): Observation =>
  says(name, null, { readOnly: true, channels: [channel(true)], lag: { seconds, transactions: null } });
const channel = (isReceiving: boolean): Channel => ({
  sourceUuid: 'uuid-a',
  sourceServerId: 97,
  sourceAddress: 'a:3306',
  isReceiving,
  isApplying: true,
  secondsBehind: null,
});
const source = says('a', null, { channels: [] });

function readers(decision: Decision): string {
  return decision.topology.members
    .filter((member) => member.acceptsReads)
    .map((member) => member.address.charAt(0))
    .join('');
}

t.test('reads leave what is behind, come back with hysteresis, and have somewhere to go', async (t) => {
  const limited = { reads: { ...NONE, maxLagSeconds: 10 } };
  const steps: readonly (readonly [b: number | null, c: number | null, readers: string])[] = [
    [0, 0, 'abc'],
    [11, 0, 'ac'],
    [7, 0, 'ac'],
    [5, 0, 'abc'],
    [8, 0, 'abc'],
    [Number.POSITIVE_INFINITY, 12, 'abc'],
    [3, 12, 'ab'],
    [null, 2, 'abc'],
  ];
  let decision: Decision | undefined;
  for (const [b, c, expected] of steps) {
    decision = decide(inputOf([source, lagging('b', b), lagging('c', c)], limited, decision));
    t.equal(readers(decision), expected, `b ${b}, c ${c}`);
    t.equal(decision.topology.primary, 'a:3306', 'writes do not mind');
  }
  const strict = { reads: { ...NONE, maxLagSeconds: 10, whenAllBehind: 'leave-out' as const } };
  const none = decide(inputOf([source, lagging('b', 99), lagging('c', 99)], strict));
  t.equal(readers(none), 'a');
  t.match(none.topology.members[1], {
    reason: 'behind by more than the limit for reads',
    secondarySessions: 'keep',
  });
  t.equal(
    readers(decide(inputOf([source, lagging('b', 99), lagging('c', 99)]))),
    'abc',
    'no limit, no difference',
  );
});

t.test('a replica that receives nothing from a source that is well falls back ever further', async (t) => {
  const limited = { reads: { ...NONE, maxLagSeconds: 10 } };
  const unknown = { seconds: null, transactions: null };
  const replica = (name: string, channels: readonly Channel[] | null) =>
    says(name, null, { readOnly: true, channels, lag: unknown });
  const well = replica('c', [channel(true)]);
  const cases: readonly (readonly [what: string, channels: readonly Channel[] | null, readers: string])[] = [
    ['its receiver has stopped', [channel(false)], 'ac'],
    ['one of its receivers has', [channel(true), channel(false)], 'ac'],
    ['it is no replica any more, or not yet', [], 'ac'],
    ['it receives, and does not know how far it is', [channel(true)], 'abc'],
    ['the account may not see it', null, 'abc'],
  ];
  for (const [what, channels, expected] of cases)
    t.equal(readers(decide(inputOf([source, replica('b', channels), well], limited))), expected, what);
  const left = decide(inputOf([source, replica('b', []), well], limited));
  t.equal(left.topology.members[1]?.reason, 'receives nothing from its source');
  t.equal(readers(decide(inputOf([source, replica('b', []), well]))), 'abc', 'no limit, no difference');
  const gone = { ...source, failure: { kind: 'refused', atMs: 0 } as const };
  t.equal(
    readers(decide(inputOf([gone, replica('b', [channel(false)]), well], limited))),
    'bc',
    'with a source that is gone nobody falls back',
  );
});

t.test('a member that goes to and fro around the limit does not change the topology', async (t) => {
  let decision: Decision | undefined;
  const seen = new Set<string>();
  for (let step = 0; step < 50; step++) {
    const limited = { reads: { ...NONE, maxLagSeconds: 10 } };
    decision = decide(
      inputOf([source, lagging('b', step % 2 === 0 ? 12 : 8), lagging('c', 0)], limited, decision),
    );
    seen.add(JSON.stringify(decision.topology.members));
  }
  t.equal(seen.size, 1);
});

t.test("a group's queue of transactions counts as well", async (t) => {
  const view = 'aOP bOS cOS';
  const queued = (transactions: number): Lag => ({ seconds: null, transactions });
  const seen = [
    says('a', view, { lag: queued(0) }),
    says('b', view, { lag: queued(5000) }),
    says('c', view, { lag: queued(3) }),
  ];
  t.equal(readers(decide(inputOf(seen, { reads: { ...NONE, maxQueue: 1000 } }))), 'ac');
});

t.test('where no queue is told, GTIDs stand for it', async (t) => {
  const executed = (name: string, sequence: number) =>
    says(name, null, { readOnly: name !== 'a', channels: null, gtids: `0-1-${sequence}` });
  const seen = [executed('a', 9000), executed('b', 3000), executed('c', 8900)];
  t.equal(readers(decide(inputOf(seen, { reads: { ...NONE, maxQueue: 1000 } }))), 'ac');
});

t.test('zones and weights come from the settings, else from discovery', async (t) => {
  const reads: ReadSettings = {
    ...NONE,
    zone: 'z1',
    zones: new Map([['b', 'z1']]),
    weights: new Map([['c:3306', 3]]),
  };
  const hints = new Map([
    ['b:3306', { zone: 'z9', weight: null }],
    ['c:3306', { zone: 'z2', weight: 7 }],
  ]);
  const input = inputOf([source, lagging('b', 0), lagging('c', 0)], { reads });
  t.strictSame(
    decide({ ...input, hints }).topology.members.map(({ preference }) => preference),
    [undefined, { zone: 'z1', isNear: true, weight: 1 }, { zone: 'z2', isNear: false, weight: 3 }],
  );
});

const preferring = (name: string, weight: number, isNear = false): Member =>
  memberNamed(name, { preference: { zone: '', isNear, weight } });

function firsts(members: readonly Member[], strategy: StrategyName, turns: number, load = () => 0): string {
  const route: CandidateRoute = { role: 'secondary', strategy };
  const topology = topologyOf([primaryNamed('p'), ...members]);
  const first = (position: number) =>
    candidates(
      topology,
      route,
      position,
      () => false,
      () => false,
      load,
    )[0];
  return Array.from({ length: turns }, (_, turn) => first(turn)?.address.charAt(0) ?? '-').join('');
}

t.test('weights share out the turns evenly', async (t) => {
  const members = [preferring('b', 3), preferring('c', 1), preferring('d', 0)];
  for (const turns of [8, 40, 400]) {
    const ofC = [...firsts(members, 'round-robin', turns)].filter((name) => name === 'c').length;
    t.ok(Math.abs(ofC - turns / 4) <= 2, `${ofC} of ${turns} turns, a quarter is meant`);
  }
  t.notMatch(firsts(members, 'round-robin', 400), /bbbbbb|ccc|d/, 'evenly spread');
  t.equal(
    firsts([preferring('b', 33), preferring('c', 33)], 'round-robin', 4),
    'bcbc',
    'equal weights, equal turns',
  );
  t.equal(
    firsts([preferring('b', 0), preferring('c', 0)], 'round-robin', 4),
    'bcbc',
    'if there is nobody else',
  );
  const all = candidates(
    topologyOf(members),
    { role: 'secondary', strategy: 'round-robin' },
    -1,
    () => false,
  );
  t.equal(all.length, 3, 'the others come behind, also when the counter has wrapped');
  t.equal(all.at(-1)?.address, 'd:3306', 'a weight of zero is a last resort');
});

t.test("members of the router's zone come first, and the others when none of them is left", async (t) => {
  const members = [preferring('b', 1), preferring('c', 1, true), preferring('d', 1, true)];
  t.equal(firsts(members, 'round-robin', 4), 'cdcd');
  const route: CandidateRoute = { role: 'secondary', strategy: 'round-robin-with-fallback' };
  const order = (quarantined: string) =>
    candidates(topologyOf([primaryNamed('a'), ...members]), route, 0, ({ address }) =>
      quarantined.includes(address.charAt(0)),
    )
      .map(({ address }) => address.charAt(0))
      .join('');
  t.equal(order(''), 'cdba');
  t.equal(order('c'), 'dba');
  t.equal(order('cd'), 'ba');
});

t.test('least connections: the fewest for the weight, and turns among equals', async (t) => {
  const open = new Map([
    ['b', 4],
    ['c', 1],
    ['d', 1],
  ]);
  const members = ['b', 'c', 'd'].map((name) => memberNamed(name));
  const route: CandidateRoute = { role: 'secondary', strategy: 'least-connections' };
  const order = (topologyMembers: readonly Member[], position: number) =>
    candidates(
      topologyOf(topologyMembers),
      route,
      position,
      () => false,
      () => false,
      ({ address }) => open.get(address.charAt(0)) ?? 0,
    )
      .map(({ address }) => address.charAt(0))
      .join('');
  t.equal(order(members, 0), 'cdb');
  t.equal(order(members, 2), 'dcb');
  t.equal(order([preferring('b', 10), preferring('c', 1), preferring('d', 0)], 0), 'bcd');
  t.equal(order([primaryNamed('p'), ...members], 0), 'cdbp', 'the primary is the last resort');
});
