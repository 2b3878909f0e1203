/**
 * Stands in for a Kubernetes API server: HTTPS with an authority of its own, bearer tokens, lists in pages, watches with
 * bookmarks, and everything that goes wrong with them. No part of Kubernetes is in it.
 */
import { Buffer } from 'node:buffer';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createCertificate } from '../../src/data/tls/certificate.ts';
import { KubeStore, RESOURCES, type StoreEvent, selects } from './kube-store.ts';

/** A watch that is open. */
type Watcher = {
  readonly response: ServerResponse;
  readonly url: URL;
  /** Ends it. */
  stop(): void;
  isStalled: boolean;
};

export class KubeApi {
  readonly store = new KubeStore();
  /** Accepted in `Authorization: Bearer …`. */
  readonly tokens = new Set(['first-token']);
  /** PEM of the authority. */
  readonly ca: string;
  /** Paths with their query, in the order they were asked for. */
  readonly requests: string[] = [];
  /** Answers with this status instead; null for none. */
  failWith: number | null = null;
  /** Watches are accepted and never say anything. */
  stallsWatches = false;
  bookmarkMs = 200;
  readonly #server: Server;
  readonly #watchers = new Set<Watcher>();
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(ca: string, credentials: { readonly cert: string; readonly key: string }) {
    this.ca = ca;
    this.#server = createServer(credentials, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#fail(response, 500, error instanceof Error ? error.message : String(error));
      });
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    // A client that does not know the authority hangs up.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  static async start(): Promise<KubeApi> {
    const { ca, ...credentials } = createCredentials();
    const api = new KubeApi(ca, credentials);
    await api.up();
    return api;
  }

  get host(): string {
    return '127.0.0.1';
  }

  get port(): number {
    return this.#port;
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  /** Listens, after `down` again on the same port. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, this.host);
    await once(this.#server, 'listening');
    const address: AddressInfo | string | null = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Refuses connections; those that are open are reset. */
  async down(): Promise<void> {
    this.resetWatches();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** In the middle of a line. */
  resetWatches(): void {
    for (const { response } of this.#watchers) {
      response.write('{"type":"ADDED","object":{"kind":"Endp');
      // Beneath TLS, so that it is a reset and no orderly end.
      for (const socket of this.#sockets) socket.resetAndDestroy();
    }
  }

  /** Those that are open fall silent, without an end. */
  stallWatches(): void {
    for (const watcher of this.#watchers) watcher.isStalled = true;
  }

  /** An ERROR event on every open watch. */
  sendError(code: number, message: string): void {
    for (const watcher of this.#watchers) {
      send(watcher, 'ERROR', statusObject(code, message));
      watcher.stop();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `https://${request.headers.host}`);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!this.tokens.has(token)) return this.#fail(response, 401, 'Unauthorized');
    if (this.failWith !== null) return this.#fail(response, this.failWith, 'the test says so');
    const description = DESCRIPTIONS[url.pathname];
    if (description !== undefined) return reply(response, 200, description);
    const [, namespace = '', resource = '', name] =
      /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(
        url.pathname,
      ) ?? [];
    if (RESOURCES[resource] === undefined) return this.#fail(response, 404, 'the server could not find it');
    if (request.method === 'GET' && url.searchParams.get('watch') === 'true') {
      this.#watch(response, url, namespace, resource);
    } else if (request.method === 'GET' && name === undefined) this.#list(response, url, namespace, resource);
    else await this.#one(request, response, namespace, resource, name);
  }

  #list(response: ServerResponse, url: URL, namespace: string, resource: string): void {
    const { searchParams } = url;
    const all = this.store.list(resource, namespace, searchParams.get('labelSelector') ?? '');
    const start = Number(searchParams.get('continue') ?? 0);
    // Pages are smaller than asked for, which is allowed, so that they are tried.
    const size = Math.min(Number(searchParams.get('limit') ?? Number.POSITIVE_INFINITY), PAGE_SIZE);
    const rest = all.length - start - size;
    const [kind, apiVersion] = RESOURCES[resource] ?? [];
    reply(response, 200, {
      kind: `${kind}List`,
      apiVersion,
      metadata: {
        resourceVersion: String(this.store.version),
        ...(rest > 0 ? { continue: String(start + size), remainingItemCount: rest } : {}),
      },
      items: all.slice(start, start + size),
    });
  }

  #watch(response: ServerResponse, url: URL, namespace: string, resource: string): void {
    const { searchParams } = url;
    const selector = searchParams.get('labelSelector') ?? '';
    const isWanted = ({ resource: changed, object }: StoreEvent) =>
      changed === resource && object.metadata.namespace === namespace && selects(selector, object);
    const version = Number(searchParams.get('resourceVersion') ?? 0);
    const missed = this.store.since(version === 0 ? this.store.version : version);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const timers: NodeJS.Timeout[] = [];
    const watcher: Watcher = {
      response,
      url,
      isStalled: this.stallsWatches,
      stop: () => {
        unlisten();
        for (const timer of timers) clearInterval(timer);
        this.#watchers.delete(watcher);
        response.end();
      },
    };
    const unlisten = this.store.listen((event) => {
      if (isWanted(event)) send(watcher, event.type, event.object);
    });
    this.#watchers.add(watcher);
    response.on('close', watcher.stop);
    if (missed === null) {
      send(watcher, 'ERROR', statusObject(410, `too old resource version: ${version}`));
      watcher.stop();
      return;
    }
    for (const event of missed.filter(isWanted)) send(watcher, event.type, event.object);
    const [kind, apiVersion] = RESOURCES[resource] ?? [];
    const bookmark = (): void => {
      const resourceVersion = String(this.store.version);
      send(watcher, 'BOOKMARK', { kind, apiVersion, metadata: { resourceVersion } });
    };
    if (searchParams.get('allowWatchBookmarks') === 'true')
      timers.push(setInterval(bookmark, this.bookmarkMs));
    const seconds = Number(searchParams.get('timeoutSeconds') ?? 1800);
    timers.push(setTimeout(watcher.stop, seconds * 1000));
  }

  /** GET, POST, PUT and DELETE of one object, as kubectl uses them. */
  async #one(
    request: IncomingMessage,
    response: ServerResponse,
    namespace: string,
    resource: string,
    name: string | undefined,
  ): Promise<void> {
    if (request.method === 'POST' || request.method === 'PUT') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
      const written: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      if (typeof written !== 'object' || written === null) return this.#fail(response, 400, 'no object');
      return reply(
        response,
        request.method === 'POST' ? 201 : 200,
        this.store.put(resource, namespace, { ...written }),
      );
    }
    const found =
      request.method === 'DELETE'
        ? this.store.delete(resource, namespace, name ?? '')
        : this.store.find(resource, namespace, name ?? '');
    if (found === undefined) return this.#fail(response, 404, `${resource} "${name}" not found`);
    reply(response, 200, found);
  }

  #fail(response: ServerResponse, code: number, message: string): void {
    if (response.headersSent) response.destroy();
    else reply(response, code, statusObject(code, message));
  }
}

function send(watcher: Watcher, type: string, object: unknown): void {
  if (!watcher.isStalled) watcher.response.write(`${JSON.stringify({ type, object })}\n`);
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function statusObject(code: number, message: string): unknown {
  const reason = REASONS[code] ?? 'Unknown';
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

/** An authority, and a certificate of it for 127.0.0.1. */
function createCredentials(): { readonly ca: string; readonly cert: string; readonly key: string } {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const [authority, server] = [pair(), pair()];
  const nowMs = Date.now();
  const common = {
    issuer: { commonName: 'test authority', privateKey: authority.privateKey },
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + DAY_MS),
  };
  const serialNumber = () => Buffer.concat([Buffer.from([1]), randomBytes(8)]);
  return {
    ca: createCertificate({
      ...common,
      commonName: 'test authority',
      publicKey: authority.publicKey,
      names: [],
      isAuthority: true,
      serialNumber: serialNumber(),
    }),
    cert: createCertificate({
      ...common,
      commonName: 'kubernetes',
      publicKey: server.publicKey,
      names: ['127.0.0.1', 'localhost', 'kubernetes.default.svc'],
      isAuthority: false,
      serialNumber: serialNumber(),
    }),
    key: server.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

const VERBS = ['create', 'delete', 'get', 'list', 'update', 'watch'];
const resourceOf = (name: string, kind: string, singularName: string) => ({
  name,
  singularName,
  namespaced: true,
  kind,
  verbs: VERBS,
});

/** How a client finds out what there is. */
const DESCRIPTIONS: Readonly<Record<string, unknown>> = {
  '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [
      {
        name: 'discovery.k8s.io',
        versions: [{ groupVersion: 'discovery.k8s.io/v1', version: 'v1' }],
        preferredVersion: { groupVersion: 'discovery.k8s.io/v1', version: 'v1' },
      },
    ],
  },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [resourceOf('pods', 'Pod', 'pod')] },
  '/apis/discovery.k8s.io/v1': {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: 'discovery.k8s.io/v1',
    resources: [resourceOf('endpointslices', 'EndpointSlice', 'endpointslice')],
  },
};

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  410: 'Expired',
  500: 'InternalError',
};
const PAGE_SIZE = 2;
const DAY_MS = 86_400_000;
