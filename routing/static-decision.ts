/**
 * Roles by hand: the first seed is the primary and all accept reads. The operator has said so, and nobody is asked.
 */
import { giveUpDropped } from './fates.ts';
import type { Decision, DecisionInput } from './observations.ts';
import { type Member, singleWriterTopology } from './topology.ts';

export function decideStatic(input: DecisionInput): Decision {
  const dials = new Map(input.observations.map(({ address, dial }) => [address, dial]));
  const drafts = input.settings.seeds.map((address, index): Member => {
    const dial = dials.get(address) ?? null;
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
    topology: singleWriterTopology(members, []),
    wanted: input.settings.seeds,
    isInDoubt: members[0]?.dial === null,
    memory: input.memory,
  };
}
