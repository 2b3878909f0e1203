import t from 'tap';
import { createFullMembers } from '../../routing/full-members.ts';
import { memberNamed } from './members.ts';

const B = memberNamed('b');
const C = memberNamed('c');

t.test('a full member is left alone for longer each time, until it lets somebody in', async (t) => {
  const full = createFullMembers();
  t.equal(full.reportFull(B, 0), true);
  t.same([full.isFull(B), full.isLeftAlone(B, 999), full.isLeftAlone(C, 0)], [true, true, false]);
  t.equal(full.reportFull(B, 500), false, 'a login that was under way as well');
  t.same([full.isFull(B), full.isLeftAlone(B, 1000)], [true, false], 'then somebody may try');
  t.equal(full.reportFull(B, 1100), false, 'which is no news');
  t.same([full.isLeftAlone(B, 3099), full.isLeftAlone(B, 3100)], [true, false]);
  for (const nowMs of [10_000, 20_000, 30_000]) full.reportFull(B, nowMs);
  t.same(
    [full.isLeftAlone(B, 37_999), full.isLeftAlone(B, 38_000)],
    [true, false],
    'never for more than 8 s',
  );
  t.equal(full.reportRoom(B), true);
  t.same([full.isFull(B), full.isLeftAlone(B, 30_000)], [false, false]);
  t.equal(full.reportRoom(B), false);
});

t.test('members that left are forgotten', async (t) => {
  const full = createFullMembers();
  full.reportFull(B, 0);
  full.reportFull(C, 0);
  full.keepOnly([C]);
  t.same([full.isFull(B), full.isFull(C)], [false, true]);
});
