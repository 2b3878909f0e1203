/**
 * What kind of cluster the members form, and which one is ours.
 *
 * Addresses are reused and seeds are mistyped, so a group is followed by name, a Galera cluster by its UUID. The one that
 * was published stays; before that the seeds vote, and the router waits until a majority of them agree or all have been
 * heard. A kind that was settled stays too, unless most of the seeds say another one: a member that is slow, new or gone
 * does not change what the others are.
 */
import {
  type ClusterKind,
  type DecisionInput,
  type DecisionTopology,
  isHeard,
  type MemberAnswer,
  type Observation,
} from './observations.ts';
import { unreachable } from './unreachable.ts';

export type ClusterIdentity =
  | { readonly kind: 'group'; readonly groupName: string }
  | { readonly kind: 'galera'; readonly clusterUuid: string }
  | { readonly kind: 'aurora' }
  /** Servers without any of these. */
  | { readonly kind: 'plain' }
  /** Too few seeds have been heard. */
  | { readonly kind: 'waiting' }
  /** All seeds have answered, and none is what `cluster.topology` names. */
  | { readonly kind: 'misfit' }
  /** All have been heard and there is no majority. */
  | { readonly kind: 'tie'; readonly names: readonly string[] };

export function clusterIdentity(input: DecisionInput): ClusterIdentity {
  const { settings, previous, memory } = input;
  if (settings.topology === 'async' || settings.topology === 'replicaset') return { kind: 'plain' };
  const allowed: readonly ClusterKind[] = ALLOWED_KINDS[settings.topology];
  if (previous.groupName !== null) {
    return identityOf(memory.kind === 'galera' ? 'galera' : 'group', previous.groupName);
  }
  const seeds = settings.seeds
    .filter((seed) => settings.unnamed?.has(seed) !== true)
    .map((seed) => input.observations.find(({ address }) => address === seed));
  const votes = countVotes(seeds, allowed);
  const most = Math.max(...votes.map(({ count }) => count));
  const leaders = votes.filter(({ count }) => count === most);
  const [leader] = leaders;
  const isMajority = leader !== undefined && leader.count > seeds.length / 2;
  const settled = memory.kind === null || !allowed.includes(memory.kind) ? null : identityOf(memory.kind, '');
  if (settled?.kind === 'plain' || settled?.kind === 'aurora') {
    return isMajority ? identityOf(leader.kind, leader.name) : settled;
  }
  if (leader === undefined && seeds.length > 0 && seeds.every((seed) => isMisfit(seed, input))) {
    return { kind: 'misfit' };
  }
  if (leader === undefined || (!isMajority && !seeds.every(isHeard))) return { kind: 'waiting' };
  if (leaders.length > 1) return { kind: 'tie', names: leaders.map(inWords).sort() };
  return identityOf(leader.kind, leader.name);
}

/** In words, what a member is that `cluster.topology` does not allow for; empty for one that fits. */
export function misfitOf({ answer }: Observation, { settings }: DecisionInput): string {
  if (answer === null) return '';
  const { kind } = memberOf(answer);
  const allowed: readonly ClusterKind[] = ALLOWED_KINDS[settings.topology];
  return allowed.includes(kind)
    ? ''
    : `${KINDS_IN_WORDS[kind]}, and cluster.topology is ${settings.topology}`;
}

function isMisfit(seed: Observation | undefined, input: DecisionInput): boolean {
  return seed !== undefined && seed.failure === null && misfitOf(seed, input) !== '';
}

type Vote = { readonly kind: ClusterKind; readonly name: string; count: number };

function countVotes(
  seeds: readonly (Observation | undefined)[],
  allowed: readonly ClusterKind[],
): readonly Vote[] {
  const votes: Vote[] = [];
  for (const seed of seeds) {
    if (seed?.answer == null) continue;
    const { kind, name } = memberOf(seed.answer);
    // A node that has no cluster yet cannot tell which one it will belong to.
    if (!allowed.includes(kind) || (kind === 'galera' && name === '')) continue;
    const vote = votes.find((other) => other.kind === kind && other.name === name);
    if (vote === undefined) votes.push({ kind, name, count: 1 });
    else vote.count++;
  }
  return votes;
}

function memberOf(answer: MemberAnswer): Pick<Vote, 'kind' | 'name'> {
  if (answer.group !== null) return { kind: 'group', name: answer.group.groupName };
  if (answer.galera !== null) return { kind: 'galera', name: answer.galera.clusterUuid };
  return { kind: answer.aurora === null ? 'plain' : 'aurora', name: '' };
}

function identityOf(kind: ClusterKind, name: string): ClusterIdentity {
  switch (kind) {
    case 'group':
      return { kind, groupName: name };
    case 'galera':
      return { kind, clusterUuid: name };
    case 'aurora':
    case 'plain':
      return { kind };
    default:
      return unreachable(kind);
  }
}

function inWords({ kind, name }: Vote): string {
  return name === '' ? `no group (${kind})` : name;
}

const ALLOWED_KINDS = {
  auto: ['group', 'galera', 'aurora', 'plain'],
  'group-replication': ['group'],
  'innodb-cluster': ['group'],
  replicaset: ['plain'],
  galera: ['galera'],
  aurora: ['aurora'],
  async: ['plain'],
  static: [],
} as const satisfies Record<DecisionTopology, readonly ClusterKind[]>;

const KINDS_IN_WORDS = {
  group: 'runs Group Replication',
  galera: 'is a Galera node',
  aurora: 'is an Aurora instance',
  plain: 'is a plain server',
} as const satisfies Record<ClusterKind, string>;
