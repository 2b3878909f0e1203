/** PHP's own tests of mysqli and PDO, by its run-tests.php. */
import { chmod, cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readInterpreter } from '../../../src/sandbox/elf.ts';
import { ACCOUNTS, type Command, runCommand } from '../../../src/sandbox/index.ts';
import { readRun, type Suite, type SuiteResults } from './suite.ts';

export const PHP: Suite = {
  name: 'PHP mysqli and PDO',
  prepare: async (server) => {
    await server.query(`CREATE DATABASE IF NOT EXISTS ${SCHEMA}`);
  },
  run: async (sandbox, { host, port }, only) => {
    const [php, sources] = await Promise.all([sandbox.part('php'), sandbox.part('client-sources-more')]);
    const directory = await mkdtemp(join(sandbox.directory, 'php-'));
    for (const folder of FOLDERS) {
      await mkdir(join(directory, folder), { recursive: true });
      await cp(join(sources.root, 'php8.4', folder), join(directory, folder), { recursive: true });
    }
    await cp(join(sources.root, 'php8.4', 'run-tests.php'), join(directory, 'run-tests.php'));
    const { user, password } = ACCOUNTS.root;
    const settings = {
      ...{ MYSQL_TEST_HOST: host, MYSQL_TEST_PORT: `${port}`, MYSQL_TEST_USER: user },
      ...{ MYSQL_TEST_PASSWD: password, MYSQL_TEST_DB: SCHEMA, NO_INTERACTION: '1', NO_COLOR: '1' },
      ...{ PDO_MYSQL_TEST_HOST: host, PDO_MYSQL_TEST_PORT: `${port}`, PDO_MYSQL_TEST_DB: SCHEMA },
      ...{ PDO_MYSQL_TEST_USER: user, PDO_MYSQL_TEST_PASS: password },
      PDO_MYSQL_TEST_DSN: `mysql:host=${host};port=${port};dbname=${SCHEMA}`,
    };
    const wrapper = join(directory, 'php');
    const command = php.command('php', []);
    await writeFile(wrapper, await startPhp(command));
    await chmod(wrapper, 0o755);
    // Its exit code tells that tests failed: which ones is read from what it says.
    const script = '"$0" -d memory_limit=512M run-tests.php -q -p "$0" "$@" || true';
    const { LD_LIBRARY_PATH: _, ...environment } = command.env;
    const env = { ...environment, ...settings, FAIRLEAD_SANDBOX: sandbox.directory };
    const run = { file: '/bin/sh', args: ['-c', script, wrapper, ...(only ?? TESTS)], env };
    return readRun(runCommand(run, { cwd: directory, timeoutMs: SUITE_TIMEOUT_MS }), parseReport);
  },
};

/**
 * run-tests.php goes by the machine's shell, which cannot run with this part's libraries: only PHP is told of them, and not
 * by its environment.
 */
async function startPhp({ file, env: { LD_LIBRARY_PATH: libraries = '' } }: Command): Promise<string> {
  return `#!/bin/sh\nexec '${await readInterpreter(file)}' --library-path '${libraries}' '${file}' "$@"\n`;
}

function parseReport(text: string): SuiteResults {
  const results = new Map<string, string>();
  for (const [, verdict = '', test = ''] of text.matchAll(
    /(?:^|\r|\])(PASS|SKIP|FAIL|XFAIL|BORK|LEAK|WARN)\b.* \[([^\]\s]+\.phpt)\]/gm,
  )) {
    if (verdict === 'PASS' || verdict === 'XFAIL') results.set(test, 'passed');
    else results.set(test, verdict === 'SKIP' ? 'skipped' : 'failed: ');
  }
  return results;
}

const TESTS = ['ext/mysqli/tests', 'ext/pdo_mysql/tests'];
const FOLDERS = [...TESTS, 'ext/pdo/tests'];
const SCHEMA = 'php_test';
const SUITE_TIMEOUT_MS = 900_000;
