/** The middle of several rounds, and percentiles of a histogram. */

/** @throws RangeError for no values */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no median');
  const sorted = values.toSorted((one, other) => one - other);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Half the distance between the quartiles, as a share of the median: how much the rounds disagree. */
export function relativeSpread(values: readonly number[]): number {
  const middle = median(values);
  if (middle === 0) return 0;
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  const upperHalf = sorted.slice(sorted.length - half);
  if (half === 0) return 0;
  return (median(upperHalf) - median(sorted.slice(0, half))) / 2 / middle;
}

/**
 * The value that `share` (0 to 1) of all values do not exceed; NaN for no values.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export type Bucket = { readonly value: number; readonly count: number };

/**
 * The value below which `share` (0 to 1) of all counts lie. Inside a bucket the counts are taken to be evenly spread
 * from the bucket before, on a logarithmic scale as the buckets are.
 *
 * @param buckets by rising value
 */
export function histogramPercentile(buckets: readonly Bucket[], share: number): number {
  const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  if (total === 0) throw new RangeError('an empty histogram has no percentiles');
  const wanted = total * share;
  let seen = 0;
  let previousValue: number | undefined;
  for (const { value, count } of buckets) {
    if (count > 0 && seen + count >= wanted) {
      const from = previousValue ?? value;
      return from * (value / from) ** ((wanted - seen) / count);
    }
    seen += count;
    previousValue = value;
  }
  return previousValue ?? Number.NaN;
}
