/**
 * Which cluster or set is followed, where members have metadata.
 *
 * The one published before stays as long as anybody knows it. Before there is one, the seeds elect it: a single one that
 * answers first may be mistyped, or its address have gone to another cluster's server. To another one the router goes by itself
 * only behind the servers it knows: when most of them, by `server_uuid`, have become members of it. Else the operator has to
 * say so, with a reload.
 */
import { type DecisionInput, isHeard, type Observation } from '../observations.ts';
import type { MetadataFacts } from './facts.ts';

export type Followed =
  | { readonly kind: 'set'; readonly id: string }
  /** The seeds have not decided yet. */
  | { readonly kind: 'waiting' }
  /** Nobody has a copy, those who have one belong to strangers, or the seeds do not agree. */
  | { readonly kind: 'none' };

export function followedSet(input: DecisionInput): Followed {
  const before = input.previous.cluster?.id ?? '';
  const { groupName } = input.previous;
  const known = input.observations.flatMap(({ metadata }) => metadata?.facts ?? []);
  if (before !== '' && known.some((facts) => setId(facts) === before)) return { kind: 'set', id: before };
  // A cluster becomes part of a set, or gets metadata, and is the same group all the while.
  const ofGroup = known.filter((facts) => hasGroup(facts, groupName)).map(setId);
  const [followed] = ofGroup.sort((a, b) => countOf(ofGroup, b) - countOf(ofGroup, a) || (a < b ? -1 : 1));
  if (followed !== undefined) return { kind: 'set', id: followed };
  if (known.length === 0) return NONE;
  return before === '' && groupName === null ? elected(input, known) : moved(input);
}

/** The ClusterSet's id, or the cluster's own. */
export function setId(facts: MetadataFacts): string {
  return facts.clusterSet?.id ?? facts.clusterId;
}

function elected(input: DecisionInput, known: readonly MetadataFacts[]): Followed {
  const { seeds, unnamed } = input.settings;
  const voters = seeds
    .filter((seed) => unnamed?.has(seed) !== true)
    .map((seed) => input.observations.find(({ address }) => address === seed));
  const votes = voters.flatMap((voter) => voteOf(voter, known) ?? []);
  const isDecided = (id: string) => countOf(votes, id) > voters.length / 2;
  const winner = votes.find(isDecided);
  if (winner !== undefined) return { kind: 'set', id: winner };
  if (!voters.every(isHeard)) return { kind: 'waiting' };
  // Seeds without a vote are away, or have no metadata: who has some decides, or whoever else was found.
  const ids = [...new Set(votes.length > 0 ? votes : known.map(setId))];
  const most = Math.max(...ids.map((id) => countOf(votes, id)));
  const [leader, ...others] = ids.filter((id) => countOf(votes, id) === most);
  return leader === undefined || others.length > 0 ? NONE : { kind: 'set', id: leader };
}

/** By its own copy, or by that of somebody else in its group. */
function voteOf(voter: Observation | undefined, known: readonly MetadataFacts[]): string | null {
  if (voter?.metadata?.facts != null) return setId(voter.metadata.facts);
  const groupName = voter?.answer?.group?.groupName ?? null;
  const copy = known.find((facts) => hasGroup(facts, groupName));
  return copy === undefined ? null : setId(copy);
}

function moved({ previous, observations }: DecisionInput): Followed {
  const servers = previous.members.filter(({ id }) => id !== '');
  const ids = servers.flatMap(({ id }) => {
    const metadata = observations.find(({ answer }) => answer?.serverUuid === id)?.metadata;
    return metadata?.facts == null ? [] : [setId(metadata.facts)];
  });
  const winner = ids.find((id) => countOf(ids, id) > servers.length / 2);
  return winner === undefined ? NONE : { kind: 'set', id: winner };
}

function hasGroup(facts: MetadataFacts, groupName: string | null): boolean {
  return groupName !== null && facts.clusters.some((cluster) => cluster.groupName === groupName);
}

function countOf(ids: readonly string[], id: string): number {
  return ids.filter((one) => one === id).length;
}

const NONE: Followed = { kind: 'none' };
