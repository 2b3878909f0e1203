/** Resident memory of a process, from `/proc/<pid>/status` (proc_pid_status(5)). */
import { readFile } from 'node:fs/promises';

/** KiB. */
export async function readRssKib(pid: number): Promise<number> {
  return parseRssKib(await readFile(`/proc/${pid}/status`, 'utf8'));
}

/** @throws TypeError when `status` has no VmRSS line, as that of a process that has ended */
export function parseRssKib(status: string): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  if (found === null) throw new TypeError('no VmRSS line');
  return Number(found[1]);
}
