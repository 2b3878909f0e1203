/** A scope for programs that are no tests: it tells on standard output, and ends what was begun, the last first. */
import {
  isInOwnNetwork,
  missingNetwork,
  missingParts,
  type PartName,
  startAgainInOwnNetwork,
} from '../../src/sandbox/index.ts';
import type { Scope } from './scope.ts';

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

export async function withScope<T>(
  run: (scope: Scope) => Promise<T>,
  comment: (message: string) => void = say,
): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await run({ teardown: (end) => void ends.unshift(end), comment });
  } finally {
    for (const end of ends) await end();
  }
}

/** With the time of day in front, for what takes long. */
export function sayWithTime(message: string): void {
  say(`${new Date().toISOString().slice(11, 19)} ${message}`);
}

/**
 * Runs the program in a network of its own.
 *
 * @param parts are fetched before: inside there is no way out
 * @param more arguments for the program inside
 * @returns the exit code
 */
export async function runInOwnNetwork(
  run: () => Promise<number>,
  parts: readonly PartName[] = [],
  more: readonly string[] = [],
): Promise<number> {
  if (isInOwnNetwork()) return run();
  const missing = (await missingParts(...parts)) || (await missingNetwork());
  if (missing !== false) throw new Error(missing);
  return startAgainInOwnNetwork(more);
}
