/**
 * SQLAlchemy's tests of its MySQL dialect, and the suite every dialect has to pass: the toolkit and ORM most Python
 * applications use, on a driver in C (mysqlclient) or in Python (PyMySQL).
 */
import { cp, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS } from '../../../src/sandbox/index.ts';
import { runPytest } from './pytest.ts';
import type { Suite } from './suite.ts';

export const SQLALCHEMY_WITH_MYSQLCLIENT = createSuite('mysqlclient', 'mysqldb');
export const SQLALCHEMY_WITH_PYMYSQL = createSuite('PyMySQL', 'pymysql');

function createSuite(driver: string, scheme: string): Suite {
  return {
    name: `SQLAlchemy with ${driver}`,
    prepare: async (server) => {
      for (const schema of [SCHEMA, 'test_schema'])
        await server.query(`CREATE DATABASE IF NOT EXISTS ${schema} DEFAULT CHARACTER SET utf8mb4`);
      await server.query('SET GLOBAL log_bin_trust_function_creators = 1');
    },
    run: async (sandbox, { host, port, tls, certificateAuthority }, only) => {
      const source = await sandbox.part('sqlalchemy-source');
      const directory = await mkdtemp(join(sandbox.directory, 'sqlalchemy-'));
      await cp(join(source.root, 'sqlalchemy'), directory, { recursive: true });
      const options = new URLSearchParams({ charset: 'utf8mb4' });
      if (tls) options.set('ssl_ca', certificateAuthority);
      if (tls && scheme === 'pymysql') options.set('ssl_check_hostname', 'false');
      const { user, password } = ACCOUNTS.root;
      const address = `mysql+${scheme}://${user}:${password}@${host}:${port}/${SCHEMA}?${options}`;
      const tests = only ?? ['test/dialect/mysql', 'test/dialect/test_suite.py'];
      return runPytest(sandbox, {
        part: 'python-clients',
        directory,
        args: ['-p', 'no:logging', '--dburi', address, ...tests],
        timeoutMs: SUITE_TIMEOUT_MS,
        modules: join(directory, 'lib'),
      });
    },
  };
}

const SCHEMA = 'sqlalchemy';
const SUITE_TIMEOUT_MS = 900_000;
