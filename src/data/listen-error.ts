/**
 * A route's address that cannot be had, found out before any data thread tries it.
 */
import { Socket } from 'node:net';
import type { RouteConfig } from '../config/config.ts';
import { isErrno } from '../shared/errno.ts';
import { messageOf } from '../shared/message-of.ts';
import { createListener, type ListenerEvents } from './listener.ts';

/** A route that could not be bound when the program started or was reloaded. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly route: string;
  readonly code: string;

  constructor(route: string, address: string, code: string, message: string) {
    const hint =
      code === 'EADDRINUSE' ? '; another Fairlead that has it can be replaced with --takeover' : '';
    super(`route ${route} cannot listen on ${address}: ${message}${hint}`);
    this.route = route;
    this.code = code;
  }
}

/**
 * Binds the route's address and lets it go again.
 *
 * @throws ListenError when it cannot be bound
 */
export async function tryListen({ name, listen }: RouteConfig, isShared: boolean): Promise<void> {
  try {
    const listener = await createListener(listen, isShared, 'portable', NOBODY);
    listener.close();
  } catch (error) {
    const code = isErrno(error) ? (error.code ?? '') : '';
    const message = messageOf(error);
    throw new ListenError(name, `${listen.host}:${listen.port}`, code, message);
  }
}

/** For a listener that is closed before anybody can have come; who did all the same connects again. */
const NOBODY: ListenerEvents = {
  onConnection: (accepted) => void (accepted instanceof Socket && accepted.destroy()),
  onAcceptFailed: () => undefined,
};
