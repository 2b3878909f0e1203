/** Thousands of sessions need thousands of file descriptors. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Raises our own limit, which everything we start inherits, as far as we may. Returns what it is then. */
export function raiseDescriptorLimit(wanted: number): number {
  const { soft, hard } = parseDescriptorLimits(readFileSync('/proc/self/limits', 'utf8'));
  for (const limit of [wanted, hard]) {
    if (soft >= limit) return soft;
    try {
      // Raising the hard limit takes CAP_SYS_RESOURCE; raising the soft one up to it does not.
      const nofile = `--nofile=${limit}:${Math.max(limit, hard)}`;
      execFileSync('prlimit', [`--pid=${process.pid}`, nofile], { stdio: 'pipe' });
      return limit;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return soft;
}

/** From proc_pid_limits(5). */
export function parseDescriptorLimits(limits: string): { readonly soft: number; readonly hard: number } {
  const found = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits);
  if (found === null) throw new TypeError('no line about open files');
  return { soft: Number(found[1]), hard: Number(found[2]) };
}

/** prlimit ran and was not allowed to, or is not installed. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('status' in error && error.status === 1) || ('code' in error && error.code === 'ENOENT');
}
