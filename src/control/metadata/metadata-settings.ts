/** How the configuration says metadata is to be read, and what it says in the metadata's place. */
import { hostname } from 'node:os';
import type { MetadataSettings } from '../../../routing/metadata/facts.ts';
import type { Config } from '../../config/config.ts';
import type { MetadataReaderSettings } from './metadata-reader.ts';
import type { RegistrationSettings } from './registration.ts';
import { type RegisteredRoute, routerAttributes } from './router-row.ts';

type MetadataConfig = Pick<Config, 'cluster' | 'metadata' | 'guidelines' | 'quorumLoss'>;

/** Null for the topologies that have no metadata, or are to be judged without it. */
export function readerSettings(config: MetadataConfig, isHurried: boolean): MetadataReaderSettings | null {
  const { topology } = config.cluster;
  if (!TOPOLOGIES.has(topology)) return null;
  const intervalMs = isHurried
    ? Math.min(config.metadata.intervalMs, HURRIED_INTERVAL_MS)
    : config.metadata.intervalMs;
  return {
    intervalMs,
    absentIntervalMs: topology === 'auto' ? Math.max(intervalMs, ABSENT_INTERVAL_MS) : intervalMs,
    routerLabel: `${routerAddress(config)}::${config.metadata.routerName}`,
    readsGuideline: config.guidelines.fromMetadata,
  };
}

/** The operator's word, where there is one. */
export function metadataSettings(config: MetadataConfig): MetadataSettings {
  const { readOnlyTargets, targetCluster, invalidatedClusterPolicy, useReplicaPrimaryAsRw } = config.metadata;
  const quorumLoss = config.quorumLoss === 'auto' ? null : config.quorumLoss;
  const { file, fromMetadata } = config.guidelines;
  const guidelines = file !== null ? 'file' : fromMetadata ? 'metadata' : null;
  return {
    ...{ readOnlyTargets, targetCluster, invalidatedClusterPolicy, useReplicaPrimaryAsRw },
    ...{ quorumLoss, guidelines },
  };
}

/** `address` of this router's row in `v2_routers`. */
export function routerAddress({ metadata }: Pick<Config, 'metadata'>): string {
  return metadata.routerAddress ?? hostname();
}

/** Null where the operator did not ask for it. */
export function registrationSettings(
  config: Pick<Config, 'cluster' | 'metadata'> & { readonly routes: readonly RegisteredRoute[] },
  version: string,
): RegistrationSettings | null {
  const { cluster, metadata, routes } = config;
  if (!metadata.register) return null;
  return {
    account: { user: cluster.user, password: cluster.password, tls: cluster.tls },
    identity: (home) => ({
      address: routerAddress(config),
      name: metadata.routerName,
      version,
      attributes: routerAttributes(routes, cluster.user, home),
    }),
  };
}

const TOPOLOGIES: ReadonlySet<string> = new Set(['auto', 'innodb-cluster', 'replicaset']);
/** Most servers that nobody calls an InnoDB Cluster never get metadata: they are not asked for it all the time. */
const ABSENT_INTERVAL_MS = 60_000;
/** While there is no primary: a switch in a ClusterSet or ReplicaSet ends with a change of the metadata. */
const HURRIED_INTERVAL_MS = 200;
