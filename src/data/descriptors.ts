/**
 * How many sessions the process has file descriptors for.
 *
 * A process without descriptors cannot accept, dial, resolve or answer its health endpoint; libuv then takes connections
 * only to close them. So the limit on sessions is never above what the descriptors allow, and a client beyond it hears
 * 1040 as from a full server.
 */
import { readFileSync } from 'node:fs';

/** The most sessions the descriptors allow, or null where the system does not tell. */
export function sessionsWithinDescriptors(): number | null {
  const descriptors = descriptorLimit();
  if (descriptors === null) return null;
  return Math.max(1, Math.floor((descriptors - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_SESSION));
}

/** The soft limit on open files (which Node raises to the hard one when it starts). Source: proc_pid_limits(5). */
function descriptorLimit(): number | null {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Not Linux, or /proc is not mounted: then there is nothing to go by.
    return null;
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}

/** The client's and the server's. */
const DESCRIPTORS_PER_SESSION = 2;
/** For listeners, control sessions, the admin server, clients being turned away, and Node itself. */
const RESERVED_DESCRIPTORS = 256;
