/**
 * Which block of counters belongs to which member.
 *
 * A member keeps its block while it is in the topology. A block that was given back is taken again last, so that what
 * its former member counted is not soon mixed with another's.
 */
import type { Member } from '../../routing/topology.ts';
import { memberFinder } from '../../routing/topology-difference.ts';
import { MAX_MEMBER_SLOTS } from '../shared/counters.ts';

export type MemberSlots = {
  /** Gives each of `members` its slot; -1 to those for whom none is left. */
  assign(members: readonly Member[]): readonly Member[];
};

/** The last block is shared by members without one, so it is never given to one alone. */
export function createMemberSlots(count: number = MAX_MEMBER_SLOTS - 1): MemberSlots {
  const free = Array.from({ length: count }, (_, slot) => slot);
  let assigned: readonly Member[] = [];
  return {
    assign(members) {
      const findAssigned = memberFinder(assigned);
      const inUse = new Set<number>();
      const kept = members.map((member) => {
        const slot = findAssigned(member)?.slot ?? -1;
        // Of two that may each be who had it, the first has it: given back twice, it would be two members' at once.
        if (slot === -1 || inUse.has(slot)) return { member, slot: -1 };
        inUse.add(slot);
        return { member, slot };
      });
      for (const { slot } of assigned) if (slot !== -1 && !inUse.has(slot)) free.push(slot);
      assigned = kept.map(({ member, slot }) => ({
        ...member,
        slot: slot === -1 ? (free.shift() ?? -1) : slot,
      }));
      return assigned;
    },
  };
}
