/**
 * When clients are told by the primary that it is read-only, and it goes on to tell the router that it is not: then the two
 * may have been to different servers, as behind a load balancer or a Service with a cluster IP that was given as a seed. On
 * a new connection another may answer, and the primary is then met where its group says.
 */
export type SecondLook = {
  /** A client was told so by the member at `address`. */
  note(address: string): void;
  close(): void;
};

export type SecondLookOptions = {
  /** Whether writes go there, as things stand, and the others could be found without it. */
  isPrimary(address: string): boolean;
  /** Asks there anew, on a connection of its own. */
  look(address: string): void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

export function createSecondLook({ isPrimary, look, now }: SecondLookOptions): SecondLook {
  let timer: NodeJS.Timeout | null = null;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let gapMs = FIRST_GAP_MS;
  return {
    note(address) {
      const sinceMs = now() - lookedAtMs;
      if (timer !== null || sinceMs < gapMs || !isPrimary(address)) return;
      timer = setTimeout(() => {
        timer = null;
        // A primary that was demoted has said so by now.
        if (!isPrimary(address)) return;
        lookedAtMs = now();
        gapMs = sinceMs > LONG_AGO_MS ? FIRST_GAP_MS : Math.min(2 * gapMs, MAX_GAP_MS);
        look(address);
      }, SETTLING_MS);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

const SETTLING_MS = 500;
/** Statements are refused with the same number for other reasons too, such as `secure_file_priv`: ever more seldom. */
const FIRST_GAP_MS = 5000;
const MAX_GAP_MS = 600_000;
const LONG_AGO_MS = 3_600_000;
