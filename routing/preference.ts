/**
 * The order of members that are otherwise equal: nearer ones first, and of those by weight or by load.
 */
import type { Member } from './topology.ts';

/** Sessions open on a member, over all threads. */
export type MemberLoad = (member: Member) => number;

/** The router's own zone first, the rest behind it: they are tried when nobody of the zone is left. */
export function nearFirst(
  members: readonly Member[],
  order: (members: readonly Member[]) => readonly Member[],
): readonly Member[] {
  const near = members.filter((member) => member.preference?.isNear === true);
  if (near.length === 0 || near.length === members.length) return order(members);
  return [...order(near), ...order(members.filter((member) => !near.includes(member)))];
}

/**
 * Round-robin: of `weight` turns out of the sum of all, a member has its share, spread evenly over the round.
 *
 * @param position any integer; a 32-bit counter that has wrapped is negative, as unsigned it goes on counting
 */
export function rotated(members: readonly Member[], position: number): readonly Member[] {
  if (members.length < 2) return members;
  const turn = position >>> 0;
  if (members.every((member) => weightOf(member) === 1)) return from(members, turn % members.length);
  const wanted = members.filter((member) => weightOf(member) > 0);
  // A weight of zero is a last resort.
  const others = members.filter((member) => weightOf(member) === 0);
  if (wanted.length === 0) return from(members, turn % members.length);
  const first = turnOf(wanted, turn);
  return [...from(wanted, wanted.indexOf(first)), ...others];
}

/** Fewest sessions for its weight first; of equals, whose turn it is. */
export function leastLoaded(
  members: readonly Member[],
  position: number,
  load: MemberLoad,
): readonly Member[] {
  const cost = (member: Member) => {
    const weight = weightOf(member);
    return weight === 0 ? Number.POSITIVE_INFINITY : load(member) / weight;
  };
  const costs = new Map(members.map((member) => [member, cost(member)]));
  return [...from(members, (position >>> 0) % Math.max(1, members.length))].sort((a, b) =>
    compare(costs.get(a) ?? 0, costs.get(b) ?? 0),
  );
}

/** Whose turn it is in a round of as many turns as the weights add up to: the largest claim goes first, and pays for it. */
function turnOf(members: readonly Member[], turn: number): Member {
  const sum = members.reduce((total, member) => total + weightOf(member), 0);
  const credits = members.map(() => 0);
  let chosen = 0;
  for (let step = 0; step <= turn % sum; step++) {
    members.forEach((member, index) => {
      credits[index] = (credits[index] ?? 0) + weightOf(member);
    });
    chosen = credits.indexOf(Math.max(...credits));
    credits[chosen] = (credits[chosen] ?? 0) - sum;
  }
  return members[chosen] ?? firstOf(members);
}

function firstOf(members: readonly Member[]): Member {
  const [first] = members;
  if (first === undefined) throw new Error('a round needs a member');
  return first;
}

function weightOf(member: Member): number {
  return member.preference?.weight ?? 1;
}

function from(members: readonly Member[], start: number): readonly Member[] {
  return [...members.slice(start), ...members.slice(0, start)];
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
