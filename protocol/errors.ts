import type { ErrorName } from './error-codes.ts';

/** Which peer broke the protocol. */
export type Side = 'client' | 'server';

/** What to accuse a peer of when its bytes cannot be read. */
export interface Fault {
  /** MySQL's name of the error; its number, SQLSTATE and text are in error-codes.ts. */
  readonly code: ErrorName;
  readonly side: Side;
}

/** A client's packet of the connection phase is unreadable. */
export const CLIENT_HANDSHAKE_FAULT: Fault = { code: 'ER_HANDSHAKE_ERROR', side: 'client' };
/** A client's packet of the command phase is unreadable. */
export const CLIENT_COMMAND_FAULT: Fault = { code: 'ER_MALFORMED_PACKET', side: 'client' };
/** A server's packet is unreadable, in any phase. */
export const SERVER_FAULT: Fault = { code: 'CR_MALFORMED_PACKET', side: 'server' };

/**
 * The only error `protocol/` throws on account of bytes: a peer broke the protocol or a limit. Nothing may be
 * read from that peer's stream afterwards, its boundaries are lost.
 *
 * Decide by `code` and `side`; `detail` is for people.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ErrorName;
  readonly side: Side;
  /** The message without the code. */
  readonly detail: string;

  constructor(fault: Fault, detail: string, options?: ErrorOptions) {
    super(`${fault.code}: ${detail}`, options);
    this.code = fault.code;
    this.side = fault.side;
    this.detail = detail;
  }
}
