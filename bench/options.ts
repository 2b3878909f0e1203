/** `npm run bench -- …` */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TARGETS, type TargetKind, VARIANTS } from './targets/index.ts';
import { FURTHER_WORKLOADS, WORKLOADS } from './workloads/index.ts';
import type { Workload } from './workloads/workload.ts';

export type BenchOptions = {
  readonly workloads: readonly Workload[];
  readonly targets: readonly TargetKind[];
  /** Undefined for each workload's own. */
  readonly rounds: number | undefined;
  readonly seconds: number;
  readonly isQuick: boolean;
  readonly hasPickedTargets: boolean;
  /** Whether nothing was left out by `--only` or `--proxies`. */
  readonly isWhole: boolean;
  readonly resultPath: string;
  readonly profileDirectory: string | undefined;
};

const EVERY_WORKLOAD = [...WORKLOADS, ...FURTHER_WORKLOADS];

export const USAGE = `npm run bench -- [options]
  --only a,b         these workloads: ${EVERY_WORKLOAD.map(({ name }) => name).join(', ')}
  --proxies a,b      these targets: ${[...TARGETS, ...VARIANTS].map(({ name }) => name).join(', ')}
  --variants         Fairlead's variants too, under the work in which they differ
  --rounds n         rounds that count, default 2 to 5 by the work
  --seconds n        length of a round, default 3
  --quick            one short round of each work on a few targets, to see that the bench works; its figures
                     mean nothing
  --output file      default bench/results/latest.json; with --quick .cache/bench/quick.json
  --cpu-prof folder  have Fairlead leave a profile of each of its threads there
`;

/** @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      proxies: { type: 'string' },
      variants: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      output: { type: 'string' },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const everyTarget = [...TARGETS, ...VARIANTS];
  const usualTargets = values.variants ? everyTarget : TARGETS;

  return {
    workloads: values.only === undefined ? WORKLOADS : pick('workload', values.only, EVERY_WORKLOAD),
    targets: values.proxies === undefined ? usualTargets : pick('target', values.proxies, everyTarget),
    rounds: parseCount('rounds', values.rounds, values.quick ? 1 : undefined),
    seconds: parseCount('seconds', values.seconds, values.quick ? 1 : 3),
    isQuick: values.quick,
    hasPickedTargets: values.proxies !== undefined,
    isWhole: values.only === undefined && values.proxies === undefined,
    resultPath: values.output ?? (values.quick ? QUICK_RESULT : LATEST_RESULT),
    profileDirectory: values['cpu-prof'],
  };
}

function pick<T extends { readonly name: string }>(what: string, text: string, from: readonly T[]): T[] {
  return text.split(',').map((name) => {
    const found = from.find((candidate) => candidate.name === name.trim());
    if (found !== undefined) return found;
    throw new Error(`no ${what} ${name}; there are ${from.map((candidate) => candidate.name).join(', ')}`);
  });
}

function parseCount<T>(name: string, text: string | undefined, otherwise: T): number | T {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name} ${text}: must be a whole number from 1`);
  return value;
}

export const LATEST_RESULT = join(import.meta.dirname, 'results', 'latest.json');
/** Not kept with the sources: its figures mean nothing. */
const QUICK_RESULT = join(import.meta.dirname, '..', '.cache', 'bench', 'quick.json');
