/**
 * Looks after sessions about once a second. Thousands may be open and do nothing, so all are visited only where some
 * setting limits their time; else only those that are watched, because bytes are queued or only the server has ended. That
 * it comes to that is what the main thread goes by to see that the thread is well (thread-watch.ts).
 */
import { add, THREAD } from '../shared/counters.ts';
import { probeServers } from './bare-wire.ts';
import type { CoarseClock, OpenSession, ThreadContext } from './thread-context.ts';

export class Sweeper implements CoarseClock {
  readonly #context: ThreadContext;
  /** Whether a route limits the age of its sessions. */
  readonly #isAgeLimited: () => boolean;
  readonly #timer: NodeJS.Timeout;
  #second = 0;

  constructor(context: ThreadContext, isAgeLimited: () => boolean) {
    this.#context = context;
    this.#isAgeLimited = isAgeLimited;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    add(context.cells, THREAD.beats, 1);
  }

  get second(): number {
    return this.#second;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    this.#second++;
    add(this.#context.cells, THREAD.beats, 1);
    const { sessions, watched, cells, connectErrors, transport } = this.#context;
    const { idleTimeoutMs } = this.#context.config().limits;
    const isTimeLimited = idleTimeoutMs > 0 || this.#isAgeLimited();
    for (const session of isTimeLimited ? sessions : watched) session.sweep(idleTimeoutMs);
    cells[THREAD.queuedBytes] = queuedIn(watched);
    for (const session of watched) if (!session.isWatchable) watched.delete(session);
    connectErrors.sweep();
    if (transport.kind === 'fast') probeServers(transport.tcp);
  }
}

function queuedIn(sessions: ReadonlySet<OpenSession>): number {
  let bytes = 0;
  for (const { queuedBytes } of sessions) bytes += queuedBytes;
  return bytes;
}

const SWEEP_MS = 1000;
