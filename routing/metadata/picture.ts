/**
 * From the members' copies of the metadata to the one that counts.
 *
 * Of a group any up-to-date copy will do, the primary's before all. Of a ClusterSet and of a ReplicaSet the copy with the
 * highest view counts, for a cluster or a server that was left behind by a failover goes on believing its old one.
 */
import { type DecisionInput, isHeard, type Observation, standingAnswer } from '../observations.ts';
import { ownRow, viewOf } from '../views.ts';
import type { MetadataFacts, MetadataReading, MetadataState } from './facts.ts';
import { followedSet, setId } from './followed.ts';
import { observationOf } from './watched.ts';

export type Picture =
  /** Copies are still on their way. */
  | { readonly kind: 'waiting' }
  /** Nobody has a copy that counts: roles are decided by SQL alone. */
  | { readonly kind: 'none'; readonly state: MetadataState; readonly detail: string }
  | {
      readonly kind: 'facts';
      readonly facts: MetadataFacts;
      /** Of the member whose copy this is. */
      readonly state: MetadataState;
      readonly detail: string;
      /** True when a higher view was seen before, and nobody who answers knows it. */
      readonly isOutdated: boolean;
      readonly highestView: HighestView | null;
      /** False while somebody who may know a higher view has not been heard, at the start. */
      readonly isEverybodyHeard: boolean;
    };

/** The highest view seen of a ClusterSet or ReplicaSet. */
export type HighestView = {
  readonly id: string;
  readonly viewId: number;
  /** Known from an earlier run only: nobody is believed with less, but others may know more by now. */
  readonly isFormer?: true;
};

export function chooseMetadata(input: DecisionInput): Picture {
  const { observations } = input;
  // Where metadata is not read at all, no observation has any.
  if (observations.every(({ metadata }) => metadata === undefined)) return NOT_READ;
  const readings = observations.flatMap(({ metadata }) => (metadata == null ? [] : [metadata]));
  if (readings.length === 0) {
    const isSomebodyUp = observations.some(({ answer }) => answer !== null);
    return isSomebodyUp ? { kind: 'waiting' } : NOT_READ;
  }
  const followed = followedSet(input);
  if (followed.kind === 'waiting') return { kind: 'waiting' };
  const copies = observations.flatMap((observation): readonly Copy[] => {
    const { metadata } = observation;
    if (metadata?.facts == null || followed.kind !== 'set' || setId(metadata.facts) !== followed.id)
      return [];
    if (!isAboutItsGroup(observation, metadata.facts)) return [];
    return [{ observation, metadata, facts: metadata.facts, rank: 0 }];
  });
  if (copies.length === 0) return noneOf(readings);
  const highest = Math.max(...copies.map(({ facts }) => viewNumber(facts)));
  const newest = copies
    .filter(({ facts }) => viewNumber(facts) === highest)
    .map((copy) => ({ ...copy, rank: rankOf(copy, input) }))
    .sort(byRank);
  const [best] = newest;
  if (best === undefined) return noneOf(readings);
  const bestId = setId(best.facts);
  const remembered = input.memory.highestView?.id === bestId ? input.memory.highestView : null;
  const isCertain =
    (remembered !== null && remembered.isFormer !== true) || isEverybodyHeard(input, best.facts);
  return {
    kind: 'facts',
    facts: best.facts,
    state: best.metadata.state,
    detail: best.metadata.detail,
    isOutdated: highest < (remembered?.viewId ?? 0),
    // Kept only from when it counts: it also says that the others have been heard.
    highestView:
      isByView(best.facts) && isCertain
        ? { id: bestId, viewId: Math.max(highest, remembered?.viewId ?? 0) }
        : null,
    isEverybodyHeard: isCertain,
  };
}

function isByView(facts: MetadataFacts): boolean {
  return facts.clusterSet !== null || facts.kind === 'replicaset';
}

type Copy = {
  readonly observation: Observation;
  readonly metadata: MetadataReading;
  readonly facts: MetadataFacts;
  readonly rank: number;
};

/**
 * False for what an earlier cluster left behind: metadata of a group that its server is not in. Whoever made the group
 * anew without AdminAPI did not mean the old members.
 */
function isAboutItsGroup({ answer }: Observation, facts: MetadataFacts): boolean {
  const groupName = answer?.group?.groupName;
  if (facts.kind === 'replicaset' || groupName === undefined) return true;
  const own = facts.clusters.find(({ id }) => id === facts.clusterId);
  const isReadReplica = facts.instances.some(
    ({ id, kind }) => id === answer?.serverUuid && kind === 'read-replica',
  );
  return isReadReplica || own?.groupName === groupName;
}

function viewNumber(facts: MetadataFacts): number {
  return facts.clusterSet?.viewId ?? facts.viewId ?? 0;
}

/** Lower is better. The order is settled by who the members are, so that it does not move with each answer. */
function rankOf({ observation, facts }: Copy, { nowMs, settings }: DecisionInput): number {
  const answer = standingAnswer(observation, nowMs, settings.confirmationTtlMs);
  if (answer === null) return 5;
  if (facts.kind === 'replicaset') {
    return facts.instances.find(({ id }) => id === answer.serverUuid)?.role === 'PRIMARY' ? 0 : 2;
  }
  const cluster = facts.clusters.find(({ id }) => id === facts.clusterId);
  const view = cluster === undefined ? null : viewOf(observation, answer, cluster.groupName);
  if (view === null) return 4;
  const isPrimary = ownRow(answer)?.role === 'PRIMARY';
  return (isPrimary ? 0 : 1) + (cluster?.role === 'PRIMARY' ? 0 : 2);
}

/** Among copies of members that do not answer the one read last is the best there is. */
function byRank(a: Copy, b: Copy): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  if (a.rank === 5) return b.metadata.atMs - a.metadata.atMs;
  return a.observation.address < b.observation.address ? -1 : 1;
}

/** All who might know a higher view have been asked, and whoever answered has been asked for its copy too. */
function isEverybodyHeard(input: DecisionInput, facts: MetadataFacts): boolean {
  const bySeed = input.settings.seeds.map((seed) =>
    input.observations.find(({ address }) => address === seed),
  );
  const byInstance = facts.instances.map((instance) => observationOf(input, instance));
  return [...bySeed, ...byInstance].every(
    (observation) =>
      observation !== undefined &&
      isHeard(observation) &&
      (observation.metadata !== null || observation.failure !== null),
  );
}

function noneOf(readings: readonly MetadataReading[]): Picture {
  for (const state of TELLING_ORDER) {
    const reading = readings.find((candidate) => candidate.state === state);
    if (reading !== undefined) return { kind: 'none', state, detail: reading.detail };
  }
  const detail = 'the metadata is about another group than the one its server is in';
  return { kind: 'none', state: 'not-listed', detail };
}

const NOT_READ: Picture = { kind: 'none', state: 'none', detail: '' };
/** What is worth telling first, where members differ. */
const TELLING_ORDER = ['upgrading', 'error', 'unsupported', 'not-listed', 'missing-grant', 'none'] as const;
