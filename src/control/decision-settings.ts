/** How the configuration, and what discovery knows of addresses, are told to the decision. */
import { auroraDomainOf } from '../../routing/aurora-domain.ts';
import type { DecisionSettings, DecisionTopology } from '../../routing/observations.ts';
import type { Config, TopologyKind } from '../config/config.ts';
import type { Discovery } from './discovery/discovery.ts';
import { metadataSettings } from './metadata/metadata-settings.ts';
import type { WatchedAddress } from './watch-options.ts';

type DecisionConfig = Pick<
  Config,
  'cluster' | 'probe' | 'metadata' | 'guidelines' | 'reads' | 'quorumLoss' | 'closeRoOnPromotion'
>;

export function decisionSettings(config: DecisionConfig, discovery: Discovery): DecisionSettings {
  const { cluster, probe, quorumLoss, closeRoOnPromotion, reads } = config;
  const seeds = discovery.destinations().map(({ address }) => address);
  return {
    topology: DECISION_TOPOLOGIES[cluster.topology],
    seeds,
    galeraFailback: cluster.galeraFailback,
    auroraDomain: cluster.auroraDomain || auroraDomainOf(seeds.map((seed) => parseAddress(seed)?.host ?? '')),
    dropped: discovery.dropped(),
    unnamed: discovery.unnamed(),
    terminating: discovery.terminating(),
    quorumLoss: quorumLoss === 'auto' ? 'none' : quorumLoss,
    metadata: metadataSettings(config),
    confirmationTtlMs: probe.confirmationTtlMs,
    closeRoOnPromotion,
    reads: { ...reads, maxLagSeconds: reads.maxLagMs / 1000 },
  };
}

/** Null for what a group reports and nobody can dial. */
export function parseAddress(address: string): Pick<WatchedAddress, 'address' | 'host' | 'port'> | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  const [, bracketed, plain, port] = match ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? null : { address, host, port: Number(port) };
}

const DECISION_TOPOLOGIES = {
  auto: 'auto',
  'group-replication': 'group-replication',
  'innodb-cluster': 'innodb-cluster',
  replicaset: 'replicaset',
  async: 'async',
  galera: 'galera',
  aurora: 'aurora',
  static: 'static',
} as const satisfies Record<TopologyKind, DecisionTopology>;
