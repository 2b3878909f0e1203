/**
 * The admin server: health, metrics, REST and the status page, on plain HTTP, read only.
 *
 * It runs in the main thread, away from the traffic. Nothing here waits for MySQL, and what waits for a data thread
 * has a deadline, so every answer comes within a second. All limits are low, for its clients are few: probes, a
 * scraper, an operator.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Listen } from '../config/config.ts';
import type { EventLog } from '../shared/events.ts';
import { createApi } from './api.ts';
import { keepRoom } from './connections.ts';
import { livez, readyz } from './health.ts';
import type { AdminCounts } from './metrics/program-families.ts';
import { STATUS_ICON, STATUS_SCRIPT, STATUS_STYLE } from './page/assets.ts';
import { createStatusPage } from './page/status-page.ts';
import { errorReply, type Reply, textReply } from './reply.ts';
import type { AdminSources } from './sources.ts';

export type AdminServerOptions = {
  readonly listen: Listen;
  readonly log: Logger;
  readonly events: EventLog;
  readonly sources: AdminSources;
};

export type AdminServer = {
  /** Where it listens; the port is the real one where 0 was configured. */
  address(): Listen;
  /** Stops listening, lets answers under way finish for a moment, and closes all connections. */
  close(): Promise<void>;
};

/** What an endpoint is given; only GET and HEAD come this far. */
type Endpoint = (query: URLSearchParams, request: IncomingMessage) => Reply | Promise<Reply>;

/** An import statement would read its getters too, of which one loads all of fetch: 70 ms of CPU at every start. */
const { createServer } = process.getBuiltinModule('node:http');

/** Starts the admin server. Rejects with the error of `listen` when the address cannot be bound. */
export async function createAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { listen, log } = options;
  const counts = createCounts();
  const endpoints = createEndpoints(options, counts.read);
  const server = createServer(SERVER_LIMITS, (request, response) => {
    answer(endpoints, request, log).then(
      (reply) => send(request, response, reply, counts),
      // `answer` turns every failure into a reply: this is a defect of the server itself.
      (error: unknown) => {
        log.error({ err: error }, 'the admin server could not answer');
        response.destroy();
      },
    );
  });
  server.timeout = SOCKET_TIMEOUT_MS;
  keepRoom(server, MAX_CONNECTIONS, counts.connectionDropped);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const status = STATUS_OF_CLIENT_ERROR.get(error.code ?? '') ?? 400;
    log.debug({ code: error.code }, 'a request to the admin server could not be read');
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    counts.answered(status);
    socket.end(`HTTP/1.1 ${status} ${STATUS_TEXT.get(status)}\r\nConnection: close\r\n\r\n`);
  });

  await bound(server, listen);
  server.on('error', (error) => log.error({ err: error }, 'the admin server failed'));
  const address = boundAddress(server, listen);

  return {
    address: () => address,
    close: () =>
      new Promise((resolve) => {
        const impatience = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
        server.close(() => {
          clearTimeout(impatience);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function createEndpoints(
  { sources, events }: AdminServerOptions,
  adminCounts: () => AdminCounts,
): ReadonlyMap<string, Endpoint> {
  const exposition = lazily(async () => {
    const { createExposition } = await import('./metrics/exposition.ts');
    return createExposition(sources, adminCounts);
  });
  const api = createApi(sources, events);
  const renderStatusPage = createStatusPage(sources, events);
  return new Map<string, Endpoint>([
    ['/', () => ({ status: 200, contentType: 'text/html; charset=utf-8', body: renderStatusPage() })],
    ['/status.css', () => ({ status: 200, contentType: 'text/css; charset=utf-8', body: STATUS_STYLE })],
    [
      '/status.js',
      () => ({ status: 200, contentType: 'text/javascript; charset=utf-8', body: STATUS_SCRIPT }),
    ],
    ['/status.svg', () => ({ status: 200, contentType: 'image/svg+xml', body: STATUS_ICON })],
    ['/livez', () => livez(sources)],
    ['/readyz', (query) => readyz(sources, query)],
    [
      '/metrics',
      async (_, request) => {
        const { render } = await exposition();
        return { status: 200, ...(await render(request.headers.accept ?? '')) };
      },
    ],
    ['/api/v1/topology', api.topology],
    ['/api/v1/sessions', api.sessions],
    ['/api/v1/events', api.events],
    ['/api/v1/status', api.status],
  ]);
}

/** What takes time to load is made when it is first asked for, and then kept. */
function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

async function answer(
  endpoints: ReadonlyMap<string, Endpoint>,
  request: IncomingMessage,
  log: Logger,
): Promise<Reply> {
  const { path, query } = parseTarget(request.url ?? '/');
  const endpoint = endpoints.get(path);
  if (endpoint === undefined) return notFound(path);
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(path);
  try {
    return await endpoint(query, request);
  } catch (error) {
    log.error({ err: error, path }, 'the admin server failed to answer');
    return inFormOf(path, 500, 'internal_error', 'the answer could not be made; the log says why');
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  counts: ReturnType<typeof createCounts>,
): void {
  const hasBody =
    'transfer-encoding' in request.headers || Number(request.headers['content-length'] ?? 0) > 0;
  counts.answered(reply.status);
  response.writeHead(reply.status, {
    'Content-Type': reply.contentType,
    'Content-Length': Buffer.byteLength(reply.body),
    ...SECURITY_HEADERS,
    ...(reply.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    // A body is not read, so the connection cannot serve another request.
    ...(hasBody ? { Connection: 'close' } : {}),
  });
  response.end(reply.body);
}

function notFound(path: string): Reply {
  return inFormOf(path, 404, 'not_found', 'there is nothing at this path');
}

function methodNotAllowed(path: string): Reply {
  return inFormOf(path, 405, 'method_not_allowed', 'only GET and HEAD are allowed');
}

/** Programs under `/api` get JSON, everyone else a line of text. */
function inFormOf(path: string, status: number, code: string, message: string): Reply {
  return path.startsWith('/api/') ? errorReply(status, code, message) : textReply(status, `${message}\n`);
}

/** Path and query of a request target, which may also be a whole URL (RFC 9112, section 3.2.2). */
function parseTarget(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const absolute = target.startsWith('/') ? null : URL.parse(target);
  const local = absolute === null ? target : `${absolute.pathname}${absolute.search}`;
  const mark = local.indexOf('?');
  if (mark === -1) return { path: local, query: new URLSearchParams() };
  return { path: local.slice(0, mark), query: new URLSearchParams(local.slice(mark + 1)) };
}

function bound(server: Server, { host, port }: Listen): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function boundAddress(server: Server, listen: Listen): Listen {
  const address = server.address();
  return typeof address === 'object' && address !== null
    ? { host: address.address, port: address.port }
    : listen;
}

function createCounts() {
  const answersByStatus = new Map<number, number>();
  let droppedConnections = 0;
  return {
    answered(status: number): void {
      answersByStatus.set(status, (answersByStatus.get(status) ?? 0) + 1);
    },
    connectionDropped(): void {
      droppedConnections++;
    },
    read: (): AdminCounts => ({ answersByStatus, droppedConnections }),
  };
}

const SECURITY_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

/** Limits on what a request may be and how long it may take. */
const SERVER_LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 2_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  /** How often the two timeouts above are looked at; the default of 30 s would be longer than they are. */
  connectionsCheckingInterval: 500,
} as const;

/** Connections open at once; for a further one, another is closed. */
const MAX_CONNECTIONS = 64;

/** A connection on which nothing moves is closed after this long, also one that does not read its answer. */
const SOCKET_TIMEOUT_MS = 10_000;

/** How long answers under way may take once the server closes. */
const CLOSE_GRACE_MS = 1_000;

const STATUS_OF_CLIENT_ERROR: ReadonlyMap<string, number> = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
]);

const STATUS_TEXT: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [408, 'Request Timeout'],
  [431, 'Request Header Fields Too Large'],
]);
