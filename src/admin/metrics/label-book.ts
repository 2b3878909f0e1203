/**
 * Label sets that stay the same objects from scrape to scrape.
 */
import { LATENCY_BOUNDS_SECONDS } from '../../shared/counters.ts';
import type { HistogramLabels, Labels } from './family.ts';

/**
 * Makes what `create` returns for a name once and keeps it. The book starts anew when it holds `capacity` names, so
 * names that come and go for months (members in a cluster that scales) do not fill the memory.
 */
export function createLabelBook<T>(capacity: number, create: (name: string) => T): (name: string) => T {
  const pages = new Map<string, T>();
  return (name) => {
    const known = pages.get(name);
    if (known !== undefined) return known;
    if (pages.size >= capacity) pages.clear();
    const page = create(name);
    pages.set(name, page);
    return page;
  };
}

/** `base` with each of `values` as `name`. */
export function labelsForEach(base: Labels, name: string, values: readonly string[]): readonly Labels[] {
  return values.map((value) => ({ ...base, [name]: value }));
}

/** The label sets of a latency histogram. */
export function latencyLabels(base: Labels): HistogramLabels {
  const bounds = [...LATENCY_BOUNDS_SECONDS.map(String), '+Inf'];
  return { base, buckets: labelsForEach(base, 'le', bounds) };
}
