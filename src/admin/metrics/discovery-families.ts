/**
 * The sources of addresses. Their names come from the configuration, so there are never more than it has seeds.
 */
import type { AdminSources, DiscoveryFacts } from '../sources.ts';
import type { Family, Labels } from './family.ts';
import { createLabelBook } from './label-book.ts';

export function discoveryFamilies(sources: AdminSources): readonly Family[] {
  const kinds = createLabelBook(MAX_KINDS, (kind) =>
    createLabelBook(MAX_SOURCES, (source): Labels => ({ source, kind })),
  );
  const family = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (facts: DiscoveryFacts) => number | null,
  ): Family => ({
    kind,
    name,
    help,
    labelNames: ['source', 'kind'],
    collect(write) {
      for (const facts of sources.discovery?.() ?? []) {
        const sample = value(facts);
        if (sample !== null) write(kinds(facts.kind)(facts.name), sample);
      }
    },
  });

  return [
    family(
      'gauge',
      'fairlead_discovery_addresses',
      'Addresses of the last good answer of a source.',
      ({ destinations }) => destinations.length,
    ),
    family(
      'gauge',
      'fairlead_discovery_failing',
      '1 while the last answer of a source was none; what it found before stays in use.',
      ({ failure }) => (failure === null ? 0 : 1),
    ),
    family(
      'gauge',
      'fairlead_discovery_last_success_timestamp_seconds',
      'When a source last gave a good answer; missing while it never has.',
      ({ lastSuccessAtMs }) => (lastSuccessAtMs === null ? null : lastSuccessAtMs / 1000),
    ),
    family(
      'counter',
      'fairlead_discovery_answers_total',
      'Good answers of a source.',
      ({ successes }) => successes,
    ),
    family(
      'counter',
      'fairlead_discovery_failures_total',
      'Answers of a source that were none: errors, timeouts, unknown names.',
      ({ failures }) => failures,
    ),
  ];
}

const MAX_KINDS = 10;
const MAX_SOURCES = 1000;
