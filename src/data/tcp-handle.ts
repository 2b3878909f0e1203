/**
 * The private handle behind a `net.Socket`: the one place that reaches below Node's public API. The fast transport
 * stands on it; transport-self-test.ts proves at start that it is as expected, and else the portable transport is used.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

export type TcpHandle = {
  /** The file descriptor; -1 once closed. */
  readonly fd: number;
};

type WithHandle = { _handle?: TcpHandle | null };

/** The handle of an open socket; null once it is closed. */
export function handleOf(socket: Socket): TcpHandle | null {
  // Private to Node, so its declarations do not know it.
  return (socket as WithHandle)._handle ?? null;
}

/** Takes the handle away from a socket, which is left empty. */
export function takeHandle(socket: Socket): TcpHandle | null {
  // As above.
  const owner = socket as WithHandle;
  const handle = owner._handle ?? null;
  if (handle !== null) owner._handle = null;
  return handle;
}

/** A socket around a handle that was taken from another. */
export function socketWithHandle(handle: TcpHandle, options: SocketConstructorOpts): Socket {
  const withHandle = { ...options };
  // The constructor takes any handle; its declarations know only those that BoundSocket hands out.
  Reflect.set(withHandle, 'handle', handle);
  return new Socket(withHandle);
}
