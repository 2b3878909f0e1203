/**
 * Where members speak X Protocol: on a port of its own, which each server tells of itself.
 */
import type { DecisionInput, MemberAnswer } from './observations.ts';
import type { Member, Topology, XListener } from './topology.ts';

/** The topology, each member with its X listener where that is known. */
export function withXListeners(topology: Topology, { observations, settings }: DecisionInput): Topology {
  const answers = new Map(observations.map(({ address, answer }) => [address, answer]));
  const isStatic = settings.topology === 'static';
  return {
    ...topology,
    members: topology.members.map((member) => {
      const x = xListenerOf(member, answers.get(member.address) ?? null, isStatic);
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

function xListenerOf(member: Member, answer: MemberAnswer | null, isStatic: boolean): XListener | null {
  if (member.dial === null) return null;
  const { host, port } = member.dial;
  // Nobody is asked there, so the usual place has to do: 33060 for 3306, as MySQL Router has it for metadata without one.
  if (isStatic) return port * 10 > MAX_PORT ? null : { dial: { host, port: port * 10 }, greets: false };
  // Another server may have taken the address.
  if (answer === null || answer.serverUuid !== member.id) return fromMetadata(member, host);
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
