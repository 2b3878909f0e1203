/**
 * What a client hears when the router itself turns it away: the one place where reasons become ERR packets.
 */
import { createErrPacket, type ErrPacket } from '../../protocol/err-packet.ts';
import { ERRORS, type ErrorName } from '../../protocol/error-codes.ts';
import type { ProtocolError } from '../../protocol/errors.ts';
import type { EndReason, RefusalReason } from '../shared/counters.ts';

/** A reason, and for people what exactly was wrong; the client is told it where that helps it. */
export type Refusal = { readonly reason: RefusalReason; readonly detail: string };

/** A MySQL client waits for the server's word. Whoever does not is none. */
export const SPOKE_FIRST: Refusal = { reason: 'bad_handshake', detail: 'the client spoke before the server' };

export function refusalFor(error: ProtocolError): Refusal {
  const isHandshake = error.side === 'server' || error.code === 'CR_SERVER_HANDSHAKE_ERR';
  if (isHandshake) return { reason: 'server_handshake', detail: error.detail };
  const reason = error.code === 'ER_NET_PACKETS_OUT_OF_ORDER' ? 'out_of_order' : 'bad_handshake';
  return { reason, detail: error.detail };
}

export function errFor({ reason, detail }: Refusal): ErrPacket {
  const name = ERROR_NAMES[reason];
  // As MySQL Router says it: what failed with the server stands bare.
  if (reason === 'tls_server') return createErrPacket(name, detail);
  if (name === 'CR_SSL_CONNECTION_ERROR') return createErrPacket(name, `SSL connection error: ${detail}`);
  if (reason === 'not_allowed')
    return createErrPacket(name, `Host '${detail}' is not allowed to connect here`);
  if (reason === 'client_blocked')
    return createErrPacket(name, `Host '${detail}' is blocked because of many connection errors`);
  if (detail === '' || !SAYS_WHY.has(reason)) return createErrPacket(name);
  return createErrPacket(name, `${textOf(name)}: ${detail}`);
}

export function endReasonFor(reason: RefusalReason): EndReason {
  return END_REASONS[reason];
}

function textOf(name: ErrorName): string {
  return name === 'CR_CONN_HOST_ERROR' ? "Can't connect to remote MySQL server" : ERRORS[name].message;
}

const ERROR_NAMES = {
  route_limit: 'ER_CON_COUNT_ERROR',
  total_limit: 'ER_CON_COUNT_ERROR',
  client_limit: 'ER_CON_COUNT_ERROR',
  hold_full: 'CR_CONN_HOST_ERROR',
  no_destination: 'CR_CONN_HOST_ERROR',
  bad_handshake: 'ER_HANDSHAKE_ERROR',
  out_of_order: 'ER_NET_PACKETS_OUT_OF_ORDER',
  handshake_timeout: 'ER_NET_READ_INTERRUPTED',
  server_handshake: 'CR_SERVER_HANDSHAKE_ERR',
  server_lost: 'CR_SERVER_LOST',
  draining: 'ER_SERVER_SHUTDOWN',
  tls_required: 'CR_SSL_CONNECTION_ERROR',
  tls_client: 'CR_SSL_CONNECTION_ERROR',
  tls_server: 'CR_SSL_CONNECTION_ERROR',
  auth_impossible: 'CR_SSL_CONNECTION_ERROR',
  not_allowed: 'ER_HOST_NOT_PRIVILEGED',
  client_blocked: 'ER_HOST_IS_BLOCKED',
  bad_proxy_header: 'ER_HANDSHAKE_ERROR',
} as const satisfies Readonly<Record<RefusalReason, ErrorName>>;

/** Errors whose text names the cause; the others keep MySQL's own words, which clients know. */
const SAYS_WHY: ReadonlySet<RefusalReason> = new Set(['hold_full', 'no_destination', 'server_handshake']);

const END_REASONS = {
  route_limit: 'limit',
  total_limit: 'limit',
  client_limit: 'limit',
  hold_full: 'no_destination',
  no_destination: 'no_destination',
  bad_handshake: 'protocol_error',
  out_of_order: 'protocol_error',
  handshake_timeout: 'handshake_timeout',
  server_handshake: 'server_error',
  server_lost: 'server_closed',
  draining: 'shutdown',
  tls_required: 'tls_error',
  tls_client: 'tls_error',
  tls_server: 'tls_error',
  auth_impossible: 'tls_error',
  not_allowed: 'limit',
  client_blocked: 'limit',
  bad_proxy_header: 'protocol_error',
} as const satisfies Readonly<Record<RefusalReason, EndReason>>;
