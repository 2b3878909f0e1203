/**
 * Loaded into a router with `--import`, which Node does in each of its threads: makes a thread hang when it is told to by a
 * file. `HANG_FOLDER` is a folder: a file `0` in it is for data thread 0, `main` for the main thread. The file says how,
 * and is gone before.
 */
import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, workerData } from 'node:worker_threads';
import { isErrno } from '../../src/shared/errno.ts';

const folder = process.env['HANG_FOLDER'] ?? '';
const index: unknown = workerData?.threadIndex;
const order = join(folder, isMainThread ? 'main' : String(index));

if (isMainThread || typeof index === 'number') setInterval(look, 50).unref();

function look(): void {
  const how = readOrder();
  if (how === null) return;
  switch (how) {
    case 'loop':
      for (;;) Math.random();
    case 'wait':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return;
    default:
      // A call that nothing interrupts: opening a pipe returns once somebody writes to it.
      readFileSync(how);
  }
}

function readOrder(): string | null {
  try {
    const how = readFileSync(order, 'utf8').trim();
    // Written by and by: nothing is no order yet.
    if (how === '') return null;
    unlinkSync(order);
    return how;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return null;
    throw error;
  }
}
