/** Aurora: who writes, who is there, and where each is met. */
import t from 'tap';
import { auroraDomainOf } from '../../routing/aurora-domain.ts';
import { decide } from '../../routing/decision.ts';
import type { Observation } from '../../routing/observations.ts';
import { fails, inputOf, inShort, NOW, type Said, says } from './group.ts';

/** An instance that sees a cluster of `members`, of which the capital one writes. */
function instance(name: string, members: string, said: Said = {}): Observation {
  const rows = [...members].map((member) => ({
    serverId: member.toLowerCase(),
    isWriter: member !== member.toLowerCase(),
    lagMs: 20,
  }));
  return says(name, null, {
    serverUuid: name,
    readOnly: !members.includes(name.toUpperCase()),
    aurora: { serverId: name, rows },
    ...said,
  });
}

const SETTLED = [instance('a', 'Abc'), instance('b', 'Abc'), instance('c', 'Abc')];

const CASES: readonly {
  readonly name: string;
  readonly seen: readonly Observation[];
  readonly expect: string;
}[] = [
  {
    name: 'the instance that is not read-only takes the writes',
    seen: SETTLED,
    expect: 'rw=a ro=abc drain=bc no-quorum',
  },
  {
    name: 'in a failover the old writer restarts, and the new one says so itself',
    seen: [fails('a', 'refused'), instance('b', 'aBc'), instance('c', 'aBc')],
    expect: 'rw=b ro=bc drain=ac no-quorum',
  },
  {
    name: 'a writer that has not been asked since is believed no more when the table names another',
    seen: [
      instance('a', 'Abc', { askedAtMs: NOW - 500 }),
      instance('b', 'aBc', { readOnly: true }),
      instance('c', 'aBc'),
    ],
    expect: 'rw= ro=abc drain=bc no-quorum',
  },
  {
    name: 'of two that claim to write the one the table names does',
    seen: [instance('a', 'Abc', { askedAtMs: NOW - 500 }), instance('b', 'aBc'), instance('c', 'aBc')],
    expect: 'rw=b ro=abc drain=ac no-quorum',
  },
  {
    name: 'a table that is older than the claim does not bring it down',
    seen: [
      instance('a', 'aBc', { readOnly: true, askedAtMs: NOW - 500 }),
      instance('b', 'aBc'),
      instance('c', 'Abc', { askedAtMs: NOW - 400 }),
    ],
    expect: 'rw=b ro=abc drain=ac no-quorum',
  },
  {
    name: 'an instance the table does not name and that says nothing is gone',
    seen: [
      instance('a', 'Ab'),
      instance('b', 'Ab'),
      { ...instance('c', 'Abc'), answer: null, failure: { kind: 'timeout', atMs: NOW } },
    ],
    expect: 'rw=a ro=ab drain=b cut=c no-quorum',
  },
  {
    name: 'a silent writer is waited for',
    seen: [
      instance('a', 'Abc', { askedAtMs: NOW - 2000, failure: 'timeout' }),
      instance('b', 'Abc'),
      instance('c', 'Abc'),
    ],
    expect: 'rw= ro=bc drain=bc no-quorum',
  },
];

for (const { name, seen, expect } of CASES) {
  t.test(name, async (t) => t.equal(inShort(decide(inputOf(seen, {}, decide(inputOf(SETTLED))))), expect));
}

t.test('instances are met at their own names, and the name of the cluster is no member', async (t) => {
  const settings = { seeds: ['cluster:3306'], auroraDomain: 'example' };
  const cluster: Observation = { ...instance('a', 'Abc'), address: 'cluster:3306' };
  const first = decide(inputOf([cluster], settings));
  t.strictSame([...first.wanted].sort(), [
    'a.example:3306',
    'b.example:3306',
    'c.example:3306',
    'cluster:3306',
  ]);
  const own = ['a', 'b', 'c'].map(
    (name): Observation => ({ ...instance(name, 'Abc'), address: `${name}.example:3306` }),
  );
  const { topology } = decide(inputOf([cluster, ...own], settings, first));
  t.strictSame(
    topology.members.map(({ address }) => address),
    ['a.example:3306', 'b.example:3306', 'c.example:3306'],
  );
  t.equal(topology.primary, 'a.example:3306');
});

t.test("the instances' common name is taken from Amazon's names, and from no other", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['db-1.abc.eu-west-1.rds.amazonaws.com', 'abc.eu-west-1.rds.amazonaws.com'],
    ['shop.cluster-abc.eu-west-1.rds.amazonaws.com', 'abc.eu-west-1.rds.amazonaws.com'],
    ['shop.cluster-ro-abc.eu-west-1.rds.amazonaws.com.', 'abc.eu-west-1.rds.amazonaws.com'],
    ['shop.cluster-custom-abc.cn-north-1.rds.amazonaws.com.cn', 'abc.cn-north-1.rds.amazonaws.com.cn'],
    ['db.example.com', ''],
    ['10.0.0.1', ''],
  ];
  for (const [host, domain] of table) t.equal(auroraDomainOf([host]), domain, host);
});
