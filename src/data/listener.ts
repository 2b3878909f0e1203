/**
 * The listening socket of one route in one data thread. Every thread listens on the same port (`reusePort`), and the
 * kernel spreads connections over them.
 */
import { createServer, type Server } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Listen } from '../config/config.ts';
import { isErrno } from '../shared/errno.ts';
import type { Accepted, Transport } from './connection.ts';
import { acceptHandles, keepAliveAccepted } from './tcp-handle.ts';

export type ListenerEvents = {
  onConnection(accepted: Accepted): void;
  /** A connection could not be accepted: usually the process has no descriptors left. */
  onAcceptFailed(code: string): void;
};

export type Listener = {
  /** The port it is bound to: what port 0 became. */
  readonly port: number;
  /** Stops accepting at once: the kernel resets connections that are queued. Sessions are not touched. */
  close(): void;
  /** Accepts what is queued, then closes. */
  closeWhenEmpty(): Promise<void>;
  /** For connections accepted from now on. */
  keepAliveAfter(ms: number): void;
};

/** @throws the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL, …) when the address cannot be bound */
export function createListener(
  listen: Listen,
  isShared: boolean,
  transport: Transport['kind'],
  events: ListenerEvents,
): Promise<Listener> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  let accepted = 0;
  const onConnection = (connection: Accepted) => {
    accepted++;
    events.onConnection(connection);
  };
  server.on('connection', onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port, reusePort: isShared, backlog: BACKLOG }, () => {
      server.off('error', reject);
      const isFast = transport === 'fast';
      if (isFast && !acceptHandles(server, onConnection, (status) => events.onAcceptFailed(nameOf(status)))) {
        server.close();
        return reject(new Error('this Node does not let a server hand over its handles'));
      }
      server.on('error', (error) =>
        events.onAcceptFailed(isErrno(error) ? (error.code ?? '') : error.message),
      );
      const close = () => void server.close();
      resolve({
        port: boundPort(server, listen),
        close,
        closeWhenEmpty: () => untilNobodyCame(() => accepted).then(close),
        keepAliveAfter: (ms) => keepAliveAccepted(server, Math.ceil(ms / 1000)),
      });
    });
  });
}

/**
 * Resolves right after a turn of the event loop in which the queue was empty.
 *
 * When a listening socket is closed, the kernel resets what is queued on it, also when others listen on the same port. A
 * turn asks the kernel once and takes one connection, so a turn without one has found the queue empty; what came since is
 * lost, so a short turn is waited for, and a less short one as time goes by.
 */
async function untilNobodyCame(accepted: () => number): Promise<void> {
  const startedAtMs = performance.now();
  for (;;) {
    const before = accepted();
    const turnAtMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    const nowMs = performance.now();
    const shortMs = SHORT_TURN_MS * Math.max(1, (nowMs - startedAtMs) / PATIENCE_MS);
    if (accepted() === before && nowMs - turnAtMs < shortMs) return;
    if (nowMs - startedAtMs > EMPTY_DEADLINE_MS) return;
  }
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

/** An idle loop turns in some 10 µs: at 1,000 connects a second, one in 20,000 closings then loses one. */
const SHORT_TURN_MS = 0.05;
/** The limit doubles, trebles, … with each. */
const PATIENCE_MS = 100;
/** Of a thread that is so busy that it has no short turn, or a port so busy that its queue is never empty. */
const EMPTY_DEADLINE_MS = 2000;
