/** DBD::mysql's tests, each file run by itself. */
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount, type Sandbox } from '../../../src/sandbox/index.ts';
import { type BuiltDriver, buildDbdMysql } from './build-dbd-mysql.ts';
import { runPerlTests } from './perl-tests.ts';
import type { Suite, SuiteTarget } from './suite.ts';

/** With Debian's own driver, which uses MariaDB's client library. */
export const DBD_MYSQL_WITH_LIBMARIADB = createSuite('DBD::mysql with libmariadb', async () => undefined);
/** With a driver that uses MySQL's client library. */
export const DBD_MYSQL_WITH_LIBMYSQLCLIENT = createSuite('DBD::mysql with libmysqlclient', buildDbdMysql);

function createSuite(name: string, build: (sandbox: Sandbox) => Promise<BuiltDriver | undefined>): Suite {
  return {
    name,
    prepare: async (server) => {
      await server.query('CREATE DATABASE IF NOT EXISTS test');
      // A plugin that every library of today knows: MySQL's has no mysql_native_password any more.
      await createAccount(server, { ...ACCOUNT, plugin: 'caching_sha2_password', grants: ['ALL ON *.*'] });
    },
    run: async (sandbox, target, only) => {
      const driver = await build(sandbox);
      const source = await sandbox.part('client-sources');
      const directory = await mkdtemp(join(sandbox.directory, 'dbd-mysql-'));
      await cp(join(source.root, 'libdbd-mysql-perl', 't'), join(directory, 't'), { recursive: true });
      await writeFile(join(directory, 't', 'mysql.mtest'), settings(target));
      return runPerlTests(sandbox, { part: 'perl', directory, only, driver });
    },
  };
}

function settings({ host, port, tls }: SuiteTarget): string {
  const { user, password } = ACCOUNT;
  return `
$::test_host = '${host}'; $::test_port = ${port}; $::test_user = '${user}'; $::test_password = '${password}';
$::test_db = 'test'; $::test_socket = undef; $::test_mysql_config = undef;
$::test_dsn = "DBI:mysql:test:${host}:${port};mysql_get_server_pubkey=1${tls ? ';mysql_ssl=1' : ''}";
1;
`;
}

const ACCOUNT = { user: 'suite', password: 'suite-secret' };
