/** Seeds in all their forms. */
import t from 'tap';
import { settingsOf } from '../../src/config/show.ts';
import { configOf, problemsOf } from './sources.ts';

const clusterWith = (seeds: string): string => `cluster: { topology: static, seeds: ${seeds} }\n`;
const seedsOf = (sources: Parameters<typeof configOf>[0]) => configOf(sources).cluster.seeds;

const ADDRESS = { kind: 'address', host: 'db-0', port: 3306 };
const DNS = { kind: 'dns', name: 'db.example', port: 3306, srv: false, service: 'mysql', targetPrefix: '' };
const KUBERNETES = {
  kind: 'kubernetes',
  service: 'db',
  namespace: null,
  port: null,
  podSelector: '',
  clusterDomain: 'cluster.local',
  kubeconfig: null,
};

t.test('names are written as maps or on one line, alone or in a list', async (t) => {
  const table: readonly (readonly [written: string, seeds: readonly unknown[]])[] = [
    ['[{ dns: { name: db.example } }]', [DNS]],
    ['{ dns: { name: db.example } }', [DNS]],
    ['["dns://db.example"]', [DNS]],
    ['["dns://db.example.:3307"]', [{ ...DNS, name: 'db.example.', port: 3307 }]],
    [
      '[db-0, { dns: { name: db.example, srv: true, targetPrefix: db-, service: mysqlx } }]',
      [ADDRESS, { ...DNS, srv: true, targetPrefix: 'db-', service: 'mysqlx' }],
    ],
    [
      '["srv://db.example?targetPrefix=db-&service=mysqlx"]',
      [{ ...DNS, srv: true, targetPrefix: 'db-', service: 'mysqlx' }],
    ],
    ['["srv://_mysql._tcp.db.example"]', [{ ...DNS, srv: true, name: '_mysql._tcp.db.example' }]],
    ['{ kubernetes: { service: db } }', [KUBERNETES]],
    ['["kubernetes:///db"]', [KUBERNETES]],
    [
      '["kubernetes://ns/db?port=3307&podSelector=app%3Ddb"]',
      [{ ...KUBERNETES, namespace: 'ns', port: 3307, podSelector: 'app=db' }],
    ],
    [
      '{ kubernetes: { service: db, port: mysqlx, clusterDomain: k8s.example, kubeconfig: /etc/kube } }',
      [{ ...KUBERNETES, port: 'mysqlx', clusterDomain: 'k8s.example', kubeconfig: '/etc/kube' }],
    ],
    // A host of that name.
    ['["dns:3307"]', [{ kind: 'address', host: 'dns', port: 3307 }]],
  ];
  for (const [written, seeds] of table) {
    const config = configOf({ file: clusterWith(written) });
    t.strictSame(config.cluster.seeds, seeds, written);
    const again = configOf({ file: JSON.stringify(settingsOf(config)) });
    t.strictSame(again.cluster.seeds, seeds, `${written}: as it is shown`);
  }
});

t.test('the environment and flags take the same on one line', async (t) => {
  const environment = {
    FAIRLEAD_CLUSTER_SEEDS: 'db-0, dns://db.example',
    FAIRLEAD_CLUSTER_TOPOLOGY: 'static',
  };
  t.strictSame(seedsOf({ environment }), [ADDRESS, DNS]);
  const flags = {
    'cluster.seeds': ['srv://db.example', 'db-0'],
    'dns.servers': ['10.0.0.1', '::1,[::2]:54'],
  };
  t.strictSame(seedsOf({ environment, flags }), [{ ...DNS, srv: true }, ADDRESS]);
  t.strictSame(configOf({ environment, flags }).dns.servers, ['10.0.0.1:53', '[::1]:53', '[::2]:54']);
});

t.test('what is wrong within a seed is told where it stands', async (t) => {
  const table: readonly (readonly [written: string, problems: readonly RegExp[]])[] = [
    [
      '[a, { dns: { name: "a b", port: 0 } }]',
      [
        /^f\.yaml:1:\d+: cluster\.seeds\[1\]\.dns\.name = "a b": must be a name as DNS knows it/,
        /cluster\.seeds\[1\]\.dns\.port = 0: must be a whole number from 1 to 65535/,
      ],
    ],
    [
      '{ dns: { name: a, srf: true } }',
      [/cluster\.seeds\[0\]\.dns\.srf: is not a known key; did you mean .*srv/],
    ],
    ['[{ dns: {} }]', [/cluster\.seeds\[0\]\.dns\.name: is missing: a name as DNS knows it/]],
    ['[{ dns: a }]', [/cluster\.seeds\[0\]\.dns = text: must be a map of the keys name, port, srv/]],
    [
      '[{ dns: { name: a }, kubernetes: { service: a } }]',
      [/cluster\.seeds\[0\] = a map of keys: must be a host .* or a map with the one key dns or kubernetes/],
    ],
    ['[{ dnss: { name: a } }]', [/cluster\.seeds\[0\] = a map of keys: must be a host/]],
    ['["dns://a:0"]', [/cluster\.seeds\[0\]\.dns\.port = 0/]],
    ['["dns://a/b"]', [/cluster\.seeds\[0\] = "dns:\/\/a\/b": must be a host/]],
    [
      '{ kubernetes: { service: Db, namespace: a_b, port: 0 } }',
      [
        /cluster\.seeds\[0\]\.kubernetes\.service = "Db": must be 1 to 63 lower-case letters/,
        /cluster\.seeds\[0\]\.kubernetes\.namespace = "a_b"/,
        /cluster\.seeds\[0\]\.kubernetes\.port = 0: must be the name of a port or its number/,
      ],
    ],
    ['["srv://u:geheim@a"]', [/cluster\.seeds\[0\] = "srv:\/\/\*\*\*@a": must be a host/]],
    ['["srv://a?__proto__=1"]', [/cluster\.seeds\[0\]\.dns\.__proto__: is not a known key/]],
    [
      '["dns://a", { dns: { name: a } }]',
      [/cluster\.seeds\[1\] = "dns:\/\/a:3306": is named already by cluster\.seeds\[0\]/],
    ],
  ];
  for (const [written, expected] of table) {
    const problems = problemsOf({ file: clusterWith(written) });
    t.match(problems, expected, written);
    t.equal(problems.length, expected.length, `${written}: nothing else`);
  }
  t.match(problemsOf({ file: `${clusterWith('[a]')}dns: { servers: [ns.example], minTtl: 40s }\n` }), [
    /dns\.servers\[0\] = "ns\.example": must be/,
    /dns\.minTtl = 40s: must not be longer than dns\.maxTtl = 30s \(the default\)/,
  ]);
});
