/** What clients asked for and were told, with when: all a consistency check goes by. */

type Timed = {
  /** Milliseconds of one clock, taken before the first byte was sent. */
  readonly startedAtMs: number;
  /** Taken after the last byte of the answer had come; Infinity while the outcome is not known. */
  readonly endedAtMs: number;
};

/** Sets a register, or appends to a list. No value is ever used twice for one key. */
export type WriteOperation = Timed & {
  readonly kind: 'write';
  readonly key: string;
  readonly value: number;
  /** `failed`: certainly not applied. `unknown`: may be applied at any time from its start on. */
  readonly outcome: 'acknowledged' | 'failed' | 'unknown';
};

/** Only reads that were answered are of interest. */
export type ReadOperation = Timed & {
  readonly kind: 'read';
  readonly key: string;
  /** A register's one value, or a list's in order; a register that was never set has none. */
  readonly values: readonly number[];
};

export type Operation = WriteOperation | ReadOperation;

/** Something that no single server that answers in order could have done. */
export type Anomaly = {
  readonly kind: 'lost' | 'stale' | 'duplicate' | 'order' | 'invented' | 'failed-but-applied';
  readonly key: string;
  readonly detail: string;
};

export function byKey(history: readonly Operation[]): ReadonlyMap<string, readonly Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = keys.get(operation.key);
    if (operations === undefined) keys.set(operation.key, [operation]);
    else operations.push(operation);
  }
  return keys;
}
