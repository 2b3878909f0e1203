/**
 * What the metadata makes of a member that its cluster has judged: which cluster is meant, who is hidden, who serves
 * reads. Rules only take away: no rule makes a member writable or readable that its cluster did not find so.
 */
import type { DecisionTopology } from '../observations.ts';
import type { Member, MemberMetadata, SessionFate } from '../topology.ts';
import {
  type EffectiveOptions,
  endsSessionsWhenHidden,
  isHidden,
  type MetadataCluster,
  type MetadataInstance,
} from './facts.ts';

export type RuleBook = {
  readonly topology: DecisionTopology;
  readonly options: EffectiveOptions;
  /** The cluster sessions go to; null when the one that was asked for is not there. */
  readonly target: MetadataCluster | null;
  /** False while it is not certain that this is the newest view of who is primary. */
  readonly isViewCertain: boolean;
};

/** @param instance what the metadata says of the member, or undefined when it does not list it */
export function applyRules(
  book: RuleBook,
  cluster: MetadataCluster,
  member: Member,
  instance: MetadataInstance | undefined,
): Member {
  const verdict = judge(book, cluster, member, instance);
  const acceptsWrites = member.acceptsWrites && verdict.writes;
  const acceptsReads = member.acceptsReads && verdict.reads;
  const standsIn =
    acceptsReads && member.role === 'PRIMARY' && cluster.id === book.target?.id && leadsReplica(book);
  return {
    ...member,
    ...(standsIn ? { standsInAsPrimary: true as const } : {}),
    acceptsWrites,
    acceptsReads,
    primarySessions: worse(member.primarySessions, verdict.primarySessions),
    secondarySessions: worse(member.secondarySessions, verdict.secondarySessions),
    reason: standsIn ? 'read-only, stands in for the primary' : member.reason || verdict.reason,
    metadata: metadataOf(cluster, instance),
  };
}

export function metadataOf(cluster: MetadataCluster, instance: MetadataInstance | undefined): MemberMetadata {
  return {
    label: instance?.label ?? '',
    kind: instance?.kind ?? 'unlisted',
    clusterId: cluster.id,
    clusterName: cluster.name,
    clusterRole: cluster.role,
    xEndpoint: instance?.xEndpoint ?? null,
    tags: instance?.tags ?? {},
    isHidden: instance !== undefined && isHidden(instance.tags),
  };
}

export function worse(a: SessionFate, b: SessionFate): SessionFate {
  return FATES.indexOf(a) > FATES.indexOf(b) ? a : b;
}

type Verdict = {
  readonly writes: boolean;
  readonly reads: boolean;
  readonly primarySessions: SessionFate;
  readonly secondarySessions: SessionFate;
  readonly reason: string;
};

function judge(
  book: RuleBook,
  cluster: MetadataCluster,
  member: Member,
  instance: MetadataInstance | undefined,
): Verdict {
  const { target, options } = book;
  if (target === null) return { ...NOTHING, reason: 'the target cluster is not known' };
  if (cluster.id !== target.id) return otherCluster(cluster);
  const ofTarget = targetVerdict(book, target);
  if (instance === undefined && member.id !== '') {
    // Router passes over such a member. Without the operator's word that this is an InnoDB Cluster, the group's counts.
    if (book.topology === 'innodb-cluster') return { ...NOTHING, reason: 'not in the metadata' };
    return { ...ofTarget, reason: ofTarget.reason || 'not in the metadata' };
  }
  if (instance === undefined) return ofTarget;
  if (isHidden(instance.tags)) {
    const fate = endsSessionsWhenHidden(instance.tags) ? 'drain' : 'keep';
    return { ...NOTHING, primarySessions: fate, secondarySessions: fate, reason: 'hidden by its tag' };
  }
  const isReadReplica = instance.kind === 'read-replica';
  const isLeftOut = isReadReplica
    ? options.readOnlyTargets === 'secondaries'
    : options.readOnlyTargets === 'read-replicas' && member.role === 'SECONDARY';
  if (!isLeftOut) return ofTarget;
  return {
    ...ofTarget,
    reads: false,
    secondarySessions: worse(ofTarget.secondarySessions, 'drain'),
    reason: `read_only_targets is ${options.readOnlyTargets}`,
  };
}

function otherCluster(cluster: MetadataCluster): Verdict {
  // What is written to a cluster that was left behind is lost: nothing there is waited for.
  const primarySessions = cluster.isInvalidated ? 'cut' : 'drain';
  const reason = cluster.isInvalidated
    ? `its cluster ${cluster.name} was invalidated`
    : `its cluster ${cluster.name} is not the target`;
  return { ...NOTHING, primarySessions, secondarySessions: 'drain', reason };
}

function targetVerdict(book: RuleBook, target: MetadataCluster): Verdict {
  const { options, isViewCertain } = book;
  if (target.isInvalidated) {
    const reason = `its cluster ${target.name} was invalidated`;
    if (options.invalidatedClusterPolicy === 'accept-ro') {
      return { ...EVERYTHING, writes: false, primarySessions: 'cut', reason };
    }
    return { ...NOTHING, primarySessions: 'cut', secondarySessions: 'drain', reason };
  }
  if (target.role !== 'PRIMARY') {
    const primarySessions = leadsReplica(book) ? 'keep' : 'drain';
    return { ...EVERYTHING, writes: false, primarySessions };
  }
  if (!isViewCertain) return { ...EVERYTHING, writes: false, reason: 'the newest view is not certain' };
  return EVERYTHING;
}

/** The target is a replica cluster, and its primary is to serve the routes to the primary all the same. */
function leadsReplica({ target, options }: RuleBook): boolean {
  return target?.role === 'REPLICA' && !target.isInvalidated && options.useReplicaPrimaryAsRw;
}

const FATES = ['keep', 'drain', 'cut'] as const satisfies readonly SessionFate[];
const EVERYTHING: Verdict = {
  writes: true,
  reads: true,
  primarySessions: 'keep',
  secondarySessions: 'keep',
  reason: '',
};
const NOTHING: Verdict = { ...EVERYTHING, writes: false, reads: false };
