/** From what the configuration names as seeds to the sources that find them. */
import { isIP } from 'node:net';
import { addressOf } from '../../../routing/address.ts';
import { unreachable } from '../../../routing/unreachable.ts';
import type { DnsConfig, Seed } from '../../config/config.ts';
import { formatSeed } from '../../config/values.ts';
import type { SourceSpec } from './discovery.ts';
import { createAddressSource, createServiceSource } from './dns-source.ts';
import { accessFor, createKubernetesSource } from './kubernetes/kubernetes-source.ts';
import { createStaticSource } from './static-source.ts';

/** One source for every seed, in their order: it decides which member comes first. */
export function seedSources(seeds: readonly Seed[], dns: DnsConfig): readonly SourceSpec[] {
  return seeds.map((seed) => sourceOf(seed, dns));
}

function sourceOf(seed: Seed, dns: DnsConfig): SourceSpec {
  const label = formatSeed(seed);
  switch (seed.kind) {
    case 'address': {
      const { host, port } = seed;
      if (isIP(host) !== 0) return { key: label, create: createStaticSource(label, [addressOf(host, port)]) };
      return { key: label, create: createAddressSource('static', label, host, port) };
    }
    case 'dns': {
      if (!seed.srv) return { key: label, create: createAddressSource('dns', label, seed.name, seed.port) };
      const intervalMs = dns.srvIntervalMs;
      return { key: `${label} ${intervalMs}`, create: createServiceSource(label, seed, { intervalMs }) };
    }
    case 'kubernetes':
      return { key: label, create: createKubernetesSource(label, seed, accessFor(seed)) };
    default:
      return unreachable(seed);
  }
}
