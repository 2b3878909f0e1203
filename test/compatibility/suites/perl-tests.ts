/** Test files in Perl, which say in TAP (Test Anything Protocol) how it went. A test is named "file: number". */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, type PartName, type Sandbox } from '../../../src/sandbox/index.ts';
import type { BuiltDriver } from './build-dbd-mysql.ts';
import type { SuiteResults } from './suite.ts';

export type PerlTests = {
  /** The Perl they are run with. */
  readonly part: PartName;
  /** Has the files in its folder "t". */
  readonly directory: string;
  /** Default all that are about more than the sources. */
  readonly only: readonly string[] | undefined;
  /** A driver in place of the part's. */
  readonly driver?: BuiltDriver | undefined;
};

export async function runPerlTests(sandbox: Sandbox, tests: PerlTests): Promise<SuiteResults> {
  const files = (await readdir(join(tests.directory, 't'))).filter((file) => file.endsWith('.t')).toSorted();
  const results = new Map<string, string>();
  for (const file of tests.only ?? files.filter((file) => !ABOUT_THE_SOURCES.includes(file))) {
    for (const [test, result] of await runFile(sandbox, tests, file)) {
      results.set(`${file}: ${test}`, result);
    }
  }
  return results;
}

async function runFile(
  sandbox: Sandbox,
  { part, directory, driver }: PerlTests,
  file: string,
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
    const { stdout } = await sandbox.run(part, 'perl', args, {
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

/** They look at the distribution's own files and at no server. */
const ABOUT_THE_SOURCES = ['manifest.t', 'pod.t', '00base.t', 'version.t'];
const FILE_TIMEOUT_MS = 90_000;
