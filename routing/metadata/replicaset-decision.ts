/**
 * InnoDB ReplicaSet: roles are what the highest view of the metadata says, confirmed by the member itself.
 *
 * A primary that was replaced by force comes back writable and with a copy in which it is still primary: the view's
 * number tells. A member that the newest view names primary and that is read-only gets no writes, and neither does a
 * writable one that the view does not name.
 */
import { endReadsOnPromotion } from '../fates.ts';
import { type Decision, type DecisionInput, isGone, standingAnswer, type ViewRow } from '../observations.ts';
import { createRoster, type Entry } from '../roster.ts';
import {
  type ClusterFacts,
  type Member,
  type MemberState,
  type SessionFate,
  singleWriterTopology,
} from '../topology.ts';
import { effectiveOptions, type MetadataCluster, type MetadataInstance } from './facts.ts';
import type { Picture } from './picture.ts';
import { applyRules, type RuleBook } from './rules.ts';
import { endpointsOf, inSeedOrder, unseededInstances } from './watched.ts';

type FactsPicture = Extract<Picture, { readonly kind: 'facts' }>;

export function decideReplicaSet(input: DecisionInput, picture: FactsPicture): Decision {
  const { facts } = picture;
  const options = effectiveOptions(input.settings.metadata, facts.options);
  const cluster = facts.clusters[0] ?? UNNAMED;
  const isViewCertain = picture.isEverybodyHeard && !picture.isOutdated;
  const book: RuleBook = { topology: input.settings.topology, options, target: cluster, isViewCertain };
  const unseeded = unseededInstances(input, facts).map(({ endpoint }) => endpoint);
  const { entries } = createRoster({ ...input, endpoints: endpointsOf(facts) }, facts.instances.map(rowOf));
  const drafts = entries.map((entry) => {
    const instance = facts.instances.find(({ id, endpoint }) =>
      entry.id === '' ? endpoint === entry.address : id === entry.id,
    );
    const draft = judgeMember(input, entry, instance);
    const isStranger = instance === undefined && entry.id !== '';
    // A server that is not in the ReplicaSet is never offered: nobody says what it replicates.
    return isStranger ? draft : applyRules(book, cluster, draft, instance);
  });
  const members = inSeedOrder(
    endReadsOnPromotion(drafts, input.settings.closeRoOnPromotion),
    input.settings.seeds,
  );
  const primary = members.find((member) => member.acceptsWrites);
  return {
    topology: {
      ...singleWriterTopology(members, alarmsOf(input, picture, entries)),
      cluster: clusterFacts(picture, cluster, options),
    },
    wanted: [...new Set([...input.settings.seeds, ...unseeded])],
    isInDoubt:
      !isViewCertain ||
      primary === undefined ||
      entries.find(({ id }) => id === primary.id)?.observation?.failure !== null,
    memory: { ...input.memory, highestView: picture.highestView ?? input.memory.highestView ?? null },
  };
}

function judgeMember(input: DecisionInput, entry: Entry, instance: MetadataInstance | undefined): Member {
  const { observation, before } = entry;
  const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const own = answer?.serverUuid === entry.id ? answer : null;
  const isForeign = answer !== null && own === null;
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isReadOnly = own !== null && (own.readOnly || own.superReadOnly);
  const role = instance?.role ?? null;
  const isListed = role !== null;
  const state: MemberState =
    own !== null ? 'ONLINE' : observation?.answer == null ? 'UNKNOWN' : 'UNREACHABLE';
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role: role ?? 'UNKNOWN',
    state,
    acceptsWrites: role === 'PRIMARY' && own !== null && !isReadOnly && isReachable,
    acceptsReads: isListed && isReachable && !isForeign && (own !== null || before?.acceptsReads === true),
    primarySessions: primaryFate(instance, isForeign, isReadOnly, before),
    secondarySessions: isForeign || (instance !== undefined && !isListed) ? 'cut' : 'keep',
    version: own?.version ?? before?.version ?? '',
    reason: reasonOf(entry, instance, { isForeign, isReadOnly, isOnline: own !== null }),
    slot: -1,
  };
}

/** What is written to a member that the newest view has left out is lost; one that was demoted in order may finish. */
function primaryFate(
  instance: MetadataInstance | undefined,
  isForeign: boolean,
  isReadOnly: boolean,
  before: Member | undefined,
): SessionFate {
  if (isForeign) return 'cut';
  if (instance === undefined) return before?.primarySessions ?? 'keep';
  if (instance.role === null) return 'cut';
  return instance.role === 'SECONDARY' || isReadOnly ? 'drain' : 'keep';
}

function reasonOf(
  { observation, id }: Entry,
  instance: MetadataInstance | undefined,
  facts: { readonly isForeign: boolean; readonly isReadOnly: boolean; readonly isOnline: boolean },
): string {
  const failure = observation?.failure?.kind;
  if (facts.isForeign) return 'another server answers for it';
  if (!facts.isOnline) return failure === undefined ? 'not heard of yet' : `not answering: ${failure}`;
  if (instance === undefined) return id === '' ? 'not heard of yet' : 'not in the ReplicaSet';
  if (instance.role === null) return 'invalidated: not in the newest view of the ReplicaSet';
  if (instance.role === 'PRIMARY' && facts.isReadOnly) return 'primary by the metadata, but read-only';
  if (instance.role === 'SECONDARY' && !facts.isReadOnly)
    return 'secondary by the metadata, but not read-only';
  return '';
}

function alarmsOf(
  input: DecisionInput,
  { facts, isOutdated }: FactsPicture,
  entries: readonly Entry[],
): readonly string[] {
  const astray = entries.filter(({ id, observation }) => {
    const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
    if (answer?.serverUuid !== id || answer.readOnly || answer.superReadOnly) return false;
    // In a switchover the new primary is writable for a moment before the metadata says so: only one left out is news.
    return facts.instances.some((instance) => instance.id === id && instance.role === null);
  });
  return [
    ...astray.map(
      ({ address }) => `${address} takes writes and was left out of the ReplicaSet by a failover`,
    ),
    ...(isOutdated ? ['nobody who answers knows the newest view of the ReplicaSet: no writes'] : []),
  ];
}

/** As the roster wants it; where it is dialled is in the endpoints. */
function rowOf({ id, role }: MetadataInstance): ViewRow {
  return { id, host: '', port: 0, state: 'UNKNOWN', role: role ?? 'UNKNOWN' };
}

function clusterFacts(
  { facts, state, detail }: FactsPicture,
  cluster: MetadataCluster,
  options: ClusterFacts['options'],
): ClusterFacts {
  return {
    kind: 'replicaset',
    state,
    detail,
    id: facts.clusterId,
    name: cluster.name,
    schemaVersion: facts.schemaVersion,
    viewId: facts.viewId,
    clusters: [{ ...cluster, isTarget: true }],
    options,
    routerTags: facts.options.tags,
    guideline: facts.guideline ?? null,
    unknownOptions: facts.options.unknown,
  };
}

const UNNAMED: MetadataCluster = { id: '', name: '', groupName: '', role: 'PRIMARY', isInvalidated: false };
