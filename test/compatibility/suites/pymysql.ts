/** PyMySQL's tests, with the library they were written for: pytest, and the authentication tests beside it. */
import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, type Server } from '../../../src/sandbox/index.ts';
import { runPytest } from './pytest.ts';
import type { Suite, SuiteTarget } from './suite.ts';

export const PYMYSQL: Suite = {
  name: 'PyMySQL',
  prepare: async (server) => {
    for (const schema of ['test1', 'test2']) {
      await server.query(`CREATE DATABASE IF NOT EXISTS ${schema} DEFAULT CHARACTER SET utf8mb4`);
    }
    if (server.kind === 'mysql') await createAuthAccounts(server);
    else
      await server.query(
        "CREATE FUNCTION IF NOT EXISTS ed25519_password RETURNS STRING SONAME 'auth_ed25519.so'",
      );
  },
  run: async (sandbox, target, only) => {
    const source = await sandbox.part('client-sources');
    const directory = await mkdtemp(join(sandbox.directory, 'pymysql-'));
    await cp(join(source.root, 'python-pymysql'), directory, { recursive: true });
    await writeSettings(directory, target);
    const tests = only ?? (target.server.kind === 'mysql' ? ['pymysql', 'tests'] : ['pymysql']);
    return runPytest(sandbox, { part: 'python', directory, args: tests, timeoutMs: SUITE_TIMEOUT_MS });
  },
};

/** The accounts of PyMySQL's own CI (ci/docker-entrypoint-initdb.d). */
async function createAuthAccounts(server: Server): Promise<void> {
  const caching = 'pass_caching_sha2_01234567890123456789';
  const accounts = [
    { user: 'user_sha256', plugin: 'sha256_password', password: 'pass_sha256_01234567890123456789' },
    { user: 'nopass_sha256', plugin: 'sha256_password', password: '' },
    { user: 'user_caching_sha2', plugin: 'caching_sha2_password', password: caching },
    { user: 'nopass_caching_sha2', plugin: 'caching_sha2_password', password: '' },
  ];
  for (const { user, plugin, password } of accounts) {
    await server.query('DROP USER IF EXISTS ?', [user]);
    await server.query(`CREATE USER ? IDENTIFIED WITH ${plugin} BY ?`, [user, password]);
  }
  await server.query('GRANT RELOAD ON *.* TO user_caching_sha2');
}

async function writeSettings(directory: string, target: SuiteTarget): Promise<void> {
  const { host, port, tls, certificateAuthority } = target;
  const { user, password } = ACCOUNTS.root;
  const ssl = tls ? { ssl: { ca: certificateAuthority, check_hostname: false } } : {};
  const account = { host, port, user, password, ...ssl };
  const databases = [
    { ...account, database: 'test1', use_unicode: true, local_infile: true },
    { ...account, database: 'test2' },
  ];
  await writeFile(join(directory, 'pymysql', 'tests', 'databases.json'), JSON.stringify(databases));
  const auth = join(directory, 'tests', 'test_auth.py');
  const text = await readFile(auth, 'utf8');
  await writeFile(
    auth,
    text
      .replace(/^port = .*$/m, `port = ${port}`)
      .replace(/^ca = .*$/m, `ca = ${JSON.stringify(certificateAuthority)}`),
  );
}

const SUITE_TIMEOUT_MS = 240_000;
