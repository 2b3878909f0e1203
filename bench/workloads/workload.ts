/** One kind of work, and what is measured while a target carries it. */

import type { Bench, Target } from '../bench.ts';
import { readCpuMs } from '../measure/cpu-time.ts';

export type Measure = {
  /** As in the result file. */
  readonly name: string;
  /** With its unit. */
  readonly title: string;
  readonly better: 'less' | 'more';
  /** Made from the measure of this name: the target's value less that without a proxy in the same round. */
  readonly overDirect?: string;
};

/** By measure. A measure that does not apply is left out, as CPU is where there is no proxy. */
export type Sample = Readonly<Record<string, number>>;

export type RoundOptions = {
  readonly seconds: number;
  /** Whether it is only to be shown that the work can be done. */
  readonly isQuick: boolean;
};

export type Workload = {
  readonly name: string;
  readonly title: string;
  readonly measures: readonly Measure[];
  /** Whether each round needs a target nobody has used yet. */
  readonly needsFreshTarget: boolean;
  /** Fairlead's variants, by name, that differ enough under this work to be worth the time. */
  readonly variants: readonly string[];
  /** How long a target is put to this work before it counts. Default 1; a program that compiles as it runs may need more. */
  readonly warmUpSeconds?: number;
  /** How many rounds count where none were asked for. */
  readonly usualRounds: number;
  run(bench: Bench, target: Target, options: RoundOptions): Promise<Sample>;
};

/** What a load reports of itself. */
export type LoadResult = { readonly operations: number; readonly seconds: number };

/** Puts `load` on the target and adds the proxy's processor time for each operation, in `cpuUnit` per operation. */
export async function measureCpu<R extends LoadResult>(
  target: Target,
  load: () => Promise<R>,
): Promise<{ readonly result: R; readonly cpu: { readonly cpuUs?: number } }> {
  const { pid } = target;
  const beforeMs = pid === undefined ? 0 : await readCpuMs(pid);
  const result = await load();
  if (result.operations === 0) throw new Error('the load did nothing');
  if (pid === undefined) return { result, cpu: {} };
  const usedMs = (await readCpuMs(pid)) - beforeMs;
  return { result, cpu: { cpuUs: (usedMs * 1000) / result.operations } };
}
