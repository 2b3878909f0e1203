/**
 * Which group is ours, if it is a group at all.
 *
 * Addresses are reused and seeds are mistyped, so a group is followed by name. The one whose name was published stays;
 * before that the seeds vote, and the router waits until a majority of them agree or all have been heard.
 */
import { type DecisionInput, isHeard, type Observation } from './observations.ts';

export type ClusterIdentity =
  | { readonly kind: 'group'; readonly groupName: string }
  /** Servers without Group Replication. */
  | { readonly kind: 'plain' }
  /** Too few seeds have been heard. */
  | { readonly kind: 'waiting' }
  /** All have been heard and there is no majority. */
  | { readonly kind: 'tie'; readonly groupNames: readonly string[] };

export function clusterIdentity(input: DecisionInput): ClusterIdentity {
  const { settings, previous } = input;
  if (settings.topology === 'async' || settings.topology === 'static' || settings.topology === 'replicaset') {
    return { kind: 'plain' };
  }
  if (previous.groupName !== null) return { kind: 'group', groupName: previous.groupName };
  const seeds = settings.seeds.map((seed) => input.observations.find(({ address }) => address === seed));
  const votes = countVotes(seeds, settings.topology === 'auto');
  const leaders = [...votes].filter(([, count]) => count === Math.max(...votes.values()));
  const [leader] = leaders;
  if (leader === undefined) return { kind: 'waiting' };
  const [name, count] = leader;
  const isMajority = count > settings.seeds.length / 2;
  if (!isMajority && !seeds.every(isHeard)) return { kind: 'waiting' };
  if (leaders.length > 1) return { kind: 'tie', groupNames: leaders.map(([tied]) => tied).sort() };
  return name === PLAIN ? { kind: 'plain' } : { kind: 'group', groupName: name };
}

/** Votes by group name; a server without a group votes for PLAIN, where that is a choice. */
function countVotes(
  seeds: readonly (Observation | undefined)[],
  isPlainAllowed: boolean,
): ReadonlyMap<string, number> {
  const votes = new Map<string, number>();
  for (const seed of seeds) {
    if (seed?.answer == null) continue;
    const name = seed.answer.group?.groupName ?? PLAIN;
    if (name === PLAIN && !isPlainAllowed) continue;
    votes.set(name, (votes.get(name) ?? 0) + 1);
  }
  return votes;
}

/** No group has an empty name. */
const PLAIN = '';
