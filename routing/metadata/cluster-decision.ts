/**
 * InnoDB Cluster and ClusterSet: each cluster's group is judged by itself, then the rules of the metadata are applied.
 *
 * A cluster that is in no set is a set of one. Writes go to the primary of the target cluster only while that cluster is
 * the set's primary one by the highest view known, and its group has confirmed the primary: metadata never makes a
 * member writable, it only takes away.
 */
import { decideGroup } from '../group-decision.ts';
import {
  type Decision,
  type DecisionInput,
  type DecisionMemory,
  EMPTY_MEMORY,
  type Observation,
} from '../observations.ts';
import type { ClusterFacts, Member, Topology } from '../topology.ts';
import {
  type EffectiveOptions,
  effectiveOptions,
  type MetadataCluster,
  type MetadataFacts,
} from './facts.ts';
import { setId } from './followed.ts';
import type { Picture } from './picture.ts';
import { judgeReadReplica } from './read-replicas.ts';
import { applyRules, type RuleBook } from './rules.ts';
import { endpointsOf, inSeedOrder, unseededInstances } from './watched.ts';

type FactsPicture = Extract<Picture, { readonly kind: 'facts' }>;

export function decideClusters(input: DecisionInput, picture: FactsPicture): Decision {
  const { facts } = picture;
  const options = effectiveOptions(input.settings.metadata, facts.options);
  const target = targetOf(facts, options);
  const book: RuleBook = {
    topology: input.settings.topology,
    options,
    target,
    isViewCertain: facts.clusterSet === null || (picture.isEverybodyHeard && !picture.isOutdated),
  };
  const parts = facts.clusters.map((cluster) => ({
    cluster,
    decision: decideGroup(partOf(input, facts, cluster, target, options), cluster.groupName),
  }));
  const ofTarget = parts.find(({ cluster }) => cluster.id === target?.id)?.decision;
  const members = inSeedOrder(
    [...parts.flatMap((part) => ruledMembers(book, facts, part)), ...readReplicas(input, book, facts)],
    input.settings.seeds,
  );
  const writable = members.filter((member) => member.acceptsWrites);
  const primary = writable.find(({ address }) => address === input.previous.primary) ?? writable[0];
  const topology: Topology = {
    version: 0,
    groupName: target?.groupName ?? null,
    mode: ofTarget?.topology.mode ?? 'unknown',
    hasQuorum: ofTarget?.topology.hasQuorum ?? false,
    primary: primary?.address ?? null,
    members,
    alarms: [
      ...parts.flatMap(({ decision }) => decision.topology.alarms),
      ...(target === null ? [`there is no cluster ${options.targetCluster} in the ClusterSet`] : []),
      ...(picture.isOutdated
        ? [`nobody who answers knows the newest view of ClusterSet ${facts.clusterSet?.name}: no writes`]
        : []),
    ],
    ...(parts.some(({ decision }) => decision.topology.isContested) ? { isContested: true as const } : {}),
    cluster: clusterFacts(picture, target, options),
  };
  const wanted = new Set(input.settings.seeds);
  for (const { decision } of parts) for (const address of decision.wanted) wanted.add(address);
  for (const { endpoint } of unseededInstances(input, facts)) wanted.add(endpoint);
  // Where no write is to be had, there is nothing to hurry for.
  const expectsWrites = target?.role === 'PRIMARY' && !target.isInvalidated;
  return {
    topology,
    wanted: [...wanted],
    isInDoubt: expectsWrites ? (ofTarget?.isInDoubt ?? true) || !book.isViewCertain : !topology.hasQuorum,
    memory: {
      ...input.memory,
      incarnation: ofTarget?.memory.incarnation ?? null,
      newestView: ofTarget?.memory.newestView ?? null,
      behindSinceMs: ofTarget?.memory.behindSinceMs ?? null,
      conflictSinceMs: ofTarget?.memory.conflictSinceMs ?? null,
      highestView: picture.highestView ?? input.memory.highestView ?? null,
      groups: Object.fromEntries(parts.map(({ cluster, decision }) => [cluster.groupName, decision.memory])),
    },
  };
}

/** "primary", or the name, the group's name or the id of a cluster. */
function targetOf(facts: MetadataFacts, options: EffectiveOptions): MetadataCluster | null {
  const { clusters, clusterSet } = facts;
  if (clusterSet === null) return clusters[0] ?? null;
  const wanted = options.targetCluster;
  const found =
    wanted === 'primary'
      ? clusters.find(({ role, isInvalidated }) => role === 'PRIMARY' && !isInvalidated)
      : clusters.find(({ id, name, groupName }) => [id, name, groupName].includes(wanted));
  return found ?? null;
}

/** What concerns one cluster, as if there were no other. */
function partOf(
  input: DecisionInput,
  facts: MetadataFacts,
  cluster: MetadataCluster,
  target: MetadataCluster | null,
  options: EffectiveOptions,
): DecisionInput {
  const fallback = target ?? facts.clusters[0];
  const isMine = (id: string | null) => (id ?? fallback?.id) === cluster.id;
  const observations = input.observations.filter((observation) => {
    const place = placeOf(facts, observation);
    return place.kind !== 'read-replica' && isMine(place.clusterId);
  });
  const addresses = new Set(observations.map(({ address }) => address));
  const isObserved = (seed: string) => input.observations.some(({ address }) => address === seed);
  const seeds = input.settings.seeds.filter(
    (seed) => addresses.has(seed) || (!isObserved(seed) && isMine(null)),
  );
  const instances = unseededInstances(input, facts).filter(
    ({ clusterId, kind }) => clusterId === cluster.id && kind === 'member',
  );
  return {
    ...input,
    observations,
    endpoints: endpointsOf(facts),
    memory: groupMemory(input, facts, cluster),
    previous: {
      ...input.previous,
      groupName: cluster.groupName,
      members: input.previous.members.filter(
        ({ metadata }) => metadata?.kind !== 'read-replica' && isMine(metadata?.clusterId ?? null),
      ),
    },
    settings: {
      ...input.settings,
      seeds: [...seeds, ...instances.map(({ endpoint }) => endpoint)],
      quorumLoss: options.quorumLoss,
    },
  };
}

function groupMemory(input: DecisionInput, facts: MetadataFacts, cluster: MetadataCluster): DecisionMemory {
  const own = input.memory.groups?.[cluster.groupName];
  if (own !== undefined) return own;
  // A group that was followed before its metadata was known.
  const { incarnation, newestView = null, conflictSinceMs } = input.memory;
  return facts.clusters.length === 1
    ? { ...EMPTY_MEMORY, incarnation, newestView, conflictSinceMs }
    : EMPTY_MEMORY;
}

type Place = { readonly kind: 'member' | 'read-replica'; readonly clusterId: string | null };

/** Which cluster an address belongs to: by its group, else by what the metadata says of the server or the address. */
function placeOf(facts: MetadataFacts, { address, answer }: Observation): Place {
  const groupName = answer?.group?.groupName;
  const byGroup = facts.clusters.find(
    (cluster) => groupName !== undefined && cluster.groupName === groupName,
  );
  if (byGroup !== undefined) return { kind: 'member', clusterId: byGroup.id };
  const instance =
    answer === null
      ? facts.instances.find(({ endpoint }) => endpoint === address)
      : facts.instances.find(({ id }) => id === answer.serverUuid);
  return instance ?? { kind: 'member', clusterId: null };
}

function ruledMembers(
  book: RuleBook,
  facts: MetadataFacts,
  part: { readonly cluster: MetadataCluster; readonly decision: Decision },
): readonly Member[] {
  return part.decision.topology.members.map((member) => {
    const instance = facts.instances.find(({ id, endpoint }) =>
      member.id === '' ? endpoint === member.address : id === member.id,
    );
    return applyRules(book, part.cluster, member, instance);
  });
}

function readReplicas(input: DecisionInput, book: RuleBook, facts: MetadataFacts): readonly Member[] {
  return facts.instances.flatMap((instance) => {
    const cluster = facts.clusters.find(({ id }) => id === instance.clusterId);
    if (instance.kind !== 'read-replica' || cluster === undefined) return [];
    return [applyRules(book, cluster, judgeReadReplica(input, instance), instance)];
  });
}

function clusterFacts(
  { facts, state, detail }: FactsPicture,
  target: MetadataCluster | null,
  options: EffectiveOptions,
): ClusterFacts {
  const { clusterSet } = facts;
  return {
    kind: clusterSet === null ? 'cluster' : 'clusterset',
    state,
    detail,
    id: setId(facts),
    name: clusterSet?.name ?? facts.clusters[0]?.name ?? '',
    schemaVersion: facts.schemaVersion,
    viewId: clusterSet?.viewId ?? null,
    clusters: facts.clusters.map((cluster) => ({ ...cluster, isTarget: cluster.id === target?.id })),
    options,
    routerTags: facts.options.tags,
    guideline: facts.guideline ?? null,
    unknownOptions: facts.options.unknown,
  };
}
