/**
 * Lists that clients append to and read as a whole. The last read of a key, taken when all had ended, is the truth; every
 * other read must be a beginning of it, and time must agree with its order.
 */
import { type Anomaly, byKey, type Operation, type ReadOperation, type WriteOperation } from './history.ts';

export function checkLists(history: readonly Operation[]): readonly Anomaly[] {
  return [...byKey(history)].flatMap(([key, operations]) => checkList(key, operations));
}

function checkList(key: string, operations: readonly Operation[]): readonly Anomaly[] {
  const appends = operations.filter((operation) => operation.kind === 'write');
  const reads = operations.filter((operation) => operation.kind === 'read');
  const last = reads.toSorted((a, b) => a.startedAtMs - b.startedAtMs).at(-1);
  const truth = last?.values ?? [];
  const place = new Map(truth.map((value, index) => [value, index]));
  return [
    ...appends.flatMap((append) => checkAppend(key, append, place)),
    ...checkElements(key, truth, appends),
    ...checkTimes(key, truth, appends),
    ...reads.flatMap((read) => checkRead(key, read, truth, appends)),
  ];
}

function checkAppend(
  key: string,
  { value, outcome }: WriteOperation,
  place: ReadonlyMap<number, number>,
): readonly Anomaly[] {
  if (outcome === 'acknowledged' && !place.has(value))
    return [{ kind: 'lost', key, detail: `${value} was acknowledged and is not there` }];
  if (outcome === 'failed' && place.has(value))
    return [{ kind: 'failed-but-applied', key, detail: `${value} was refused and is there` }];
  return [];
}

function checkElements(
  key: string,
  truth: readonly number[],
  appends: readonly WriteOperation[],
): readonly Anomaly[] {
  const asked = new Set(appends.map(({ value }) => value));
  const seen = new Set<number>();
  return truth.flatMap((value): readonly Anomaly[] => {
    const isTwice = seen.has(value);
    seen.add(value);
    if (isTwice) return [{ kind: 'duplicate', key, detail: `${value} was applied more than once` }];
    if (!asked.has(value)) return [{ kind: 'invented', key, detail: `nobody appended ${value}` }];
    return [];
  });
}

/** What was acknowledged before another append began stands before it. */
function checkTimes(
  key: string,
  truth: readonly number[],
  appends: readonly WriteOperation[],
): readonly Anomaly[] {
  const appendOf = new Map(appends.map((append) => [append.value, append]));
  const anomalies: Anomaly[] = [];
  // From the back: the earliest acknowledgement of all that stands later.
  let earliest: WriteOperation | undefined;
  for (const value of truth.toReversed()) {
    const append = appendOf.get(value);
    if (append === undefined) continue;
    if (earliest !== undefined && earliest.endedAtMs < append.startedAtMs) {
      const detail = `${earliest.value} was acknowledged before ${value} began, and stands behind it`;
      anomalies.push({ kind: 'order', key, detail });
    }
    if (append.endedAtMs < (earliest?.endedAtMs ?? Infinity)) earliest = append;
  }
  return anomalies;
}

function checkRead(
  key: string,
  read: ReadOperation,
  truth: readonly number[],
  appends: readonly WriteOperation[],
): readonly Anomaly[] {
  const differs = read.values.findIndex((value, index) => value !== truth[index]);
  if (differs >= 0) {
    const detail = `a read saw ${read.values[differs]} at place ${differs}, where ${truth[differs] ?? 'nothing'} is`;
    return [{ kind: 'order', key, detail }];
  }
  const seen = new Set(read.values);
  const missed = appends.find(
    ({ value, outcome, endedAtMs }) =>
      outcome === 'acknowledged' && endedAtMs < read.startedAtMs && !seen.has(value),
  );
  if (missed === undefined || !truth.includes(missed.value)) return [];
  return [{ kind: 'stale', key, detail: `a read did not see ${missed.value}, which had been acknowledged` }];
}
