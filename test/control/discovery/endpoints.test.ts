/** What EndpointSlices mean. */
import t from 'tap';
import type { KubernetesSeed } from '../../../src/config/config.ts';
import { destinationsOf } from '../../../src/control/discovery/kubernetes/endpoints.ts';
import { parsePod, parseSlice } from '../../../src/control/discovery/kubernetes/objects.ts';

const SEED: KubernetesSeed = {
  kind: 'kubernetes',
  service: 'db',
  namespace: null,
  port: null,
  podSelector: '',
  clusterDomain: 'cluster.local',
  kubeconfig: null,
};
const NAME = 'db.ns.svc.cluster.local';

const slice = (name: string, endpoints: readonly unknown[], facts: Readonly<Record<string, unknown>> = {}) =>
  parseSlice({
    metadata: { name, resourceVersion: '1' },
    addressType: 'IPv4',
    ports: [{ name: 'mysql', port: 3306 }],
    endpoints,
    ...facts,
  });
const endpoint = (pod: string, address: string, facts: Readonly<Record<string, unknown>> = {}) => ({
  addresses: [address],
  hostname: pod,
  targetRef: { kind: 'Pod', name: pod, uid: `uid-${pod}` },
  ...facts,
});
const found = (slices: readonly ReturnType<typeof slice>[], seed: Partial<KubernetesSeed> = {}) =>
  destinationsOf(slices, [], { ...SEED, ...seed }, 'ns');
const inShort = (slices: readonly ReturnType<typeof slice>[], seed: Partial<KubernetesSeed> = {}) => {
  const result = found(slices, seed);
  return result.kind === 'unusable'
    ? result.code
    : result.destinations.map(({ address, dialHost, hint }) => `${address} ${dialHost} ${hint}`);
};

t.test('an endpoint is a member by the name of its pod, or by its address', async (t) => {
  t.strictSame(
    inShort([
      slice('b', [endpoint('db-10', '10.0.0.10'), endpoint('db-2', '10.0.0.2')]),
      slice('a', [{ addresses: ['10.0.0.99'] }]),
    ]),
    [
      `10.0.0.99:3306 10.0.0.99 ready`,
      `db-2.${NAME}:3306 10.0.0.2 ready`,
      `db-10.${NAME}:3306 10.0.0.10 ready`,
    ],
  );
  t.strictSame(inShort([slice('a', [{ addresses: ['db.example'] }], { addressType: 'FQDN' })]), [
    'db.example:3306 null ready',
  ]);
  t.match(
    found([slice('a', [endpoint('db-0', '10.0.0.1', { zone: 'eu-1a' })])], { clusterDomain: 'k8s.example' }),
    {
      destinations: [{ address: 'db-0.db.ns.svc.k8s.example:3306', zone: 'eu-1a' }],
    },
  );
});

t.test(
  'conditions are hints: serving counts where ready is always true, and nothing said is well',
  async (t) => {
    const hinted = (conditions: unknown) =>
      inShort([slice('a', [endpoint('db-0', '10.0.0.1', { conditions })])]);
    for (const [conditions, hint] of [
      [undefined, 'ready'],
      [null, 'ready'],
      [{}, 'ready'],
      [{ ready: null, serving: null, terminating: null }, 'ready'],
      [{ ready: false }, 'not-ready'],
      [{ ready: true, serving: false }, 'not-ready'],
      [{ ready: true, serving: true, terminating: true }, 'terminating'],
      [{ ready: false, serving: false, terminating: true }, 'terminating'],
    ] as const) {
      t.strictSame(hinted(conditions), [`db-0.${NAME}:3306 10.0.0.1 ${hint}`], JSON.stringify(conditions));
    }
  },
);

t.test(
  'an endpoint in several slices is one, of two families, while it moves, and when its pod is new',
  async (t) => {
    const both = [
      slice('six', [endpoint('db-0', 'fd00::1')], { addressType: 'IPv6' }),
      slice('four', [endpoint('db-0', '10.0.0.1')]),
    ];
    t.strictSame(inShort(both), [`db-0.${NAME}:3306 10.0.0.1 ready`]);
    const twice = endpoint('db-0', '10.0.0.1');
    t.strictSame(inShort([slice('a', [twice]), slice('b', [twice])]), [`db-0.${NAME}:3306 10.0.0.1 ready`]);
    const replaced = [
      slice('a', [
        { ...endpoint('db-0', '10.0.0.1', { conditions: { terminating: true } }), targetRef: { uid: 'old' } },
      ]),
      slice('b', [{ ...endpoint('db-0', '10.0.0.7'), targetRef: { uid: 'new' } }]),
    ];
    t.strictSame(inShort(replaced), [`db-0.${NAME}:3306 10.0.0.7 ready`]);
  },
);

t.test('the port is found by name, by number, or for want of another', async (t) => {
  const pod = [endpoint('db-0', '10.0.0.1')];
  const ports = (...list: readonly (readonly [string | null, number])[]) => ({
    ports: list.map(([name, port]) => ({ name, port })),
  });
  const portOf = (facts: unknown, port: KubernetesSeed['port']) => {
    const result = inShort([slice('a', pod, { ...(typeof facts === 'object' ? facts : {}) })], { port });
    return typeof result === 'string' ? result : /:(\d+) /.exec(result[0] ?? '')?.[1];
  };
  const several = ports(['mysqlx', 33_060], ['mysql', 3307], ['gr-xcom', 33_061]);
  t.equal(portOf(several, null), '3307');
  t.equal(portOf(several, 'mysqlx'), '33060');
  t.equal(portOf(several, 4000), '4000');
  t.equal(portOf(several, 'nothing'), 'no_port');
  t.equal(portOf(ports([null, 3308]), null), '3308');
  t.equal(portOf(ports(['a', 1], ['b', 2]), null), 'no_port');
  t.match(found([slice('a', pod, several)], { port: 'nothing' }), {
    message: /no port nothing in the EndpointSlices of ns\/db, which have mysqlx, mysql, gr-xcom/,
  });
  t.equal(inShort([]), 'no_endpoints');
  t.equal(inShort([slice('a', []), slice('b', [], { endpoints: null })]), 'no_endpoints');
});

t.test('labels come from the pod an endpoint is of', async (t) => {
  const pod = parsePod({
    metadata: { name: 'db-0', uid: 'uid-db-0', resourceVersion: '1', labels: { role: 'PRIMARY' } },
  });
  const result = destinationsOf([slice('a', [endpoint('db-0', '10.0.0.1')])], [pod], SEED, 'ns');
  t.match(result, { destinations: [{ labels: { role: 'PRIMARY' } }] });
});

t.test('what is no slice is refused, not guessed', async (t) => {
  for (const object of [
    null,
    {},
    { metadata: { name: 'a' } },
    { metadata: { name: 'a', resourceVersion: 1 } },
  ]) {
    t.throws(() => parseSlice(object), { name: /ZodError/ });
  }
});
