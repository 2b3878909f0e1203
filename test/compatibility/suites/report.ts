/** What suites' runs have shown, in docs/compatibility.md: a run replaces its own rows, and leaves those of others. */
import { markdownTable, readPart, readTable, writePart } from '../document.ts';
import { compareResults, countResults, type SuiteResults } from './suite.ts';

export type SuiteRun = {
  /** The server's name. */
  readonly server: string;
  /** The suite's, with how it was run. */
  readonly suite: string;
  readonly direct: SuiteResults;
  readonly routed: readonly { readonly mode: string; readonly results: SuiteResults }[];
};

/** Writes one run down. Servers and suites stand in the order of `order`. */
export async function recordRun(run: SuiteRun, order: RowOrder): Promise<void> {
  const { server, suite } = run;
  const direct = withoutPlaces(run.direct);
  const routed = run.routed.map(({ mode, results }) => ({ mode, results: withoutPlaces(results) }));
  const names = [server, suite];
  const counts = [
    [...names, 'direct', ...Object.values(countResults(direct)), ''],
    ...routed.map(({ mode, results }) => [
      ...names,
      mode,
      ...Object.values(countResults(results)),
      compareResults(direct, results).length,
    ]),
  ];
  const differences = routed.flatMap(({ mode, results }) =>
    compareResults(direct, results).map(({ test, direct, routed }) => [...names, mode, test, direct, routed]),
  );
  const failures = [...direct].flatMap(([test, result]) =>
    result.startsWith('failed') ? [[...names, test, shorten(result.replace(/^failed:? *-? */, ''))]] : [],
  );
  const before = await readPart('suites');
  const table = (head: readonly string[], rows: readonly Row[]): string | undefined => {
    const others = readTable(before, head).filter((row) => row[0] !== server || row[1] !== suite);
    const all = [...others, ...rows].toSorted((a, b) => rank(a, order) - rank(b, order));
    return all.length === 0 ? undefined : markdownTable(head, all);
  };
  const text = [
    table(HEADS.counts, counts),
    table(HEADS.differences, differences) ?? 'No test has another result through the router than without it.',
    'These fail without the router too:',
    table(HEADS.failures, failures),
  ];
  await writePart('suites', text.filter((part) => part !== undefined).join('\n\n'));
}

export type RowOrder = {
  readonly servers: readonly string[];
  readonly suites: readonly string[];
};

type Row = readonly (string | number)[];

function rank([server, suite]: Row, { servers, suites }: RowOrder): number {
  return servers.indexOf(String(server)) * suites.length + suites.indexOf(String(suite));
}

/** Programs name themselves with the folder they lie in, which is another on every machine. */
function withoutPlaces(results: SuiteResults): SuiteResults {
  return new Map([...results].map(([test, result]) => [test, result.replaceAll(PART_FOLDER, '')]));
}

/** A table's cell is no place for a page. */
function shorten(text: string): string {
  return text.length > MAX_REASON_CHARACTERS ? `${text.slice(0, MAX_REASON_CHARACTERS)}…` : text;
}

/** Of the sandbox's cache. */
const PART_FOLDER = /(?:\/[\w.-]+)+\/parts\/[\w-]+\//g;
const MAX_REASON_CHARACTERS = 160;
const HEADS = {
  counts: ['server', 'suite', 'client TLS / server TLS', 'passed', 'skipped', 'failed', 'different'],
  differences: ['server', 'suite', 'mode', 'test', 'direct', 'through the router'],
  failures: ['server', 'suite', 'test', 'what it says'],
};
