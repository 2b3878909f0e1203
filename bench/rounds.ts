/**
 * Puts every piece of work on every target, in turn and not one target after the other, so that what else happens on
 * the machine meets all of them.
 */
import { UnavailableError } from '../src/sandbox/index.ts';
import type { Bench, Target } from './bench.ts';
import { median } from './measure/statistics.ts';
import type { Outcome, WorkloadResult } from './result.ts';
import type { TargetKind } from './targets/index.ts';
import type { Sample, Workload } from './workloads/workload.ts';

export type StartedTarget =
  | { readonly kind: 'started'; readonly target: TargetKind; readonly running: Target }
  | { readonly kind: 'unavailable'; readonly target: TargetKind; readonly reason: string };

export type RunOptions = {
  /** For every workload; undefined for each one's own. */
  readonly rounds: number | undefined;
  readonly seconds: number;
  readonly isQuick: boolean;
  /** Told what is being measured. */
  readonly onProgress: (what: string) => void;
};

export async function startTargets(
  bench: Bench,
  targets: readonly TargetKind[],
): Promise<readonly StartedTarget[]> {
  const started: StartedTarget[] = [];
  for (const target of targets) {
    try {
      started.push({ kind: 'started', target, running: await target.start(bench) });
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      started.push({ kind: 'unavailable', target, reason: error.message });
    }
  }
  return started;
}

export async function runWorkload(
  bench: Bench,
  workload: Workload,
  targets: readonly StartedTarget[],
  options: RunOptions,
): Promise<WorkloadResult> {
  const progress = targets.map((target) => new Progress(target));
  const rounds = options.rounds ?? workload.usualRounds;
  // Round 0 warms up: code is compiled, buffers are grown. It does not count.
  for (let round = workload.needsFreshTarget || options.isQuick ? 1 : 0; round <= rounds; round += 1) {
    for (let step = 0; step < progress.length; step += 1) {
      const turn = progress[(step + round) % progress.length];
      if (turn === undefined || turn.target.kind !== 'started' || turn.failure !== undefined) continue;
      options.onProgress(`${workload.title}: ${turn.target.target.title}, round ${round} of ${rounds}`);
      const seconds = round === 0 ? (workload.warmUpSeconds ?? 1) : options.seconds;
      try {
        const sample = await runRound(bench, workload, turn.target, { seconds, isQuick: options.isQuick });
        if (round > 0) turn.samples.push(sample);
      } catch (error) {
        turn.failure = error instanceof Error ? error : new Error(String(error));
      }
    }
  }
  const { name, title, measures } = workload;
  const direct = progress.find((turn) => turn.target.target.name === 'direct');
  return {
    name,
    title,
    measures: measures.map(({ name, title, better, overDirect }) => ({
      name,
      title,
      better,
      isDifference: overDirect !== undefined,
    })),
    outcomes: progress.map((turn) => turn.outcome(workload, direct)),
  };
}

async function runRound(
  bench: Bench,
  workload: Workload,
  { target, running }: StartedTarget & { kind: 'started' },
  options: { readonly seconds: number; readonly isQuick: boolean },
): Promise<Sample> {
  if (!workload.needsFreshTarget) return workload.run(bench, running, options);
  const fresh = await target.start(bench);
  try {
    return await workload.run(bench, fresh, options);
  } finally {
    await fresh.stop();
  }
}

class Progress {
  readonly target: StartedTarget;
  readonly samples: Sample[] = [];
  failure: Error | undefined;

  constructor(target: StartedTarget) {
    this.target = target;
  }

  outcome({ measures }: Workload, direct: Progress | undefined): Outcome {
    const { name } = this.target.target;
    if (this.target.kind === 'unavailable') {
      return { kind: 'unavailable', target: name, reason: this.target.reason };
    }
    if (this.failure !== undefined) {
      const kind = this.failure instanceof UnavailableError ? 'unavailable' : 'failed';
      return { kind, target: name, reason: this.failure.message };
    }
    const rounds: Record<string, number[]> = {};
    const medians: Record<string, number> = {};
    for (const measure of measures) {
      const values =
        measure.overDirect === undefined
          ? this.#values(measure.name)
          : this.#added(measure.overDirect, direct);
      if (values.length === 0) continue;
      rounds[measure.name] = [...values];
      medians[measure.name] = median(values);
    }
    return { kind: 'measured', target: name, rounds, medians };
  }

  #values(measure: string): readonly number[] {
    return this.samples.flatMap((sample) => sample[measure] ?? []);
  }

  #added(measure: string, direct: Progress | undefined): readonly number[] {
    if (direct === undefined || direct === this) return [];
    const without = direct.#values(measure);
    return this.#values(measure).flatMap((value, round) => {
      const base = without[round];
      return base === undefined ? [] : [value - base];
    });
  }
}
