/** Django's own tests of what has to do with its database, on mysqlclient: the ORM, transactions, schema and introspection. */
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, type Sandbox } from '../../../src/sandbox/index.ts';
import { readRun, type Suite, type SuiteResults, type SuiteTarget } from './suite.ts';

export const DJANGO: Suite = {
  name: 'Django',
  prepare: async () => {},
  run: async (sandbox, target, only) => {
    const source = await sandbox.part('python-client-sources');
    const directory = await mkdtemp(join(sandbox.directory, 'django-'));
    await cp(join(source.root, 'python-django'), directory, { recursive: true });
    await writeFile(join(directory, 'tests', 'fairlead_settings.py'), settings(target));
    return runTests(sandbox, directory, only ?? APPLICATIONS);
  },
};

async function runTests(
  sandbox: Sandbox,
  directory: string,
  applications: readonly string[],
): Promise<SuiteResults> {
  // Its exit code tells that tests failed: which ones is read from what it says, all of it in one stream.
  const script = `
import subprocess, sys
sys.exit(subprocess.run([sys.executable, 'runtests.py', *sys.argv[1:]], stderr=subprocess.STDOUT).returncode * 0)`;
  const options = ['--settings=fairlead_settings', '--parallel=1', '-v2', '--noinput'];
  const run = sandbox.run('python-clients', 'python3', ['-c', script, ...options, ...applications], {
    cwd: join(directory, 'tests'),
    timeoutMs: SUITE_TIMEOUT_MS,
  });
  return readRun(run, parseUnittest);
}

/** A test's name comes first; what it says itself may stand between that and the verdict. */
function parseUnittest(text: string): SuiteResults {
  const results = new Map<string, string>();
  let test: string | undefined;
  for (const line of text.split('\n')) {
    test = /^\w+ \(([\w.]+)\)/.exec(line)?.[1] ?? test;
    const verdict = /\.\.\. (ok|FAIL|ERROR|skipped.*|expected failure)$/.exec(line)?.[1];
    if (verdict === undefined || test === undefined) continue;
    if (verdict.startsWith('skipped')) results.set(test, 'skipped');
    else if (verdict === 'FAIL' || verdict === 'ERROR') results.set(test, 'failed: ');
    else results.set(test, 'passed');
    test = undefined;
  }
  return results;
}

function settings({ host, port, tls, compress, certificateAuthority }: SuiteTarget): string {
  const { user, password } = ACCOUNTS.root;
  const options = {
    ...(tls ? { ssl: { ca: certificateAuthority } } : {}),
    ...(compress === true ? { compress: 1 } : {}),
  };
  const account = {
    ENGINE: 'django.db.backends.mysql',
    HOST: host,
    PORT: port,
    USER: user,
    PASSWORD: password,
  };
  const database = (name: string) => ({
    ...account,
    NAME: name,
    OPTIONS: options,
    TEST: { NAME: `test_${name}` },
  });
  return `
DATABASES = ${JSON.stringify({ default: database('django'), other: database('django_other') })}
SECRET_KEY = 'of the suite'
PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
USE_TZ = False
`;
}

const APPLICATIONS = [
  ...['backends', 'basic', 'bulk_create', 'datatypes', 'datetimes', 'introspection', 'raw_query'],
  ...['select_for_update', 'timezones', 'transactions', 'transaction_hooks'],
];
const SUITE_TIMEOUT_MS = 900_000;
