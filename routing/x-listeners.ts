/**
 * Where members speak X Protocol: on a port of its own, which each server tells of itself.
 */
import type { DecisionInput } from './observations.ts';
import type { Member, Topology, XListener } from './topology.ts';

/** The topology, each member with its X listener where that is known. */
export function withXListeners(topology: Topology, input: DecisionInput): Topology {
  return {
    ...topology,
    members: topology.members.map((member) => {
      const x = xListenerOf(member, input);
      return x === null ? member : { ...member, x };
    }),
  };
}

/** The same members, dialled where they speak X Protocol; those that do not are not dialled at all. */
export function asReachedByX(topology: Topology): Topology {
  return {
    ...topology,
    members: topology.members.map((member) => ({ ...member, dial: member.x?.dial ?? null })),
  };
}

function xListenerOf(member: Member, { observations, settings }: DecisionInput): XListener | null {
  if (member.dial === null) return null;
  const { host, port } = member.dial;
  // Nobody is asked there, so the usual place has to do: 33060 for 3306, as MySQL Router has it for metadata without one.
  if (settings.topology === 'static')
    return port * 10 > MAX_PORT ? null : { dial: { host, port: port * 10 }, greets: false };
  const answer = observations.find(({ address }) => address === member.address)?.answer;
  // Another server may have taken the address.
  if (answer == null || answer.serverUuid !== member.id) return fromMetadata(member, host);
  return answer.mysqlxPort === null
    ? null
    : { dial: { host, port: answer.mysqlxPort }, greets: answer.mysqlxGreets };
}

/** What the metadata has of a member that has not answered yet. */
function fromMetadata({ metadata }: Member, host: string): XListener | null {
  const port = Number(/:(\d+)$/.exec(metadata?.xEndpoint ?? '')?.[1] ?? 0);
  return port === 0 ? null : { dial: { host, port }, greets: false };
}

const MAX_PORT = 65_535;
