/**
 * The router options of the metadata: JSON that AdminAPI wrote, read leniently. An option that cannot be understood is as
 * good as not set, and told.
 */
import {
  type InvalidatedClusterPolicy,
  NO_OPTIONS,
  type QuorumLossPolicy,
  type ReadOnlyTargets,
  type RouterOptions,
  type Tags,
} from './facts.ts';

/** @param documents from the most general (the ClusterSet's) to the most particular (this router's); later ones win */
export function parseRouterOptions(documents: readonly unknown[]): RouterOptions {
  const merged: Record<string, unknown> = {};
  for (const document of documents) if (isRecord(document)) Object.assign(merged, document);
  const unknown: string[] = [];
  const read = <T>(name: string, parse: (value: unknown) => T | undefined): T | null => {
    const value = merged[name];
    if (value === undefined || value === null) return null;
    const parsed = parse(value);
    if (parsed === undefined) unknown.push(`${name} = ${shown(value)}`);
    return parsed ?? null;
  };
  return {
    readOnlyTargets: read('read_only_targets', (value) => lookUp(READ_ONLY_TARGETS, value)),
    targetCluster: read('target_cluster', (value) =>
      typeof value === 'string' && value !== '' ? value : undefined,
    ),
    invalidatedClusterPolicy: read('invalidated_cluster_policy', (value) =>
      lookUp(INVALIDATED_POLICIES, value),
    ),
    quorumLoss: read('unreachable_quorum_allowed_traffic', (value) => lookUp(QUORUM_LOSS_POLICIES, value)),
    statsUpdatesFrequencyS: read('stats_updates_frequency', (value) =>
      typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined,
    ),
    useReplicaPrimaryAsRw: read('use_replica_primary_as_rw', (value) =>
      typeof value === 'boolean' ? value : undefined,
    ),
    guidelineId: read('guideline', (value) =>
      typeof value === 'string' && value !== '' ? value : undefined,
    ),
    tags: read('tags', tagsOf) ?? NO_OPTIONS.tags,
    unknown,
  };
}

/** The tags of an instance's `attributes`. */
export function parseTags(attributes: unknown): Tags {
  return (isRecord(attributes) ? tagsOf(attributes['tags']) : undefined) ?? {};
}

/** A JSON column as a driver hands it over: parsed, or still text. */
export function parseJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    // Text that is no JSON stands for itself; whoever looks for a record finds none.
    return value;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tagsOf(value: unknown): Tags | undefined {
  return isRecord(value) ? value : undefined;
}

function lookUp<T>(words: ReadonlyMap<string, T>, value: unknown): T | undefined {
  return typeof value === 'string' ? words.get(value.toLowerCase()) : undefined;
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, MAX_SHOWN);
}

const MAX_SHOWN = 60;
const READ_ONLY_TARGETS: ReadonlyMap<string, ReadOnlyTargets> = new Map([
  ['all', 'all'],
  ['read_replicas', 'read-replicas'],
  ['secondaries', 'secondaries'],
]);
const INVALIDATED_POLICIES: ReadonlyMap<string, InvalidatedClusterPolicy> = new Map([
  ['drop_all', 'drop-all'],
  ['accept_ro', 'accept-ro'],
]);
const QUORUM_LOSS_POLICIES: ReadonlyMap<string, QuorumLossPolicy> = new Map([
  ['none', 'none'],
  ['read', 'read'],
  ['all', 'all'],
]);
