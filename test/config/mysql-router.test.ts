/** A mysqlrouter.conf becomes a configuration that is accepted, and what has no counterpart is told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { type CommandResult, runCommand } from '../cli/terminal.ts';

const STATE = JSON.stringify({
  'metadata-cache': {
    'group-replication-id': '148676a4-56db-45d6-b514-50645d564c50',
    'cluster-metadata-servers': ['mysql://db-0:3306', 'mysql://db-1:3306'],
  },
  version: '1.0.0',
});

/** Options as MySQL Router 9.7 writes them. */
const BOOTSTRAPPED = `# File automatically generated during MySQL Router bootstrap
[DEFAULT]
name=system
user=mysqlrouter
logging_folder=/var/log/mysqlrouter
keyring_path=/var/lib/mysqlrouter/keyring
master_key_path=/etc/mysqlrouter/mysqlrouter.key
connect_timeout=5
read_timeout=30
dynamic_state=STATE
client_ssl_mode=PREFERRED
server_ssl_mode=PREFERRED
server_ssl_verify=DISABLED
unknown_config_option=error
max_idle_server_connections=64
router_require_enforce=1

[logger]
level=INFO

[metadata_cache:bootstrap]
cluster_type=gr
router_id=1
user=mysql_router1_ku3chtm
metadata_cluster=mycluster
ttl=0.5
auth_cache_ttl=-1
auth_cache_refresh_interval=2
use_gr_notifications=0

${[
  ['rw', 6446, 'PRIMARY', 'first-available', 'classic', ''],
  ['ro', 6447, 'SECONDARY', 'round-robin-with-fallback', 'classic', ''],
  [
    'rw_split',
    6450,
    'PRIMARY_AND_SECONDARY',
    'round-robin',
    'classic',
    'connection_sharing=1\naccess_mode=auto\n',
  ],
  ['x_rw', 6448, 'PRIMARY', 'first-available', 'x', 'client_ssl_ca=\nserver_ssl_key=\n'],
  ['x_ro', 6449, 'SECONDARY', 'round-robin-with-fallback', 'x', ''],
]
  .map(
    ([name, port, role, strategy, protocol, more]) =>
      `[routing:bootstrap_${name}]\nbind_address=0.0.0.0\nbind_port=${port}\ndestinations=metadata-cache://mycluster/?role=${role}\nrouting_strategy=${strategy}\nprotocol=${protocol}\n${more}`,
  )
  .join('\n')}
[http_server]
port=8443
ssl=1

[rest_router]
require_realm=default_auth_realm
`;

t.test('what mysqlrouter --bootstrap wrote', async (t) => {
  const folder = t.testdir({ 'state.json': STATE, 'router-password': 'secret-of-the-router\n' });
  const { out } = await convert(t, folder, BOOTSTRAPPED.replace('STATE', join(folder, 'state.json')));
  const config = await accepted(t, folder, out);
  t.match(config.cluster, {
    topology: 'innodb-cluster',
    user: 'mysql_router1_ku3chtm',
    password: 'secret-of-the-router',
    seeds: [
      { host: 'db-0', port: 3306 },
      { host: 'db-1', port: 3306 },
    ],
  });
  t.match(config.routes, [
    { name: 'rw', listen: { host: '0.0.0.0', port: 6446 }, role: 'primary', strategy: 'first-available' },
    { name: 'ro', listen: { port: 6447 }, role: 'secondary', strategy: 'round-robin-with-fallback' },
    { name: 'rw_split', listen: { port: 6450 }, role: 'primary', strategy: 'first-available' },
    { name: 'x_rw', listen: { port: 6448 }, protocol: 'x', role: 'primary' },
    { name: 'x_ro', listen: { port: 6449 }, protocol: 'x', role: 'secondary' },
  ]);
  for (const { protocol, tls } of config.routes)
    t.equal(tls.client.mode, protocol === 'x' ? 'passthrough' : 'preferred');
  t.equal(config.limits.maxConnections, 512, 'the default of MySQL Router');
  t.equal(config.dial.connectTimeoutMs, 5000);
  t.match(
    out,
    /^# - line \d+, \[routing:bootstrap_rw_split\]: access_mode = auto: reads and writes are not told apart/m,
  );
  t.match(
    out,
    /^# - line \d+, \[DEFAULT\]: no counterpart: max_idle_server_connections, router_require_enforce$/m,
  );
  t.match(out, /mysqlrouter_keyring get/);
});

t.test('one list of servers is a static balancer', async (t) => {
  const folder = t.testdir({});
  const { out } = await convert(
    t,
    folder,
    '[DEFAULT]\r\nmax_total_connections = 1000\r\n; a comment\r\n[routing]\r\nbind_address = "127.0.0.1:7001"\r\ndestinations = db-0, db-1:3307\r\nrouting_strategy = next-available\r\nmax_connect_errors=4294967295\r\nsocket=/tmp/x\r\n',
  );
  const config = await accepted(t, folder, out);
  t.match(config, {
    cluster: { topology: 'static', seeds: [{ host: 'db-0' }, { host: 'db-1', port: 3307 }] },
    limits: { maxConnections: 1000, maxConnectErrors: 0 },
    routes: [{ listen: { port: 7001 }, role: 'primary-and-secondary', strategy: 'next-available' }],
  });
  t.match(out, /\[routing\]: no counterpart: socket/);
});

t.test('lists that differ become roles, which the servers themselves confirm', async (t) => {
  const folder = t.testdir({ 'router-password': 'secret' });
  const { out } = await convert(
    t,
    folder,
    '[routing:rw]\nbind_port=7001\ndestinations=a\nrouting_strategy=first-available\n[routing:ro]\nbind_port=7002\ndestinations=b,c\nrouting_strategy=round-robin\n[destination_status]\nerror_quarantine_threshold=3\n[something]\nx=1\n',
  );
  const config = await accepted(t, folder, out);
  t.match(config, {
    cluster: { topology: 'auto', seeds: [{ host: 'a' }, { host: 'b' }, { host: 'c' }] },
    routes: [{ role: 'primary' }, { role: 'secondary' }],
    quarantine: { threshold: 3 },
  });
  t.match(out, '[something] has no counterpart');
});

t.test(
  'what is no mysqlrouter.conf is refused, with the line and nothing of what stands there',
  async (t) => {
    const folder = t.testdir({});
    for (const [text, message] of [
      ['', /no \[routing:…\] section/],
      ['[DEFAULT]\nhunter2\n', /line 2 is neither a \[section\] nor an option = value/],
      ['hunter2 = 1\n', /line 1: an option before the first \[section\]/],
    ] as const) {
      const { code, out, error } = await convert(t, folder, text, 2);
      t.equal(out, '');
      t.match(error, message);
      t.notMatch(error, 'hunter2');
      t.equal(code, 2);
    }
    t.match((await runCommand(['convert', join(folder, 'none')])).error, /cannot be read: ENOENT/);
  },
);

async function convert(t: Test, folder: string, text: string, wanted = 0): Promise<CommandResult> {
  const path = join(folder, 'mysqlrouter.conf');
  writeFileSync(path, text);
  const result = await runCommand(['convert', path]);
  t.equal(result.code, wanted, result.error);
  return result;
}

/** As `fairlead check` does, in the folder of the converted file. */
async function accepted(t: Test, folder: string, text: string) {
  const file = join(folder, 'fairlead.yaml');
  writeFileSync(file, text);
  const loaded = await loadConfig({ file, environment: {}, flags: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  t.pass('it is accepted');
  return loaded.config;
}
