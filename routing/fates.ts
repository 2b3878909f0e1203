import type { Member } from './topology.ts';

/**
 * With `closeRoOnPromotion`, sessions for reading end on a member that became primary, if there is another to go to.
 * A session that was opened on it as a primary is not meant: session-fate.ts tells them apart.
 */
export function endReadsOnPromotion<M extends Member>(
  members: readonly M[],
  closeRoOnPromotion: boolean,
): readonly M[] {
  if (!closeRoOnPromotion) return members;
  const hasOtherReader = members.some((member) => member.acceptsReads && member.role === 'SECONDARY');
  if (!hasOtherReader) return members;
  return members.map((member) =>
    member.acceptsWrites && member.secondarySessions === 'keep'
      ? { ...member, secondarySessions: 'drain' }
      : member,
  );
}
