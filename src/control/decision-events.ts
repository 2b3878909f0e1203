/**
 * What an operator reads of each decision: one line for each thing that changed, with who, what and why.
 */
import type { MetadataState } from '../../routing/metadata/facts.ts';
import type { ClusterFacts, Member, Topology } from '../../routing/topology.ts';
import type { MemberChange, MemberField, TopologyDifference } from '../../routing/topology-difference.ts';
import { unreachable } from '../../routing/unreachable.ts';
import type { EventFields, EventLevel, EventLog } from '../shared/events.ts';
import { stackOf } from '../shared/message-of.ts';

/**
 * @param lastPrimary where writes went last, also if that is some decisions ago
 * @param cause what the decision followed upon, such as `answer of db-1:3306`
 */
export function recordDecision(
  events: EventLog,
  after: Topology,
  difference: TopologyDifference,
  lastPrimary: string | null,
  cause: string,
): void {
  const record = (level: EventLevel, kind: string, message: string, fields: EventFields): void => {
    events.record(level, kind, message, { ...fields, cause, topology_version: after.version });
  };
  const { groupName, quorum, mode, primary } = difference;
  if (groupName !== null) {
    record('info', 'group_followed', `following group ${groupName.after ?? 'none'}`, {
      group_name: groupName.after,
      group_name_before: groupName.before,
    });
  }
  if (mode !== null)
    record('info', 'mode_changed', `the group is in ${mode.after} mode`, { mode: mode.after });
  if (quorum === 'gained') record('info', 'quorum_gained', 'the group has a quorum', {});
  if (quorum === 'lost')
    record('error', 'quorum_lost', 'no member answers with a view that has a quorum', {});
  if (primary !== null) recordPrimary(record, after, primary.after, lastPrimary);
  if (difference.cluster !== null) recordCluster(record, difference.cluster.before, difference.cluster.after);
  for (const change of difference.members) recordMember(record, change);
  for (const alarm of difference.alarmsRaised) record('error', 'alarm_raised', alarm, { alarm });
  for (const alarm of difference.alarmsCleared)
    record('info', 'alarm_cleared', `no longer: ${alarm}`, { alarm });
}

type Record = (level: EventLevel, kind: string, message: string, fields: EventFields) => void;

function recordPrimary(
  record: Record,
  after: Topology,
  primary: string | null,
  lastPrimary: string | null,
): void {
  const former = after.members.find((member) => member.address === lastPrimary);
  const why = lastPrimary === null ? '' : former === undefined ? 'left' : former.reason || standingOf(former);
  const fields = { primary, primary_before: lastPrimary, why };
  if (primary === null) {
    record('warn', 'no_primary', `no member takes writes: ${lastPrimary} ${why}`, fields);
  } else if (lastPrimary === null) {
    record('info', 'primary_changed', `writes go to ${primary}`, fields);
  } else if (lastPrimary === primary) {
    record('info', 'primary_changed', `writes go to ${primary} again`, fields);
  } else {
    record(
      'warn',
      'primary_changed',
      `writes go to ${primary}, no longer to ${lastPrimary} (${why})`,
      fields,
    );
  }
}

/** One line for each thing the metadata says anew. */
function recordCluster(
  record: Record,
  before: ClusterFacts | undefined,
  after: ClusterFacts | undefined,
): void {
  if (after === undefined) {
    record('info', 'metadata_gone', 'there is no metadata any more', {});
    return;
  }
  const { state, detail, kind, name, schemaVersion, viewId } = after;
  if (state !== before?.state && (state !== 'ok' || before !== undefined)) {
    const level = QUIET_STATES.has(state) ? 'info' : 'warn';
    const message = state === 'ok' ? 'the metadata can be read' : `metadata: ${detail}`;
    record(level, 'metadata_state_changed', message, { state, detail });
  }
  if (after.id !== '' && after.id !== before?.id) {
    record('info', 'cluster_followed', `following ${NOUNS[kind]} ${name}`, {
      cluster_kind: kind,
      cluster_name: name,
      cluster_id: after.id,
      schema_version: schemaVersion,
      view_id: viewId,
    });
  }
  const target = targetOf(after);
  const formerTarget = before === undefined ? null : targetOf(before);
  if (kind === 'clusterset' && (target?.id !== formerTarget?.id || target?.role !== formerTarget?.role)) {
    const role = target?.role ?? 'INVALIDATED';
    const message =
      target === null ? 'there is no target cluster' : `sessions go to cluster ${target.name} (${role})`;
    record(formerTarget === null ? 'info' : 'warn', 'target_cluster_changed', message, {
      cluster: target?.name ?? null,
      cluster_before: formerTarget?.name ?? null,
      cluster_role: target === null ? null : role,
      view_id: viewId,
    });
  }
  if (before !== undefined && JSON.stringify(before.options) !== JSON.stringify(after.options)) {
    const fields = {
      read_only_targets: after.options.readOnlyTargets,
      target_cluster: after.options.targetCluster,
      invalidated_cluster_policy: after.options.invalidatedClusterPolicy,
      quorum_loss: after.options.quorumLoss,
      stats_updates_frequency: after.options.statsUpdatesFrequencyS,
    };
    record('info', 'router_options_changed', 'the router options in force have changed', fields);
  }
}

function targetOf({ clusters }: ClusterFacts): ClusterFacts['clusters'][number] | null {
  return clusters.find(({ isTarget }) => isTarget) ?? null;
}

function recordMember(record: Record, change: MemberChange): void {
  switch (change.kind) {
    case 'joined':
      record(
        'info',
        'member_joined',
        `${change.member.address} is a member: ${inWords(change.member)}`,
        factsOf(change.member),
      );
      return;
    case 'left':
      record('warn', 'member_left', `${change.member.address} is no longer a member`, factsOf(change.member));
      return;
    case 'changed': {
      const { before, after, fields } = change;
      if (fields.includes('dial') && after.dial !== null) {
        record('info', 'member_moved', `${after.address} is dialled at ${after.dial.host}`, factsOf(after));
      }
      if (!fields.some((field) => TOLD_FIELDS.has(field))) return;
      const level = isWorse(before, after) ? 'warn' : 'info';
      record(
        level,
        'member_state_changed',
        `${after.address} is ${inWords(after)}, was ${inWords(before)}`,
        factsOf(after),
      );
      return;
    }
    default:
      unreachable(change);
  }
}

function inWords(member: Member): string {
  const uses = [member.acceptsWrites ? 'writes' : '', member.acceptsReads ? 'reads' : ''].filter(
    (use) => use !== '',
  );
  const offered = uses.length === 0 ? 'offered for nothing' : `offered for ${uses.join(' and ')}`;
  return `${standingOf(member)}, ${offered}${member.reason === '' ? '' : ` (${member.reason})`}`;
}

function standingOf(member: Member): string {
  return `${member.role} ${member.state}`;
}

function isWorse(before: Member, after: Member): boolean {
  return (before.acceptsWrites && !after.acceptsWrites) || (before.acceptsReads && !after.acceptsReads);
}

/** Nobody has foreseen what the members said, or it is misread. */
export function recordDefect(events: EventLog, error: unknown): void {
  const message =
    'the router could not decide, which is a defect of its own: what it decided last stands until it lapses';
  events.record('error', 'decision_failed', message, { error: stackOf(error) });
}

function factsOf(member: Member): EventFields {
  return {
    member: member.address,
    member_id: member.id,
    member_role: member.role,
    member_state: member.state,
    accepts_writes: member.acceptsWrites,
    accepts_reads: member.acceptsReads,
    reason: member.reason,
  };
}

const NOUNS = {
  cluster: 'InnoDB Cluster',
  clusterset: 'ClusterSet',
  replicaset: 'ReplicaSet',
  unknown: '',
} as const satisfies { readonly [K in ClusterFacts['kind']]: string };
const QUIET_STATES: ReadonlySet<MetadataState> = new Set(['ok', 'none', 'missing-grant', 'upgrading']);

/** A change of reason, version or fate alone comes with something else that is told, or is not worth a line. */
const TOLD_FIELDS: ReadonlySet<MemberField> = new Set([
  'id',
  'role',
  'state',
  'acceptsWrites',
  'acceptsReads',
]);
