/** The servers behind every proxy: one group of three, with a schema that looks like an InnoDB Cluster's, and data. */
import { ACCOUNTS, type Group, type Sandbox, type Server } from '../src/sandbox/index.ts';

export type Cluster = {
  readonly group: Group;
  readonly primary: Server;
  readonly secondaries: readonly Server[];
};

/** Returns when all members are ONLINE and the tables are filled. */
export async function startCluster(sandbox: Sandbox): Promise<Cluster> {
  const group = await sandbox.startGroup({
    size: 3,
    metadata: { version: '2.2' },
    variables: SERVER_VARIABLES,
  });
  const primary = await group.primary();
  const secondaries = await group.secondaries();
  await primary.query('CREATE DATABASE sbtest');
  const prepare = [...sysbenchLogin(primary.port), `--table-size=${TABLE_ROWS}`, 'prepare'];
  // sysbench is a client without TLS: somebody must have shown the server the password before.
  await rememberPassword(primary);
  await sandbox.run('sysbench', 'sysbench', ['oltp_point_select', ...prepare], { timeoutMs: 120_000 });
  await primary.query('CREATE TABLE sbtest.sink (id INT PRIMARY KEY, line VARCHAR(250))');
  await primary.query('ANALYZE TABLE sbtest.sbtest1');
  for (const server of secondaries) await rememberPassword(server);
  return { group, primary, secondaries };
}

/** One table: the proxies do not care, and the small servers keep it in memory. */
export function sysbenchLogin(port: number): readonly string[] {
  const { user, password } = ACCOUNTS.app;
  return [
    '--db-driver=mysql',
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    `--mysql-user=${user}`,
    `--mysql-password=${password}`,
    '--mysql-db=sbtest',
    '--mysql-ssl=off',
    '--tables=1',
  ];
}

/** After one login over TLS, caching_sha2_password logs the account in by a digest. */
async function rememberPassword(server: Server): Promise<void> {
  const connection = await server.connect({ ...ACCOUNTS.app, ssl: { rejectUnauthorized: false } });
  await connection.end();
}

export const TABLE_ROWS = 100_000;

const SERVER_VARIABLES = {
  max_connections: 12_000,
  open_files_limit: 20_000,
  max_connect_errors: 1_000_000,
  back_log: 4096,
  innodb_buffer_pool_size: '256M',
  max_allowed_packet: '256M',
  thread_cache_size: 256,
  // Many sessions are not to be told apart here.
  performance_schema_max_thread_instances: 400,
};
