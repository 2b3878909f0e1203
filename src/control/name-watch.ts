/**
 * Keeps the IP address of one name current: asks again when the answer has had its time, and keeps the last good one
 * while name servers fail or have lost the name.
 */
import { isIP } from 'node:net';
import { beforeExpiry, createBackoff } from './pace.ts';
import type { Lookup, NameResolver } from './resolver.ts';

/** The address of a name, as somebody else knows it. */
export type GivenAddress = {
  readonly host: string;
  /** False while who knew it cannot say whether it is still so: where nobody answers there, the name is asked for as well. */
  readonly isCurrent: boolean;
};

export type NameWatch = {
  /** The address, or null while the name has never resolved. */
  readonly current: () => string | null;
  /** Goes by this address instead of asking, as long as somebody else knows it; null to ask again. */
  follow(given: GivenAddress | null): void;
  /** Asks again now, unless it did within the last second: a member that cannot be reached may have moved. */
  recheck(): void;
  close(): void;
};

export type NameWatchOptions = {
  readonly name: string;
  /** The address, where somebody else knows it. */
  readonly given: GivenAddress | null;
  readonly resolver: NameResolver;
  readonly now: () => number;
  readonly random: () => number;
  /** Called when the address is found or has changed. Not for a literal address, which `current` has from the start. */
  onAddress(host: string): void;
  /** Called when the name has not resolved; `hadAddress` when an earlier answer stays in use. */
  onFailure(code: string, hadAddress: boolean): void;
};

export function createNameWatch(options: NameWatchOptions): NameWatch {
  const { name, resolver, now, random } = options;
  const backoff = createBackoff({ firstMs: 500, maxMs: 10_000 }, random);
  let { given } = options;
  let current = given?.host ?? (isIP(name) === 0 ? null : name);
  let timer: NodeJS.Timeout | null = null;
  let isAsking = false;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  const schedule = (delayMs: number): void => {
    if (timer !== null) clearTimeout(timer);
    timer = isClosed ? null : setTimeout(ask, delayMs);
  };
  const ask = (): void => {
    if (isAsking || isClosed) return;
    isAsking = true;
    askedAtMs = now();
    resolver.lookup(name, current).then(accept, (error: unknown) => {
      accept({ kind: 'not-found', code: String(error) });
    });
  };
  const accept = (lookup: Lookup): void => {
    isAsking = false;
    if (isClosed || given?.isCurrent === true) return;
    // It was a second opinion, which is asked for again where that helps nobody either.
    if (given !== null) {
      if (lookup.kind === 'found') moveTo(lookup.host);
      return;
    }
    if (lookup.kind === 'not-found') {
      schedule(backoff.nextMs());
      options.onFailure(lookup.code, current !== null);
      return;
    }
    backoff.reset();
    if (Number.isFinite(lookup.ttlMs)) schedule(beforeExpiry(lookup.ttlMs, random));
    moveTo(lookup.host);
  };
  const moveTo = (host: string): void => {
    if (host === current) return;
    current = host;
    options.onAddress(host);
  };
  if (current === null) ask();

  return {
    current: () => current,
    follow(next) {
      const before = given;
      if (isIP(name) !== 0) return;
      given = next;
      if (next === null) {
        if (before !== null) ask();
        return;
      }
      if (timer !== null) clearTimeout(timer);
      // What was known already says nothing against what was found out since, unless it is known anew.
      if (next.isCurrent || next.host !== before?.host) moveTo(next.host);
    },
    recheck() {
      const isOpen = isIP(name) === 0 && given?.isCurrent !== true;
      if (isOpen && now() - askedAtMs >= RECHECK_GAP_MS) ask();
    },
    close() {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

const RECHECK_GAP_MS = 1000;
