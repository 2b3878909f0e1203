/**
 * The cache folder and the locks in it. Locks are `flock(1)` held by a child that lives as long as its pipe to us:
 * the kernel lets go of them whichever way we end, so there is no stale lock to recognise.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SandboxError } from './outcome.ts';

/** `FAIRLEAD_CACHE`, else `.cache` beside the nearest package.json above this file (sources and `dist` alike). */
export function cacheDirectory(): string {
  const { FAIRLEAD_CACHE: configured } = process.env;
  if (configured !== undefined && configured !== '') return resolve(configured);
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory) {
    directory = dirname(directory);
  }
  return join(directory, '.cache');
}

/** Runs `work` while no other process that asks for `lockFile` does. Waits without limit for the other's turn to end. */
export async function underLock<T>(lockFile: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(lockFile), { recursive: true });
  const keeper = spawn('flock', [lockFile, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(keeper, 'close');
  const locked = once(keeper.stdout, 'data');
  await Promise.race([
    locked,
    ended.then(() => {
      throw new SandboxError(`could not lock ${lockFile}: flock ended early`);
    }),
  ]);
  try {
    return await work();
  } finally {
    keeper.stdin.end();
    await ended;
  }
}
