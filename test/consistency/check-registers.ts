/**
 * Registers that are set and read. As no value is used twice, it is known which write a read saw, and whether a history
 * could have come from one register that does one thing at a time can be decided exactly (Gibbons and Korach, "Testing
 * shared memories", SIAM Journal on Computing 26/4, 1997): each value with its write and reads has a zone, and zones must
 * not get into each other's way.
 */
import { type Anomaly, byKey, type Operation } from './history.ts';

/**
 * From the first end to the last start of all that has to do with one value. Where the first comes before the second the
 * register must have had the value all that time (`held`); else there is a moment at which all of it may have happened.
 */
type Zone = {
  readonly value: string;
  readonly isHeld: boolean;
  readonly fromMs: number;
  readonly toMs: number;
};

export function checkRegisters(history: readonly Operation[]): readonly Anomaly[] {
  return [...byKey(history)].flatMap(([key, operations]) => checkRegister(key, operations));
}

function checkRegister(key: string, operations: readonly Operation[]): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const writes = operations.filter((operation) => operation.kind === 'write');
  const writeOf = new Map(writes.map((write) => [write.value, write]));
  // Before anybody wrote, the register had no value.
  const clusters = new Map<number | undefined, { firstEndMs: number; lastStartMs: number }>([
    [undefined, { firstEndMs: -Infinity, lastStartMs: -Infinity }],
  ]);
  for (const operation of operations) {
    const value = operation.kind === 'write' ? operation.value : operation.values[0];
    if (operation.kind === 'read' && value !== undefined) {
      const write = writeOf.get(value);
      if (write === undefined || operation.endedAtMs < write.startedAtMs) {
        anomalies.push({ kind: 'invented', key, detail: `a read saw ${value} before anybody wrote it` });
        continue;
      }
      if (write.outcome === 'failed') {
        anomalies.push({ kind: 'failed-but-applied', key, detail: `${value} was refused and read` });
        continue;
      }
    }
    // A write of which nothing is known counts only where it was read; its reads bring its start with them.
    if (operation.kind === 'write' && operation.outcome !== 'acknowledged') continue;
    const cluster = clusters.get(value) ?? {
      firstEndMs: Infinity,
      lastStartMs: value === undefined ? -Infinity : (writeOf.get(value)?.startedAtMs ?? -Infinity),
    };
    cluster.firstEndMs = Math.min(cluster.firstEndMs, operation.endedAtMs);
    cluster.lastStartMs = Math.max(cluster.lastStartMs, operation.startedAtMs);
    clusters.set(value, cluster);
  }
  const zones = [...clusters].map(([value, { firstEndMs, lastStartMs }]): Zone => {
    const isHeld = firstEndMs < lastStartMs;
    return {
      value: String(value ?? 'no value'),
      isHeld,
      fromMs: Math.min(firstEndMs, lastStartMs),
      toMs: Math.max(firstEndMs, lastStartMs),
    };
  });
  return [...anomalies, ...conflicts(key, zones)];
}

/** No two values can have been held at once, and no other value can have come and gone while one was held. */
function conflicts(key: string, zones: readonly Zone[]): readonly Anomaly[] {
  const held = zones.filter(({ isHeld }) => isHeld).toSorted((a, b) => a.fromMs - b.fromMs);
  const anomalies: Anomaly[] = [];
  for (const [index, zone] of held.entries()) {
    const next = held[index + 1];
    if (next !== undefined && next.fromMs < zone.toMs) {
      anomalies.push({
        kind: 'stale',
        key,
        detail: `both ${zone.value} and ${next.value} were current at once`,
      });
    }
  }
  for (const zone of zones) {
    if (zone.isHeld) continue;
    const around = held.find(({ fromMs, toMs }) => fromMs < zone.fromMs && zone.toMs < toMs);
    if (around === undefined) continue;
    // Written within the other's time and never seen to replace it.
    anomalies.push({
      kind: 'lost',
      key,
      detail: `${zone.value} was set while ${around.value} stayed current`,
    });
  }
  return anomalies;
}
