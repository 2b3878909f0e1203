/**
 * The listening socket of one route in one data thread. Every thread listens on the same port (`reusePort`), and the
 * kernel spreads connections over them.
 */
import { createServer, type Server } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Listen } from '../config/config.ts';
import { type Accepted, isErrno, type Transport } from './connection.ts';
import { acceptHandles } from './tcp-handle.ts';

export type ListenerEvents = {
  onConnection(accepted: Accepted): void;
  /** A connection could not be accepted: usually the process has no descriptors left. */
  onAcceptFailed(code: string): void;
};

export type Listener = {
  /** The port it is bound to: what port 0 became. */
  readonly port: number;
  /** Stops accepting; sessions are not touched. */
  close(): void;
};

/** @throws the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL, …) when the address cannot be bound */
export function createListener(
  listen: Listen,
  isShared: boolean,
  transport: Transport['kind'],
  events: ListenerEvents,
): Promise<Listener> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  server.on('connection', events.onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port, reusePort: isShared, backlog: BACKLOG }, () => {
      server.off('error', reject);
      const isFast = transport === 'fast';
      if (
        isFast &&
        !acceptHandles(server, events.onConnection, (status) => events.onAcceptFailed(nameOf(status)))
      ) {
        server.close();
        return reject(new Error('this Node does not let a server hand over its handles'));
      }
      server.on('error', (error) =>
        events.onAcceptFailed(isErrno(error) ? (error.code ?? '') : error.message),
      );
      resolve({ port: boundPort(server, listen), close: () => void server.close() });
    });
  });
}

function nameOf(status: number): string {
  return status < 0 ? getSystemErrorName(status) : String(status);
}

function boundPort(server: Server, listen: Listen): number {
  const address = server.address();
  return address === null || typeof address === 'string' ? listen.port : address.port;
}

/** Where the kernel spreads connections over the sockets bound to one port (Node's own list for `reusePort`). */
export const CAN_SHARE_PORTS = ['linux', 'freebsd', 'sunos', 'aix'].includes(process.platform);

/** Linux cuts it to net.core.somaxconn, 4096 by default; a burst of connects should not be met by SYN retries. */
const BACKLOG = 4096;
