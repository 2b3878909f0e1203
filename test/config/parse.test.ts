import t from 'tap';
import { layer } from '../../src/config/layers.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { settingsOf } from '../../src/config/show.ts';
import { readYaml } from '../../src/config/yaml-file.ts';
import { configOf, MINIMAL, PASSED_THROUGH, problemsOf } from './sources.ts';

/** What a route has that says nothing more. */
const ROUTE_DEFAULTS = {
  maxConnections: 0,
  maxSessionAgeMs: 0,
  access: { allow: [], deny: [] },
  proxyProtocol: { from: [], isRequired: true, toServers: 'none' },
  consistency: null,
  compression: 'passthrough',
  clientAttributes: true,
  tls: PASSED_THROUGH,
};

t.test('seeds and a user are enough: everything else has a default', async (t) => {
  t.strictSame(configOf({ file: MINIMAL }), {
    cluster: {
      topology: 'auto',
      seeds: [{ kind: 'address', host: 'db', port: 3306 }],
      stateFile: null,
      auroraDomain: '',
      galeraFailback: 'settled',
      user: 'router',
      password: '',
      tls: { mode: 'as-needed', verify: 'disabled', caFile: null, certFile: null, keyFile: null },
    },
    routes: [
      {
        name: 'rw',
        listen: { host: '0.0.0.0', port: 6446 },
        protocol: 'classic',
        role: 'primary',
        strategy: 'first-available',
        ...ROUTE_DEFAULTS,
      },
      {
        name: 'ro',
        listen: { host: '0.0.0.0', port: 6447 },
        protocol: 'classic',
        role: 'secondary',
        strategy: 'round-robin-with-fallback',
        ...ROUTE_DEFAULTS,
      },
      {
        name: 'x-rw',
        listen: { host: '0.0.0.0', port: 6448 },
        protocol: 'x',
        role: 'primary',
        strategy: 'first-available',
        ...ROUTE_DEFAULTS,
      },
      {
        name: 'x-ro',
        listen: { host: '0.0.0.0', port: 6449 },
        protocol: 'x',
        role: 'secondary',
        strategy: 'round-robin-with-fallback',
        ...ROUTE_DEFAULTS,
      },
    ],
    tls: { shared: PASSED_THROUGH, watchIntervalMs: 10_000 },
    admin: { listen: { host: '127.0.0.1', port: 8404 } },
    threads: 2,
    dns: { servers: [], timeoutMs: 1_000, minTtlMs: 1_000, maxTtlMs: 30_000, srvIntervalMs: 5_000 },
    probe: { intervalMs: 250, doubtIntervalMs: 100, timeoutMs: 1_000, confirmationTtlMs: 5_000 },
    metadata: {
      intervalMs: 5_000,
      readOnlyTargets: null,
      targetCluster: null,
      invalidatedClusterPolicy: null,
      useReplicaPrimaryAsRw: null,
      register: false,
      routerAddress: null,
      routerName: '',
    },
    guidelines: { file: null, fromMetadata: false, localCluster: '', watchIntervalMs: 10_000 },
    dial: { connectTimeoutMs: 1_000, handshakeTimeoutMs: 3_000 },
    hold: { timeoutMs: 9_000, maxSessions: 10_000 },
    drain: { graceMs: 10_000, delayMs: 5_000, timeoutMs: 25_000 },
    limits: {
      maxConnections: 0,
      maxConnectionsPerClient: 0,
      clientHandshakeTimeoutMs: 10_000,
      maxConnectErrors: 100,
      connectErrorMemoryMs: 3_600_000,
      idleTimeoutMs: 0,
      clientKeepAliveMs: 60_000,
      hungThreadTimeoutMs: 10_000,
      maxHandshakeBytes: 262_144,
    },
    reads: {
      maxLagMs: 0,
      maxQueue: 0,
      whenAllBehind: 'use',
      zone: '',
      zones: new Map(),
      weights: new Map(),
    },
    quarantine: { threshold: 1, intervalMs: 1_000 },
    quorumLoss: 'auto',
    closeRoOnPromotion: false,
    relay: { mode: 'auto', bufferBytes: 65_536, tracking: true },
    readiness: 'any',
    log: { level: 'info', format: 'auto' },
  });
});

t.test(
  'every key can be written in the file, and the file can be made from the configuration again',
  async (t) => {
    const file = `
cluster:
  topology: innodb-cluster
  seeds: ["127.0.0.1:3311", "[::1]:3312", db]
  stateFile: /var/lib/fairlead/members.json
  user: router
  password: "p: #w"
  sslMode: required
  sslVerify: verify-ca
  sslCa: members.pem
  sslCert: router.pem
  sslKey: router.key
routes:
  - { name: write, listen: "127.0.0.1:0", role: primary, strategy: next-available, maxConnections: 7, maxSessionAge: 2h, allow: [10.0.0.0/8], deny: ["fd00::1"], clientProxyProtocolFrom: [10.0.0.1], clientProxyProtocol: optional, serverProxyProtocol: v2 }
  - { name: read, listen: "[::]:6447", role: secondary, strategy: round-robin }
  - { name: any, listen: ":6448", role: primary-and-secondary, compression: disabled, clientAttributes: false }
  - name: strict
    listen: ":6449"
    role: primary
    serverSslMode: required
    serverSslVerify: verify-identity
    serverSslCa: /etc/mysql/ca.pem
    sslMinVersion: TLSv1.3
    clientSslCipher: TLS_AES_256_GCM_SHA384
    serverSslSessionCache: false
tls:
  { clientSslMode: required, clientSslCert: c.pem, clientSslKey: c.key, clientSslCa: ca.pem, watchInterval: 1m }
admin: { listen: ":9000" }
threads: 3
dns: { servers: ["10.0.0.53", "[::1]:5353"], timeout: 2s, minTtl: 500ms, maxTtl: 1m, srvInterval: 10s }
probe: { interval: 1s, doubtInterval: 20ms, timeout: 2s, confirmationTtl: 1m30s }
dial: { connectTimeout: 2s, handshakeTimeout: 4s }
hold: { timeout: 0, maxSessions: 5 }
drain: { grace: 1m, delay: 0, timeout: 0s }
limits:
  maxConnections: 100
  maxConnectionsPerClient: 10
  clientHandshakeTimeout: 1.5s
  idleTimeout: 8h
  maxHandshakeBytes: 5000
quarantine: { threshold: 3, interval: 10s }
quorumLoss: read
closeRoOnPromotion: true
metadata:
  interval: 2s
  readOnlyTargets: read-replicas
  targetCluster: south
  invalidatedClusterPolicy: accept-ro
  register: true
  routerAddress: host-1
  routerName: second
relay: { mode: portable, bufferBytes: 16KiB, tracking: false }
readiness: primary
log: { level: debug, format: json }
`;
    const config = configOf({ file });
    t.match(config, {
      cluster: { topology: 'innodb-cluster', password: 'p: #w', seeds: { length: 3 } },
      routes: [{ strategy: 'next-available' }, { listen: { host: '::' } }, { strategy: 'round-robin' }],
      probe: { confirmationTtlMs: 90_000 },
      tls: { watchIntervalMs: 60_000, shared: { client: { mode: 'required', caFile: 'ca.pem' } } },
      hold: { timeoutMs: 0 },
      limits: { clientHandshakeTimeoutMs: 1_500, maxHandshakeBytes: 5_000 },
      log: { level: 'debug', format: 'json' },
    });
    const again = configOf({ file: JSON.stringify(settingsOf(config)) });
    t.strictSame(again, { ...config, cluster: { ...config.cluster, password: '***' } });
  },
);

t.test('flags count before the environment, the environment before the file', async (t) => {
  const file = `${MINIMAL}hold: { timeout: 1s, maxSessions: 1 }\nthreads: 1\nreadiness: all\n`;
  const environment = {
    FAIRLEAD_HOLD_TIMEOUT: '2s',
    FAIRLEAD_HOLD_MAX_SESSIONS: '2',
    FAIRLEAD_READINESS: '',
  };
  const flags = { 'hold.timeout': ['3s'], threads: ['4', '8'] };
  const config = configOf({ file, environment, flags });
  t.strictSame(config.hold, { timeoutMs: 3_000, maxSessions: 2 });
  t.equal(config.threads, 8, 'of a flag given twice the last counts');
  t.equal(config.readiness, 'all', 'an empty variable is an unset one');
});

t.test('the environment alone can say everything', async (t) => {
  const environment = {
    FAIRLEAD_CLUSTER_SEEDS: 'a, b:3307 ,[::1]:3308',
    FAIRLEAD_CLUSTER_USER: 'router',
    FAIRLEAD_CLUSTER_PASSWORD: '12345',
    FAIRLEAD_ROUTES: 'name=x,listen=:7000,role=secondary; name=y,listen=:7001,role=primary,maxConnections=9;',
    FAIRLEAD_ADMIN_LISTEN: '[::]:8404',
    FAIRLEAD_THREADS: 'auto',
    FAIRLEAD_LIMITS_MAX_HANDSHAKE_BYTES: '65536',
    FAIRLEAD_RELAY_TRACKING: 'false',
    FAIRLEAD_CLOSE_RO_ON_PROMOTION: 'true',
  };
  t.match(configOf({ environment }), {
    cluster: {
      password: '12345',
      seeds: [{ host: 'a' }, { host: 'b', port: 3307 }, { host: '::1', port: 3308 }],
    },
    routes: [
      { name: 'x', strategy: 'round-robin-with-fallback' },
      { name: 'y', maxConnections: 9 },
    ],
    threads: 2,
    limits: { maxHandshakeBytes: 65_536 },
    relay: { tracking: false },
    closeRoOnPromotion: true,
  });
});

t.test('routes and seeds can be given as JSON, and by repeated flags', async (t) => {
  const environment = {
    FAIRLEAD_CLUSTER_SEEDS: '["a", "b:3307"]',
    FAIRLEAD_ROUTES: '[{"name":"x","listen":":7000","role":"primary","maxConnections":3}]',
  };
  const flags = { 'cluster.user': ['router'] };
  const config = configOf({ environment, flags });
  t.match(config, { cluster: { seeds: { length: 2 } }, routes: [{ name: 'x', maxConnections: 3 }] });
  const replaced = configOf({
    environment,
    flags: {
      ...flags,
      'cluster.seeds': ['c', 'd,e'],
      routes: ['name=r,listen=:1,role=primary', 'name=s,listen=:2,role=primary'],
    },
  });
  t.strictSame(
    replaced.cluster.seeds.map((seed) => (seed.kind === 'address' ? seed.host : seed.kind)),
    ['c', 'd', 'e'],
    'a list is replaced as a whole',
  );
  t.strictSame(
    replaced.routes.map(({ name }) => name),
    ['r', 's'],
  );
});

t.test('an empty section is a section without values', async (t) => {
  t.equal(configOf({ file: `${MINIMAL}hold:\n  # timeout: 1s\nlog:\n` }).hold.timeoutMs, 9_000);
});

t.test('each wrong value is refused with its place, key, value and rule', async (t) => {
  const table: readonly (readonly [file: string, problem: RegExp])[] = [
    [
      'hold: { timeout: 9 }',
      /^f\.yaml:2:18: hold\.timeout = 9: must be a duration from 0 to 10m.*; write "9s" or "9ms"$/,
    ],
    ['hold: { timeout: "9" }', /hold\.timeout = "9": .*write "9s" or "9ms"$/],
    ['hold: { timeout: 11m }', /hold\.timeout = "11m": must be a duration from 0 to 10m/],
    ['hold: { timeout: }', /hold\.timeout = nothing \(null\): must be a duration/],
    ['probe: { interval: 0 }', /probe\.interval = 0: must be a duration from 10ms to 1m/],
    ['hold: { maxSessions: 1.5 }', /hold\.maxSessions = 1\.5: must be a whole number from 0 to 1000000$/],
    ['hold: { maxSessions: "5" }', /hold\.maxSessions = "5": must be a whole number/],
    [
      'limits: { maxHandshakeBytes: 64KB }',
      /limits\.maxHandshakeBytes = "64KB": must be a size from 4KiB to 16MiB/,
    ],
    ['limits: { maxHandshakeBytes: 1 }', /limits\.maxHandshakeBytes = 1: must be a size from 4KiB/],
    ['threads: 0', /^f\.yaml:2:10: threads = 0: must be "auto" or a whole number from 1 to 128$/],
    ['threads: many', /threads = "many": must be "auto"/],
    ['relay: { tracking: yes }', /relay\.tracking = "yes": must be true or false$/],
    [
      'relay: { mode: fats }',
      /relay\.mode = "fats": must be one of auto, fast, portable; did you mean fast\?$/,
    ],
    ['quorumLoss: everything', /quorumLoss = "everything": must be one of auto, none, read, all$/],
    ['admin: { listen: 8404 }', /admin\.listen = 8404: must be an address and a port/],
    ['hold: soon', /^f\.yaml:2:7: hold = text: must be a map of the keys timeout, maxSessions$/],
    ['hold: [1]', /hold = a list of 1: must be a map/],
    ['routes: []', /routes = a list of 0: must be a list of 1 to 32 routes/],
    ['routes: { rw: {} }', /routes = a map of keys: must be a list/],
    [
      'routes: [{ listen: ":1", role: primary }]',
      /^f\.yaml:2:10: routes\[0\]\.name: is missing: 1 to 32 lower-case/,
    ],
    [
      'routes: [{ name: RW, listen: ":1", role: primary }]',
      /routes\[0\]\.name = "RW": must be 1 to 32 lower-case/,
    ],
    [
      'routes: [{ name: a, listen: ":1", role: secondry }]',
      /routes\[0\]\.role = "secondry".*did you mean secondary\?$/,
    ],
    ['routes: [rw]', /routes\[0\] = text: must be a map of the keys name, listen/],
  ];
  for (const [file, problem] of table) {
    const problems = problemsOf({ file: `${MINIMAL}${file}\n` });
    t.equal(problems.length, 1, `one problem: ${file}`);
    t.match(problems[0], problem);
  }
  t.match(problemsOf({ file: 'cluster: { seeds: db, user: router }' }), [
    /cluster\.seeds = "db": must be a list/,
  ]);
  t.match(problemsOf({ file: 'cluster: { seeds: ["db:0"], user: router }' }), [
    /^f\.yaml:1:20: cluster\.seeds\[0\] = "db:0": must be a host/,
  ]);
});

t.test('unknown keys are refused where they stand, with what was probably meant', async (t) => {
  const table: readonly (readonly [file: string, problem: string])[] = [
    ['clutser: {}', 'f.yaml:2:1: clutser: is not a known key; did you mean cluster?'],
    ['hold: { timout: 9s }', 'f.yaml:2:9: hold.timout: is not a known key; did you mean hold.timeout?'],
    ['hold_timeout: 9s', 'f.yaml:2:1: hold_timeout: is not a known key; did you mean hold.timeout?'],
    ['level: debug', 'f.yaml:2:1: level: is not a known key; did you mean log.level?'],
    ['log: { colour: 1 }', 'f.yaml:2:8: log.colour: is not a known key; known here: level, format'],
    [
      'routes: [{ name: a, listen: ":1", role: primary, strateggy: 1 }]',
      'f.yaml:2:50: routes[0].strateggy: is not a known key; did you mean routes[0].strategy?',
    ],
  ];
  for (const [file, problem] of table) t.strictSame(problemsOf({ file: `${MINIMAL}${file}\n` }), [problem]);
  t.match(problemsOf({ file: `${MINIMAL}__proto__: { x: 1 }\n` }), [/__proto__: is not a known key/]);
});

t.test('unknown variables are refused, but not those that Kubernetes makes for a Service', async (t) => {
  const foreign = {
    FAIRLEAD_SERVICE_HOST: '10.0.0.1',
    FAIRLEAD_SERVICE_PORT: '6446',
    FAIRLEAD_SERVICE_PORT_RW: '6446',
    FAIRLEAD_PORT: 'tcp://10.0.0.1:6446',
    FAIRLEAD_PORT_6446_TCP: 'tcp://10.0.0.1:6446',
    FAIRLEAD_PORT_6446_TCP_ADDR: '10.0.0.1',
    FAIRLEAD_ADMIN_SERVICE_HOST: '10.0.0.2',
    FAIRLEAD_ADMIN_PORT_8404_TCP_PROTO: 'tcp',
    FAIRLEAD_CONFIG: 'f.yaml',
    FAIRLEAD_MYSQLD: '/usr/sbin/mysqld',
    FAIRLEAD_CACHE: '/var/cache/fairlead',
  };
  t.strictSame(problemsOf({ file: MINIMAL, environment: foreign }), []);
  t.strictSame(
    problemsOf({ file: MINIMAL, environment: { FAIRLEAD_HOLD_TIMOUT: '1s', FAIRLEAD_BANANA: 'x' } }),
    [
      'environment variable FAIRLEAD_HOLD_TIMOUT: is not a known variable; did you mean FAIRLEAD_HOLD_TIMEOUT?',
      'environment variable FAIRLEAD_BANANA: is not a known variable',
    ],
  );
});

t.test('a wrong value is reported with the source it came from', async (t) => {
  t.match(problemsOf({ file: MINIMAL, environment: { FAIRLEAD_HOLD_TIMEOUT: '9' } }), [
    /^environment variable FAIRLEAD_HOLD_TIMEOUT: hold\.timeout = "9": must be a duration/,
  ]);
  t.match(problemsOf({ file: MINIMAL, flags: { 'relay.tracking': ['maybe'] } }), [
    /^flag --relay-tracking: relay\.tracking = "maybe": must be true or false/,
  ]);
  t.match(problemsOf({ file: MINIMAL, flags: { routes: ['name=a,listen=:1,role=primray'] } }), [
    /^flag --route: routes\[0\]\.role = "primray": must be one of .*did you mean primary\?/,
  ]);
  t.match(problemsOf({ file: MINIMAL, flags: { routes: ['rw'] } }), [
    /^flag --route: routes = "rw": must be key=value pairs/,
  ]);
  t.match(problemsOf({ file: MINIMAL, flags: { routes: ['name=a,name=b'] } }), [/gives "name" twice/]);
  t.match(problemsOf({ file: MINIMAL, environment: { FAIRLEAD_ROUTES: '[{' } }), [
    /^environment variable FAIRLEAD_ROUTES: routes = "\[{": is not valid JSON/,
  ]);
});

t.test('what cannot work together is refused', async (t) => {
  const route = (name: string, listen: string, rest = 'role: primary') =>
    `{ name: ${name}, listen: "${listen}", ${rest} }`;
  const table: readonly (readonly [file: string, problem: RegExp])[] = [
    [
      `routes: [${route('a', ':1')}, ${route('a', ':2')}]`,
      /routes\[1\]\.name = "a": is the name of routes\[0\] already/,
    ],
    [
      `routes: [${route('a', ':1')}, ${route('b', '127.0.0.1:1')}]`,
      /routes\[1\]\.listen = "127\.0\.0\.1:1": collides with route "a" on 0\.0\.0\.0:1/,
    ],
    [
      `routes: [${route('a', ':1', 'role: primary, strategy: round-robin-with-fallback')}]`,
      /routes\[0\]\.strategy = round-robin-with-fallback: needs role secondary, and this route has role primary/,
    ],
    [
      `routes: [${Array.from({ length: 33 }, (_, n) => route(`r${n}`, `:${n + 1}`))}]`,
      /routes = a list of 33: must be a list of 1 to 32/,
    ],
    [
      'admin: { listen: ":6447" }',
      /admin\.listen = "0\.0\.0\.0:6447": collides with route "ro" on 0\.0\.0\.0:6447/,
    ],
    [
      'probe: { interval: 2.5s }',
      /^probe\.confirmationTtl = 5s: must be more than twice probe\.interval = 2500ms \(f\.yaml:2:20\)/,
    ],
    [
      'drain: { timeout: 2s }',
      /^drain\.delay = 5s: must not be longer than drain\.timeout = 2s \(f\.yaml:2:19\)/,
    ],
    [
      `routes: [${route('a', ':1', 'role: secondary')}]\nreadiness: primary`,
      /readiness = "primary": needs a route with role primary/,
    ],
  ];
  for (const [file, problem] of table) {
    const problems = problemsOf({ file: `${MINIMAL}${file}\n` });
    t.equal(problems.length, 1, `one problem: ${file.slice(0, 80)}`);
    t.match(problems[0], problem);
  }
  t.strictSame(
    problemsOf({ file: `${MINIMAL}routes: [${route('a', ':0')}, ${route('b', ':0')}]` }),
    [],
    'port 0 never collides',
  );
  t.match(problemsOf({ file: 'cluster: { seeds: [db, "db:3306"], user: router }' }), [
    /cluster\.seeds\[1\] = "db:3306": is named already by cluster\.seeds\[0\]/,
  ]);
});

t.test('seeds are always needed, an account only where members are asked', async (t) => {
  t.match(problemsOf({}), [
    /^cluster\.seeds: is missing: .*FAIRLEAD_CLUSTER_SEEDS or by flag --cluster-seeds/,
    /^cluster\.user: is missing: .*FAIRLEAD_CLUSTER_USER or by flag --cluster-user/,
  ]);
  t.strictSame(problemsOf({ file: 'cluster: { topology: static, seeds: [db] }' }), []);
});

t.test('a password is taken from the file named for it, or from its key, not from both', async (t) => {
  const environment = { FAIRLEAD_CLUSTER_PASSWORD_FILE: '/run/secrets/pw' };
  const passwordFile = { ok: true, text: 'geheim' } as const;
  t.equal(configOf({ file: MINIMAL, environment, passwordFile }).cluster.password, 'geheim');
  t.strictSame(
    problemsOf({ file: 'cluster: { seeds: [db], user: r, password: hunter2 }', environment, passwordFile }),
    [
      'environment variable FAIRLEAD_CLUSTER_PASSWORD_FILE: cluster.passwordFile = "/run/secrets/pw": cannot be given together with cluster.password = *** (f.yaml:1:44)',
    ],
  );
  t.strictSame(problemsOf({ file: MINIMAL, environment, passwordFile: { ok: false, reason: 'ENOENT' } }), [
    'environment variable FAIRLEAD_CLUSTER_PASSWORD_FILE: cluster.passwordFile = "/run/secrets/pw": cannot be used: ENOENT',
  ]);
});

t.test('no message shows a secret, however the file is broken', async (t) => {
  const files = [
    'cluster: { seeds: [db], user: r, password: 4711 }',
    'cluster: { seeds: [db], user: r, password: [4711] }',
    'cluster: { seeds: [db], user: r, passwrod: "4711" }',
    'cluster: "router:4711@db"',
    'cluster: { seeds: ["mysql://r:4711@db:3306"], user: r }',
    'cluster: { seeds: [db], user: r, password: *4711 }',
    'cluster: { seeds: [db], user: r, password: !4711 x }',
    'cluster: { seeds: [db], user: r, password: "4711" 4711 }',
    'cluster: { seeds: [db], user: r, password: "\\4711" }',
    'cluster: { seeds: [db], user: r, password: "4711',
    'cluster:\n  password: |4711\n    x',
    'cluster:\n  password: 4711: 4711\n',
    'cluster:\n  password: @4711\n',
    'cluster:\n  password: %4711\n',
    '%4711 x\n---\ncluster: {}',
  ];
  for (const file of files) {
    const problems = problemsOf({ file });
    t.ok(problems.length > 0, 'there is a problem');
    t.notMatch(problems.join('\n'), /4711/, file);
  }
});

t.test('all problems are reported at once', async (t) => {
  const file = `
clutser: {}
cluster: { seeds: ["a:b"], user: 17, topology: mesh }
routes:
  - { name: a, listen: ":1", role: primary, strategy: first }
  - { name: b, listen: ":2", role: primary }
  - { name: b, listen: ":2", role: primary }
hold: { timeout: 9, maxSessions: -1 }
drain: { delay: 1m }
`;
  const problems = problemsOf({ file, environment: { FAIRLEAD_X: '1' }, flags: { threads: ['x'] } });
  const starts = [
    'environment variable FAIRLEAD_X',
    'f.yaml:2:1: clutser',
    'f.yaml:3:20: cluster.seeds[0]',
    'f.yaml:3:34: cluster.user',
    'f.yaml:3:48: cluster.topology',
    'f.yaml:5:55: routes[0].strategy',
    'f.yaml:7:13: routes[2].name = "b": is the name of routes[1] already',
    'f.yaml:7:24: routes[2].listen',
    'f.yaml:8:18: hold.timeout',
    'f.yaml:8:34: hold.maxSessions',
    'f.yaml:9:17: drain.delay',
    'flag --threads',
  ];
  for (const start of starts)
    t.ok(
      problems.some((problem) => problem.startsWith(start)),
      start,
    );
  t.equal(problems.length, starts.length);
});

t.test('a file that is no YAML is refused with the place and nothing more', async (t) => {
  const table: readonly (readonly [file: string, problems: readonly RegExp[]])[] = [
    [`${MINIMAL}threads: 1\nthreads: 2\n`, [/^f\.yaml:3:1: threads: is given twice in the same place$/]],
    ['cluster: [', [/^f\.yaml:1:\d+: wrong indentation, or a bracket that is not closed/]],
    ['cluster:\n\tseeds: [db]', [/^f\.yaml:2:1: a tab cannot indent/]],
    ['- a\n- b', [/^f\.yaml: the file must be a map of keys/]],
    ['just text', [/^f\.yaml: the file must be a map of keys/]],
    ['a: 1\n---\nb: 2', [/^f\.yaml:2:1: a second document begins here/]],
    ['? [a, b]\n: 1', [/: a key has to be text$/]],
    [
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]',
      [/more aliases than allowed/],
    ],
  ];
  for (const [file, problems] of table) {
    const found = problemsOf({ file });
    t.equal(found.length, problems.length, JSON.stringify(file.slice(0, 40)));
    for (const [index, problem] of problems.entries()) t.match(found[index], problem);
  }
});

t.test('random bytes and mutated files never make the parser throw', async (t) => {
  const seed = Buffer.from(
    `${MINIMAL}routes: [{ name: a, listen: ":1", role: primary }]\nhold: { timeout: 9s }\n`,
  );
  const deadline = Date.now() + 1_000;
  let random = 1;
  const next = (below: number) => {
    random = (random * 48_271) % 0x7fff_ffff;
    return random % below;
  };
  let runs = 0;
  while (Date.now() < deadline) {
    const mutated = Buffer.from(seed);
    for (let change = next(4); change >= 0; change--) mutated[next(mutated.length)] = 32 + next(95);
    const text = mutated.toString('latin1').slice(0, next(2) === 0 ? undefined : next(seed.length));
    const layers = layer({
      file: readYaml('f.yaml', text),
      environment: { FAIRLEAD_ROUTES: text },
      flags: {},
    });
    parseConfig(layers, { passwordFile: null, automaticThreads: 1 });
    runs++;
  }
  t.comment(`${runs} files`);
  t.ok(runs > 0);
});

t.test('TLS of a route is its own keys, and for the rest those of tls', async (t) => {
  const file = `
${MINIMAL}
routes:
  - { name: rw, listen: ":1", role: primary, serverSslMode: required, serverSslVerify: verify-ca }
  - { name: ro, listen: ":2", role: secondary, clientSslMode: passthrough }
tls: { clientSslMode: preferred, serverSslCa: ca.pem, sslMinVersion: TLSv1.3 }
`;
  const [rw, ro] = configOf({ file }).routes;
  t.match(rw?.tls, {
    client: { mode: 'preferred', certFile: null },
    server: { mode: 'required', verify: 'verify-ca', caFile: 'ca.pem' },
    minVersion: 'TLSv1.3',
  });
  t.match(ro?.tls, { client: { mode: 'passthrough' }, server: { mode: 'as-client', verify: 'disabled' } });
  const text = 'name=rw,listen=:1,role=primary,clientSslMode=required,clientSslSessionCache=false';
  const [fromText] = configOf({ file: MINIMAL, flags: { routes: [text] } }).routes;
  t.match(fromText?.tls.client, { mode: 'required', hasSessionCache: false });
});

t.test('TLS settings that cannot work together are refused', async (t) => {
  const refused = (keys: string) =>
    problemsOf({
      file: `${MINIMAL}routes: [{ name: rw, listen: ":1", role: primary, ${keys} }]`,
    }).map((problem) => problem.replace(/^[^ ]+ routes\[0\]\./, ''));
  t.match(refused('clientSslMode: required, clientSslCert: c.pem'), [
    /^clientSslCert = "c.pem": needs clientSslKey/,
  ]);
  t.match(refused('clientSslMode: required, serverSslKey: k.pem'), [
    /^serverSslKey = "k.pem": needs serverSslCert/,
  ]);
  t.match(refused('serverSslMode: required'), [
    /^serverSslMode = "required": cannot be kept where clientSslMode/,
  ]);
  t.match(refused('serverSslVerify: verify-ca, serverSslCa: ca.pem'), [/^serverSslVerify = .*passthrough/]);
  t.match(refused('clientSslCa: ca.pem'), [/^clientSslCa = "ca.pem": needs clientSslMode required/]);
  t.match(refused('clientSslMode: preferred, clientSslCa: ca.pem'), [
    /needs clientSslMode required, and it is preferred/,
  ]);
  t.match(refused('clientSslMode: required, clientSslCrl: crl.pem'), [
    /^clientSslCrl = .* needs clientSslCa/,
  ]);
  t.match(refused('clientSslMode: preferred, clientSslCapath: cas, clientSslCrlpath: crls'), [
    /^clientSslCapath = "cas": needs clientSslMode required, and it is preferred/,
  ]);
  t.match(refused('clientSslMode: required, clientSslCrlpath: crls'), [
    /^clientSslCrlpath = "crls": needs clientSslCa or clientSslCapath/,
  ]);
  t.match(refused('clientSslMode: required, serverSslMode: required, serverSslVerify: verify-ca'), [
    /^serverSslVerify = "verify-ca": needs serverSslCa or serverSslCapath/,
  ]);
  t.match(
    refused(
      'clientSslMode: required, serverSslMode: preferred, serverSslVerify: verify-ca, serverSslCa: ca.pem',
    ),
    [/^serverSslVerify = "verify-ca": needs serverSslMode required or as-client, and it is preferred/],
  );
  t.match(
    problemsOf({ file: `${MINIMAL}tls: { serverSslMode: required }` }),
    [/tls\.serverSslMode = "required": cannot be kept/],
    'said once, though both routes are concerned',
  );
  t.match(refused('protocol: x, clientSslMode: required'), [
    /^clientSslMode = "required": is for protocol classic/,
  ]);
  const x = configOf({ file: `${MINIMAL}tls: { clientSslMode: required }` }).routes.find(
    ({ protocol }) => protocol === 'x',
  );
  t.equal(x?.tls.client.mode, 'passthrough', 'what all routes share is for those it can be for');
});

t.test('TLS of the monitoring account that cannot work is refused', async (t) => {
  const refused = (keys: string) => problemsOf({ file: `cluster: { seeds: [db], user: router, ${keys} }` });
  t.match(refused('sslVerify: verify-ca, sslCa: ca.pem'), [
    /cluster\.sslVerify = .* needs cluster\.sslMode required/,
  ]);
  t.match(refused('sslMode: required, sslVerify: verify-ca'), [
    /cluster\.sslVerify = .* needs cluster\.sslCa/,
  ]);
  t.match(refused('sslCert: c.pem'), [/cluster\.sslCert = .* needs cluster\.sslKey/]);
  t.match(refused('sslKey: k.pem'), [/cluster\.sslKey = .* needs cluster\.sslCert/]);
});

t.test('what is asked of metadata needs a topology that has some', async (t) => {
  const cluster = (topology: string) =>
    `cluster: { topology: ${topology}, seeds: ["db:3306"], user: router }\n`;
  const register = problemsOf({ file: `${cluster('group-replication')}metadata: { register: true }\n` });
  t.equal(register.length, 1);
  t.match(
    register[0],
    /metadata\.register = true: needs cluster\.topology auto, innodb-cluster, replicaset; with group-replication \(f\.yaml:1:\d+\)/,
  );
  const route = (keys: string) =>
    `${cluster('auto')}routes:\n  - { name: ro, listen: ":6447", role: secondary, consistency: before, ${keys} }\n`;
  t.match(problemsOf({ file: route('') }), [
    /routes\[0\]\.consistency = before: needs clientSslMode preferred/,
  ]);
  t.match(problemsOf({ file: `${route('clientSslMode: preferred')}relay: { tracking: false }\n` }), [
    /routes\[0\]\.consistency = before: needs relay\.tracking/,
  ]);
  t.equal(configOf({ file: route('clientSslMode: preferred') }).routes[0]?.consistency, 'before');
  const guided = problemsOf({ file: `${cluster('async')}guidelines: { fromMetadata: true }\n` });
  t.match(guided, [/guidelines\.fromMetadata = true: needs a cluster\.topology with metadata; with async /]);
  const both = problemsOf({ file: `${cluster('auto')}guidelines: { fromMetadata: true, file: g.json }\n` });
  t.match(both, [/guidelines\.fromMetadata = true: cannot be given together with guidelines\.file /]);
  const target = problemsOf({ file: `${cluster('replicaset')}metadata: { targetCluster: south }\n` });
  t.match(target, [/metadata\.targetCluster = "south": needs cluster\.topology auto, innodb-cluster; /]);
  t.equal(
    configOf({ file: `${cluster('auto')}metadata: { targetCluster: south }\n` }).metadata.targetCluster,
    'south',
  );
});
