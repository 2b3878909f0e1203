import t from 'tap';
import { sessionFate } from '../../routing/session-fate.ts';
import { EMPTY_TOPOLOGY } from '../../routing/topology.ts';
import { type TopologyDifference, topologyDifference } from '../../routing/topology-difference.ts';
import { memberNamed, primaryNamed, topologyOf } from './members.ts';

const A = primaryNamed('a');
const B = memberNamed('b');
const THREE = topologyOf([A, B, memberNamed('c')]);

/** The members of a difference in short: who, and what happened. */
function summary(difference: TopologyDifference): readonly string[] {
  return difference.members.map((change) =>
    change.kind === 'changed'
      ? `${change.after.address} ${change.fields.join(',')}`
      : `${change.member.address} ${change.kind}`,
  );
}

t.test('two topologies that differ in their version only do not differ', async (t) => {
  const difference = topologyDifference(THREE, { ...THREE, version: 9 });
  t.equal(difference.isChanged, false);
  t.strictSame(difference.members, []);
});

t.test('the first topology is a group that gained its quorum, its primary and its members', async (t) => {
  const difference = topologyDifference(EMPTY_TOPOLOGY, THREE);
  t.equal(difference.isChanged, true);
  t.equal(difference.quorum, 'gained');
  t.strictSame(difference.primary, { before: null, after: 'a:3306' });
  t.strictSame(difference.groupName, { before: null, after: 'group' });
  t.strictSame(difference.mode, { before: 'unknown', after: 'single-primary' });
  t.strictSame(summary(difference), ['a:3306 joined', 'b:3306 joined', 'c:3306 joined']);
});

t.test('a switchover is a change of role, of writability and of the primary', async (t) => {
  const after = topologyOf([
    memberNamed('a', { primarySessions: 'drain' }),
    primaryNamed('b'),
    memberNamed('c'),
  ]);
  const difference = topologyDifference(THREE, after);
  t.strictSame(difference.primary, { before: 'a:3306', after: 'b:3306' });
  t.equal(difference.quorum, null);
  t.strictSame(summary(difference), [
    'a:3306 role,acceptsWrites,primarySessions',
    'b:3306 role,acceptsWrites',
  ]);
});

t.test('another identity at an address is one member that left and one that joined', async (t) => {
  const after = topologyOf([A, memberNamed('b', { id: 'another-uuid' }), memberNamed('c')]);
  t.strictSame(summary(topologyDifference(THREE, after)), ['b:3306 left', 'b:3306 joined']);
});

t.test('an identity that becomes known, and a member that moves, are changes of one member', async (t) => {
  const unknown = topologyOf([A, memberNamed('b', { id: '' }), memberNamed('c')]);
  t.strictSame(summary(topologyDifference(unknown, THREE)), ['b:3306 id']);
  const moved = topologyOf([
    A,
    memberNamed('b', { address: 'b2:3306', dial: { host: '10.0.0.2', port: 1 } }),
    memberNamed('c'),
  ]);
  t.strictSame(summary(topologyDifference(THREE, moved)), ['b2:3306 address,dial']);
});

t.test('alarms are raised and cleared, and a lost quorum is told', async (t) => {
  const alarmed = { ...THREE, alarms: ['two primaries'], hasQuorum: false };
  const raised = topologyDifference(THREE, alarmed);
  t.strictSame(raised.alarmsRaised, ['two primaries']);
  t.equal(raised.quorum, 'lost');
  t.strictSame(topologyDifference(alarmed, THREE).alarmsCleared, ['two primaries']);
});

t.test(
  'a session follows the member it was opened on, by identity and by the role of its route',
  async (t) => {
    const topology = topologyOf([
      memberNamed('a', { primarySessions: 'drain' }),
      primaryNamed('b', { secondarySessions: 'drain' }),
    ]);
    const onA = { memberId: 'uuid-a', address: 'a:3306' };
    const onB = { memberId: 'uuid-b', address: 'b:3306' };
    t.equal(sessionFate(topology, onA, 'primary'), 'drain');
    t.equal(sessionFate(topology, onA, 'secondary'), 'keep');
    t.equal(sessionFate(topology, onB, 'primary'), 'keep');
    t.equal(sessionFate(topology, onB, 'primary-and-secondary'), 'drain');
    t.equal(sessionFate(topology, { ...onB, role: 'PRIMARY' }, 'secondary'), 'keep', 'it began on a primary');
    const hidden = topologyOf([
      memberNamed('b', { role: 'PRIMARY', acceptsReads: false, secondarySessions: 'drain' }),
    ]);
    t.equal(
      sessionFate(hidden, { ...onB, role: 'PRIMARY' }, 'secondary'),
      'drain',
      'a primary that takes no reads any more keeps nobody',
    );
    t.equal(sessionFate(topology, { memberId: 'uuid-a', address: 'moved:1' }, 'primary'), 'drain');
    t.equal(sessionFate(topology, { memberId: '', address: 'a:3306' }, 'primary'), 'drain');
    t.equal(sessionFate(topology, { memberId: 'gone', address: 'a:3306' }, 'primary'), 'cut');
    t.equal(sessionFate(topology, { memberId: 'uuid-c', address: 'c:3306' }, 'secondary'), 'cut');
  },
);
