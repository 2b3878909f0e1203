/** A relay on a free port that shows every byte to a ConnectionPhase, one at a time, and changes none. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ConnectionEvent } from '../../protocol/connection-events.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import { isFinalState } from '../../protocol/connection-phase-transitions.ts';

export interface Watched {
  readonly phase: ConnectionPhase;
  readonly events: ConnectionEvent[];
  /** A ProtocolError would be one. */
  readonly errors: unknown[];
}

export interface WatchingRelay {
  readonly port: number;
  /** One per client that connected, in order. */
  readonly sessions: readonly Watched[];
  close(): Promise<void>;
}

export async function createWatchingRelay(serverPort: number): Promise<WatchingRelay> {
  const sessions: Watched[] = [];
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const watched: Watched = { phase: new ConnectionPhase(), events: [], errors: [] };
    sessions.push(watched);
    const server = connect(serverPort, '127.0.0.1');
    const rest = { client: Buffer.alloc(0), server: Buffer.alloc(0) };

    /** Feeds byte by byte and forwards what was consumed; everything at once when the phase is over. */
    const relay = (from: 'client' | 'server', chunk: Buffer): void => {
      const to = from === 'client' ? server : client;
      for (const [at, byte] of chunk.entries()) {
        if (isFinalState(watched.phase.state)) {
          to.write(chunk.subarray(at));
          return;
        }
        const fed = Buffer.concat([rest[from], Buffer.from([byte])]);
        const result = from === 'client' ? watched.phase.feedClient(fed) : watched.phase.feedServer(fed);
        watched.events.push(...result.events);
        to.write(fed.subarray(0, result.consumedBytes));
        rest[from] = fed.subarray(result.consumedBytes);
        if (result.next === 'done') server.write(rest.client);
      }
    };
    const wire = (from: 'client' | 'server', socket: Socket, other: Socket): void => {
      sockets.add(socket);
      socket.setNoDelay();
      socket.on('data', (chunk) => {
        try {
          relay(from, chunk);
        } catch (error) {
          watched.errors.push(error);
          socket.destroy();
        }
      });
      socket.on('error', (error) => watched.errors.push(error));
      socket.on('end', () => other.end());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    };
    wire('client', client, server);
    wire('server', server, client);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: portOf(listener.address()),
    sessions,
    async close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

export function portOf(address: string | AddressInfo | null): number {
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}
