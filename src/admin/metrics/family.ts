/**
 * A metric whose values lie elsewhere and are read when it is scraped.
 *
 * prom-client keeps the values of its own classes itself, and has no way to set a histogram from outside. Its registry
 * however asks a metric only for `name`, `help`, `type` and `get()`, and that is what this adapter offers. Label
 * sets go in as `sharedLabels`: prom-client keeps their text as long as the object lives, so a scrape formats
 * numbers, not labels. Callers therefore pass the same label object at each scrape (see `createLabelBook`).
 */
import type { Gauge, Registry, RegistryContentType } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

/** The label sets of one histogram: one per bucket, with `le`, and the set without it for sum and count. */
export type HistogramLabels = { readonly base: Labels; readonly buckets: readonly Labels[] };

type FamilyFacts = {
  /** With the prefix `fairlead_`; counters end in `_total`. */
  readonly name: string;
  /** One sentence for people; shown by Prometheus and in docs/metrics.md. */
  readonly help: string;
  readonly labelNames: readonly string[];
};

export type WriteSample = (labels: Labels, value: number) => void;

/** `bucketCount(i)` is the number of observations in bucket i alone, the last being the one without a bound. */
export type WriteHistogram = (
  labels: HistogramLabels,
  bucketCount: (bucket: number) => number,
  sum: number,
) => void;

export type Family =
  | (FamilyFacts & {
      readonly kind: 'counter' | 'gauge';
      readonly collect: (write: WriteSample) => void;
    })
  | (FamilyFacts & { readonly kind: 'histogram'; readonly collect: (write: WriteHistogram) => void });

/** A metric as prom-client's registry reads it. */
export type ReadableMetric = {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly read: () => Promise<readonly unknown[]>;
};

export function readableOf(family: Family): ReadableMetric {
  const { name, help, kind } = family;
  return { name, help, type: kind, read: () => Promise.resolve(samplesOf(family)) };
}

/** Adds a metric to a registry of prom-client, Prometheus' or OpenMetrics'. */
export function registerReadable<T extends RegistryContentType>(
  registry: Registry<T>,
  readable: ReadableMetric,
): void {
  const { name, help, type, read } = readable;
  const metric = {
    name,
    help,
    type,
    async get() {
      // The registry may have changed `name` meanwhile: OpenMetrics names a counter without `_total`.
      return { name: this.name, help, type, values: await read() };
    },
  };
  // The declared type is the union of prom-client's classes; the registry uses nothing but the members above.
  registry.registerMetric(metric as unknown as Gauge);
}

type Sample = {
  readonly value: number;
  readonly labels: Labels;
  readonly sharedLabels: Labels;
  readonly metricName?: string;
};

function samplesOf(family: Family): readonly Sample[] {
  const samples: Sample[] = [];
  if (family.kind !== 'histogram') {
    family.collect((sharedLabels, value) => samples.push({ value, labels: NO_LABELS, sharedLabels }));
    return samples;
  }
  const bucketName = `${family.name}_bucket`;
  const sumName = `${family.name}_sum`;
  const countName = `${family.name}_count`;
  family.collect((histogram, bucketCount, sum) => {
    let count = 0;
    histogram.buckets.forEach((sharedLabels, bucket) => {
      count += bucketCount(bucket);
      samples.push({ value: count, labels: NO_LABELS, sharedLabels, metricName: bucketName });
    });
    samples.push({ value: sum, labels: NO_LABELS, sharedLabels: histogram.base, metricName: sumName });
    samples.push({ value: count, labels: NO_LABELS, sharedLabels: histogram.base, metricName: countName });
  });
  return samples;
}

/** The label set of a metric without labels. */
export const NO_LABELS: Labels = {};
