import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { ACCOUNTS } from '../accounts.ts';
import type { Part } from '../parts.ts';
import { reservePorts } from '../ports.ts';
import { runCommand } from '../run-command.ts';
import type { ServerPlace } from '../server.ts';
import { waitFor } from '../wait.ts';
import { createPeer, type Peer, type PeerContext } from './peer.ts';

/** MySQL Router as its own bootstrap configures it: it needs a group with metadata. */
export type BootstrappedRouter = Peer<'rw' | 'ro' | 'split' | 'xRw' | 'xRo' | 'rest'>;

/** MySQL Router that passes TLS and authentication through, with static destinations. */
export type PassthroughRouter = Peer<'rw' | 'ro'>;

export type BootstrappedRouterOptions = {
  /** "host:port" of any member. */
  readonly member: string;
  /** Differences from what bootstrap writes: {"DEFAULT.max_total_connections": "10000"}. Default none. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where it runs; default loopback. */
  readonly place?: ServerPlace;
};

export type PassthroughRouterOptions = {
  /** "host:port" of the server that takes writes. */
  readonly primary: string;
  /** "host:port" of those that take reads, in turn. */
  readonly secondaries: readonly string[];
};

/** Lets the real `mysqlrouter --bootstrap` write the configuration, changed in its ports and nothing else. */
export async function startBootstrappedRouter(
  part: Part,
  context: PeerContext,
  options: BootstrappedRouterOptions,
): Promise<BootstrappedRouter> {
  const [rw = 0, ro = 0, split = 0, xRw = 0, xRo = 0, rest = 0] = await reservePorts(6, context.run.path);
  const { user, password } = ACCOUNTS.root;
  const host = context.place?.host ?? '127.0.0.1';
  const target = join(context.directory, 'router');
  const portOf = {
    bootstrap_rw: rw,
    bootstrap_ro: ro,
    bootstrap_rw_split: split,
    bootstrap_x_rw: xRw,
    bootstrap_x_ro: xRo,
  };
  const bare = part.command('mysqlrouter', [
    `--bootstrap=${user}:${password}@${options.member}`,
    `--directory=${target}`,
    `--conf-bind-address=${host}`,
    // The machine's name may not resolve; the group's metadata has one entry for each host and name.
    `--report-host=${host}`,
    `--name=router-${rw}`,
    `--https-port=${rest}`,
    `--conf-set-option=DEFAULT.plugin_folder=${pluginFolder(part)}`,
    ...Object.entries(portOf).map(([route, port]) => `--conf-set-option=routing:${route}.bind_port=${port}`),
    ...Object.entries(options.settings ?? {}).map(([name, value]) => `--conf-set-option=${name}=${value}`),
    ...runAsOwnUser(),
  ]);
  const bootstrap = context.place?.within(bare) ?? bare;
  await runCommand({ ...bootstrap, env: { ...bootstrap.env, ...context.run.mark } });
  const router = await createPeer(context, {
    name: 'mysqlrouter',
    command: part.command('mysqlrouter', [`--config=${join(target, 'mysqlrouter.conf')}`, ...runAsOwnUser()]),
    ports: { rw, ro, split, xRw, xRo, rest },
  });
  // It listens, and greets, before it has read the metadata.
  for (const port of [rw, ro, split]) await waitUntilRouting(host, port);
  return Object.assign(router, { logPath: join(target, 'log', 'mysqlrouter.log') });
}

export async function startPassthroughRouter(
  part: Part,
  context: PeerContext,
  options: PassthroughRouterOptions,
): Promise<PassthroughRouter> {
  const [rw = 0, ro = 0] = await reservePorts(2, context.run.path);
  const configuration = join(context.directory, 'mysqlrouter.conf');
  await writeFile(configuration, renderPassthrough(part, context.directory, options, rw, ro));
  return createPeer(context, {
    name: 'mysqlrouter',
    command: part.command('mysqlrouter', [`--config=${configuration}`, ...runAsOwnUser()]),
    ports: { rw, ro },
  });
}

async function waitUntilRouting(host: string, port: number): Promise<void> {
  const { user, password } = ACCOUNTS.root;
  await waitFor({ what: `MySQL Router to route on ${port}`, timeoutMs: ROUTING_TIMEOUT_MS }, async () => {
    const connection = await createConnection({
      host,
      port,
      user,
      password,
      ssl: { rejectUnauthorized: false },
    });
    await connection.end();
    return true;
  });
}

/** Debian's build looks for its plugins in /usr and nowhere else, unless told. */
function pluginFolder(part: Part): string {
  return join(part.root, 'usr', 'lib', 'mysqlrouter', 'plugin');
}

/** As root it refuses to run unless told that this is meant. */
function runAsOwnUser(): readonly string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

function renderPassthrough(
  part: Part,
  directory: string,
  options: PassthroughRouterOptions,
  rw: number,
  ro: number,
): string {
  const route = (name: string, port: number, strategy: string, destinations: readonly string[]): string => `
[routing:${name}]
bind_address=127.0.0.1
bind_port=${port}
protocol=classic
routing_strategy=${strategy}
destinations=${destinations.join(',')}
client_ssl_mode=PASSTHROUGH
server_ssl_mode=AS_CLIENT
max_connect_errors=4294967295
`;
  return `[DEFAULT]
plugin_folder=${pluginFolder(part)}
runtime_folder=${directory}
data_folder=${directory}
logging_folder=${directory}
max_total_connections=10000

[logger]
level=WARNING
${route('rw', rw, 'first-available', [options.primary])}${route('ro', ro, 'round-robin', options.secondaries)}`;
}

const ROUTING_TIMEOUT_MS = 20_000;
