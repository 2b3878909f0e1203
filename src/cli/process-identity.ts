/**
 * Tells one process from every other, on this machine or another, in this container or another: a process id alone names
 * a different process in each of them, and a later one once it is free again. Who is about to send a signal to an id that
 * it was told by a port compares the identity that it was told with the one it finds.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { isErrno } from '../shared/errno.ts';
import { statFields } from '../shared/proc-stat.ts';

/** Null where the system does not tell (no /proc), or nothing is there under that id, or not for this user to see. */
export function identityOf(pid: number | 'self'): string | null {
  try {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
    return createHash('sha256')
      .update(`${bootId} ${namespace} ${startedAtTicks(pid)}`)
      .digest('hex')
      .slice(0, IDENTITY_CHARACTERS);
  } catch (error) {
    if (isErrno(error)) return null;
    throw error;
  }
}

/** Whether this process is `fairlead run`, as far as its command line tells: whom a stop signal may be sent to. */
export function isRouter(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.some((word, index) => PROGRAM.test(word) && words[index + 1] === 'run');
  } catch (error) {
    if (isErrno(error)) return false;
    throw error;
  }
}

/** Clock ticks from the boot to the start of the process, and its id. Source: proc_pid_stat(5), fields 1 and 22. */
function startedAtTicks(pid: number | 'self'): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return `${stat.slice(0, stat.indexOf(' '))} ${statFields(stat)[START_TIME]}`;
}

const PROGRAM = /(?:^|\/)(?:fairlead|main\.ts|main\.js)$/;
/** Field 22, counted from the one behind the name, which is field 3. */
const START_TIME = 19;
const IDENTITY_CHARACTERS = 32;
