/**
 * Servers without Group Replication: roles by hand (`static`), or by who is writable (`async`).
 */

import { endReadsOnPromotion, giveUpDropped } from './fates.ts';
import {
  type Decision,
  type DecisionInput,
  isGone,
  type Observation,
  standingAnswer,
} from './observations.ts';
import { createRoster, type Entry } from './roster.ts';
import type { Member, Topology } from './topology.ts';

/** The first seed is the primary and all accept reads: the operator has said so, and nobody is asked. */
export function decideStatic(input: DecisionInput): Decision {
  const drafts = input.settings.seeds.map((address, index): Member => {
    const observation = input.observations.find((candidate) => candidate.address === address);
    const dial = observation?.dial ?? null;
    return {
      id: '',
      address,
      dial,
      role: index === 0 ? 'PRIMARY' : 'SECONDARY',
      state: 'UNKNOWN',
      acceptsWrites: index === 0 && dial !== null,
      acceptsReads: dial !== null,
      primarySessions: index === 0 ? 'keep' : 'drain',
      secondarySessions: 'keep',
      version: '',
      reason: dial === null ? 'name does not resolve' : '',
      slot: -1,
    };
  });
  const members = giveUpDropped(drafts, input.settings.dropped);
  return decisionOf(input, members, [], null, members[0]?.dial === null);
}

/**
 * The one server that is neither read_only nor super_read_only is the primary. Two are none: nobody can tell which of
 * them the others replicate from.
 */
export function decideAsync(input: DecisionInput): Decision {
  const { entries } = createRoster(input, []);
  const writable = entries.filter((entry) => isWritable(input, entry));
  const conflictSinceMs = writable.length < 2 ? null : (input.memory.conflictSinceMs ?? input.nowMs);
  const members = endReadsOnPromotion(
    giveUpDropped(
      entries.map((entry) => asyncMember(input, entry, writable)),
      input.settings.dropped,
    ),
    input.settings.closeRoOnPromotion,
  );
  const isRepeated = writable.every(
    (entry) => conflictSinceMs !== null && (entry.observation?.answer?.askedAtMs ?? 0) >= conflictSinceMs,
  );
  const addresses = writable.map((entry) => entry.address);
  const alarms =
    conflictSinceMs !== null && isRepeated
      ? [`${addresses.length} servers are writable: ${addresses.join(', ')}`]
      : [];
  const primary = entries.find((entry) => writable.length === 1 && writable.includes(entry));
  return decisionOf(
    input,
    members,
    alarms,
    conflictSinceMs,
    primary === undefined || primary.observation?.failure !== null,
  );
}

function asyncMember(input: DecisionInput, entry: Entry, writable: readonly Entry[]): Member {
  const { observation, before } = entry;
  const fresh = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const claims = writable.includes(entry);
  const isPrimary = claims && writable.length === 1;
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isReadOnly = fresh !== null && (fresh.readOnly || fresh.superReadOnly);
  const hasOtherPrimary = writable.length === 1 && !isPrimary;
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role: claims ? 'PRIMARY' : isReadOnly || hasOtherPrimary ? 'SECONDARY' : (before?.role ?? 'UNKNOWN'),
    state: fresh !== null ? 'ONLINE' : observation?.answer == null ? 'UNKNOWN' : 'UNREACHABLE',
    acceptsWrites: isPrimary && isReachable,
    // Silence proves nothing: a server that could be read from stays readable until nobody listens there.
    acceptsReads: isReachable && (fresh !== null || before?.acceptsReads === true),
    primarySessions: isReadOnly ? 'drain' : fresh !== null ? 'keep' : (before?.primarySessions ?? 'keep'),
    secondarySessions: 'keep',
    version: fresh?.version ?? before?.version ?? '',
    reason: asyncReason(observation, fresh !== null, claims && writable.length > 1),
    slot: -1,
  };
}

function isWritable(input: DecisionInput, entry: Entry): boolean {
  const answer = standingAnswer(entry.observation, input.nowMs, input.settings.confirmationTtlMs);
  if (answer === null || answer.serverUuid !== entry.id) return false;
  if (input.settings.dropped?.has(entry.address) === true) return false;
  // Among plain servers one with a group is a stranger, unless the operator says that it is not.
  if (answer.group !== null && input.settings.topology !== 'async') return false;
  return !answer.readOnly && !answer.superReadOnly;
}

function asyncReason(
  observation: Observation | undefined,
  isFresh: boolean,
  isOneOfSeveral: boolean,
): string {
  if (isOneOfSeveral) return 'writable, as another server is';
  const failure = observation?.failure?.kind;
  if (failure === undefined) return isFresh ? '' : 'not heard of yet';
  return isFresh && failure === 'closed' ? '' : `not answering: ${failure}`;
}

function decisionOf(
  input: DecisionInput,
  members: readonly Member[],
  alarms: readonly string[],
  conflictSinceMs: number | null,
  isInDoubt: boolean,
): Decision {
  const topology: Topology = {
    version: 0,
    groupName: null,
    mode: 'single-primary',
    hasQuorum: false,
    primary: members.find((member) => member.acceptsWrites)?.address ?? null,
    members,
    alarms,
  };
  return {
    topology,
    wanted: input.settings.seeds,
    isInDoubt,
    memory: { incarnation: null, conflictSinceMs },
  };
}
