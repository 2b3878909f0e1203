/** A host of its own for a server on loopback: the same port at another address of 127.0.0.0/8. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export type RelayHost = {
  readonly host: string;
  /** Connections taken so far. */
  readonly connections: () => number;
  close(): void;
};

/** Passes what comes to `host:port` on to 127.0.0.1:`to`. */
export async function relayAt(host: string, port: number, to: number): Promise<RelayHost> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    connections += 1;
    const onward = createConnection({ host: '127.0.0.1', port: to });
    for (const [from, into] of [
      [client, onward],
      [onward, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => into.destroy());
      from.on('close', () => {
        sockets.delete(from);
        into.destroy();
      });
      from.pipe(into);
    }
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    host,
    connections: () => connections,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
