/**
 * How a server begins in each protocol: what a dial may expect of it, what its first bytes mean, and how a connection
 * that nobody wants is left.
 */
import { ERR_HEADER } from '../../protocol/err-packet.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { PROTOCOL_VERSION } from '../../protocol/initial-handshake.ts';
import { PACKET_HEADER_BYTES } from '../../protocol/packet-header.ts';
import { X_HEADER_BYTES, X_SERVER } from '../../protocol/x/frame.ts';
import { decodeXError } from '../../protocol/x/messages.ts';
import type { Member } from '../../routing/topology.ts';
import type { RouteProtocol } from '../config/config.ts';
import type { Connection } from './connection.ts';
import type { Farewells } from './farewell.ts';

/** What a server's first bytes are. */
export type Opening =
  | { readonly kind: 'incomplete' }
  /** It is there and willing. */
  | { readonly kind: 'greeting' }
  /** An error in its place, whole, as the client is to have it. */
  | { readonly kind: 'error'; readonly errorNumber: number }
  | { readonly kind: 'malformed' };

export type FirstWord = {
  /** Whether the server says something before it is spoken to. If not, a TCP connection is all that can be known. */
  isAwaited(member: Member): boolean;
  judge(received: Buffer): Opening;
  /** Ends a connection whose server has greeted. */
  leave(server: Connection, farewells: Farewells): void;
  /** Ends a connection whose server has not, and may yet. */
  abandonDial(server: Connection, received: Buffer, patienceMs: number, farewells: Farewells): void;
};

const CLASSIC: FirstWord = {
  isAwaited: () => true,
  judge(received) {
    if (received.length < PACKET_HEADER_BYTES) return INCOMPLETE;
    const payloadBytes = received.readUIntLE(0, 3);
    const isPlausible = payloadBytes > 0 && payloadBytes <= MAX_FIRST_BYTES && received[3] === 0;
    if (!isPlausible) return MALFORMED;
    if (received.length < PACKET_HEADER_BYTES + payloadBytes) return INCOMPLETE;
    switch (received[PACKET_HEADER_BYTES]) {
      case PROTOCOL_VERSION:
        return GREETING;
      case ERR_HEADER: {
        const numberAt = PACKET_HEADER_BYTES + 1;
        return {
          kind: 'error',
          errorNumber: received.length < numberAt + 2 ? 0 : received.readUInt16LE(numberAt),
        };
      }
      default:
        return MALFORMED;
    }
  },
  leave: (server, farewells) => farewells.abandonHandshake(server),
  abandonDial: (server, received, patienceMs, farewells) =>
    farewells.abandonDial(server, received, patienceMs),
};

/** A connection of X Protocol that is broken off counts nowhere (measured with MySQL 9.7), so it is just closed. */
const X: FirstWord = {
  isAwaited: (member) => member.x?.greets ?? false,
  judge(received) {
    if (received.length < X_HEADER_BYTES) return INCOMPLETE;
    const frameBytes = X_HEADER_BYTES - 1 + received.readUInt32LE(0);
    if (frameBytes < X_HEADER_BYTES || frameBytes > MAX_FIRST_BYTES) return MALFORMED;
    if (received.length < frameBytes) return INCOMPLETE;
    switch (received[X_HEADER_BYTES - 1]) {
      case X_SERVER.NOTICE:
        return GREETING;
      case X_SERVER.ERROR:
        return xError(received.subarray(X_HEADER_BYTES, frameBytes));
      default:
        return MALFORMED;
    }
  },
  leave: (server) => server.destroy(),
  abandonDial: (server) => server.destroy(),
};

export const FIRST_WORDS = { classic: CLASSIC, x: X } as const satisfies Record<RouteProtocol, FirstWord>;

function xError(message: Buffer): Opening {
  try {
    return { kind: 'error', errorNumber: decodeXError(message).errorCode };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return MALFORMED;
  }
}

const INCOMPLETE: Opening = { kind: 'incomplete' };
const GREETING: Opening = { kind: 'greeting' };
const MALFORMED: Opening = { kind: 'malformed' };
/** Initial handshakes have about 100 bytes; the limit keeps a server that is none from filling memory. */
const MAX_FIRST_BYTES = 16 * 1024;
