/**
 * From what members said to the topology everything else goes by. Pure: the same input gives the same decision.
 */
import { decideAsync } from './async-decision.ts';
import { decideGroup } from './group-decision.ts';
import { clusterIdentity } from './group-identity.ts';
import { type Decision, type DecisionInput, isHeard, standingAnswer } from './observations.ts';
import { createRoster } from './roster.ts';
import { decideStatic } from './static-decision.ts';
import type { Topology } from './topology.ts';
import { unreachable } from './unreachable.ts';

export function decide(input: DecisionInput): Decision {
  if (input.settings.topology === 'static') return decideStatic(input);
  const identity = clusterIdentity(input);
  switch (identity.kind) {
    case 'group':
      return withReachAlarm(input, decideGroup(input, identity.groupName));
    case 'plain':
      return withReachAlarm(input, decideAsync(input));
    case 'waiting':
      return withReachAlarm(input, decideNothing(input, []));
    case 'tie':
      return decideNothing(input, [
        `the seeds belong to different groups: ${identity.groupNames.join(', ')}`,
      ]);
    default:
      return unreachable(identity);
  }
}

/** Members by name only, and nothing is offered. */
function decideNothing(input: DecisionInput, alarms: readonly string[]): Decision {
  const members = createRoster(input, []).entries.map(({ id, address, observation, before }) => ({
    id,
    address,
    dial: observation?.dial ?? null,
    role: 'UNKNOWN' as const,
    state: 'UNKNOWN' as const,
    acceptsWrites: false,
    acceptsReads: false,
    primarySessions: 'keep' as const,
    secondarySessions: 'keep' as const,
    version: observation?.answer?.version ?? before?.version ?? '',
    reason: isHeard(observation)
      ? (observation?.failure?.kind ?? 'its group is not known yet')
      : 'not heard of yet',
    slot: -1,
  }));
  const topology: Topology = {
    version: 0,
    groupName: null,
    mode: 'unknown',
    hasQuorum: false,
    primary: null,
    members,
    alarms,
  };
  return { topology, wanted: input.settings.seeds, isInDoubt: true, memory: input.memory };
}

/** Said once for the cluster, beside the reason each member has. */
function withReachAlarm(input: DecisionInput, decision: Decision): Decision {
  const { observations, nowMs, settings } = input;
  const isAnyAnswering = observations.some(
    (observation) => standingAnswer(observation, nowMs, settings.confirmationTtlMs) !== null,
  );
  if (isAnyAnswering || observations.length === 0 || !observations.every(isHeard)) return decision;
  const { topology } = decision;
  return { ...decision, topology: { ...topology, alarms: [...topology.alarms, 'no member answers'] } };
}
