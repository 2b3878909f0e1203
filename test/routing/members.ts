/** Members and topologies for tests, complete but for what a test says about them. */
import { EMPTY_TOPOLOGY, type Member, type Topology } from '../../routing/topology.ts';

/** A secondary named `name` that is in good order, but for `facts`. */
export function memberNamed(name: string, facts: Partial<Member> = {}): Member {
  return {
    id: `uuid-${name}`,
    address: `${name}:3306`,
    dial: { host: `10.0.0.${name.charCodeAt(0)}`, port: 3306 },
    role: 'SECONDARY',
    state: 'ONLINE',
    acceptsWrites: false,
    acceptsReads: true,
    primarySessions: 'keep',
    secondarySessions: 'keep',
    version: '9.7.0',
    reason: '',
    slot: -1,
    ...facts,
  };
}

export function primaryNamed(name: string, facts: Partial<Member> = {}): Member {
  return memberNamed(name, { role: 'PRIMARY', acceptsWrites: true, ...facts });
}

export function topologyOf(members: readonly Member[], facts: Partial<Topology> = {}): Topology {
  return {
    ...EMPTY_TOPOLOGY,
    version: 1,
    groupName: 'group',
    mode: 'single-primary',
    hasQuorum: true,
    primary: members.find((member) => member.acceptsWrites)?.address ?? null,
    members,
    ...facts,
  };
}
