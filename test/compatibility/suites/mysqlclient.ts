/** mysqlclient (MySQLdb), the Python driver on the C library that Django recommends: its own tests. */
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS } from '../../../src/sandbox/index.ts';
import { runPytest } from './pytest.ts';
import type { Suite } from './suite.ts';

export const MYSQLCLIENT: Suite = {
  name: 'mysqlclient',
  prepare: async (server) => {
    await server.query('CREATE DATABASE IF NOT EXISTS test_mysqlclient');
  },
  run: async (sandbox, target, only) => {
    const source = await sandbox.part('python-client-sources');
    const directory = await mkdtemp(join(sandbox.directory, 'mysqlclient-'));
    await cp(join(source.root, 'python-mysqldb', 'tests'), directory, { recursive: true });
    const { user, password } = ACCOUNTS.root;
    const settings = {
      ...{ host: target.host, port: target.port, user, password, database: 'test_mysqlclient' },
      'default-character-set': 'utf8mb4',
      ...(target.tls ? { 'ssl-ca': target.certificateAuthority } : {}),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    const compress = target.compress === true ? 'compress\n' : '';
    await writeFile(join(directory, 'default.cnf'), `[MySQLdb-tests]\n${lines.join('')}${compress}`);
    // A package of old that Python has itself by now.
    await writeFile(
      join(directory, 'mock.py'),
      "import sys\nfrom unittest import mock\nsys.modules['mock'] = mock\n",
    );
    const args = only ?? ['.'];
    return runPytest(sandbox, { part: 'python-clients', directory, args, timeoutMs: SUITE_TIMEOUT_MS });
  },
};

const SUITE_TIMEOUT_MS = 240_000;
