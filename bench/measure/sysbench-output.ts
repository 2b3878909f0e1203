/** What sysbench 1.0 prints at the end of a run. */
import { type Bucket, histogramPercentile } from './statistics.ts';

export type SysbenchResult = {
  /** Statements, transactions' BEGIN and COMMIT included. */
  readonly queries: number;
  /** Transactions; for point selects the same as queries. */
  readonly events: number;
  readonly seconds: number;
  readonly histogram: readonly Bucket[];
};

/** @throws TypeError when a figure is missing, SysbenchFailure when statements failed */
export function parseSysbench(output: string): SysbenchResult {
  const ignoredErrors = figure(output, /ignored errors:\s+(\d+)/);
  const reconnects = figure(output, /reconnects:\s+(\d+)/);
  if (reconnects > 0) throw new SysbenchFailure(`sysbench lost its connection ${reconnects} times`);
  const queries = figure(output, /^\s+total:\s+(\d+)/m);
  if (ignoredErrors > queries / 100)
    throw new SysbenchFailure(`${ignoredErrors} of ${queries} queries failed`);
  return {
    queries,
    events: figure(output, /total number of events:\s+(\d+)/),
    seconds: figure(output, /total time:\s+([\d.]+)s/),
    histogram: parseHistogram(output),
  };
}

/** A deadlock now and then is part of the work; more than that is no measurement. */
export class SysbenchFailure extends Error {
  override readonly name = 'SysbenchFailure';
}

/** Microseconds. */
export function latencyUs(result: SysbenchResult, share: number): number {
  return histogramPercentile(result.histogram, share) * 1000;
}

/** Lines such as `       0.120 |*******      4711`, in milliseconds; none without --histogram. */
function parseHistogram(output: string): readonly Bucket[] {
  return [...output.matchAll(/^\s+([\d.]+) \|\**\s+(\d+)$/gm)].map(([, value, count]) => ({
    value: Number(value),
    count: Number(count),
  }));
}

function figure(output: string, pattern: RegExp): number {
  const found = pattern.exec(output);
  if (found === null)
    throw new TypeError(`sysbench did not print ${pattern.source}:\n${output.slice(-1000)}`);
  return Number(found[1]);
}
