/**
 * Connects to a member and logs in with the monitoring account.
 */
import { Socket } from 'node:net';
import type { Connection, ConnectionOptions, SslOptions } from 'mysql2/promise';
import type { DialAddress } from '../../routing/topology.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';
import { type ControlTls, firstTransport, tlsOptions } from './control-tls.ts';
import { connectToServer } from './greeting.ts';

export type ControlAccount = { readonly user: string; readonly password: string; readonly tls: ControlTls };

export type ConnectionTarget = {
  readonly dial: DialAddress;
  /** The member's name, which its certificate is to bear. */
  readonly memberHost: string;
  readonly account: ControlAccount;
  /** Deadline of the TCP connect. */
  readonly connectTimeoutMs: number;
  /** Ends the attempt; the connection that comes of it is the caller's to end. */
  readonly signal: AbortSignal;
};

export type ServerConnection = {
  readonly connection: Connection;
  /** What was dialled: to destroy it ends everything. */
  readonly socket: Socket;
};

/**
 * What the logged-in connection is read from and written to: the socket, or TLS on it. From now on mysql2 reads nothing any
 * more; it goes on to tell how the connection ends, and says goodbye.
 */
export function takeStream({ connection }: ServerConnection): Socket {
  const stream = streamOf(connection);
  stream.removeAllListeners('data');
  return stream;
}

/** What a connection of mysql2/promise is read from and written to. Its types leave it out. @throws Error when it is not there */
export function streamOf(connection: object): Socket {
  const core = 'connection' in connection ? connection.connection : null;
  const stream = typeof core === 'object' && core !== null && 'stream' in core ? core.stream : null;
  if (!(stream instanceof Socket)) throw new Error('mysql2 has no stream where it used to have one');
  return stream;
}

/** @throws ControlFailure */
export async function openConnection(target: ConnectionTarget): Promise<ServerConnection> {
  // Loaded here, since a router with a static topology never needs it; and before the greeting, because from then on
  // somebody has to listen to the socket all the time.
  const { createConnection } = await import('mysql2/promise');
  try {
    return await logIn(createConnection, target, 'first');
  } catch (error) {
    const failure = toControlFailure(error);
    // REQUIRE SSL answers 1045 to a login without TLS, require_secure_transport answers 3159.
    const mayNeedTls =
      target.account.tls.mode === 'as-needed' &&
      (failure.kind === 'tls-required' || failure.errorNumber === ER_ACCESS_DENIED_ERROR);
    if (!mayNeedTls || target.signal.aborted) throw failure;
    return await logIn(createConnection, target, 'again-with-tls');
  }
}

type CreateConnection = (options: ConnectionOptions) => Promise<Connection>;
type Attempt = 'first' | 'again-with-tls';

async function logIn(
  createConnection: CreateConnection,
  options: ConnectionTarget,
  attempt: Attempt,
): Promise<ServerConnection> {
  const { socket, offersTls } = await connectToServer(options.dial, options.connectTimeoutMs, options.signal);
  if (attempt === 'again-with-tls' && !offersTls) {
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
    const { account, memberHost } = options;
    const isSecure = attempt === 'again-with-tls' || firstTransport(account.tls, offersTls) === 'tls';
    const ssl = isSecure ? await tlsOptions(account.tls, memberHost) : null;
    const connection = await authenticate(createConnection, socket, options, ssl);
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
  { account, memberHost }: ConnectionTarget,
  ssl: SslOptions | null,
): Promise<Connection> {
  const connecting = createConnection({
    stream: socket,
    // Only the name in the certificate is looked for by it.
    host: memberHost,
    user: account.user,
    password: account.password,
    connectAttributes: { program_name: 'fairlead' },
    multipleStatements: true,
    // What question-line.ts does not speak.
    flags: ['-CLIENT_QUERY_ATTRIBUTES', '-SESSION_TRACK'],
    connectTimeout: LOGIN_PATIENCE_MS,
    ...(ssl === null ? {} : { ssl }),
  });
  // The greeting was read with the socket paused; mysql2 listens by now.
  socket.resume();
  return await connecting;
}

const ER_ACCESS_DENIED_ERROR = 1045;
/** A server that hangs during the login goes on when it can; leaving earlier counts against `max_connect_errors`. */
const LOGIN_PATIENCE_MS = 60_000;
