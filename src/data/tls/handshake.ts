/**
 * TLS handshakes on connections of a session. Only success is told here; a handshake that fails ends the connection, which
 * tells its session.
 */
import type { TLSSocket } from 'node:tls';
import type { Connection } from '../connection.ts';
import type { TlsFacts } from '../handshake-changes.ts';
import { clientCertificateObjection, type RouteTls } from './route-tls.ts';

export type TlsOutcome =
  | { readonly kind: 'secured'; readonly facts: TlsFacts }
  /** It stands, but the other side's certificate will not do. */
  | { readonly kind: 'objection'; readonly why: string };

/** As server. `rest` is what the client sent right behind its SSLRequest: the beginning of its first record. */
export function acceptTls(
  client: Connection,
  tls: RouteTls,
  rest: Buffer,
  onSecured: (outcome: TlsOutcome) => void,
): void {
  const socket = client.secure(rest, (raw) => tls.accept(raw));
  socket.once('secure', () => {
    const why = tls.needsClientCertificate ? clientCertificateObjection(socket) : null;
    onSecured(why === null ? { kind: 'secured', facts: factsOf(socket) } : { kind: 'objection', why });
  });
}

/** As client of a member. */
export function connectTls(
  server: Connection,
  tls: RouteTls,
  memberHost: string,
  onSecured: (outcome: TlsOutcome) => void,
): void {
  const socket = server.secure(NOTHING, (raw) => tls.connect(raw, memberHost));
  let isSecured = false;
  socket.once('secureConnect', () => {
    isSecured = true;
    const why = tls.objection(socket);
    if (why !== null) tls.forget(memberHost);
    onSecured(why === null ? { kind: 'secured', facts: factsOf(socket) } : { kind: 'objection', why });
  });
  socket.once('close', () => {
    if (!isSecured) tls.forget(memberHost);
  });
}

/** Null where the connection has no TLS. */
export function tlsFactsOf({ tls }: Connection): TlsFacts | null {
  return tls === null ? null : factsOf(tls);
}

function factsOf(socket: TLSSocket): TlsFacts {
  return { version: socket.getProtocol() ?? '', cipher: socket.getCipher().name };
}

const NOTHING = Buffer.alloc(0);
