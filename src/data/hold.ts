/**
 * Sessions that wait for a destination, first come first served.
 *
 * A new topology wakes them a few at a time: the next one goes on when one before it is through its login. So a primary
 * that has just been promoted is not met by all of them at once, and the first ones are served at once instead of all at
 * the end. A session that is woken and finds nothing joins the queue again at its end; its own deadline runs on. Where
 * members are offered and none can be reached, all are woken again after a moment, in the same way.
 */

export type HeldSession = {
  /** A new topology is there. To be answered with `through`, sooner or later. */
  wake(): void;
};

export type HoldQueue = {
  /** Takes the session in, or in again. */
  join(session: HeldSession): void;
  /** It waits no more. */
  leave(session: HeldSession): void;
  /** A session that was woken is logged in, or gone. */
  through(session: HeldSession): void;
  /** Wakes everybody who waits now, as the window allows. */
  wakeAll(): void;
  /** There are candidates, but none could be reached: wakes everybody again in a moment. */
  retrySoon(): void;
  readonly size: number;
  close(): void;
};

export function createHoldQueue(): HoldQueue {
  const waiting = new Set<HeldSession>();
  /** Those of `waiting` the running wake-up has still to reach, oldest first. */
  let due: readonly HeldSession[] = [];
  /** The first of `due` that has not been reached. */
  let next = 0;
  let isWaking = false;
  let retryTimer: NodeJS.Timeout | null = null;
  /** Woken and not through, each with the timer that stops counting it. */
  const underWay = new Map<HeldSession, NodeJS.Timeout>();

  const through = (session: HeldSession) => {
    const timer = underWay.get(session);
    if (timer === undefined) return;
    clearTimeout(timer);
    underWay.delete(session);
    wakeNext();
  };

  const wakeNext = () => {
    // A session that finds nothing is through before `wake` returns; the loop goes on, not a call within the call.
    if (isWaking) return;
    isWaking = true;
    while (underWay.size < WINDOW_SESSIONS && next < due.length) {
      const session = due[next++];
      if (session === undefined || !waiting.delete(session)) continue;
      underWay.set(session, setTimeout(through, PATIENCE_MS, session));
      session.wake();
    }
    if (next >= due.length) due = [];
    isWaking = false;
  };

  const wakeAll = () => {
    due = [...waiting];
    next = 0;
    wakeNext();
  };

  return {
    join(session) {
      waiting.add(session);
      through(session);
    },
    leave: (session) => void waiting.delete(session),
    through,
    wakeAll,
    retrySoon() {
      // What one has not found now, those behind it would not find either.
      due = [];
      retryTimer ??= setTimeout(() => {
        retryTimer = null;
        wakeAll();
      }, RETRY_MS);
    },
    get size() {
      return waiting.size;
    },
    close() {
      for (const timer of underWay.values()) clearTimeout(timer);
      if (retryTimer !== null) clearTimeout(retryTimer);
      underWay.clear();
      waiting.clear();
      due = [];
    },
  };
}

/** Logins under way at once, a thread: enough to keep a server busy, few enough that each is quick. */
const WINDOW_SESSIONS = 8;
/** A session that takes longer does not hold up the others: at worst 320 a second and thread go on. */
const PATIENCE_MS = 25;
/** One timer for all who wait: with the window, a member that refuses is asked at most 80 times a second and thread. */
const RETRY_MS = 100;
