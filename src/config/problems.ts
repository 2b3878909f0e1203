/**
 * What is wrong with a configuration, in words an operator can act on. No secret ever gets in here.
 */
export type Problem = {
  /** Path of the key: "hold.timeout", "routes[1].listen"; empty for a file as a whole. */
  readonly key: string;
  /** The value as it was written, masked and shortened; null when there is none to show. */
  readonly value: string | null;
  /** The rule that was broken, and what to write instead. */
  readonly rule: string;
  /** "fairlead.yaml:4:12", "environment variable FAIRLEAD_…", "flag --…", or "nowhere" for what was not given. */
  readonly origin: string;
};

/** One line for one problem. */
export function describeProblem(problem: Problem): string {
  const subject = problem.value === null ? problem.key : `${problem.key} = ${problem.value}`;
  const origin = problem.origin === NOWHERE ? '' : problem.origin;
  return [origin, subject, problem.rule].filter((part) => part !== '').join(': ');
}

/** All problems for a terminal: a count, then a line each. */
export function describeProblems(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return [
    `${count} in the configuration:`,
    ...problems.map((problem) => `  ${describeProblem(problem)}`),
  ].join('\n');
}

/** The origin of what was given nowhere. */
export const NOWHERE = 'nowhere';

/** A value as a message may show it: as JSON, on one line, not longer than a line, without credentials of a URL. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'nothing (null)';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a map of keys';
  const shown = JSON.stringify(value).replace(/[^\s"/]*@/g, '***@');
  return shown.length <= MAX_SHOWN ? shown : `${shown.slice(0, MAX_SHOWN)}…`;
}

/** What stands for a secret. */
export const MASK = '***';

/** Characters of a value in a message. */
const MAX_SHOWN = 80;
