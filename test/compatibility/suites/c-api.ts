/** The C APIs' own test programs, MySQL's and MariaDB's, each with the server it was written for. Every test is a run by itself. */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, messageOf, type PartName, type Sandbox, type Server } from '../../../src/sandbox/index.ts';
import type { Suite, SuiteTarget } from './suite.ts';

/** They use TLS wherever it is offered, and MySQL's insists on it. */
export const C_API: Suite = {
  name: 'C API',
  prepare: async (server) => {
    // Where they log in; each makes its own besides.
    await server.query('CREATE DATABASE IF NOT EXISTS test');
  },
  run: async (sandbox, target, only) => {
    const directory = await mkdtemp(join(sandbox.directory, 'c-api-'));
    // Some write there what they compare.
    for (const folder of ['log', 'tmp']) await mkdir(join(directory, folder));
    const { part, program } = PROGRAMS[target.server.kind];
    const { stdout } = await sandbox.run(part, program, ['--no-defaults', '-T']);
    const names = only ?? stdout.split('\n').filter((line) => /^\w+$/.test(line));
    const results = new Map<string, string>();
    for (const name of names) results.set(name, await runTest(sandbox, target, directory, name));
    return results;
  },
};

async function runTest(
  sandbox: Sandbox,
  { host, port, server }: SuiteTarget,
  directory: string,
  name: string,
): Promise<string> {
  const { part, program } = PROGRAMS[server.kind];
  const { user, password } = ACCOUNTS.root;
  const login = [`-h${host}`, `-P${port}`, `-u${user}`, `-p${password}`];
  const args = ['--no-defaults', ...login, `--vardir=${directory}`, '--testcase', '--silent', name];
  try {
    await sandbox.run(part, program, args, { cwd: directory, timeoutMs: TEST_TIMEOUT_MS });
    return 'passed';
  } catch (error) {
    const said = messageOf(error).split('\n');
    return `failed: ${said.find((line) => line.includes('check failed')) ?? said.findLast((line) => line.trim() !== '')}`;
  }
}

const PROGRAMS = {
  mysql: { part: 'mysql-testsuite', program: 'mysql_client_test' },
  mariadb: { part: 'mariadb-test', program: 'mariadb-client-test' },
} as const satisfies Record<Server['kind'], { readonly part: PartName; readonly program: string }>;

const TEST_TIMEOUT_MS = 60_000;
