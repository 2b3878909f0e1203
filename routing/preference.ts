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
 * Round-robin: each has its share of the turns by weight, spread evenly over them.
 *
 * @param position any integer; a 32-bit counter that has wrapped is negative, as unsigned it goes on counting
 */
export function rotated(members: readonly Member[], position: number): readonly Member[] {
  const [first] = members;
  if (first === undefined || members.length < 2) return members;
  const turn = position >>> 0;
  if (members.every((member) => weightOf(member) === weightOf(first)))
    return from(members, turn % members.length);
  const wanted = members.filter((member) => weightOf(member) > 0);
  // A weight of zero is a last resort.
  const others = members.filter((member) => weightOf(member) === 0);
  return [...from(wanted, turnOf(wanted, turn)), ...others];
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

/**
 * Whose turn it is. Multiples of the golden ratio, taken modulo one, fall everywhere alike and never far from where they
 * are missing: so the shares are right after few turns, and finding one costs no more than looking at each member once.
 */
function turnOf(members: readonly Member[], turn: number): number {
  const sum = members.reduce((total, member) => total + weightOf(member), 0);
  let left = ((turn * GOLDEN_RATIO) % 1) * sum;
  for (const [index, member] of members.entries()) {
    left -= weightOf(member);
    if (left < 0) return index;
  }
  return members.length - 1;
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

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
