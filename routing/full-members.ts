/**
 * Members all of whose connections are taken.
 *
 * Such a server greets as ever, as long as the one connection is free that it keeps for administrators, and turns clients away
 * after their login (ER_CON_COUNT_ERROR): dials tell nothing of it. So it is left alone for a while after each client it has
 * turned away, for longer each time, where others are there to go to. Time is an argument.
 */
import { keepOnlyMembers, memberKey } from './member-key.ts';
import type { Member } from './topology.ts';

export type FullMembers = {
  /** It turned a client away. @returns true when that is news */
  reportFull(member: Member, nowMs: number): boolean;
  /** It let a client in. @returns true when that is news */
  reportRoom(member: Member): boolean;
  /** It has let nobody in since it turned somebody away. */
  isFull(member: Member): boolean;
  /** It is full, and not to be tried yet where there are others. */
  isLeftAlone(member: Member, nowMs: number): boolean;
  /** Called with each new topology: forgets members that are not in it, so that nothing grows. */
  keepOnly(members: readonly Member[]): void;
};

type Pause = { readonly untilMs: number; readonly lengthMs: number };

export function createFullMembers(): FullMembers {
  const pauses = new Map<string, Pause>();
  return {
    reportFull(member, nowMs) {
      const key = memberKey(member);
      const before = pauses.get(key);
      // Logins that were under way together tell it one after the other.
      if (before !== undefined && nowMs < before.untilMs) return false;
      const lengthMs = before === undefined ? FIRST_PAUSE_MS : Math.min(2 * before.lengthMs, MAX_PAUSE_MS);
      pauses.set(key, { untilMs: nowMs + lengthMs, lengthMs });
      return before === undefined;
    },
    reportRoom: (member) => pauses.size > 0 && pauses.delete(memberKey(member)),
    isFull: (member) => pauses.size > 0 && pauses.has(memberKey(member)),
    isLeftAlone: (member, nowMs) =>
      pauses.size > 0 && nowMs < (pauses.get(memberKey(member))?.untilMs ?? Number.NEGATIVE_INFINITY),
    keepOnly: (members) => keepOnlyMembers(pauses, members),
  };
}

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 8000;
