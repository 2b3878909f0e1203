/**
 * The private handle behind a `net.Socket`: the one place that reaches below Node's public API. The fast transport
 * stands on it; transport-self-test.ts proves at start that it is as expected, and else the portable transport is used.
 */
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';

export type TcpHandle = {
  /** The file descriptor; -1 once closed. */
  readonly fd: number;
};

type WithHandle = { readonly _handle?: TcpHandle | null };

/** The handle of an open socket; null once it is closed. */
export function handleOf(socket: Socket): TcpHandle | null {
  // Private to Node, so its declarations do not know it.
  return (socket as WithHandle)._handle ?? null;
}

/**
 * Has a listening server hand over bare handles instead of sockets. A socket made by the server cannot borrow a buffer, so
 * one would be made for every connection only to be thrown away: a tenth of what a connection costs.
 *
 * @returns false when this Node keeps its handles elsewhere: then nothing has changed
 */
export function acceptHandles(
  server: Server,
  onHandle: (handle: TcpHandle) => void,
  onError: (status: number) => void,
): boolean {
  const listening: unknown = Reflect.get(server, '_handle');
  if (typeof listening !== 'object' || listening === null || !('onconnection' in listening)) return false;
  listening.onconnection = (status: number, handle: AcceptedHandle | undefined) => {
    if (status !== 0 || handle === undefined) return onError(status);
    handle.setNoDelay(true);
    onHandle(handle);
  };
  return true;
}

/**
 * Has the system probe connections that this server accepts from now on, when nothing has come for `seconds`; 0 for never.
 * Linux and the BSDs hand the setting of a listening socket on to those it accepts: no system call is made for each.
 */
export function keepAliveAccepted(server: Server, seconds: number): void {
  const listening: unknown = Reflect.get(server, '_handle');
  if (typeof listening !== 'object' || listening === null || !('setKeepAlive' in listening)) return;
  if (typeof listening.setKeepAlive === 'function') listening.setKeepAlive(seconds > 0, seconds);
}

type AcceptedHandle = TcpHandle & { setNoDelay(enable: boolean): number };

/** A socket around an accepted handle. */
export function socketWithHandle(handle: TcpHandle, options: SocketConstructorOpts): Socket {
  const withHandle = { ...options };
  // The constructor takes any handle; its declarations know only those that BoundSocket hands out.
  Reflect.set(withHandle, 'handle', handle);
  return new Socket(withHandle);
}
