import type { Buffer } from 'node:buffer';
import {
  CLIENT_COMPRESS,
  CLIENT_ZSTD_COMPRESSION_ALGORITHM,
  COMPRESSION_CAPABILITIES,
  hasCapability,
  intersectCapabilities,
} from './capability-flags.ts';
import type { ErrPacket } from './err-packet.ts';
import type { HandshakeResponse41 } from './handshake-response41.ts';
import type { InitialHandshake } from './initial-handshake.ts';
import type { SslRequest } from './ssl-request.ts';

/** What every event says about its packet. */
export interface PacketFacts {
  readonly sequenceId: number;
  readonly payloadBytes: number;
  /** Bytes of this side's stream up to and with this packet: for the first packet its length on the wire. */
  readonly endOffset: number;
}

/** One packet of the connection phase. The last four end it. */
export type ConnectionEvent = PacketFacts &
  (
    | {
        readonly kind: 'initial-handshake';
        readonly initialHandshake: InitialHandshake;
        /** As the server sent it. */
        readonly payload: Buffer;
      }
    | {
        readonly kind: 'handshake-response';
        readonly handshakeResponse: HandshakeResponse41;
        /** As the client sent it. */
        readonly payload: Buffer;
      }
    /** From the server: begin again with this plugin (`mysql_old_password` for the one-byte form). */
    | { readonly kind: 'auth-switch-request'; readonly authPluginName: string }
    /** From the server: one more factor, with this plugin. */
    | { readonly kind: 'auth-next-factor'; readonly authPluginName: string }
    /** From the server: bytes of its plugin, wrapped in AuthMoreData or (MariaDB) bare. */
    | { readonly kind: 'auth-more-data' }
    /** From the server: caching_sha2_password found the password in its cache; OK follows by itself. */
    | { readonly kind: 'fast-auth-ok' }
    /** From the client: bytes of its plugin, perhaps none, perhaps a password: never kept. */
    | { readonly kind: 'auth-response' }
    | { readonly kind: 'ssl-request'; readonly sslRequest: SslRequest }
    | { readonly kind: 'ok'; readonly facts: ConnectionFacts }
    | { readonly kind: 'err'; readonly err: ErrPacket; readonly isBeforeHandshake: boolean }
  );

/** What the connection phase agreed on, for the command phase. */
export interface ConnectionFacts {
  readonly connectionId: number;
  readonly serverVersion: string;
  /** What the client was offered: the server's flags without those masked. */
  readonly serverCapabilities: number;
  readonly clientCapabilities: number;
  /** Offered by both, or compression that the client alone decides on: what is in use. */
  readonly sharedCapabilities: number;
  /** MariaDB's extended word, offered by both. */
  readonly sharedMariadbCapabilities: number;
  readonly compression: Compression;
  readonly username: string;
  /** `undefined` where the client named none. */
  readonly database: string | undefined;
  readonly characterSet: number;
  /** The plugin that was used last. */
  readonly authPluginName: string;
  /** From the OK packet. */
  readonly statusFlags: number;
}

/** The compressed protocol, which begins right behind the OK packet. */
export type Compression =
  | { readonly kind: 'none' }
  | { readonly kind: 'zlib' }
  /** `level` 1 to 22, the client's choice for both directions. */
  | { readonly kind: 'zstd'; readonly level: number };

/**
 * Puts the facts together; `serverCapabilities` as the client was offered them, and `maskedCapabilities` kept from both sides.
 */
export function createConnectionFacts(agreed: {
  readonly initialHandshake: InitialHandshake;
  readonly handshakeResponse: HandshakeResponse41;
  readonly serverCapabilities: number;
  readonly maskedCapabilities: number;
  readonly authPluginName: string;
  readonly statusFlags: number;
}): ConnectionFacts {
  const { initialHandshake, handshakeResponse, serverCapabilities } = agreed;
  const clientCapabilities = handshakeResponse.capabilityFlags;
  // For compression the client's word alone counts: mysqld 9.7 compresses for who says it does, with either algorithm, also where
  // `protocol_compression_algorithms` keeps that out of its offer.
  const sharedCapabilities = intersectCapabilities(
    clientCapabilities & ~agreed.maskedCapabilities,
    serverCapabilities | COMPRESSION_CAPABILITIES,
  );
  return {
    connectionId: initialHandshake.connectionId,
    serverVersion: initialHandshake.serverVersion,
    serverCapabilities,
    clientCapabilities,
    sharedCapabilities,
    sharedMariadbCapabilities: intersectCapabilities(
      handshakeResponse.mariadbCapabilityFlags,
      initialHandshake.mariadbCapabilityFlags,
    ),
    compression: agreedCompression(sharedCapabilities, handshakeResponse.zstdLevel),
    username: handshakeResponse.username,
    database: handshakeResponse.database,
    characterSet: handshakeResponse.characterSet,
    authPluginName: agreed.authPluginName,
    statusFlags: agreed.statusFlags,
  };
}

/** Where both algorithms are agreed, zlib is used (sql_authentication.cc, client.cc). */
function agreedCompression(sharedCapabilities: number, zstdLevel: number | undefined): Compression {
  if (hasCapability(sharedCapabilities, CLIENT_COMPRESS)) return { kind: 'zlib' };
  if (hasCapability(sharedCapabilities, CLIENT_ZSTD_COMPRESSION_ALGORITHM) && zstdLevel !== undefined) {
    return { kind: 'zstd', level: zstdLevel };
  }
  return { kind: 'none' };
}
