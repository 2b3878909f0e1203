/**
 * The text of `/metrics`, in Prometheus' own format or in OpenMetrics.
 */
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client';
import type { AdminSources } from '../sources.ts';
import { createCounterReader } from './counter-reader.ts';
import { discoveryFamilies } from './discovery-families.ts';
import { type Family, readableOf, registerReadable } from './family.ts';
import { memberFamilies } from './member-families.ts';
import { type AdminCounts, programFamilies } from './program-families.ts';
import { routeFamilies } from './route-families.ts';
import { topologyFamilies } from './topology-families.ts';

export type Exposition = {
  /** Every family of ours, in the order of the exposition. */
  readonly families: readonly Family[];
  /** The content type for what a scraper says it accepts, and the text in it. */
  render(accept: string): Promise<{ readonly contentType: string; readonly body: string }>;
};

export function createExposition(sources: AdminSources, adminCounts: () => AdminCounts): Exposition {
  const counters = createCounterReader(sources.counters, sources.threads);
  const families = [
    ...programFamilies(sources, counters, adminCounts),
    ...topologyFamilies(sources),
    ...discoveryFamilies(sources),
    ...memberFamilies(sources, counters),
    ...routeFamilies(sources, counters),
  ];

  const prometheus = new Registry();
  for (const family of families) registerReadable(prometheus, readableOf(family));
  // Percentiles of the main thread's event loop need no finer clock than its slowest duty.
  collectDefaultMetrics({ register: prometheus, eventLoopMonitoringPrecision: 20 });
  const openMetrics = openMetricsTwin(prometheus);

  return {
    families,
    async render(accept) {
      const registry = accept.includes('application/openmetrics-text') ? openMetrics : prometheus;
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/**
 * The same metrics in a second registry. prom-client renames the counters of an OpenMetrics registry in place, so
 * each is registered under an object of its own that passes the values on.
 */
function openMetricsTwin(registry: Registry): Registry<OpenMetricsContentType> {
  const twin = new Registry<OpenMetricsContentType>();
  twin.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const { name, help, type } of registry.getMetricsAsArray()) {
    const metric = registry.getSingleMetric(name);
    if (metric === undefined) continue;
    registerReadable(twin, {
      name,
      help,
      // Declared as an enum of numbers, in truth the word that TYPE wants.
      type: String(type),
      read: async () => (await metric.get()).values,
    });
  }
  return twin;
}
