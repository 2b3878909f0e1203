/**
 * Keeps the IP address of one name current: asks again when the answer has had its time, and keeps the last good one
 * while name servers fail or have lost the name.
 */
import { isIP } from 'node:net';
import { beforeExpiry, createBackoff } from './pace.ts';
import type { Lookup, NameResolver } from './resolver.ts';

export type NameWatch = {
  /** The address, or null while the name has never resolved. */
  readonly current: () => string | null;
  /** Asks again now, unless it did within the last second: a member that cannot be reached may have moved. */
  recheck(): void;
  close(): void;
};

export type NameWatchOptions = {
  readonly name: string;
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
  let current = isIP(name) === 0 ? null : name;
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
    if (isClosed) return;
    if (lookup.kind === 'not-found') {
      schedule(backoff.nextMs());
      options.onFailure(lookup.code, current !== null);
      return;
    }
    backoff.reset();
    if (Number.isFinite(lookup.ttlMs)) schedule(beforeExpiry(lookup.ttlMs, random));
    if (lookup.host === current) return;
    current = lookup.host;
    options.onAddress(lookup.host);
  };
  if (current === null) ask();

  return {
    current: () => current,
    recheck() {
      if (isIP(name) === 0 && now() - askedAtMs >= RECHECK_GAP_MS) ask();
    },
    close() {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

const RECHECK_GAP_MS = 1000;
