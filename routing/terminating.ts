/**
 * Early news of a member that is about to stop, from the platform it runs on. While it still answers it is well, so
 * nothing that is open ends; but who comes new is better served by another.
 */
import type { Member, Topology } from './topology.ts';

/** Of several readers those that are about to stop are passed over. A primary goes when its group says so. */
export function passOverTerminating(
  topology: Topology,
  terminating: ReadonlySet<string> | undefined,
): Topology {
  if (terminating === undefined || terminating.size === 0) return topology;
  const isGoing = (member: Member) => terminating.has(member.address);
  if (!topology.members.some((member) => member.acceptsReads && !isGoing(member))) return topology;
  const members = topology.members.map((member) =>
    isGoing(member) && member.acceptsReads && !member.acceptsWrites
      ? { ...member, acceptsReads: false, reason: 'its pod is being terminated' }
      : member,
  );
  return { ...topology, members };
}
