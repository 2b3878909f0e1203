/** DBD::MariaDB's tests: the driver that was made of DBD::mysql, with MariaDB's client library. */
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS } from '../../../src/sandbox/index.ts';
import { runPerlTests } from './perl-tests.ts';
import type { Suite, SuiteTarget } from './suite.ts';

export const DBD_MARIADB: Suite = {
  name: 'DBD::MariaDB',
  prepare: async (server) => {
    await server.query(
      `CREATE DATABASE IF NOT EXISTS ${SCHEMA} DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`,
    );
  },
  run: async (sandbox, target, only) => {
    const source = await sandbox.part('client-sources-more');
    const directory = await mkdtemp(join(sandbox.directory, 'dbd-mariadb-'));
    await cp(join(source.root, 'libdbd-mariadb-perl', 't'), join(directory, 't'), { recursive: true });
    await writeFile(join(directory, 't', 'MariaDB.mtest'), settings(target));
    return runPerlTests(sandbox, { part: 'perl-mariadb', directory, only });
  },
};

function settings({ host, port, tls, compress, certificateAuthority }: SuiteTarget): string {
  const { user, password } = ACCOUNTS.root;
  const options = [
    ...(tls ? ['mariadb_ssl=1', `mariadb_ssl_ca_file=${certificateAuthority}`] : []),
    ...(compress === true ? ['mariadb_compression=1'] : []),
  ];
  const address = [`DBI:MariaDB:database=${SCHEMA}`, `host=${host}`, `port=${port}`, ...options].join(';');
  return `
$::test_host = '${host}'; $::test_port = ${port}; $::test_user = '${user}'; $::test_password = '${password}';
$::test_db = '${SCHEMA}';
$::test_dsn = "${address}";
1;
`;
}

const SCHEMA = 'test_dbd_mariadb';
