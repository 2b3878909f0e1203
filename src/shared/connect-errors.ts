/**
 * Malformed logins by client address, counted over all data threads in memory of a fixed size, so that who sends garbage
 * can be shut out as MySQL does it (error 1129).
 *
 * One table for all threads. An entry is one 64-bit integer, changed with compareExchange, so that no thread ever sees
 * the address of one entry with the count of another:
 *
 *     fingerprint of the address, 32 bits | minute of the last error, 20 bits | errors in a row, 12 bits
 *
 * The fingerprint is keyed with a number of this process: nobody can choose an address that is taken for another's. Where all
 * places an address may have are taken, the entry whose last error is the oldest makes room.
 */
import { createHash, randomInt } from 'node:crypto';

/** Addresses that can have errors at once; an entry has 8 bytes. */
const SLOTS = 8192;
export const CONNECT_ERROR_BYTES = SLOTS * 8;

export type ConnectErrors = {
  /** Counts one. @returns the errors of the address in a row */
  failed(address: string): number;
  /** A login has succeeded: its count is 0 again. */
  succeeded(address: string): void;
  /** Nobody has errors: then nobody needs to be looked up. */
  readonly isEmpty: boolean;
  /** Errors of the address in a row. */
  count(address: string): number;
  /** Lets go of entries whose last error is too long ago. */
  sweep(): void;
};

/** Where the numbers stand in the shared header: how many entries there are, and the key. */
export type ConnectErrorCells = { readonly entries: number; readonly key: number };

/**
 * @param memoryMs how long after the last error those of an address count; asked for each time, for a reload may change it
 * @param now milliseconds of a clock that all threads share and nobody sets
 */
export function createConnectErrors(
  table: BigUint64Array,
  header: Int32Array,
  cells: ConnectErrorCells,
  memoryMs: () => number,
  now: () => number = systemMs,
): ConnectErrors {
  const key = header[cells.key] ?? 0;
  const minute = () => BigInt(Math.floor(now() / MINUTE_MS)) & MINUTE_MASK;
  const isOver = (entry: bigint, at: bigint) =>
    ((at - minuteOf(entry)) & MINUTE_MASK) * BigInt(MINUTE_MS) >= BigInt(memoryMs());

  /** Changes the entry of the address; `next` is given 0 where it has none. @returns the new entry */
  const change = (fingerprint: bigint, next: (entry: bigint) => bigint): bigint => {
    for (;;) {
      const { slot, entry } = placeOf(table, fingerprint);
      const known = fingerprintOf(entry) === fingerprint && !isOver(entry, minute()) ? entry : 0n;
      const changed = next(known);
      if (changed === 0n && fingerprintOf(entry) !== fingerprint) return 0n;
      if (Atomics.compareExchange(table, slot, entry, changed) !== entry) continue;
      if (entry === 0n && changed !== 0n) Atomics.add(header, cells.entries, 1);
      if (entry !== 0n && changed === 0n) Atomics.sub(header, cells.entries, 1);
      return changed;
    }
  };
  const hasEntries = () => Atomics.load(header, cells.entries) > 0;

  return {
    failed(address) {
      const fingerprint = hash(address, key);
      const entry = change(fingerprint, (before) => {
        const errors = countOf(before) === COUNT_MASK ? COUNT_MASK : countOf(before) + 1n;
        return (fingerprint << FINGERPRINT_SHIFT) | (minute() << COUNT_BITS) | errors;
      });
      return Number(countOf(entry));
    },
    get isEmpty() {
      return !hasEntries();
    },
    succeeded(address) {
      change(hash(address, key), () => 0n);
    },
    count(address) {
      const fingerprint = hash(address, key);
      const { entry } = placeOf(table, fingerprint);
      const isKnown = fingerprintOf(entry) === fingerprint && !isOver(entry, minute());
      return isKnown ? Number(countOf(entry)) : 0;
    },
    sweep() {
      if (!hasEntries()) return;
      const at = minute();
      for (let slot = 0; slot < SLOTS; slot++) {
        const entry = Atomics.load(table, slot);
        if (entry === 0n || !isOver(entry, at)) continue;
        if (Atomics.compareExchange(table, slot, entry, 0n) === entry) Atomics.sub(header, cells.entries, 1);
      }
    },
  };
}

/** Unlike performance.now, which begins anew in each thread; unlike Date.now, which an operator or NTP may set. */
function systemMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1_000_000;
}

/** A number for `ConnectErrorCells.key`. */
export function createKey(): number {
  return randomInt(2 ** 31);
}

/** The address's own place, else an empty one, else the one whose last error is the oldest. */
function placeOf(
  table: BigUint64Array,
  fingerprint: bigint,
): { readonly slot: number; readonly entry: bigint } {
  const first = Number(fingerprint) % SLOTS;
  let chosen = { slot: first, entry: Atomics.load(table, first) };
  for (let step = 0; step < PLACES; step++) {
    const slot = (first + step) % SLOTS;
    const entry = Atomics.load(table, slot);
    if (fingerprintOf(entry) === fingerprint) return { slot, entry };
    if (chosen.entry !== 0n && (entry === 0n || minuteOf(entry) < minuteOf(chosen.entry)))
      chosen = { slot, entry };
  }
  return chosen;
}

/** 32 bits, never 0. Only errors, and connects while anybody has some, pay for it. */
function hash(address: string, key: number): bigint {
  const digest = createHash('sha256').update(`${key} ${address}`).digest();
  return BigInt(digest.readUInt32LE() || 1);
}

function fingerprintOf(entry: bigint): bigint {
  return entry >> FINGERPRINT_SHIFT;
}

function minuteOf(entry: bigint): bigint {
  return (entry >> COUNT_BITS) & MINUTE_MASK;
}

function countOf(entry: bigint): bigint {
  return entry & COUNT_MASK;
}

const COUNT_BITS = 12n;
const COUNT_MASK = (1n << COUNT_BITS) - 1n;
const MINUTE_BITS = 20n;
/** Two years, after which minutes begin anew: far longer than errors are remembered. */
const MINUTE_MASK = (1n << MINUTE_BITS) - 1n;
const FINGERPRINT_SHIFT = COUNT_BITS + MINUTE_BITS;
const MINUTE_MS = 60_000;
const PLACES = 16;
