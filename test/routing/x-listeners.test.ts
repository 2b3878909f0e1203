/** Where members speak X Protocol: what they say themselves, and nothing else. */
import t from 'tap';
import { decide } from '../../routing/decision.ts';
import type { Observation } from '../../routing/observations.ts';
import type { MemberMetadata } from '../../routing/topology.ts';
import { topologyDifference } from '../../routing/topology-difference.ts';
import { asReachedByX, withXListeners } from '../../routing/x-listeners.ts';
import { fails, inputOf, NOW, says } from './group.ts';

const VIEW = 'aOP bOS cOS';

t.test('a member is dialled for X Protocol at the port it tells', async (t) => {
  const { topology } = decide(inputOf([saysX('a', 33060), says('b', VIEW), saysX('c', 33_070, false)]));
  t.strictSame(
    topology.members.map(({ x }) => x),
    [
      { dial: { host: '10.0.0.97', port: 33060 }, greets: true },
      undefined,
      { dial: { host: '10.0.0.99', port: 33_070 }, greets: false },
    ],
  );
  const reached = asReachedByX(topology);
  t.strictSame(
    reached.members.map(({ dial }) => dial?.port ?? null),
    [33060, null, 33_070],
  );
  t.equal(reached.primary, topology.primary);
});

t.test('it stays known while the member is silent', async (t) => {
  const settled = decide(inputOf([saysX('a', 33060), saysX('b', 33061), saysX('c', 33062)]));
  const silent = { ...saysX('b', 33061), failure: { kind: 'timeout', atMs: NOW } } as const;
  const { topology } = decide(inputOf([saysX('a', 33060), silent, saysX('c', 33062)], {}, settled));
  t.strictSame(
    topology.members.map(({ x }) => x?.dial.port),
    [33060, 33061, 33062],
  );
});

t.test('of a member that has not answered, the metadata may know its port', async (t) => {
  const { topology } = decide(inputOf([says('a', VIEW), says('b', VIEW), says('c', VIEW)]));
  const metadata = { ...METADATA, xEndpoint: 'c.example:33070' };
  const known = topology.members.map((member) =>
    member.address === 'c:3306' ? { ...member, metadata } : member,
  );
  const unheard = inputOf([says('a', VIEW), says('b', VIEW), fails('c', 'timeout')]);
  t.strictSame(
    withXListeners({ ...topology, members: known }, unheard).members.map(({ x }) => x?.dial.port),
    [undefined, undefined, 33_070],
  );
});

t.test('another port is news for the data plane', async (t) => {
  const before = decide(inputOf([saysX('a', 33060), says('b', VIEW), says('c', VIEW)]));
  const after = decide(inputOf([saysX('a', 33_070), says('b', VIEW), says('c', VIEW)], {}, before));
  t.match(topologyDifference(before.topology, after.topology).members, [{ kind: 'changed', fields: ['x'] }]);
});

t.test('of a static list nobody is asked: the usual port has to do, where there can be one', async (t) => {
  const { topology } = decide(
    inputOf([fails('a', 'refused'), fails('b', 'unknown-host')], { topology: 'static' }),
  );
  t.strictSame(
    topology.members.map(({ x }) => x),
    [{ dial: { host: '10.0.0.97', port: 33060 }, greets: false }, undefined, undefined],
  );
});

const METADATA: MemberMetadata = {
  label: 'c',
  kind: 'member',
  clusterId: '1',
  clusterName: 'cluster',
  clusterRole: 'PRIMARY',
  xEndpoint: null,
  tags: {},
  isHidden: false,
};

function saysX(name: string, mysqlxPort: number, mysqlxGreets = true): Observation {
  const said = says(name, VIEW);
  if (said.answer === null) throw new Error('says() answers');
  return { ...said, answer: { ...said.answer, mysqlxPort, mysqlxGreets } };
}
