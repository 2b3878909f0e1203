/**
 * A connection that leads to itself.
 *
 * Where nobody listens on a port of this very host, and the kernel happens to give the same port to the end that dials, TCP
 * connects the socket with itself (RFC 9293, section 3.5, simultaneous open). It looks like a server that is there and says
 * whatever it is told; and it keeps the port, so that the server cannot come back to it.
 */
import { readFileSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** Whether that can happen to who dials the port: the kernel gives it out. */
export function isGivenOut(port: number): boolean {
  return port >= FIRST_PORT && port <= LAST_PORT;
}

type End = { readonly host: string; readonly port: number };

export function isSameEnd(local: End, dialled: End): boolean {
  return local.port === dialled.port && local.host === dialled.host;
}

/** What a dial that ended so is taken for: nobody listens there. */
export const SELF_CONNECT_CODE = 'ECONNREFUSED';

const [FIRST_PORT, LAST_PORT] = givenOutPorts();

/** All that may be, where the system does not tell. Source: ip_local_port_range in ip(7), which counts for IPv6 too. */
function givenOutPorts(): readonly [number, number] {
  try {
    const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/);
    return [Number(first), Number(last)];
  } catch (error) {
    if (isErrno(error)) return [1024, 65_535];
    throw error;
  }
}
