/**
 * What changed between two topologies: for the events an operator reads, and for the data plane.
 *
 * A member is the same member when its identity is: the same `server_uuid`, or the same address while one of the two
 * mentions has no identity yet. Another identity at the same address is a member that left and one that joined.
 */
import type { ClusterFacts, DialAddress, Member, Topology } from './topology.ts';

export type MemberField = keyof Member;

export type MemberChange =
  | { readonly kind: 'joined'; readonly member: Member }
  | { readonly kind: 'left'; readonly member: Member }
  | {
      readonly kind: 'changed';
      readonly before: Member;
      readonly after: Member;
      readonly fields: readonly MemberField[];
    };

export type TopologyDifference = {
  /** False when nothing but the version differs: then there is nothing to publish. */
  readonly isChanged: boolean;
  /** The addresses that RW goes to first, before and after, or null when that did not change. */
  readonly primary: { readonly before: string | null; readonly after: string | null } | null;
  readonly quorum: 'gained' | 'lost' | null;
  readonly groupName: { readonly before: string | null; readonly after: string | null } | null;
  readonly mode: { readonly before: Topology['mode']; readonly after: Topology['mode'] } | null;
  /** What the metadata says of the whole, before and after. */
  readonly cluster: {
    readonly before: ClusterFacts | undefined;
    readonly after: ClusterFacts | undefined;
  } | null;
  readonly alarmsRaised: readonly string[];
  readonly alarmsCleared: readonly string[];
  readonly members: readonly MemberChange[];
};

export function topologyDifference(before: Topology, after: Topology): TopologyDifference {
  const members = memberChanges(before.members, after.members);
  const alarmsRaised = after.alarms.filter((alarm) => !before.alarms.includes(alarm));
  const alarmsCleared = before.alarms.filter((alarm) => !after.alarms.includes(alarm));
  const primary = changed(before.primary, after.primary);
  const groupName = changed(before.groupName, after.groupName);
  const mode = changed(before.mode, after.mode);
  const cluster = isSameData(before.cluster, after.cluster)
    ? null
    : { before: before.cluster, after: after.cluster };
  const quorum = before.hasQuorum === after.hasQuorum ? null : after.hasQuorum ? 'gained' : 'lost';
  const isChanged =
    members.length > 0 ||
    alarmsRaised.length > 0 ||
    alarmsCleared.length > 0 ||
    primary !== null ||
    groupName !== null ||
    mode !== null ||
    quorum !== null ||
    cluster !== null ||
    isReordered(before.members, after.members);
  return { isChanged, primary, quorum, groupName, mode, cluster, alarmsRaised, alarmsCleared, members };
}

type Mention = Pick<Member, 'id' | 'address'>;

/** The member of `members` that `wanted` is, by the rule above. */
export function sameMember(members: readonly Member[], wanted: Mention): Member | undefined {
  if (wanted.id !== '') {
    const byId = members.find((member) => member.id === wanted.id);
    if (byId !== undefined) return byId;
  }
  return members.find(
    (member) => member.address === wanted.address && (member.id === '' || wanted.id === ''),
  );
}

/** The same for many look-ups. */
export function memberFinder(members: readonly Member[]): (wanted: Mention) => Member | undefined {
  const byId = new Map<string, Member>();
  const byAddress = new Map<string, Member>();
  const unknownByAddress = new Map<string, Member>();
  // Of several the first counts.
  for (const member of members.toReversed()) {
    byAddress.set(member.address, member);
    if (member.id === '') unknownByAddress.set(member.address, member);
    else byId.set(member.id, member);
  }
  return ({ id, address }) =>
    id === '' ? byAddress.get(address) : (byId.get(id) ?? unknownByAddress.get(address));
}

function memberChanges(before: readonly Member[], after: readonly Member[]): readonly MemberChange[] {
  const changes: MemberChange[] = [];
  const findAfter = memberFinder(after);
  const findBefore = memberFinder(before);
  for (const member of before) {
    if (findAfter(member) === undefined) changes.push({ kind: 'left', member });
  }
  for (const member of after) {
    const old = findBefore(member);
    if (old === undefined) {
      changes.push({ kind: 'joined', member });
      continue;
    }
    const fields = MEMBER_FIELDS.filter((field) => !isSame(old, member, field));
    if (fields.length > 0) changes.push({ kind: 'changed', before: old, after: member, fields });
  }
  return changes;
}

function isSame(before: Member, after: Member, field: MemberField): boolean {
  switch (field) {
    case 'dial':
      return isSameDial(before.dial, after.dial);
    case 'metadata':
      return isSameData(before.metadata, after.metadata);
    case 'preference':
      return isSameData(before.preference, after.preference);
    case 'x':
      return isSameDial(before.x?.dial, after.x?.dial) && before.x?.greets === after.x?.greets;
    default:
      return before[field] === after[field];
  }
}

function isSameDial(before: DialAddress | null | undefined, after: DialAddress | null | undefined): boolean {
  return before?.host === after?.host && before?.port === after?.port;
}

function isReordered(before: readonly Member[], after: readonly Member[]): boolean {
  return before.some((member, index) => after[index]?.address !== member.address);
}

/** Both are made the same way each time, so that their keys have the same order. */
function isSameData(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}

function changed<T>(before: T, after: T): { readonly before: T; readonly after: T } | null {
  return before === after ? null : { before, after };
}

const MEMBER_FIELDS = [
  'id',
  'address',
  'dial',
  'x',
  'role',
  'state',
  'acceptsWrites',
  'acceptsReads',
  'standsInAsPrimary',
  'primarySessions',
  'secondarySessions',
  'version',
  'reason',
  'slot',
  'metadata',
  'preference',
] as const satisfies readonly MemberField[];
