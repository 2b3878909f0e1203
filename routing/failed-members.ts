/**
 * The memory of `next-available`: a server that failed is not used again until the set of members changes.
 */
import { memberKey } from './member-key.ts';
import type { Member, Topology } from './topology.ts';

export type FailedMembers = {
  /** Called when a member could not be reached. */
  reportFailure(member: Member): void;
  hasFailed(member: Member): boolean;
  /** Called with each new topology: another set of identities or addresses begins a new list. */
  reset(topology: Topology): void;
};

export function createFailedMembers(): FailedMembers {
  const failed = new Set<string>();
  let identities: string | null = null;
  return {
    reportFailure(member) {
      failed.add(memberKey(member));
    },
    hasFailed: (member) => failed.has(memberKey(member)),
    reset(topology) {
      const next = topology.members.map(memberKey).sort().join('\n');
      if (identities !== null && next !== identities) failed.clear();
      identities = next;
    },
  };
}
