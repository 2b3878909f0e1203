/**
 * Roles by hand: the first seed is the primary and all accept reads. The operator has said so, and nobody is asked.
 */
import { giveUpDropped } from './fates.ts';
import type { Decision, DecisionInput } from './observations.ts';
import type { Member } from './topology.ts';

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
  return {
    topology: {
      version: 0,
      groupName: null,
      mode: 'single-primary',
      hasQuorum: false,
      primary: members.find((member) => member.acceptsWrites)?.address ?? null,
      members,
      alarms: [],
    },
    wanted: input.settings.seeds,
    isInDoubt: members[0]?.dial === null,
    memory: input.memory,
  };
}
