/**
 * What a topology means for a session that is open.
 */
import type { RouteRole } from './strategies.ts';
import type { MemberRole, SessionFate, Topology } from './topology.ts';
import { sameMember } from './topology-difference.ts';

/** Where a session goes: as the topology named the member when the session was opened. */
export type SessionDestination = {
  /** `server_uuid`, empty when it was unknown. */
  readonly memberId: string;
  readonly address: string;
  /** The member's role then. A session for reading that began on a primary does not mind that it is one. */
  readonly role?: MemberRole;
};

/**
 * The fate of a session of a route of role `role` to `destination`. A member that is no longer in the topology, or
 * whose address another server has taken, is gone: what is in doubt stays in the topology.
 */
export function sessionFate(
  topology: Topology,
  destination: SessionDestination,
  role: RouteRole,
): SessionFate {
  const member = sameMember(topology.members, { id: destination.memberId, address: destination.address });
  if (member === undefined) return 'cut';
  if (role === 'primary') return member.primarySessions;
  // A member that takes reads drains because it was promoted: one that was opened on a primary is not meant by that.
  const beganOnPrimary = destination.role === 'PRIMARY' && member.role === 'PRIMARY' && member.acceptsReads;
  return beganOnPrimary && member.secondarySessions === 'drain' ? 'keep' : member.secondarySessions;
}
