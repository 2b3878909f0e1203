/**
 * What data threads tell the control plane about members, the moment they see it. Any of them starts a probe at once.
 */
export type Signal = {
  readonly kind: SignalKind;
  /** "host:port" of the member, as in the topology. */
  readonly address: string;
  /** `server_uuid` the session was opened for; empty when it was unknown. */
  readonly memberId: string;
  /** The MySQL error number for `server-error`, else 0. */
  readonly errorNumber: number;
};

export type SignalKind =
  /** ECONNREFUSED and its like: nobody listens there. */
  | 'dial-refused'
  /** No TCP connection within `dial.connectTimeout`. */
  | 'dial-timeout'
  /** Connected, but no initial handshake within `dial.handshakeTimeout`. */
  | 'no-handshake'
  /** The server closed or reset a session that was in the middle of something. */
  | 'server-closed'
  /** ERR 1290, 1836, 3100, 4094 or 1053 on a session of a primary route. */
  | 'server-error';
