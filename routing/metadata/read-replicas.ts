/**
 * Read replicas of a cluster: servers that follow it by asynchronous replication and take no part in its group. That they
 * are there and answer can be seen; whether their replication runs, only by an account with REPLICATION CLIENT.
 */
import { type DecisionInput, isGone, standingAnswer } from '../observations.ts';
import type { Member, MemberState } from '../topology.ts';
import type { MetadataInstance } from './facts.ts';
import { observationOf } from './watched.ts';

export function judgeReadReplica(input: DecisionInput, instance: MetadataInstance): Member {
  const observation = observationOf(input, instance);
  const before = input.previous.members.find(({ id }) => id === instance.id);
  const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const isForeign = answer !== null && answer.serverUuid !== instance.id;
  const own = isForeign ? null : answer;
  const dial = observation?.dial ?? null;
  const isReachable = observation !== undefined && dial !== null && !isGone(observation) && !isForeign;
  const failure = observation?.failure?.kind;
  const channels = own?.channels ?? [];
  const hasStopped = channels.length > 0 && channels.every(({ isApplying }) => !isApplying);
  const state: MemberState = own !== null ? 'ONLINE' : before === undefined ? 'UNKNOWN' : 'UNREACHABLE';
  return {
    id: instance.id,
    address: observation?.address ?? instance.endpoint,
    dial,
    role: 'SECONDARY',
    state,
    acceptsWrites: false,
    // As for servers without a group: silence proves nothing as long as somebody listens there.
    acceptsReads: isReachable && !hasStopped && (own !== null || before?.acceptsReads === true),
    primarySessions: 'drain',
    secondarySessions: isForeign ? 'cut' : 'keep',
    version: own?.version ?? before?.version ?? '',
    reason: isForeign
      ? 'another server answers for it'
      : own === null && failure !== undefined
        ? `not answering: ${failure}`
        : hasStopped
          ? 'its replication has stopped'
          : '',
    slot: -1,
  };
}
