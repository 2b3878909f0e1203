/**
 * Notices data threads that are alive and do nothing: an endless loop, a call that does not return.
 *
 * Each thread adds to a cell about once a second, from a timer it has anyway (sweeper.ts); here it is looked whether it still
 * does. What is counted is looks, not time: a process that was stopped, a machine that was suspended and a main thread
 * that gets no processor make the looks late, and a late one starts all counts anew. A thread that wants to run and is not
 * let is not hung either; Linux tells how much it has run.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { THREAD, threadCells } from '../shared/counters.ts';
import { isErrno } from '../shared/errno.ts';
import { statFields } from '../shared/proc-stat.ts';
import type { ThreadPulse } from '../shared/thread-pulse.ts';

export type HungThread = {
  readonly index: number;
  readonly silentSeconds: number;
  readonly doing: ThreadDoing;
};

export type ThreadDoing = {
  /** `computing` in a loop of its own, `waiting` in a call that does not return, in the `disk`, or `unknown`. */
  readonly kind: 'computing' | 'waiting' | 'disk' | 'unknown';
  /** Processor time since it was last heard; null where the system does not tell. */
  readonly cpuSeconds: number | null;
};

export type ThreadWatchOptions = {
  readonly counters: SharedArrayBuffer;
  readonly threads: number;
  /** After so much silence a thread is hung; 0 for never. */
  hungAfterMs(): number;
  /** Called once for each hang: the thread is to be ended. */
  onHung(thread: HungThread): void;
  /** It was ended and is still there. */
  onStuck(index: number): void;
};

export class ThreadWatch {
  readonly #options: ThreadWatchOptions;
  readonly #threads: Watched[];
  readonly #timer: NodeJS.Timeout;
  #lookedAtMs = performance.now();

  constructor(options: ThreadWatchOptions) {
    this.#options = options;
    this.#threads = Array.from({ length: options.threads }, () => ABSENT);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  started(index: number): void {
    this.#threads[index] = {
      kind: 'alive',
      beats: this.#beatsOf(index),
      hasBeaten: false,
      looks: 0,
      ran: null,
    };
  }

  ended(index: number): void {
    this.#threads[index] = ABSENT;
  }

  pulseOf(index: number): ThreadPulse {
    const thread = this.#threads[index] ?? ABSENT;
    switch (thread.kind) {
      case 'absent':
        return 'absent';
      case 'alive':
        return thread.looks > SILENT_LOOKS ? 'silent' : 'beating';
      case 'ending':
        return thread.looks > ENDING_LOOKS ? 'stuck' : 'silent';
      default:
        return thread satisfies never;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.#lookedAtMs > LOOK_MS + LATE_MS;
    this.#lookedAtMs = nowMs;
    for (const [index, thread] of this.#threads.entries()) {
      if (thread.kind === 'absent') continue;
      if (thread.kind === 'alive') {
        if (isLate) thread.looks = 0;
        else this.#lookAt(index, thread);
      } else if (++thread.looks === ENDING_LOOKS + 1) this.#options.onStuck(index);
    }
  }

  #lookAt(index: number, thread: Alive): void {
    const beats = this.#beatsOf(index);
    if (beats !== thread.beats) {
      thread.beats = beats;
      thread.hasBeaten = true;
      thread.looks = 0;
      return;
    }
    thread.looks++;
    // Its timer and this one are of the same length: that one look finds nothing new is ordinary.
    if (thread.looks === 2) thread.ran = this.#taskOf(index);
    const setMs = this.#options.hungAfterMs();
    const hungAfterMs = Math.max(setMs, LEAST_HUNG_MS);
    // What it does before its first beat takes as long as the machine takes.
    const patienceMs = thread.hasBeaten ? hungAfterMs : Math.max(hungAfterMs, START_PATIENCE_MS);
    if (setMs === 0 || thread.looks * LOOK_MS < patienceMs) return;
    const doing = this.#doingOf(index, thread);
    if (doing === null) return;
    const silentSeconds = (thread.looks * LOOK_MS) / 1000;
    this.#threads[index] = { kind: 'ending', looks: 0 };
    this.#options.onHung({ index, silentSeconds, doing });
  }

  /** Null for a thread that would run if it were let. */
  #doingOf(index: number, { ran }: Alive): ThreadDoing | null {
    const task = this.#taskOf(index);
    if (task === null) return { kind: 'unknown', cpuSeconds: null };
    const cpuSeconds = ran === null ? null : task.cpuSeconds - ran.cpuSeconds;
    if (task.state !== 'R') return { kind: task.state === 'D' ? 'disk' : 'waiting', cpuSeconds };
    return cpuSeconds !== null && cpuSeconds < LOOP_CPU_SECONDS ? null : { kind: 'computing', cpuSeconds };
  }

  #beatsOf(index: number): number {
    return threadCells(this.#options.counters, index)[THREAD.beats] ?? 0;
  }

  #taskOf(index: number): Task | null {
    return taskOf(threadCells(this.#options.counters, index)[THREAD.kernelThread] ?? 0);
  }
}

type Alive = {
  readonly kind: 'alive';
  beats: number;
  hasBeaten: boolean;
  /** How often nothing new was found since. */
  looks: number;
  /** What it had run when it fell silent. */
  ran: Task | null;
};
type Watched = Alive | { readonly kind: 'absent' } | { readonly kind: 'ending'; looks: number };
const ABSENT: Watched = { kind: 'absent' };

type Task = { readonly state: string; readonly cpuSeconds: number };

/** Null where the system does not tell. Source: proc_pid_stat(5), fields 3, 14 and 15. */
function taskOf(id: number): Task | null {
  if (id === 0) return null;
  try {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    const fields = statFields(stat);
    const [state = ''] = fields;
    const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
    return Number.isFinite(ticks) ? { state, cpuSeconds: ticks / TICKS_PER_SECOND } : null;
  } catch (error) {
    if (isErrno(error)) return null;
    throw error;
  }
}

/** Fields 14 and 15, counted from the one behind the name, which is field 3. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;
/** As often as threads beat. */
const LOOK_MS = 1000;
/** So much later than it should be, a look says nothing of the others. */
const LATE_MS = 2000;
/** Looks in vain after which nobody counts on the thread any more. */
const SILENT_LOOKS = 3;
/** What a busy machine may take. */
const LEAST_HUNG_MS = 4000;
/** A thread that is told to end, ends within milliseconds, whatever its script does. */
const ENDING_LOOKS = 5;
const START_PATIENCE_MS = 60_000;
/** No turn of an event loop takes so much: below it, it is the machine that keeps the thread from running. */
const LOOP_CPU_SECONDS = 2;
/** USER_HZ, which is the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
