/** What an operator reads, and which block of counters a member gets. */
import { pino } from 'pino';
import t from 'tap';
import { EMPTY_TOPOLOGY, type Topology } from '../../routing/topology.ts';
import { topologyDifference } from '../../routing/topology-difference.ts';
import { recordDecision } from '../../src/control/decision-events.ts';
import { createMemberSlots } from '../../src/control/member-slots.ts';
import { createBackoff } from '../../src/control/pace.ts';
import { createEventLog } from '../../src/shared/events.ts';
import { memberNamed, primaryNamed, topologyOf } from '../routing/members.ts';

const SETTLED = topologyOf([primaryNamed('a'), memberNamed('b')]);

/** The events of one step, oldest first: kind and message. */
function told(
  before: Topology,
  after: Topology,
  lastPrimary: string | null = before.primary,
): readonly string[] {
  const events = createEventLog(pino({ level: 'silent' }), 100);
  recordDecision(events, after, topologyDifference(before, after), lastPrimary, 'answer of b:3306');
  return events
    .recent(100)
    .map(({ level, kind, message }) => `${level} ${kind}: ${message}`)
    .reverse();
}

t.test('each change of a decision is one line with who, what and why', async (t) => {
  t.strictSame(told(SETTLED, { ...SETTLED, version: 2 }), []);
  t.strictSame(told(EMPTY_TOPOLOGY, SETTLED), [
    'info group_followed: following group group',
    'info mode_changed: the group is in single-primary mode',
    'info quorum_gained: the group has a quorum',
    'info primary_changed: writes go to a:3306',
    'info member_joined: a:3306 is a member: PRIMARY ONLINE, offered for writes and reads',
    'info member_joined: b:3306 is a member: SECONDARY ONLINE, offered for reads',
  ]);
  const away = memberNamed('a', { role: 'PRIMARY', acceptsReads: false, reason: 'refuses connections' });
  const without = topologyOf([away, memberNamed('b')]);
  t.strictSame(told(SETTLED, without), [
    'warn no_primary: no member takes writes: a:3306 refuses connections',
    'warn member_state_changed: a:3306 is PRIMARY ONLINE, offered for nothing (refuses connections), was PRIMARY ONLINE, offered for writes and reads',
  ]);
  const after = topologyOf([primaryNamed('b')], { alarms: ['something is odd'] });
  t.strictSame(told(without, after, 'a:3306'), [
    'warn primary_changed: writes go to b:3306, no longer to a:3306 (left)',
    'warn member_left: a:3306 is no longer a member',
    'info member_state_changed: b:3306 is PRIMARY ONLINE, offered for writes and reads, was SECONDARY ONLINE, offered for reads',
    'error alarm_raised: something is odd',
  ]);
  t.strictSame(told(without, SETTLED, 'a:3306').slice(0, 1), [
    'info primary_changed: writes go to a:3306 again',
  ]);
  t.strictSame(told(SETTLED, { ...SETTLED, hasQuorum: false }), [
    'error quorum_lost: no member answers with a view that has a quorum',
  ]);
  const moved = topologyOf([
    primaryNamed('a'),
    memberNamed('b', { dial: { host: '10.0.0.99', port: 3306 } }),
  ]);
  t.strictSame(told(SETTLED, moved), ['info member_moved: b:3306 is dialled at 10.0.0.99']);
});

t.test('a member keeps its slot, and a slot that was given back is taken last', async (t) => {
  const slots = createMemberSlots(3);
  const assigned = (...names: readonly string[]) =>
    slots.assign(names.map((name) => memberNamed(name))).map(({ slot }) => slot);
  t.strictSame(assigned('a', 'b'), [0, 1]);
  t.strictSame(assigned('b', 'a'), [1, 0]);
  t.strictSame(assigned('b', 'c'), [1, 2], 'not the one that a just gave back');
  t.strictSame(assigned('b', 'c', 'd', 'e'), [1, 2, 0, -1], 'one too many shares a slot');
  t.strictSame(assigned('b', 'e'), [1, 2]);

  // The address it had is asked anew who is there, and the group has it elsewhere.
  const [old, moved] = slots.assign([
    memberNamed('b', { id: '' }),
    memberNamed('b', { address: 'elsewhere:3306' }),
  ]);
  t.equal(old?.slot, 1);
  t.not(moved?.slot, 1, 'a slot is never two members');
});

t.test('waits double up to their limit, with some randomness, and begin anew', async (t) => {
  const backoff = createBackoff({ firstMs: 100, maxMs: 1000 }, () => 0.5);
  t.strictSame(
    Array.from({ length: 6 }, () => backoff.nextMs()),
    [100, 200, 400, 800, 1000, 1000],
  );
  backoff.reset();
  t.equal(backoff.nextMs(), 100);
  t.equal(createBackoff({ firstMs: 100, maxMs: 1000 }, () => 0).nextMs(), 80);
});
