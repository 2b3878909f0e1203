/** System variables by name, as in my.cnf. */
export type Variables = Readonly<Record<string, string | number>>;

/**
 * A server that is quick to start, small, and safe to lose: its data does not outlive the sandbox, so nothing is
 * synced. Replication and Group Replication see no difference.
 */
export const SMALL_MYSQL: Variables = {
  innodb_buffer_pool_size: '64M',
  'loose-innodb_redo_log_capacity': '32M',
  innodb_log_buffer_size: '4M',
  innodb_flush_log_at_trx_commit: 2,
  innodb_doublewrite: 0,
  // What is written is in the page cache, where it outlives the server's death; flushing it is a third of a start.
  innodb_flush_method: 'nosync',
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

/** The same for MariaDB, with its binary log and the plugins that accounts may name. */
export const SMALL_MARIADB: Variables = {
  innodb_buffer_pool_size: '64M',
  innodb_log_file_size: '32M',
  innodb_flush_log_at_trx_commit: 2,
  innodb_doublewrite: 0,
  innodb_use_native_aio: 0,
  sync_binlog: 0,
  log_bin: 'binlog',
  log_slave_updates: 'ON',
  binlog_format: 'ROW',
  gtid_strict_mode: 'ON',
  table_open_cache: 400,
  table_definition_cache: 400,
  key_buffer_size: '1M',
  aria_pagecache_buffer_size: '8M',
  max_connections: 300,
  secure_file_priv: '',
  local_infile: 'ON',
  skip_name_resolve: 'ON',
  plugin_load_add: 'auth_ed25519;auth_parsec;auth_mysql_sha2',
};

/** The text of a my.cnf with one [mysqld] section, which MariaDB reads too. */
export function renderOptionFile(variables: Variables): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return `[mysqld]\n${lines.join('\n')}\n`;
}
