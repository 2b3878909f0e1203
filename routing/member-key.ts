/**
 * What makes two mentions of a member the same member.
 *
 * An address may be taken over by another server, and a server may move to another address; what was learnt about the
 * one says nothing about the other. So both belong to the key.
 */
import type { Member } from './topology.ts';

/** Identity and dial address of a member, as one string for maps. */
export function memberKey(member: Pick<Member, 'id' | 'address' | 'dial'>): string {
  const identity = member.id === '' ? member.address : member.id;
  return member.dial === null ? identity : `${identity} ${member.dial.host} ${member.dial.port}`;
}

/** Forgets what is known of members that are none of these, so that nothing grows. Its keys are those of `memberKey`. */
export function keepOnlyMembers(known: Map<string, unknown>, members: readonly Member[]): void {
  if (known.size === 0) return;
  const present = new Set(members.map(memberKey));
  for (const key of known.keys()) if (!present.has(key)) known.delete(key);
}
