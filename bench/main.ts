/**
 * Measures Fairlead beside its peers in one run on one machine: `npm run bench`. All proxies stand before the same
 * cluster at the same time, and take turns in being used.
 */
import { resolve } from 'node:path';
import { createSandbox } from '../src/sandbox/index.ts';
import { startCluster } from './cluster.ts';
import { raiseDescriptorLimit } from './descriptors.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { type BenchResult, type WorkloadResult, writeResult } from './result.ts';
import { runWorkload, type StartedTarget, startTargets } from './rounds.ts';
import { measureSpread } from './spread.ts';
import { renderTable } from './table.ts';
import { VARIANTS } from './targets/index.ts';

/** 10,000 sessions, two for each in the proxy, and then some. */
const DESCRIPTORS = 24_000;

const options = parseOptions(process.argv.slice(2));
if (options === 'help') process.stdout.write(USAGE);
else await bench(options);

async function bench(options: BenchOptions): Promise<void> {
  const descriptors = raiseDescriptorLimit(DESCRIPTORS);
  report(`at most ${descriptors} file descriptors for each program`);
  const sandbox = await createSandbox({ log: report });
  try {
    report('starting the cluster');
    const machine = await describeMachine();
    const profileDirectory = options.profileDirectory && resolve(options.profileDirectory);
    const context = { sandbox, cluster: await startCluster(sandbox), descriptors, profileDirectory };
    report('starting the proxies');
    const targets = await startTargets(context, options.targets);
    const spread = options.isWhole ? { spread: await measureSpread(context) } : {};
    const workloads: WorkloadResult[] = [];
    for (const [index, workload] of options.workloads.entries()) {
      const fitting = workload.isForVariants
        ? targets
        : targets.filter(({ target }) => !VARIANTS.includes(target));
      const used = options.isQuick ? fewTargets(fitting, index) : fitting;
      workloads.push(await runWorkload(context, workload, used, { ...options, onProgress: report }));
      const result: BenchResult = {
        date: new Date().toISOString(),
        isQuick: options.isQuick,
        secondsPerRound: options.seconds,
        machine,
        targets: options.targets.map(({ name, title }) => ({ name, title })),
        workloads,
        ...spread,
      };
      // After each workload: a run that is broken off leaves what it has.
      await writeResult(options.resultPath, result);
      if (workloads.length === options.workloads.length) process.stdout.write(`\n${renderTable(result)}\n`);
    }
    for (const started of targets) if (started.kind === 'started') await started.running.stop();
    if (workloads.some(({ outcomes }) => outcomes.some(({ kind }) => kind === 'failed')))
      process.exitCode = 1;
  } finally {
    await sandbox.close();
  }
}

/** Fairlead, no proxy, and one of the others in turn. */
function fewTargets(targets: readonly StartedTarget[], turn: number): readonly StartedTarget[] {
  const isAlways = ({ target: { name } }: StartedTarget): boolean => name === 'fairlead' || name === 'direct';
  const others = targets.filter((target) => !isAlways(target));
  const chosen = others[turn % Math.max(1, others.length)];
  return targets.filter((target) => isAlways(target) || target === chosen);
}

function report(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
