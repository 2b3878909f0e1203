/** A client's own tests, run against one address. */
import { messageOf, type Sandbox, type Server } from '../../../src/sandbox/index.ts';

/** Where a suite's connections go, and the server that is reached there, for preparations. */
export type SuiteTarget = {
  readonly host: string;
  readonly port: number;
  readonly server: Server;
  /** Whether the suite's connections use TLS. */
  readonly tls: boolean;
  /** Whether they ask for compression, where the client can. Default false. */
  readonly compress?: boolean;
  /** Who signed the certificate that clients see there. */
  readonly certificateAuthority: string;
};

/** "passed", "skipped" or "failed: <why>" by the test's own name. */
export type SuiteResults = ReadonlyMap<string, string>;

export type Suite = {
  readonly name: string;
  /** Makes the accounts and schemas it expects. Once for each server. */
  prepare(server: Server): Promise<void>;
  /** `only` names the files to run; default all. */
  run(sandbox: Sandbox, target: SuiteTarget, only?: readonly string[]): Promise<SuiteResults>;
};

/** Reads what a run of tests has said: one failure of the whole suite when it did not run, or said nothing of any test. */
export async function readRun(
  run: Promise<{ readonly stdout: string }>,
  parse: (text: string) => SuiteResults,
): Promise<SuiteResults> {
  try {
    const { stdout } = await run;
    const results = parse(stdout);
    return results.size > 0 ? results : failedWhole(stdout.trim().split('\n').at(-1) ?? '');
  } catch (error) {
    return failedWhole(messageOf(error));
  }
}

function failedWhole(why: string): SuiteResults {
  return new Map([['the whole suite', `failed: ${why}`]]);
}

export type Difference = { readonly test: string; readonly direct: string; readonly routed: string };

/** Tests whose results are not the same. Names that differ by run (temporary tables, ports) do not count. */
export function compareResults(direct: SuiteResults, routed: SuiteResults): readonly Difference[] {
  const names = new Set([...direct.keys(), ...routed.keys()]);
  return [...names].flatMap((test) => {
    const results = { direct: direct.get(test) ?? 'not run', routed: routed.get(test) ?? 'not run' };
    return kindOf(results.direct) === kindOf(results.routed) ? [] : [{ test, ...results }];
  });
}

export function countResults(
  results: SuiteResults,
): Readonly<Record<'passed' | 'skipped' | 'failed', number>> {
  const counts = { passed: 0, skipped: 0, failed: 0 };
  for (const result of results.values()) counts[kindOf(result)] += 1;
  return counts;
}

export function kindOf(result: string): 'passed' | 'skipped' | 'failed' {
  if (result === 'passed') return 'passed';
  return result.startsWith('skipped') ? 'skipped' : 'failed';
}
