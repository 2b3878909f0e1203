/** Tests that pytest runs, by the names it gives them. */
import type { PartName, Sandbox } from '../../../src/sandbox/index.ts';
import { readRun, type SuiteResults } from './suite.ts';

export type PytestRun = {
  /** The Python it is run with. */
  readonly part: PartName;
  readonly directory: string;
  /** Files, folders and options. */
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where modules are looked for first; default nowhere. */
  readonly modules?: string;
};

export async function runPytest(sandbox: Sandbox, run: PytestRun): Promise<SuiteResults> {
  const { part, directory, args, timeoutMs, environment = {}, modules } = run;
  // pytest's exit code tells that tests failed: which ones is read from what it says.
  const script = `
import json, os, sys
os.environ.update(json.loads(sys.argv[1]))
if sys.argv[2]: sys.path.insert(0, sys.argv[2])
import pytest
pytest.main(sys.argv[3:])`;
  const settings = JSON.stringify({ COLUMNS: '400', ...environment });
  const options = ['-v', '-p', 'no:cacheprovider', '--tb=line', '-ra'];
  const all = ['-c', script, settings, modules ?? '', ...options, ...args];
  return readRun(sandbox.run(part, 'python3', all, { cwd: directory, timeoutMs }), parsePytest);
}

function parsePytest(text: string): SuiteResults {
  const reasons = new Map<string, string>();
  for (const [, test = '', reason = ''] of text.matchAll(/^(?:FAILED|ERROR) (\S+::\S+) - (.*)$/gm)) {
    reasons.set(test, reason);
  }
  const results = new Map<string, string>();
  for (const [, test = '', word = ''] of text.matchAll(
    /^(\S+::\S+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)/gm,
  )) {
    if (word === 'SKIPPED') results.set(test, 'skipped');
    else if (word === 'FAILED' || word === 'ERROR')
      results.set(test, `failed: ${reasons.get(test) ?? 'without a word'}`);
    else results.set(test, 'passed');
  }
  return results;
}
