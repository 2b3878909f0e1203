/**
 * The connection phase of X Protocol as somebody between the two sees it: when it ends, and how.
 *
 *   client                                   server
 *                                            Notice (hello)              unless mysqlx_enable_hello_notice is OFF
 *   CapabilitiesGet                       →  Capabilities
 *   CapabilitiesSet {tls: true}           →  OK                          then TLS, of which nothing is seen
 *   AuthenticateStart, …Continue          →  …Continue, AuthenticateOk   then it is logged in
 *
 * The client need not wait for the hello. The server answers messages in order, notices apart, so the answer to a
 * CapabilitiesSet is found by counting. What follows the connection phase is not looked at: X Protocol lets a client
 * send many messages at once and lets transactions be opened by any of them, so boundaries are not known, and nothing is
 * guessed.
 */
import type { Buffer } from 'node:buffer';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError, SERVER_FAULT } from '../errors.ts';
import { X_CLIENT, X_SERVER, XFrameReader } from './frame.ts';
import { asksForTls } from './messages.ts';

export type XConnectionState =
  /** Both may go on. */
  | 'open'
  /** The client has asked for TLS: it sends nothing that can be understood before the server has answered. */
  | 'tls-asked'
  /** From here on the client and the server speak TLS. */
  | 'tls'
  | 'authenticated'
  /** The client has sent what has no place here, and the server is talking to it: its business alone. */
  | 'not-understood';

export class XConnectionPhase {
  readonly #maxMessageBytes: number;
  readonly #client = new XFrameReader(CLIENT_HANDSHAKE_FAULT);
  readonly #server = new XFrameReader(SERVER_FAULT);
  #state: XConnectionState = 'open';
  /** Messages of the client the server has not answered. */
  #unanswered = 0;
  #lastAnswer: number | null = null;

  /** @param maxMessageBytes longest message taken from a client that is not logged in */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  get state(): XConnectionState {
    return this.#state;
  }

  /** A message of the router's own may be put between those of the server. */
  get isServerBetweenFrames(): boolean {
    return this.#server.isBetweenFrames;
  }

  /** The last the server has said was that it does not let the client in. */
  get hasServerRefused(): boolean {
    return this.#lastAnswer === X_SERVER.ERROR;
  }

  /**
   * @returns how many bytes may be forwarded; in state `tls-asked` the rest is to be given again once that has changed
   * @throws ProtocolError for what no client begins with, and for a message that is too long
   */
  feedClient(chunk: Buffer): number {
    if (this.#state !== 'open') return 0;
    const readBytes = this.#client.read(chunk, {
      onHeader: (type, messageBytes) => this.#clientHeader(type, messageBytes),
      onMessage: (_type, message) => {
        this.#unanswered++;
        if (asksForTls(message)) this.#state = 'tls-asked';
        return this.#state === 'open';
      },
      onPassed: () => {
        this.#unanswered++;
        return this.#state === 'open';
      },
    });
    return this.state === 'not-understood' ? chunk.length : readBytes;
  }

  /**
   * All of the chunk is to be forwarded, whatever state it leads to.
   *
   * @throws ProtocolError for what is no X Protocol
   */
  feedServer(chunk: Buffer): void {
    this.#server.read(chunk, {
      onHeader: () => 'pass',
      onMessage: () => true,
      onPassed: (type) => this.#serverMessage(type),
    });
  }

  #clientHeader(type: number, messageBytes: number): 'pass' | 'gather' {
    if (!CLIENT_TYPES.has(type)) {
      if (this.#lastAnswer === null)
        throw new ProtocolError(CLIENT_HANDSHAKE_FAULT, `X Protocol: message type ${type} before the login`);
      this.#state = 'not-understood';
      return 'pass';
    }
    if (messageBytes > this.#maxMessageBytes)
      throw new ProtocolError(
        CLIENT_HANDSHAKE_FAULT,
        `X Protocol: a message of ${messageBytes} bytes before the login, more than ${this.#maxMessageBytes}`,
      );
    return type === X_CLIENT.CON_CAPABILITIES_SET ? 'gather' : 'pass';
  }

  /** @returns whether what follows may be read */
  #serverMessage(type: number): boolean {
    if (type === X_SERVER.NOTICE) return true;
    this.#lastAnswer = type;
    if (type === X_SERVER.SESS_AUTHENTICATE_OK) this.#state = 'authenticated';
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    // What was asked last is TLS: it is answered when everything is.
    if (this.#state === 'tls-asked' && this.#unanswered === 0)
      this.#state = type === X_SERVER.OK ? 'tls' : 'open';
    return this.#state === 'open' || this.#state === 'tls-asked';
  }
}

const CLIENT_TYPES: ReadonlySet<number> = new Set(Object.values(X_CLIENT));
