/**
 * Measures Fairlead beside its peers in one run on one machine: `npm run bench`. All proxies stand before the same
 * cluster at the same time, and take turns in being used.
 */

import { resolve } from 'node:path';
import { createSandbox } from '../src/sandbox/index.ts';
import { messageOf } from '../src/shared/message-of.ts';
import { startCluster } from './cluster.ts';
import { raiseDescriptorLimit } from './descriptors.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { type BenchResult, type WorkloadResult, writeResult } from './result.ts';
import { runWorkload, type StartedTarget, startTargets } from './rounds.ts';
import { measureSpread } from './spread.ts';
import { renderTable } from './table.ts';
import { VARIANTS } from './targets/index.ts';
import type { Workload } from './workloads/workload.ts';

/** 10,000 sessions, two for each in the proxy, and then some. */
const DESCRIPTORS = 24_000;

const options = optionsOrComplaint(process.argv.slice(2));
if (options.kind === 'help') process.stdout.write(USAGE);
else if (options.kind === 'complaint') {
  process.stderr.write(`bench: ${options.complaint}; --help tells what there is\n`);
  process.exitCode = 2;
} else await bench(options.options);

type Asked =
  | { readonly kind: 'help' }
  | { readonly kind: 'run'; readonly options: BenchOptions }
  | { readonly kind: 'complaint'; readonly complaint: string };

function optionsOrComplaint(args: readonly string[]): Asked {
  try {
    const parsed = parseOptions(args);
    return parsed === 'help' ? { kind: 'help' } : { kind: 'run', options: parsed };
  } catch (error) {
    // What parseArgs says has advice behind its first sentence.
    const [complaint = ''] = messageOf(error).split(/\. |\n/);
    return { kind: 'complaint', complaint };
  }
}

async function bench(options: BenchOptions): Promise<void> {
  const descriptors = raiseDescriptorLimit(DESCRIPTORS);
  report(`at most ${descriptors} file descriptors for each program`);
  const sandbox = await createSandbox({ log: report });
  try {
    report('starting the cluster');
    const head = await describeRun(options);
    const profileDirectory = options.profileDirectory && resolve(options.profileDirectory);
    const context = { sandbox, cluster: await startCluster(sandbox), descriptors, profileDirectory };
    report('starting the proxies');
    const targets = await startTargets(context, options.targets);
    const spread = options.isWhole ? { spread: await measureSpread(context) } : {};
    const workloads: WorkloadResult[] = [];
    for (const [index, workload] of options.workloads.entries()) {
      const used = targetsFor(workload, index, targets, options);
      workloads.push(await runWorkload(context, workload, used, { ...options, onProgress: report }));
      // After each workload: a run that is broken off leaves what it has.
      await writeResult(options.resultPath, { ...head, workloads, ...spread });
    }
    for (const started of targets) if (started.kind === 'started') await started.running.stop();
    process.stdout.write(`\n${renderTable({ ...head, workloads })}\n`);
    const hasFailed = workloads.some(({ outcomes }) => outcomes.some(({ kind }) => kind === 'failed'));
    if (hasFailed) process.exitCode = 1;
  } finally {
    await sandbox.close();
  }
}

async function describeRun(options: BenchOptions): Promise<Omit<BenchResult, 'workloads' | 'spread'>> {
  return {
    date: new Date().toISOString(),
    isQuick: options.isQuick,
    secondsPerRound: options.seconds,
    machine: await describeMachine(),
    targets: options.targets.map(({ name, title }) => ({ name, title })),
  };
}

/** A quick run takes Fairlead, no proxy, and one of the others in turn. */
function targetsFor(
  workload: Workload,
  turn: number,
  targets: readonly StartedTarget[],
  options: BenchOptions,
): readonly StartedTarget[] {
  if (options.hasPickedTargets) return targets;
  const fitting = targets.filter(({ target }) => {
    if (VARIANTS.includes(target)) return workload.variants.includes(target.name);
    // Such work measures what a proxy keeps; where there is none, there is nothing.
    return !workload.needsFreshTarget || target.name !== 'direct';
  });
  if (!options.isQuick) return fitting;
  const isAlways = ({ target: { name } }: StartedTarget): boolean => name === 'fairlead' || name === 'direct';
  const others = fitting.filter((target) => !isAlways(target));
  const chosen = others[turn % Math.max(1, others.length)];
  return fitting.filter((target) => isAlways(target) || target === chosen);
}

function report(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
