import { METADATA_SCHEMA } from './metadata-schema.ts';
import type { Server } from './server.ts';

export type Account = { readonly user: string; readonly password: string };

export type NewAccount = Account & {
  /** Default "caching_sha2_password", on MariaDB "mysql_native_password"; the plugin must exist on the server. */
  readonly plugin?: string;
  /** Default "%". */
  readonly host?: string;
  /** E.g. "SELECT ON test.*"; default none. */
  readonly grants?: readonly string[];
  /** Whether the account may only log in over TLS. Default false. */
  readonly requireTls?: boolean;
};

/** Present on every server of a sandbox, from any address. */
export const ACCOUNTS = {
  /** May do everything. */
  root: { user: 'root', password: 'sakila' },
  /** What the router's control sessions need and nothing more. */
  router: { user: 'router', password: 'router-secret' },
  /** An application: everything in the schemas `app`, `test` and `sbtest`. */
  app: { user: 'app', password: 'app-secret' },
  /** Members recover from each other with it. */
  recovery: { user: 'recovery', password: 'recovery-secret' },
} as const satisfies Record<string, Account>;

/** Creates an account through `server`, which must take writes. An account of that name is replaced. */
export async function createAccount(server: Server, account: NewAccount): Promise<void> {
  const { user, password, plugin = DEFAULT_PLUGINS[server.kind], host = '%' } = account;
  await server.query('DROP USER IF EXISTS ?@?', [user, host]);
  const demand = account.requireTls === true ? ' REQUIRE SSL' : '';
  const identified =
    server.kind === 'mysql' ? `IDENTIFIED WITH ${plugin} BY ?` : `IDENTIFIED VIA ${plugin} USING PASSWORD(?)`;
  await server.query(`CREATE USER ?@? ${identified}${demand}`, [user, host, password]);
  for (const grant of account.grants ?? []) await server.query(`GRANT ${grant} TO ?@?`, [user, host]);
}

/** The statements that make {@link ACCOUNTS} on a newly initialised MariaDB. */
export function mariadbAccountStatements(): readonly string[] {
  const { root, router, app, recovery } = ACCOUNTS;
  return [
    // Its installation gives root an empty password at the machine's own names.
    "DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '%');",
    "DELETE FROM mysql.proxies_priv WHERE Host NOT IN ('localhost', '%');",
    // While it initialises itself its grants are switched off until it reads them.
    'FLUSH PRIVILEGES;',
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${root.password}';`,
    ...[root, router, app, recovery].map(
      ({ user, password }) => `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}';`,
    ),
    `GRANT ALL ON *.* TO '${root.user}'@'%' WITH GRANT OPTION;`,
    `GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO '${router.user}'@'%';`,
    ...['app', 'test', 'sbtest'].map((schema) => `GRANT ALL ON ${schema}.* TO '${app.user}'@'%';`),
    `GRANT REPLICATION SLAVE, BINLOG MONITOR, RELOAD, PROCESS ON *.* TO '${recovery.user}'@'%';`,
  ];
}

/** The statements that make {@link ACCOUNTS} on a newly initialised server; one per line, as `init_file` wants them. */
export function accountStatements(): readonly string[] {
  const { root, router, app, recovery } = ACCOUNTS;
  return [
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${root.password}';`,
    ...[root, router, app, recovery].map(
      ({ user, password }) => `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}';`,
    ),
    `GRANT ALL ON *.* TO '${root.user}'@'%' WITH GRANT OPTION;`,
    ...['replication_group_members', 'replication_group_member_stats', 'global_variables'].map(
      (table) => `GRANT SELECT ON performance_schema.${table} TO '${router.user}'@'%';`,
    ),
    // A grant on a schema holds before the schema exists.
    `GRANT SELECT ON ${METADATA_SCHEMA}.* TO '${router.user}'@'%';`,
    ...['app', 'test', 'sbtest'].map((schema) => `GRANT ALL ON ${schema}.* TO '${app.user}'@'%';`),
    // The communication stack MYSQL would need GROUP_REPLICATION_STREAM too, which servers before 8.0.27 do not know.
    `GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN ON *.* TO '${recovery.user}'@'%';`,
  ];
}

const DEFAULT_PLUGINS = { mysql: 'caching_sha2_password', mariadb: 'mysql_native_password' } as const;
