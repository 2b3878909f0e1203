import type { ConnectionEvent } from './connection-events.ts';

export interface ConnectionPhaseOptions {
  /**
   * The longest payload of a HandshakeResponse41, in bytes. Default 128 KiB: servers take 64 KiB of connection
   * attributes, and an auth response (an OpenID Connect token, say) has as much again.
   */
  readonly maxHandshakeResponseBytes?: number;
  /** The longest payload of any other packet after the initial handshake, in bytes. Default `MAX_AUTH_PACKET_BYTES`. */
  readonly maxAuthPacketBytes?: number;
  /**
   * Capability flags the caller clears in the initial handshake it forwards. Default none. The caller then
   * clears them in the client's answer too: clients send what they were not offered (the mysql client of 9.7
   * does so with CLIENT_QUERY_ATTRIBUTES and CLIENT_MULTI_FACTOR_AUTHENTICATION).
   */
  readonly maskedCapabilities?: number;
  /**
   * Who the client speaks TLS with after its SSLRequest: the server, and the phase ends there (`relayed`), or the
   * caller, who feeds what it decrypts (`ended-here`). Default `relayed`.
   */
  readonly tls?: 'relayed' | 'ended-here';
}

/** Kerberos tickets reach 64 KiB. */
export const MAX_AUTH_PACKET_BYTES = 128 * 1024;

export const DEFAULT_OPTIONS: Required<ConnectionPhaseOptions> = {
  maxHandshakeResponseBytes: 128 * 1024,
  maxAuthPacketBytes: MAX_AUTH_PACKET_BYTES,
  maskedCapabilities: 0,
  tls: 'relayed',
};

export interface FeedResult {
  /** The packets that ended in this chunk, in order. */
  readonly events: readonly ConnectionEvent[];
  /** Bytes of this chunk that belong to the connection phase, and may be forwarded. */
  readonly consumedBytes: number;
  /**
   * What to do with the rest:
   * - `read`: keep it (three bytes at most, usually none) and feed it again in front of what comes next;
   * - `hold`: the client is ahead of the server. Keep it, read no more from the client, and feed it again when
   *   the server has been fed;
   * - `tls`: the client's SSLRequest has ended, and TLS ends here: the rest is its first record. What comes next from the
   *   client must have been decrypted;
   * - `done`: the phase is over. It belongs to what `state` says: the command phase, TLS, or nobody.
   *
   * A client's rest kept from before is likewise the command phase's once the server's side is `done`.
   */
  readonly next: 'read' | 'hold' | 'tls' | 'done';
}
