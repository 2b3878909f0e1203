/**
 * Room for everybody who asks: when as many connections are open as may be, the one that has asked nothing for the longest
 * time makes room for the one that comes. Whoever holds connections, a probe that connects and asks at once is the last in
 * line to go.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** @param onMadeRoom called for each connection that was closed for another */
export function keepRoom(server: Server, maxConnections: number, onMadeRoom: () => void): void {
  /** Who asked last stands last. */
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [longestSilent] = open;
    if (open.size <= maxConnections || longestSilent === undefined) return;
    open.delete(longestSilent);
    longestSilent.destroy();
    onMadeRoom();
  });
  server.on('request', ({ socket }) => {
    if (open.delete(socket)) open.add(socket);
  });
}
