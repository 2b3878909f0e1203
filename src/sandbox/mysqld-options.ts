import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from './parts.ts';

/** System variables by name, as in my.cnf. */
export type Variables = Readonly<Record<string, string | number>>;

/** Where an unpacked mysqld finds its own files. An installed one (`FAIRLEAD_MYSQLD`) knows that by itself. */
export function fileVariables(mysql: Part): Variables {
  const base = join(mysql.root, 'usr');
  const share = join(base, 'share', 'mysql');
  const runsAsRoot: Variables = process.getuid?.() === 0 ? { user: 'root' } : {};
  if (!existsSync(join(share, 'charsets'))) return runsAsRoot;
  return {
    ...runsAsRoot,
    basedir: base,
    'lc-messages-dir': share,
    'character-sets-dir': join(share, 'charsets'),
    'plugin-dir': join(base, 'lib', 'mysql', 'plugin'),
  };
}

/**
 * A server that is quick to start, small, and safe to lose: its data does not outlive the sandbox, so nothing is
 * synced. Replication and Group Replication see no difference.
 */
export const SMALL_SERVER_VARIABLES: Variables = {
  innodb_buffer_pool_size: '64M',
  'loose-innodb_redo_log_capacity': '32M',
  innodb_log_buffer_size: '4M',
  innodb_flush_log_at_trx_commit: 2,
  innodb_doublewrite: 0,
  // Containers often have no kernel AIO requests to spare.
  innodb_use_native_aio: 0,
  sync_binlog: 0,
  gtid_mode: 'ON',
  enforce_gtid_consistency: 'ON',
  table_open_cache: 400,
  table_definition_cache: 400,
  key_buffer_size: '1M',
  performance_schema: 'ON',
  // The summaries it allocates beforehand are a third of a small server's memory.
  performance_schema_digests_size: 1000,
  performance_schema_accounts_size: 20,
  performance_schema_hosts_size: 20,
  performance_schema_users_size: 20,
  performance_schema_max_table_instances: 400,
  performance_schema_max_thread_instances: 400,
  max_connections: 300,
  secure_file_priv: '',
  local_infile: 'ON',
  skip_name_resolve: 'ON',
};

/** The text of a my.cnf with one [mysqld] section. */
export function renderOptionFile(variables: Variables): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return `[mysqld]\n${lines.join('\n')}\n`;
}
