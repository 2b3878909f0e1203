/**
 * How many transactions one server has executed that another has not, by their GTID sets.
 *
 *     MySQL     3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7-9, …:tag:1-3
 *     MariaDB   0-1-100,1-2-7        domain, server, sequence; one position for each domain
 */

/**
 * Of `ahead`, what is not in `behind`. Null where either is not a set, or they are of different kinds; 0 for equal or empty
 * ones.
 */
export function missingTransactions(ahead: string, behind: string): number | null {
  const positions = parsePositions(ahead);
  if (positions !== null) {
    const others = parsePositions(behind);
    return others === null ? null : missingPositions(positions, others);
  }
  const [left, right] = [parseIntervals(ahead), parseIntervals(behind)];
  return left === null || right === null ? null : missingIntervals(left, right);
}

type Interval = readonly [first: number, last: number];

function parsePositions(text: string): ReadonlyMap<string, number> | null {
  const positions = new Map<string, number>();
  for (const item of itemsOf(text)) {
    const match = /^(\d+)-\d+-(\d+)$/.exec(item);
    const [, domain, sequence] = match ?? [];
    if (domain === undefined || sequence === undefined) return null;
    positions.set(domain, Math.max(Number(sequence), positions.get(domain) ?? 0));
  }
  return positions;
}

function missingPositions(ahead: ReadonlyMap<string, number>, behind: ReadonlyMap<string, number>): number {
  let missing = 0;
  for (const [domain, sequence] of ahead) missing += Math.max(0, sequence - (behind.get(domain) ?? 0));
  return missing;
}

/** By server and tag; intervals in the order the server gives them, which is ascending. */
function parseIntervals(text: string): ReadonlyMap<string, readonly Interval[]> | null {
  const sets = new Map<string, Interval[]>();
  for (const item of itemsOf(text)) {
    const [server = '', ...parts] = item.split(':');
    if (!/^[0-9a-f-]{36}$/i.test(server) || parts.length === 0) return null;
    let key = server.toLowerCase();
    for (const part of parts) {
      const match = /^(\d+)(?:-(\d+))?$/.exec(part);
      if (match === null) {
        if (!/^[a-z_]\w{0,31}$/i.test(part)) return null;
        key = `${server.toLowerCase()}:${part.toLowerCase()}`;
        continue;
      }
      const first = Number(match[1]);
      const intervals = sets.get(key) ?? [];
      intervals.push([first, Number(match[2] ?? first)]);
      sets.set(key, intervals);
    }
  }
  return sets;
}

function missingIntervals(
  ahead: ReadonlyMap<string, readonly Interval[]>,
  behind: ReadonlyMap<string, readonly Interval[]>,
): number {
  let missing = 0;
  for (const [key, intervals] of ahead) {
    const others = behind.get(key) ?? [];
    for (const [first, last] of intervals) {
      missing += last - first + 1;
      for (const [otherFirst, otherLast] of others) {
        missing -= Math.max(0, Math.min(last, otherLast) - Math.max(first, otherFirst) + 1);
      }
    }
  }
  return missing;
}

function itemsOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
