/** Which members are in which destination class of a guideline, and which of them a session may try. */
import { nearFirst, rotated } from '../preference.ts';
import type { Member, Topology } from '../topology.ts';
import { matches } from './evaluate.ts';
import type { Value, VariableName } from './expression.ts';
import { EvaluationError } from './functions.ts';
import type { Guideline, GuidelineRoute } from './guideline.ts';
import { type RouterFacts, scopeOf, tagText } from './sessions.ts';

/** By the name of the class, in the order of the topology; members that are not offered now are in it as well. */
export type ClassMembers = ReadonlyMap<string, readonly Member[]>;

/** @param onProblem what could not be evaluated, and so did not match */
export function classify(
  guideline: Guideline,
  router: RouterFacts,
  topology: Topology,
  onProblem: (problem: string) => void,
): ClassMembers {
  return new Map(
    guideline.destinations.map(({ name, match }) => [
      name,
      topology.members.filter((member) => {
        const scope = scopeOf(router, {
          variable: (variable) => serverVariable(variable, member, topology),
          entry: (key) => tagText(member.metadata?.tags[key]),
        });
        try {
          return matches(match, scope) === true;
        } catch (error) {
          if (!(error instanceof EvaluationError)) throw error;
          onProblem(`destination class ${name} of guideline ${guideline.name}: ${error.message}`);
          return false;
        }
      }),
    ]),
  );
}

/**
 * The members to try now, in order: those of the first group, then those of the next.
 *
 * @param position as for `candidates`
 * @param isQuarantined such members are left out while any other candidate is there
 */
export function guidedCandidates(
  route: GuidelineRoute,
  classes: ClassMembers,
  position: number,
  isQuarantined: (member: Member) => boolean,
): readonly Member[] {
  const inTurn = (isWanted: (member: Member) => boolean): readonly Member[] => [
    ...new Set(
      route.groups.flatMap((group) => {
        const members = membersOf(group.classes, classes).filter(
          (member) => isOffered(member) && isWanted(member),
        );
        return group.strategy === 'first-available'
          ? members
          : nearFirst(members, (some) => rotated(some, position));
      }),
    ),
  ];
  const healthy = inTurn((member) => !isQuarantined(member));
  return healthy.length > 0 ? healthy : inTurn(() => true);
}

/** Whether a session of `route` may be on `member`, which may be in doubt or hidden for now. */
export function isDestination(route: GuidelineRoute, classes: ClassMembers, member: Member): boolean {
  return route.groups.some((group) => membersOf(group.classes, classes).includes(member));
}

function membersOf(names: readonly string[], classes: ClassMembers): readonly Member[] {
  return [...new Set(names.flatMap((name) => classes.get(name) ?? []))];
}

/** A primary is one that is confirmed and takes writes, but where no member of its cluster does. */
function isOffered(member: Member): boolean {
  if (member.dial === null) return false;
  const isWriter = member.role === 'PRIMARY' && member.metadata?.clusterRole !== 'REPLICA';
  return isWriter ? member.acceptsWrites : member.acceptsReads;
}

function serverVariable(name: VariableName, member: Member, topology: Topology): Value {
  const { metadata } = member;
  const set = topology.cluster?.kind === 'clusterset' ? topology.cluster : null;
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(member.address) ?? [];
  switch (name) {
    case 'server.label':
      return metadata?.label || member.address;
    case 'server.address':
      return host.replace(/^\[(.*)\]$/, '$1');
    case 'server.port':
      return Number(port);
    case 'server.uuid':
      return member.id;
    case 'server.version':
      return versionNumber(member.version);
    case 'server.memberRole':
      if (metadata?.kind === 'read-replica') return 'READ_REPLICA';
      return member.role === 'UNKNOWN' ? 'UNDEFINED' : member.role;
    case 'server.clusterName':
      return metadata?.clusterName ?? '';
    case 'server.clusterSetName':
      return set?.name ?? '';
    case 'server.clusterRole':
      return (set === null ? null : metadata?.clusterRole) ?? 'UNDEFINED';
    case 'server.isClusterInvalidated':
      return (
        topology.cluster?.clusters.some(
          ({ id, isInvalidated }) => id === metadata?.clusterId && isInvalidated,
        ) ?? false
      );
    default:
      return null;
  }
}

/** 90700 of "9.7.0-commercial"; 0 while it is not known. */
function versionNumber(version: string): number {
  const [, major = 0, minor = 0, patch = 0] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return 10_000 * Number(major) + 100 * Number(minor) + Number(patch);
}
