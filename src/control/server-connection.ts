/**
 * Connects to a member and logs in with the monitoring account.
 */
import type { Socket } from 'node:net';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import type { DialAddress } from '../../routing/topology.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';
import { connectToServer } from './greeting.ts';

export type ControlAccount = { readonly user: string; readonly password: string };

export type ConnectionTarget = {
  readonly dial: DialAddress;
  readonly account: ControlAccount;
  /** Deadline of the TCP connect. */
  readonly connectTimeoutMs: number;
  /** Ends the attempt; the connection that comes of it is the caller's to end. */
  readonly signal: AbortSignal;
};

export type ServerConnection = { readonly connection: Connection; readonly socket: Socket };

/** @throws ControlFailure */
export async function openConnection(target: ConnectionTarget): Promise<ServerConnection> {
  // Loaded here, since a router with a static topology never needs it; and before the greeting, because from then on
  // somebody has to listen to the socket all the time.
  const { createConnection } = await import('mysql2/promise');
  try {
    return await logIn(createConnection, target, 'plaintext');
  } catch (error) {
    const failure = toControlFailure(error);
    // REQUIRE SSL answers 1045 to a login without TLS, require_secure_transport answers 3159.
    const mayNeedTls = failure.kind === 'tls-required' || failure.errorNumber === ER_ACCESS_DENIED_ERROR;
    if (!mayNeedTls || target.signal.aborted) throw failure;
    return await logIn(createConnection, target, 'tls');
  }
}

type CreateConnection = (options: ConnectionOptions) => Promise<Connection>;
type Transport = 'plaintext' | 'tls';

async function logIn(
  createConnection: CreateConnection,
  options: ConnectionTarget,
  transport: Transport,
): Promise<ServerConnection> {
  const { socket, offersTls } = await connectToServer(options.dial, options.connectTimeoutMs, options.signal);
  if (transport === 'tls' && !offersTls) {
    socket.destroy();
    throw new ControlFailure('access-denied', 'the server denies access and offers no TLS', {
      errorNumber: ER_ACCESS_DENIED_ERROR,
    });
  }
  const abandon = (): void => {
    socket.destroy();
  };
  options.signal.addEventListener('abort', abandon);
  try {
    const connection = await authenticate(createConnection, socket, options.account, transport);
    return { connection, socket };
  } catch (error) {
    socket.destroy();
    throw toControlFailure(error);
  } finally {
    options.signal.removeEventListener('abort', abandon);
  }
}

async function authenticate(
  createConnection: CreateConnection,
  socket: Socket,
  account: ControlAccount,
  transport: Transport,
): Promise<Connection> {
  const connecting = createConnection({
    stream: socket,
    user: account.user,
    password: account.password,
    connectAttributes: { program_name: 'fairlead' },
    multipleStatements: true,
    connectTimeout: LOGIN_PATIENCE_MS,
    // Whoever needs the certificate checked needs more than a monitoring session can promise; the password is not sent
    // in clear either way.
    ...(transport === 'tls' ? { ssl: { rejectUnauthorized: false } } : {}),
  });
  // The greeting was read with the socket paused; mysql2 listens by now.
  socket.resume();
  return await connecting;
}

const ER_ACCESS_DENIED_ERROR = 1045;
/** A server that hangs during the login goes on when it can; leaving earlier counts against `max_connect_errors`. */
const LOGIN_PATIENCE_MS = 60_000;
