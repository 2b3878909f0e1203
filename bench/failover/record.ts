/** What clients did and what became of it: the facts every figure and every judgement is made from. */

export type Outcome =
  | { readonly kind: 'served' }
  /** `error`: MySQL's number, or Node's code where no server has answered. */
  | { readonly kind: 'failed'; readonly error: string; readonly during: 'connect' | 'work' }
  /** Still waiting when the load was stopped and its patience had ended. */
  | { readonly kind: 'hung'; readonly during: 'connect' | 'work' };

export type Attempt = {
  /** E.g. "kept writer 1". */
  readonly client: string;
  /** performance.now. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The row it was to insert; `undefined` for other work. */
  readonly id: number | undefined;
  /** `undefined` where the attempt used a session that was open already. */
  readonly connectMs: number | undefined;
  readonly outcome: Outcome;
  /** How often its session was closed in order with a statement unanswered, which was then repeated on another one. */
  readonly repeats?: number;
  /** `server_id` of the member that answered, where it was asked: readers do. */
  readonly member?: number | undefined;
};

/** A row as the surviving primary has it. */
export type StoredRow = {
  readonly id: number;
  /** `server_id` of the member that accepted it. */
  readonly member: number;
};

export function acknowledgedWrites(attempts: readonly Attempt[]): readonly Attempt[] {
  return attempts.filter(({ id, outcome }) => id !== undefined && outcome.kind === 'served');
}

/** Ids of acknowledged writes that are not stored. */
export function lostWrites(attempts: readonly Attempt[], rows: readonly StoredRow[]): readonly number[] {
  const stored = new Set(rows.map(({ id }) => id));
  return acknowledgedWrites(attempts).flatMap(({ id }) => (id === undefined || stored.has(id) ? [] : [id]));
}

/**
 * Acknowledged writes that one member accepted wholly between two that another accepted: sent after the first of them
 * was acknowledged, and acknowledged before the second was sent. With one primary at a time that takes three changes of
 * the primary.
 */
export function overlappingWrites(
  attempts: readonly Attempt[],
  rows: readonly StoredRow[],
): readonly number[] {
  const memberOf = new Map(rows.map(({ id, member }) => [id, member]));
  const writes = acknowledgedWrites(attempts).flatMap(({ id, startedAtMs, endedAtMs }) => {
    const member = id === undefined ? undefined : memberOf.get(id);
    return id === undefined || member === undefined ? [] : [{ id, member, startedAtMs, endedAtMs }];
  });
  const spans = new Map<number, { firstEndMs: number; lastStartMs: number }>();
  for (const { member, startedAtMs, endedAtMs } of writes) {
    const span = spans.get(member) ?? { firstEndMs: Infinity, lastStartMs: -Infinity };
    span.firstEndMs = Math.min(span.firstEndMs, endedAtMs);
    span.lastStartMs = Math.max(span.lastStartMs, startedAtMs);
    spans.set(member, span);
  }
  return writes.flatMap(({ id, member, startedAtMs, endedAtMs }) => {
    const isWithinOther = [...spans].some(
      ([other, span]) => other !== member && span.firstEndMs < startedAtMs && endedAtMs < span.lastStartMs,
    );
    return isWithinOther ? [id] : [];
  });
}

/** The longest time within the window in which no write was acknowledged, whoever wrote. */
export function longestGapMs(attempts: readonly Attempt[], fromMs: number, toMs: number): number {
  const times = acknowledgedWrites(attempts)
    .map(({ endedAtMs }) => endedAtMs)
    .filter((atMs) => atMs > fromMs && atMs < toMs)
    .toSorted((a, b) => a - b);
  const marks = [fromMs, ...times, toMs];
  return Math.max(...marks.map((atMs, index) => atMs - (marks[index - 1] ?? atMs)));
}

/** Failures and hangs of each client that had any. */
export function errorsByClient(attempts: readonly Attempt[]): ReadonlyMap<string, readonly string[]> {
  const errors = new Map<string, string[]>();
  for (const { client, outcome } of attempts) {
    if (outcome.kind === 'served') continue;
    const name = outcome.kind === 'hung' ? 'hung' : outcome.error;
    errors.set(client, [...(errors.get(client) ?? []), name]);
  }
  return errors;
}

/** E.g. "1290 ×3, ECONNRESET"; "none" for none. */
export function countedByName(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`)).join(', ') || 'none';
}
