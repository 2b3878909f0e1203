/** From what the configuration names as seeds to the sources that find them. */
import { addressOf } from '../../../routing/address.ts';
import type { Seed } from '../../config/config.ts';
import type { SourceSpec } from './discovery.ts';
import { createStaticSource } from './static-source.ts';

export function seedSources(seeds: readonly Seed[]): readonly SourceSpec[] {
  const addresses = seeds.map(({ host, port }) => addressOf(host, port));
  return [{ key: `static ${addresses.join()}`, create: createStaticSource(addresses) }];
}
