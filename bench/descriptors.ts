/** Thousands of sessions need thousands of file descriptors. */
import { execFileSync } from 'node:child_process';

/** Raises our own limit, which everything we start inherits. Returns what is wrong where that is not allowed. */
export function raiseDescriptorLimit(wanted: number): string | undefined {
  try {
    execFileSync('prlimit', [`--pid=${process.pid}`, `--nofile=${wanted}:${wanted}`], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `file descriptors stay limited: ${error instanceof Error ? error.message : String(error)}`;
  }
}
