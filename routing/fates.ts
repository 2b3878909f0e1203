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

/**
 * Where no group says who belongs to it, discovery does: a member it has dropped is offered for nothing any more, and
 * its sessions end in good order.
 */
export function giveUpDropped(
  members: readonly Member[],
  dropped: ReadonlySet<string> | undefined,
): readonly Member[] {
  if (dropped === undefined || dropped.size === 0) return members;
  return members.map((member) =>
    dropped.has(member.address)
      ? {
          ...member,
          acceptsWrites: false,
          acceptsReads: false,
          primarySessions: 'drain',
          secondarySessions: 'drain',
          reason: 'no source of discovery names it any more',
        }
      : member,
  );
}
