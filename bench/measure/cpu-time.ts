/**
 * Processor time of a process from `/proc/<pid>/stat` (proc_pid_stat(5)): user and system, of all its threads, also
 * those that have ended, and of its child processes.
 */
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { statFields } from '../../src/shared/proc-stat.ts';

/** Milliseconds since the process started; its resolution is the kernel's clock tick, commonly 10 ms. */
export async function readCpuMs(pid: number): Promise<number> {
  let ticks = 0;
  for (const member of await processTree(pid)) {
    ticks += parseStatTicks(await readFile(`/proc/${member}/stat`, 'utf8'));
  }
  return (ticks * 1000) / ticksPerSecond();
}

/**
 * utime + stime + cutime + cstime, in clock ticks. The last two are of children that ended and were waited for; those
 * that run have their own line.
 *
 * @throws TypeError when `stat` is not a line of /proc/<pid>/stat
 */
export function parseStatTicks(stat: string): number {
  const ticks = statFields(stat)
    .slice(FIRST_TIME_FIELD, FIRST_TIME_FIELD + 4)
    .map(Number);
  if (ticks.length !== 4 || !ticks.every(Number.isInteger)) throw new TypeError(`no stat line: ${stat}`);
  return ticks.reduce((sum, value) => sum + value, 0);
}

/** The process and all below it. */
async function processTree(pid: number): Promise<readonly number[]> {
  const found = [pid];
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const children = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8');
    for (const child of children.split(' ').filter((text) => text.trim() !== '')) {
      found.push(...(await processTree(Number(child))));
    }
  }
  return found;
}

function ticksPerSecond(): number {
  return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
}

/** utime is field 14 of the line and the 12th after the name. */
const FIRST_TIME_FIELD = 11;
