/**
 * Sessions open by client address, so that a limit on them holds over all data threads, in memory of a fixed size.
 *
 * Each thread owns a table that it alone writes; a count is the sum over all tables. An entry is one 64-bit integer,
 * changed with Atomics, so that a reader never sees the fingerprint of one address with the count of another:
 *
 *     fingerprint of the address, 44 bits | sessions of this thread, 20 bits
 *
 * A slot that was used once is never empty again (its count is 0, and another address may take it), so a search may end
 * at the first empty slot. An address that finds no slot among those it may have is counted by its thread alone.
 */
import { createHash } from 'node:crypto';

/** Addresses a thread counts at once; one table has 8 bytes for each. */
const CLIENT_SLOTS = 8192;
export const CLIENT_TABLE_BYTES = CLIENT_SLOTS * 8;

export type ClientCounts = {
  /** Takes a session of `address` in. @returns false when that would be more than `limit` over all threads */
  enter(address: string, limit: number): boolean;
  leave(address: string): void;
};

/** @param tables one of each thread; `tables[threadIndex]` is written, the others are read */
export function createClientCounts(tables: readonly BigUint64Array[], threadIndex: number): ClientCounts {
  const own = tables[threadIndex];
  if (own === undefined) throw new Error(`there is no table for thread ${threadIndex}`);
  const others = tables.filter((table) => table !== own);
  /** Of addresses without a slot. */
  const overflow = new Map<string, number>();

  const addOwn = (address: string, fingerprint: bigint, amount: 1 | -1): number => {
    const slot = overflow.has(address) ? -1 : slotFor(own, fingerprint);
    if (slot === -1) return addTo(overflow, address, amount);
    const entry = own[slot] ?? 0n;
    const count = (entry >> COUNT_BITS === fingerprint ? entry & COUNT_MASK : 0n) + BigInt(amount);
    Atomics.store(own, slot, (fingerprint << COUNT_BITS) | count);
    return Number(count);
  };
  const sumOfOthers = (fingerprint: bigint) =>
    others.reduce((sum, table) => sum + countIn(table, fingerprint), 0);

  return {
    enter(address, limit) {
      const fingerprint = fingerprintOf(address);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        // Taken before it is looked: of several threads that come at once, none can miss all the others.
        const openHere = addOwn(address, fingerprint, 1);
        if (openHere + sumOfOthers(fingerprint) <= limit) return true;
        addOwn(address, fingerprint, -1);
        // Too many at once is not too many: of those who met, who steps back last finds that there is room.
        if (openHere - 1 + sumOfOthers(fingerprint) >= limit) return false;
      }
      return false;
    },
    leave: (address) => void addOwn(address, fingerprintOf(address), -1),
  };
}

/** Where the address is, or may be put, in a thread's own table; -1 when all its places are taken by others. */
function slotFor(table: BigUint64Array, fingerprint: bigint): number {
  let free = -1;
  for (const slot of placesOf(fingerprint)) {
    const entry = table[slot] ?? 0n;
    if (entry >> COUNT_BITS === fingerprint) return slot;
    if (free === -1 && (entry & COUNT_MASK) === 0n) free = slot;
    if (entry === 0n) break;
  }
  return free;
}

function countIn(table: BigUint64Array, fingerprint: bigint): number {
  for (const slot of placesOf(fingerprint)) {
    const entry = Atomics.load(table, slot);
    if (entry >> COUNT_BITS === fingerprint) return Number(entry & COUNT_MASK);
    if (entry === 0n) return 0;
  }
  return 0;
}

function* placesOf(fingerprint: bigint): Generator<number> {
  const first = Number(fingerprint % BigInt(CLIENT_SLOTS));
  for (let step = 0; step < MAX_PLACES; step++) yield (first + step) % CLIENT_SLOTS;
}

function addTo(counts: Map<string, number>, address: string, amount: number): number {
  const count = (counts.get(address) ?? 0) + amount;
  if (count > 0) counts.set(address, count);
  else counts.delete(address);
  return count;
}

/** Never 0. That any two of 8,192 addresses share one, and so a limit, has a chance of 1 to 250,000. */
function fingerprintOf(address: string): bigint {
  const digest = createHash('sha256').update(address).digest();
  return (1n << 43n) | (BigInt(digest.readUIntBE(0, 6)) >> 5n);
}

const COUNT_BITS = 20n;
const COUNT_MASK = (1n << COUNT_BITS) - 1n;
const MAX_PLACES = 32;
/** Threads that step back for each other do so a few times at most. */
const MAX_ATTEMPTS = 100;
