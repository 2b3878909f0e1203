/**
 * Who has to be asked: the configured seeds, and every instance of the metadata that is not one of them under another
 * name.
 */
import { type DecisionInput, isHeard, type Observation } from '../observations.ts';
import type { MetadataFacts, MetadataInstance } from './facts.ts';

/** The observation that speaks of `instance`: of the seed that turned out to be it, else of its endpoint. */
export function observationOf(input: DecisionInput, instance: MetadataInstance): Observation | undefined {
  const ofSeeds = input.observations.filter(
    ({ address, answer }) => answer?.serverUuid === instance.id && input.settings.seeds.includes(address),
  );
  return (
    ofSeeds.find(({ failure }) => failure === null) ??
    ofSeeds[0] ??
    input.observations.find(({ address }) => address === instance.endpoint)
  );
}

/**
 * The instances that no seed speaks for. None before all seeds have been heard: a seed under another name than the
 * metadata's would be met twice.
 */
export function unseededInstances(input: DecisionInput, facts: MetadataFacts): readonly MetadataInstance[] {
  const { seeds } = input.settings;
  const bySeed = seeds.map((seed) => input.observations.find(({ address }) => address === seed));
  const areSeedsHeard = bySeed.every(isHeard);
  const known = new Set(input.previous.members.map(({ address }) => address));
  const seeded = new Set(bySeed.flatMap((observation) => observation?.answer?.serverUuid ?? []));
  return facts.instances.filter(
    ({ id, endpoint }) =>
      !seeds.includes(endpoint) && !seeded.has(id) && (areSeedsHeard || known.has(endpoint)),
  );
}

/** Where members are dialled, by `server_uuid`. */
export function endpointsOf(facts: MetadataFacts): ReadonlyMap<string, string> {
  return new Map(facts.instances.map(({ id, endpoint }) => [id, endpoint]));
}

/** Seeds first, as configured, then the rest by address. */
export function inSeedOrder<M extends { readonly address: string }>(
  members: readonly M[],
  seeds: readonly string[],
): readonly M[] {
  const place = ({ address }: M) => {
    const index = seeds.indexOf(address);
    return index === -1 ? seeds.length : index;
  };
  return [...members].sort((a, b) => place(a) - place(b) || (a.address < b.address ? -1 : 1));
}
