/** The result file: every round of every target under every piece of work, and what it was measured on. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { median } from './measure/statistics.ts';

const measureSchema = z.strictObject({
  name: z.string(),
  /** With its unit. */
  title: z.string(),
  better: z.enum(['less', 'more']),
  /** Whether it is a difference to the same work without a proxy, so that ratios of it say little. */
  isDifference: z.boolean(),
});

const outcomeSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('measured'),
    target: z.string(),
    /** One value for each round, in the order they were run. */
    rounds: z.record(z.string(), z.array(z.number())),
    medians: z.record(z.string(), z.number()),
  }),
  z.strictObject({ kind: z.literal('unavailable'), target: z.string(), reason: z.string() }),
  z.strictObject({ kind: z.literal('failed'), target: z.string(), reason: z.string() }),
]);

const workloadSchema = z.strictObject({
  name: z.string(),
  title: z.string(),
  measures: z.array(measureSchema),
  outcomes: z.array(outcomeSchema),
});

const machineSchema = z.strictObject({
  cpu: z.string(),
  cores: z.number(),
  memoryGib: z.number(),
  kernel: z.string(),
  /** Of the other jobs and ours, at the start. */
  loadAverage: z.number(),
  /** Program → version; without those that could not be had. */
  versions: z.record(z.string(), z.string()),
});

const spreadSchema = z.strictObject({
  sessions: z.number(),
  /** Sessions of each data thread, by falling number. */
  threads: z.array(z.number()),
  /** Sessions on each secondary, by falling number. */
  secondaries: z.array(z.number()),
});

const resultSchema = z.strictObject({
  /** ISO 8601. */
  date: z.string(),
  isQuick: z.boolean(),
  secondsPerRound: z.number(),
  machine: machineSchema,
  targets: z.array(z.strictObject({ name: z.string(), title: z.string() })),
  workloads: z.array(workloadSchema),
  /** Of Fairlead with two data threads; left out when it was not looked at. */
  spread: spreadSchema.optional(),
});

export type BenchResult = z.infer<typeof resultSchema>;
export type WorkloadResult = z.infer<typeof workloadSchema>;
export type Measured = z.infer<typeof measureSchema>;
export type Outcome = z.infer<typeof outcomeSchema>;
export type Spread = z.infer<typeof spreadSchema>;
export type Machine = z.infer<typeof machineSchema>;

/** @throws when the file is missing or not one of ours */
export async function readResult(path: string): Promise<BenchResult> {
  return parseResult(JSON.parse(await readFile(path, 'utf8')));
}

export function parseResult(json: unknown): BenchResult {
  return resultSchema.parse(json);
}

export async function writeResult(path: string, result: BenchResult): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(roundFigures(result), null, 2)}\n`);
}

/** A target's median, or `undefined` where it was not measured. */
export function medianOf(workload: WorkloadResult, target: string, measure: string): number | undefined {
  const outcome = workload.outcomes.find((candidate) => candidate.target === target);
  return outcome?.kind === 'measured' ? outcome.medians[measure] : undefined;
}

/** Fairlead's figure divided by the target's; `undefined` where that says nothing. */
export function ratioTo(workload: WorkloadResult, measure: Measured, target: string): number | undefined {
  if (measure.isDifference || target === 'fairlead') return undefined;
  return ratioBetween(workload, measure.name, 'fairlead', target);
}

/**
 * One target's figure divided by another's, round by round, and of that the median: what slowed the machine down in one
 * round slowed both.
 */
export function ratioBetween(
  workload: WorkloadResult,
  measure: string,
  one: string,
  other: string,
): number | undefined {
  const divisors = roundsOf(workload, other, measure);
  const ratios = roundsOf(workload, one, measure).flatMap((value, round) => {
    const divisor = divisors[round];
    return divisor === undefined || divisor === 0 ? [] : [value / divisor];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

function roundsOf(workload: WorkloadResult, target: string, measure: string): readonly number[] {
  const outcome = workload.outcomes.find((candidate) => candidate.target === target);
  return outcome?.kind === 'measured' ? (outcome.rounds[measure] ?? []) : [];
}

/** No figure here is good to more than five digits. */
function roundFigures(value: unknown): unknown {
  if (typeof value === 'number') return Number(value.toPrecision(5));
  if (Array.isArray(value)) return value.map(roundFigures);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, roundFigures(item)]));
}
