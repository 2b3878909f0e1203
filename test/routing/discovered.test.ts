/** What becomes of members whose addresses come and go. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import { inputOf, inShort, NOW, says } from './group.ts';

const HEALTHY = 'aOP bOS cOS';

/** The group reports names that only its members can resolve; discovery knows them by others. */
const POD_SEEDS = ['pod-a:3306', 'pod-b:3306', 'pod-c:3306'];
const pod = (name: string, said: Parameters<typeof says>[2] = {}) => ({
  ...says(name, HEALTHY, said),
  address: `pod-${name}:3306`,
});
const PODS = [pod('a'), pod('b'), pod('c')];

t.test('a member that discovery names no more is met where it was, while it answers there', async (t) => {
  const settled = decide(inputOf(PODS, { seeds: POD_SEEDS }));
  t.equal(settled.topology.primary, 'pod-a:3306');
  const vanished = decide(inputOf(PODS, { seeds: ['pod-b:3306', 'pod-c:3306'] }, settled));
  t.equal(vanished.topology.primary, 'pod-a:3306', 'the group says that it belongs to it');
  t.strictSame(new Set(vanished.wanted), new Set(POD_SEEDS));
  t.notOk(vanished.topology.members.some(({ primarySessions }) => primarySessions === 'cut'));

  const late = [pod('a', { failure: 'timeout', askedAtMs: NOW - 20_000 }), pod('b'), pod('c')];
  t.ok(
    decide(inputOf(late, { seeds: ['pod-b:3306'] }, settled)).wanted.includes('pod-a:3306'),
    'silence alone',
  );
  const gone = [pod('a', { failure: 'timeout', askedAtMs: NOW - 40_000 }), pod('b'), pod('c')];
  const moved = decide(inputOf(gone, { seeds: ['pod-b:3306', 'pod-c:3306'] }, settled));
  t.ok(moved.wanted.includes('a:3306'), 'silent for long, it is looked for where the group says');
});

t.test('an address that now belongs to another server of another group is refused', async (t) => {
  const settled = decide(inputOf(PODS, { seeds: POD_SEEDS }));
  const reused = [
    pod('a'),
    pod('b'),
    { ...says('x', 'xOP yOS zOS', { groupName: 'other' }), address: 'pod-c:3306' },
  ];
  const decision = decide(inputOf(reused, { seeds: POD_SEEDS }, settled));
  const stranger = decision.topology.members.find(({ address }) => address === 'pod-c:3306');
  t.match(stranger, { acceptsReads: false, acceptsWrites: false, reason: /other/ });
});

t.test('without a group, what discovery has dropped is given up in good order', async (t) => {
  const plain = [
    says('a', null, { readOnly: false }),
    says('b', null, { readOnly: true }),
    says('c', null, { readOnly: true }),
  ];
  const settled = decide(inputOf(plain, {}));
  t.equal(settled.topology.primary, 'a:3306');
  const reader = decide(inputOf(plain, { dropped: new Set(['c:3306']) }, settled));
  t.match(
    reader.topology.members.find(({ address }) => address === 'c:3306'),
    { acceptsReads: false, secondarySessions: 'drain', reason: /no source of discovery/ },
  );
  t.equal(reader.topology.primary, 'a:3306');

  const replaced = [...plain, says('d', null, { readOnly: false })];
  const seeds = ['d:3306', 'b:3306', 'c:3306', 'a:3306'];
  const before = decide(inputOf(replaced, { seeds }, settled));
  t.equal(before.topology.primary, null, 'two writable servers are none');
  const after = decide(inputOf(replaced, { seeds, dropped: new Set(['a:3306']) }, settled));
  t.equal(after.topology.primary, 'd:3306', 'one of them is no longer meant');
  t.match(
    after.topology.members.find(({ address }) => address === 'a:3306'),
    { acceptsWrites: false, primarySessions: 'drain' },
  );
});

t.test('a server under two addresses is met at the one that leads to it', async (t) => {
  const at = (address: string, seen: ReturnType<typeof says>) => ({ ...seen, address });
  const seeds = ['vip:3306', 'a:3306', 'b:3306', 'c:3306'];
  const others = [says('a', HEALTHY), says('b', HEALTHY), says('c', HEALTHY)];
  const settled = decide(inputOf([at('vip:3306', says('a', HEALTHY)), ...others], { seeds }));
  t.equal(settled.topology.primary, 'vip:3306');
  t.equal(settled.topology.members.length, 3);

  const after = (name: string, failure: 'refused' | 'timeout', askedAtMs: number) =>
    decide(
      inputOf([at('vip:3306', says(name, HEALTHY, { failure, askedAtMs })), ...others], { seeds }, settled),
    );
  t.equal(after('a', 'refused', NOW - 10).topology.primary, 'a:3306', 'nobody listens there any more');
  t.equal(after('a', 'timeout', NOW - 2000).topology.primary, 'a:3306', 'silent for long');
  t.equal(after('a', 'timeout', NOW - 200).topology.primary, 'vip:3306', 'one slow answer changes nothing');
  const moved = decide(inputOf([at('vip:3306', says('b', HEALTHY)), ...others], { seeds }, settled));
  t.equal(moved.topology.primary, 'a:3306', 'the address leads to another member');
  t.equal(moved.topology.members.find(({ id }) => id === 'uuid-b')?.address, 'vip:3306');

  const minority = at('vip:3306', says('a', 'aOP bUS cUS', { askedAtMs: NOW - 5 }));
  const doubted = decide(
    inputOf([minority, says('a', HEALTHY, { askedAtMs: NOW - 50 })], { seeds }, settled),
  );
  t.match(inShort(doubted), /^rw= .*no-quorum/, 'what it says at one of them counts for both');

  const plain = [says('a', null, { readOnly: false }), says('b', null, { readOnly: true })];
  const vip = at('vip:3306', says('a', null, { readOnly: false }));
  const alone = decide(inputOf([vip, ...plain], { seeds: seeds.slice(0, 3) }));
  t.equal(alone.topology.primary, 'vip:3306');
  const gone = { ...vip, failure: { kind: 'refused' as const, atMs: NOW } };
  t.equal(
    decide(inputOf([gone, ...plain], { seeds: seeds.slice(0, 3) }, alone)).topology.primary,
    'a:3306',
    'without a group as well',
  );
});

t.test("a server with a copy of another one's auto.cnf is no second name of it", async (t) => {
  const seeds = ['a:3306', 'b:3306', 'c:3306', 'd:3306'];
  const members = [says('a', HEALTHY), says('b', HEALTHY), says('c', HEALTHY)];
  // It could not join, for there is a member with its server_uuid.
  const copy = (askedAtMs: number) =>
    says('d', 'aF-', { serverUuid: 'uuid-a', instance: 'host-of-d', superReadOnly: true, askedAtMs });
  let settled = decide(inputOf([...members, copy(NOW - 50)], { seeds }));
  for (const askedAtMs of [NOW - 50, NOW - 1, NOW - 50]) {
    settled = decide(inputOf([...members, copy(askedAtMs)], { seeds }, settled));
    t.match(
      inShort(settled),
      /^rw=a ro=abc drain=bcd drain-ro=d alarms=1$/,
      'whoever of the two has spoken last',
    );
  }
  t.match(settled.topology.alarms, [/^a:3306 and d:3306 are two servers with the same server_uuid/]);
  t.equal(settled.isInDoubt, false);
  const first = decide(inputOf([copy(NOW - 1), ...members], { seeds: seeds.toReversed() }));
  t.equal(first.topology.primary, 'a:3306', 'also where the copy is named first');

  const late = says('a', HEALTHY, { failure: 'timeout', askedAtMs: NOW - 200 });
  const slow = decide(inputOf([late, ...members.slice(1), copy(NOW - 1)], { seeds }, settled));
  t.equal(slow.topology.primary, 'a:3306', 'nor does it take its place when it is slow');
  const elsewhere = says('d', 'aOP', { serverUuid: 'uuid-a', instance: 'host-of-d', viewId: '200:1' });
  const twice = decide(inputOf([...members, elsewhere], { seeds }, settled));
  t.match(inShort(twice), /^rw= /, 'a copy that was bootstrapped alone is a second group');

  const plain = [says('a', null, { readOnly: false }), says('b', null, { readOnly: true })];
  const double = says('d', null, { serverUuid: 'uuid-a', instance: 'host-of-d', readOnly: false });
  const three = { seeds: ['a:3306', 'b:3306', 'd:3306'] };
  t.match(inShort(decide(inputOf([...plain, double], three))), /^rw= /, 'two servers are writable');
});

t.test('a server that was started anew on another machine is the same under both its names', async (t) => {
  const seeds = ['vip:3306', 'a:3306', 'b:3306', 'c:3306'];
  const vip = { ...says('a', HEALTHY, { failure: 'closed' }), address: 'vip:3306' };
  const anew = says('a', HEALTHY, { instance: 'elsewhere' });
  const { topology } = decide(inputOf([vip, anew, says('b', HEALTHY), says('c', HEALTHY)], { seeds }));
  t.equal(topology.members.length, 3);
  t.strictSame(topology.alarms, []);
});
