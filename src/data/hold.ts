/**
 * Sessions that wait for a destination, first come first served.
 *
 * A new topology wakes them in batches, so that a primary that has just been promoted is not met by all of them at once.
 * A session that is woken and finds nothing joins the queue again at its end; its own deadline runs on.
 */

export type HeldSession = {
  /** A new topology is there, or the time to try again has come. */
  wake(): void;
};

export type HoldQueue = {
  join(session: HeldSession): void;
  leave(session: HeldSession): void;
  /** Wakes everybody who waits now, a batch at a time. */
  wakeAll(): void;
  readonly size: number;
  close(): void;
};

export function createHoldQueue(): HoldQueue {
  const waiting = new Set<HeldSession>();
  /** Those of `waiting` the running wake-up has still to reach, oldest first. */
  let due: HeldSession[] = [];
  let timer: NodeJS.Timeout | null = null;

  const wakeBatch = () => {
    timer = null;
    for (const session of due.splice(0, BATCH_SESSIONS)) {
      if (waiting.delete(session)) session.wake();
    }
    if (due.length > 0) timer = setTimeout(wakeBatch, BATCH_INTERVAL_MS);
  };

  return {
    join: (session) => void waiting.add(session),
    leave: (session) => void waiting.delete(session),
    wakeAll() {
      due = [...waiting];
      if (timer === null) wakeBatch();
    },
    get size() {
      return waiting.size;
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      waiting.clear();
      due = [];
    },
  };
}

/** 32 connects each 5 ms and thread: 6,400 a second, more than a mysqld authenticates, well under its backlog. */
const BATCH_SESSIONS = 32;
const BATCH_INTERVAL_MS = 5;
