import t from 'tap';
import { createFailedMembers } from '../../routing/failed-members.ts';
import { type CandidateRoute, candidates } from '../../routing/strategies.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { memberNamed, primaryNamed, topologyOf } from './members.ts';

const A = primaryNamed('a');
const B = memberNamed('b');
const C = memberNamed('c');
const THREE = topologyOf([A, B, C]);
const MULTI = topologyOf(
  [primaryNamed('a'), primaryNamed('b'), memberNamed('c', { state: 'RECOVERING', acceptsReads: false })],
  {
    mode: 'multi-primary',
    primary: 'b:3306',
  },
);

type Case = {
  readonly name: string;
  readonly topology: Topology;
  readonly route: CandidateRoute;
  readonly position?: number;
  readonly quarantined?: string;
  readonly expect: string;
};

const CASES: readonly Case[] = [
  {
    name: 'a write goes to the primary only',
    topology: THREE,
    route: { role: 'primary', strategy: 'first-available' },
    expect: 'a',
  },
  {
    name: 'a write goes nowhere while nobody accepts writes',
    topology: topologyOf([memberNamed('a', { role: 'PRIMARY' }), B]),
    route: { role: 'primary', strategy: 'first-available' },
    expect: '',
  },
  {
    name: 'a quarantined primary is still tried when it is the only one',
    topology: THREE,
    route: { role: 'primary', strategy: 'first-available' },
    quarantined: 'a',
    expect: 'a',
  },
  {
    name: 'in a multi-primary group all writers begin with the same member',
    topology: MULTI,
    route: { role: 'primary', strategy: 'first-available' },
    expect: 'ba',
  },
  {
    name: 'in a multi-primary group a quarantined primary is passed over',
    topology: MULTI,
    route: { role: 'primary', strategy: 'first-available' },
    quarantined: 'b',
    expect: 'a',
  },
  {
    name: 'round-robin begins with the first secondary at position 0',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin' },
    expect: 'bc',
  },
  {
    name: 'round-robin begins with the second secondary at position 1',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin' },
    position: 1,
    expect: 'cb',
  },
  {
    name: 'a position that has wrapped to a negative number goes on counting',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin' },
    position: -1,
    expect: 'cb',
  },
  {
    name: 'a quarantined secondary is left out while another is there',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin' },
    quarantined: 'b',
    expect: 'c',
  },
  {
    name: 'when all secondaries are in quarantine they are tried all the same',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin' },
    quarantined: 'bc',
    expect: 'bc',
  },
  {
    name: 'with fallback a primary comes after the secondaries',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin-with-fallback' },
    expect: 'bca',
  },
  {
    name: 'with fallback a healthy primary comes before secondaries in quarantine',
    topology: THREE,
    route: { role: 'secondary', strategy: 'round-robin-with-fallback' },
    quarantined: 'bc',
    expect: 'a',
  },
  {
    name: 'with fallback a single member serves reads as well',
    topology: topologyOf([A]),
    route: { role: 'secondary', strategy: 'round-robin-with-fallback' },
    expect: 'a',
  },
  {
    name: 'without fallback a single member serves no reads',
    topology: topologyOf([A]),
    route: { role: 'secondary', strategy: 'round-robin' },
    expect: '',
  },
  {
    name: 'a member that accepts no reads gets none',
    topology: topologyOf([A, memberNamed('b', { acceptsReads: false }), C]),
    route: { role: 'secondary', strategy: 'round-robin' },
    expect: 'c',
  },
  {
    name: 'a member whose name has not resolved is no candidate',
    topology: topologyOf([A, memberNamed('b', { dial: null }), C]),
    route: { role: 'secondary', strategy: 'round-robin' },
    expect: 'c',
  },
  {
    name: 'primary-and-secondary takes every member in turn',
    topology: THREE,
    route: { role: 'primary-and-secondary', strategy: 'round-robin' },
    position: 2,
    expect: 'cab',
  },
];

for (const test of CASES) {
  t.test(test.name, async (t) => {
    const isQuarantined = (member: Member) => (test.quarantined ?? '').includes(member.address.charAt(0));
    const found = candidates(test.topology, test.route, test.position ?? 0, isQuarantined);
    t.equal(found.map((member) => member.address.charAt(0)).join(''), test.expect);
  });
}

t.test('round-robin gives every secondary the same share', async (t) => {
  const shares = new Map<string, number>();
  for (let position = 0; position < 300; position++) {
    const [first] = candidates(THREE, { role: 'secondary', strategy: 'round-robin' }, position, () => false);
    if (first !== undefined) shares.set(first.address, (shares.get(first.address) ?? 0) + 1);
  }
  t.strictSame([...shares.values()], [150, 150]);
});

t.test('next-available moves down the list and begins anew with another set of members', async (t) => {
  const failed = createFailedMembers();
  const route = { role: 'primary-and-secondary', strategy: 'next-available' } as const;
  const order = (topology: Topology) =>
    candidates(topology, route, 0, () => false, failed.hasFailed)
      .map((member) => member.address.charAt(0))
      .join('');
  failed.reset(THREE);
  t.equal(order(THREE), 'abc');
  failed.reportFailure(A);
  t.equal(order(THREE), 'bc');
  failed.reset(topologyOf([memberNamed('a', { reason: 'slow' }), B, C]));
  t.equal(order(THREE), 'bc', 'a change of roles is no reason to go back');
  failed.reportFailure(B);
  failed.reportFailure(C);
  t.equal(order(THREE), 'c', 'the last one stays in use');
  const rejoined = topologyOf([primaryNamed('a', { id: 'another-uuid' }), B, C]);
  failed.reset(rejoined);
  t.equal(order(rejoined), 'abc');
});
