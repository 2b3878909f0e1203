/**
 * Reads the data threads' counters from the main thread: the views are made once, a reading is an addition a thread.
 */
import { threadCells } from '../../shared/counters.ts';

export type CounterReader = {
  readonly threads: number;
  /** One cell, added up over all threads. */
  sum(offset: number): number;
  /** One cell of one thread. */
  ofThread(threadIndex: number, offset: number): number;
};

export function createCounterReader(memory: SharedArrayBuffer, threads: number): CounterReader {
  const views = Array.from({ length: threads }, (_, index) => threadCells(memory, index));
  return {
    threads,
    sum(offset) {
      let sum = 0;
      for (const view of views) sum += view[offset] ?? 0;
      return sum;
    },
    ofThread: (threadIndex, offset) => views[threadIndex]?.[offset] ?? 0,
  };
}
