/** DBD::mysql's tests: TAP files in Perl, each run by itself. A test is named "file: number". */
import { cp, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount, messageOf, type Sandbox } from '../../../src/sandbox/index.ts';
import { type BuiltDriver, buildDbdMysql } from './build-dbd-mysql.ts';
import type { Suite, SuiteResults, SuiteTarget } from './suite.ts';

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
      const files = (await readdir(join(directory, 't'))).filter((file) => file.endsWith('.t')).toSorted();
      const results = new Map<string, string>();
      for (const file of only ?? files.filter((file) => !ABOUT_THE_SOURCES.includes(file))) {
        for (const [test, result] of await runFile(sandbox, directory, file, driver)) {
          results.set(`${file}: ${test}`, result);
        }
      }
      return results;
    },
  };
}

async function runFile(
  sandbox: Sandbox,
  directory: string,
  file: string,
  driver: BuiltDriver | undefined,
): Promise<SuiteResults> {
  const script = `
    my ($file, $modules, $libraries) = @ARGV;
    # As ExtUtils::MakeMaker does for "make test".
    $ENV{PERL_USE_UNSAFE_INC} = 1;
    if ($modules) {
      $ENV{PERL5LIB} = "$modules:$ENV{PERL5LIB}";
      $ENV{LD_LIBRARY_PATH} .= ":$libraries";
    }
    # A test that fails makes its exit code: what counts is what it says.
    system($^X, $file);
    exit 0`;
  const args = ['-e', script, join('t', file), driver?.modules ?? '', driver?.libraries ?? ''];
  try {
    const { stdout } = await sandbox.run('perl', 'perl', args, {
      cwd: directory,
      timeoutMs: FILE_TIMEOUT_MS,
    });
    return parseTap(stdout);
  } catch (error) {
    return new Map([['whole file', `failed: ${messageOf(error).split('\n')[0]}`]]);
  }
}

function parseTap(text: string): SuiteResults {
  const results = new Map<string, string>();
  let planned: number | undefined;
  for (const line of text.split('\n')) {
    const plan = /^1\.\.(\d+)(?: *# *SKIP *(.*))?/i.exec(line);
    if (plan !== null) planned = Number(plan[1]);
    if (plan !== null && planned === 0) results.set('whole file', `skipped: ${plan[2] ?? ''}`);
    const test = /^(not )?ok (\d+)([^#]*)(?:# *(skip|todo) *(.*))?/i.exec(line);
    if (test === null) continue;
    const [, not, name = '', description = '', directive, reason = ''] = test;
    if (directive?.toLowerCase() === 'skip') results.set(name, `skipped: ${reason}`);
    // What is marked as to do may fail.
    else results.set(name, not === undefined || directive !== undefined ? 'passed' : `failed:${description}`);
  }
  const ran = results.size;
  if (planned === undefined) results.set('whole file', 'failed: no plan');
  else if (planned > 0 && ran !== planned)
    results.set('whole file', `failed: ${ran} of ${planned} tests were run`);
  return results;
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
/** They look at the distribution's own files and at no server. */
const ABOUT_THE_SOURCES = ['manifest.t', 'pod.t', '00base.t', 'version.t'];
const FILE_TIMEOUT_MS = 90_000;
