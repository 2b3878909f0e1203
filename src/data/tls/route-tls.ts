/**
 * TLS of one route in one data thread: the contexts its sessions use, and the TLS sessions that can be resumed with members.
 *
 * New files make a new RouteTls; sessions that are open keep the one they began with.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect, type SecureContext, TLSSocket } from 'node:tls';
import type { AuthKey } from '../../../protocol/auth-bridge.ts';
import type { RouteTlsMaterial } from '../../shared/tls-material.ts';
import { clientContext, serverContext } from './material.ts';

export class RouteTls {
  readonly clientMode: RouteTlsMaterial['toClients']['mode'];
  readonly serverMode: RouteTlsMaterial['toServers']['mode'];
  /** For passwords of clients without TLS; null where no such client can meet a server with it. */
  readonly authKey: AuthKey | null;
  /** Whether clients need a certificate. */
  readonly needsClientCertificate: boolean;
  readonly #clientContext: SecureContext;
  readonly #serverContext: SecureContext;
  readonly #verify: RouteTlsMaterial['toServers']['verify'];
  readonly #hasSessionCache: boolean;
  /** The last session of each member, by its name. */
  readonly #sessions = new Map<string, Buffer>();

  constructor(material: RouteTlsMaterial) {
    const { toClients, toServers, authKey } = material;
    this.clientMode = toClients.mode;
    this.serverMode = toServers.mode;
    this.needsClientCertificate = toClients.ca !== null;
    this.#clientContext = clientContext(material);
    this.#serverContext = serverContext(material);
    this.#verify = toServers.verify;
    this.#hasSessionCache = toServers.hasSessionCache;
    this.authKey = authKey === null ? null : authKeyOf(authKey);
  }

  /** Begins TLS with a client on its connection. `'secure'` is emitted once it stands. */
  accept(raw: Socket): TLSSocket {
    return new TLSSocket(raw, {
      isServer: true,
      secureContext: this.#clientContext,
      requestCert: this.needsClientCertificate,
      rejectUnauthorized: false,
      // Node passes it on; its declarations know it of net.Socket only.
      ...QUEUE,
    });
  }

  /** Begins TLS with a member. `'secureConnect'` is emitted once it stands, verified or not. */
  connect(raw: Socket, memberHost: string): TLSSocket {
    const session = this.#sessions.get(memberHost);
    const socket = connect({
      ...QUEUE,
      socket: raw,
      secureContext: this.#serverContext,
      // Node would cut the connection; a server counts that as an error of the router.
      rejectUnauthorized: false,
      checkServerIdentity: this.#verify === 'verify-identity' ? checkServerIdentity : () => undefined,
      host: memberHost,
      // RFC 6066 allows no addresses there.
      ...(isIP(memberHost) === 0 ? { servername: memberHost } : {}),
      ...(session === undefined ? {} : { session }),
    });
    if (this.#hasSessionCache) this.#keepSessions(socket, memberHost);
    return socket;
  }

  /**
   * Sessions come before the handshake is over (TLS 1.2) and behind it (TLS 1.3). Only those of a member that was verified
   * are kept: one that is resumed is not asked for its name again.
   */
  #keepSessions(socket: TLSSocket, memberHost: string): void {
    let early: Buffer | null = null;
    let isVerified = false;
    socket.once('secureConnect', () => {
      isVerified = this.objection(socket) === null;
      if (isVerified && early !== null) this.#keep(memberHost, early);
    });
    socket.on('session', (fresh: Buffer) => {
      if (isVerified) this.#keep(memberHost, fresh);
      else early = fresh;
    });
  }

  /** Why a member's certificate will not do; null when it will. */
  objection(socket: TLSSocket): string | null {
    if (this.#verify === 'disabled' || socket.authorized) return null;
    return String(socket.authorizationError ?? 'no certificate');
  }

  /** The TLS session with a member did not come about: it is not to be resumed. */
  forget(memberHost: string): void {
    this.#sessions.delete(memberHost);
  }

  #keep(memberHost: string, session: Buffer): void {
    // Names of members that have left, at most: beginning anew costs each member one key exchange.
    if (this.#sessions.size >= MAX_SESSIONS && !this.#sessions.has(memberHost)) this.#sessions.clear();
    this.#sessions.set(memberHost, session);
  }
}

/**
 * Why a client's certificate will not do; null when it will.
 *
 * Only Node's own TLS server asks this of its sockets, and so it is no part of the public API. What cannot be asked is an
 * objection.
 */
export function clientCertificateObjection(socket: TLSSocket): string | null {
  const tls: unknown = Reflect.get(socket, 'ssl');
  const verifyError = typeof tls === 'object' && tls !== null ? Reflect.get(tls, 'verifyError') : undefined;
  if (typeof verifyError !== 'function') return 'this Node does not tell';
  const error: unknown = Reflect.apply(verifyError, tls, []);
  if (error instanceof Error) return error.message;
  // A session that is resumed without one verifies as well.
  return socket.getPeerX509Certificate() === undefined ? 'no certificate' : null;
}

function authKeyOf(pem: string): AuthKey {
  const privateKey = createPrivateKey(pem);
  const publicPem = createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString();
  return { publicPem, privateKey };
}

/** What may wait to be encrypted and sent before the other side is stalled, in bytes: some reads, not one. */
const QUEUE = { highWaterMark: 256 * 1024 };
const MAX_SESSIONS = 256;
