/**
 * How many sessions the process has file descriptors for.
 *
 * A process without descriptors cannot accept, dial, resolve or answer its health endpoint; libuv then takes connections
 * only to close them. So the limit on sessions is never above what the descriptors allow, and a client beyond it hears
 * 1040 as from a full server.
 */
import { readFileSync } from 'node:fs';

/** The most sessions the descriptors allow a router with so many data threads, or null where the system does not tell. */
export function sessionsWithinDescriptors(threads: number): number | null {
  const descriptors = descriptorLimit();
  if (descriptors === null) return null;
  const reserved = RESERVED_FOR_PROCESS + RESERVED_FOR_THREAD * threads;
  return Math.max(1, Math.floor((descriptors - reserved) / DESCRIPTORS_PER_SESSION));
}

/** What an operator should know of it; null when the descriptors are no limit he would meet. @param maxConnections 0 for no limit */
export function descriptorsWarning(sessions: number, maxConnections: number): string | null {
  const text = `the open files (ulimit -n) allow ${sessions} sessions`;
  if (maxConnections > 0)
    return sessions < maxConnections ? `${text}, fewer than limits.maxConnections, ${maxConnections}` : null;
  return sessions < FEW_SESSIONS ? `${text}; further clients hear 1040` : null;
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

/** With the limits systems give to services there are hundreds of thousands. */
const FEW_SESSIONS = 1000;
/** The client's and the server's. */
const DESCRIPTORS_PER_SESSION = 2;
/** For Node and the listeners of the main thread (27 with two routes), the admin server (64), control sessions (one a member). */
const RESERVED_FOR_PROCESS = 112;
/** For the thread itself (5, and its listeners), and clients and servers that are being left (50, see farewell.ts). */
const RESERVED_FOR_THREAD = 64;
