import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxError } from './outcome.ts';

export type WaitOptions = {
  /** What is being waited for, as it reads after "gave up waiting for". */
  readonly what: string;
  /** Range 1 or more; reaching it throws. */
  readonly timeoutMs: number;
  /** Pause between two looks. Default 50. */
  readonly intervalMs?: number;
};

/**
 * Looks again and again until `look` answers something other than `undefined`. An error thrown by `look` counts
 * as "not yet"; the last one becomes the cause when time is up. Throw a {@link SandboxError} from `look` to give
 * up at once.
 */
export async function waitFor<T>(options: WaitOptions, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
      lastError = undefined;
    } catch (error) {
      if (error instanceof SandboxError) throw error;
      lastError = error;
    }
    if (performance.now() >= deadline) {
      const seconds = (options.timeoutMs / 1000).toFixed(1);
      throw new SandboxError(`gave up waiting for ${options.what} after ${seconds} s`, { cause: lastError });
    }
    await sleep(options.intervalMs ?? 50);
  }
}
