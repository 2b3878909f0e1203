/**
 * Leaving politely: connections that belong to no session any more and are not closed yet.
 *
 * A client must get everything that was sent to it, to the last ERR. A server must not be broken off: it counts that as
 * an aborted client and, before the end of the authentication, as a failed handshake (`max_connect_errors`), which in
 * the end shuts out the router's address and so everybody. Measured with MySQL 9.7: a connection closed before its
 * HandshakeResponse41, or in the middle of caching_sha2_password, counts (host_cache.COUNT_HANDSHAKE_ERRORS); a login that is
 * refused, for whatever reason, does not.
 */
import {
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SSL,
} from '../../protocol/capability-flags.ts';
import { COM_QUIT } from '../../protocol/commands.ts';
import { ERR_HEADER } from '../../protocol/err-packet.ts';
import { encodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { PROTOCOL_VERSION } from '../../protocol/initial-handshake.ts';
import { OK_HEADER } from '../../protocol/ok-packet.ts';
import { encodePacket, PACKET_HEADER_BYTES, readPayloadBytes } from '../../protocol/packet-header.ts';
import type { Connection, ConnectionSink } from './connection.ts';

export class Farewells {
  readonly #leaving = new Map<Connection, () => void>();
  /** Servers that have been told to close: those that were told since the last tick, and those before. */
  #closing = new Set<ClosingServer>();
  #closingForLong = new Set<ClosingServer>();
  #tick: NodeJS.Timeout | null = null;

  /** Connections that are not closed yet. */
  get size(): number {
    return this.#leaving.size + this.#closing.size + this.#closingForLong.size;
  }

  /**
   * Ends a server connection behind a COM_QUIT that was sent. The server is left to close first: who does keeps the
   * connection in mind for a minute (TIME_WAIT), and the router would run out of local ports.
   */
  awaitClose(server: Connection): void {
    if (server.hasPeerEnded || this.size >= MAX_LEAVING) return server.destroy();
    const closing = new ClosingServer(server, () => {
      if (!this.#closing.delete(closing)) this.#closingForLong.delete(closing);
    });
    this.#closing.add(closing);
    server.attach(closing);
    server.resume();
    this.#tick ??= setInterval(() => this.#closeLate(), DEADLINE_MS);
  }

  #closeLate(): void {
    for (const closing of this.#closingForLong) closing.close();
    [this.#closing, this.#closingForLong] = [this.#closingForLong, this.#closing];
    if (this.#closingForLong.size > 0 || this.#tick === null) return;
    clearInterval(this.#tick);
    this.#tick = null;
  }

  /** Ends a server connection that is between two commands. */
  quit(server: Connection): void {
    const close = this.#closeWithin(server, DEADLINE_MS);
    // What it says now is nothing anybody waits for.
    server.attach({ onBytes: close, onEnd: close, onDrain: nothing, onClose: close });
    server.write(QUIT, 0, QUIT.length);
    server.end();
    server.resume();
  }

  /**
   * Ends a connection to a server that has not greeted yet; it may have accepted.
   *
   * @param received what it has sent so far
   * @param patienceMs how long its initial handshake is waited for
   */
  abandonDial(server: Connection, received: Buffer, patienceMs: number): void {
    this.#failLogin(server, received, patienceMs);
  }

  /**
   * Ends a connection whose server has greeted and waits for a HandshakeResponse41: gives one that no account matches,
   * and waits for the server to say so and close.
   */
  abandonHandshake(server: Connection): void {
    if (!server.isOpen) return;
    this.#failLogin(server);
    server.write(NOBODY, 0, NOBODY.length);
  }

  /** Ends a connection in the middle of its TLS handshake; once that stands, `introduceNobody` is due. */
  abandonSecuring(server: Connection): void {
    if (server.isOpen) this.#failLogin(server);
  }

  /** Gives the login that no account matches to a server whose TLS handshake has just ended. */
  introduceNobody(server: Connection): void {
    if (server.isOpen) server.write(NOBODY_IN_TLS, 0, NOBODY_IN_TLS.length);
  }

  /**
   * Ends a connection in the middle of an authentication whose client is gone.
   *
   * @param sequenceId of the packet the server waits for; null when it is the server's turn
   */
  abandonAuthentication(server: Connection, sequenceId: number | null): void {
    if (!server.isOpen) return;
    this.#failLogin(server);
    if (sequenceId === null) return;
    const answer = encodePacket(NO_PASSWORD, sequenceId);
    server.write(answer, 0, answer.length);
  }

  /**
   * Sends FIN behind what the peer has still to get, and closes when it has closed.
   *
   * What it sends meanwhile is read and dropped: unread bytes would make the kernel send RST at close, which may overtake
   * what the peer has not read yet. A peer that takes nothing for a minute is given up.
   */
  leave(peer: Connection): void {
    if (peer.hasPeerEnded && peer.queuedBytes === 0) return peer.destroy();
    peer.end();
    // In a flood, who has got everything is not waited for.
    if (this.#leaving.size >= MAX_LEAVING && peer.queuedBytes === 0) return peer.destroy();
    let queuedBefore = peer.queuedBytes;
    let patience = QUEUE_PATIENCE_TICKS;
    const close = this.#closeOnce(peer, () => clearInterval(watch));
    const watch = setInterval(() => {
      const queued = peer.queuedBytes;
      patience = queued > 0 && queued === queuedBefore ? patience - 1 : QUEUE_PATIENCE_TICKS;
      queuedBefore = queued;
      if (queued === 0 || patience === 0) close();
    }, DEADLINE_MS);
    peer.attach({ onBytes: nothing, onEnd: nothing, onDrain: nothing, onClose: close });
    peer.resume();
  }

  /** Closes everything at once. */
  close(): void {
    for (const close of this.#leaving.values()) close();
    for (const closing of [...this.#closing, ...this.#closingForLong]) closing.close();
    this.#closeLate();
  }

  /** Answers whatever the server asks in such a way that it refuses the login, and quits should it not. */
  #failLogin(server: Connection, received: Buffer = EMPTY, patienceMs = DEADLINE_MS): void {
    const close = this.#closeWithin(server, this.#leaving.size < MAX_LEAVING ? patienceMs : 0);
    server.attach(new FailedLogin(server, received, close));
    server.resume();
  }

  #closeWithin(connection: Connection, deadlineMs: number): () => void {
    const timer = setTimeout(() => close(), deadlineMs);
    const close = this.#closeOnce(connection, () => clearTimeout(timer));
    return close;
  }

  #closeOnce(connection: Connection, stopTimer: () => void): () => void {
    const close = () => {
      stopTimer();
      this.#leaving.delete(connection);
      connection.destroy();
    };
    this.#leaving.set(connection, close);
    return close;
  }
}

/** A server that has been told to close; what it says yet is nothing anybody waits for. */
class ClosingServer implements ConnectionSink {
  readonly #server: Connection;
  readonly #onClosed: () => void;

  constructor(server: Connection, onClosed: () => void) {
    this.#server = server;
    this.#onClosed = onClosed;
  }

  close(): void {
    this.#onClosed();
    this.#server.destroy();
  }

  onBytes(): void {
    // See above.
  }

  onEnd(): void {
    this.close();
  }

  onDrain(): void {
    // COM_QUIT was the last word, and has been sent.
  }

  onClose(): void {
    this.close();
  }
}

/** The client's part in a login that must not succeed. */
class FailedLogin implements ConnectionSink {
  readonly #server: Connection;
  readonly #close: () => void;
  #received: Buffer;
  #answers = 0;

  constructor(server: Connection, received: Buffer, close: () => void) {
    this.#server = server;
    this.#received = received;
    this.#close = close;
  }

  onBytes(_side: unknown, buffer: Buffer, length: number): void {
    this.#received = Buffer.concat([this.#received, buffer.subarray(0, length)]);
    while (this.#received.length > PACKET_HEADER_BYTES) {
      const end = PACKET_HEADER_BYTES + readPayloadBytes(this.#received, 0);
      if (end > MAX_PACKET_BYTES) return this.#close();
      if (this.#received.length < end) return;
      this.#answer(this.#received.subarray(0, end));
      this.#received = this.#received.subarray(end);
    }
  }

  #answer(packet: Buffer): void {
    const [kind, detail] = packet.subarray(PACKET_HEADER_BYTES);
    if (kind === PROTOCOL_VERSION) return void this.#server.write(NOBODY, 0, NOBODY.length);
    if (kind === AUTH_MORE_DATA && detail === FAST_AUTH_OK) return;
    // The client had given all there was to give before it left: the server is told that it is gone.
    if (kind === OK_HEADER) this.#server.write(QUIT, 0, QUIT.length);
    if (kind === OK_HEADER || kind === ERR_HEADER || ++this.#answers > MAX_ANSWERS) return this.#close();
    const answer = encodePacket(NO_PASSWORD, ((packet[PACKET_HEADER_BYTES - 1] ?? 0) + 1) & 0xff);
    this.#server.write(answer, 0, answer.length);
  }

  onEnd(): void {
    this.#close();
  }

  onDrain(): void {
    // Nothing waits for that: there is at most one answer on its way.
  }

  onClose(): void {
    this.#close();
  }
}

const nothing = () => undefined;
const EMPTY = Buffer.alloc(0);

const QUIT = encodePacket(Buffer.from([COM_QUIT]), 0);

const NOBODY_FLAGS = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
const NOBODY = encodePacket(introduction(NOBODY_FLAGS), 1);
/** Behind an SSLRequest. */
const NOBODY_IN_TLS = encodePacket(introduction(NOBODY_FLAGS | CLIENT_SSL), 2);

function introduction(capabilityFlags: number): Buffer {
  return encodeHandshakeResponse41({
    capabilityFlags,
    mariadbCapabilityFlags: 0,
    maxPacketBytes: 0x100_0000,
    characterSet: 45,
    textEncoding: 'utf8',
    username: 'fairlead-abandoned-handshake',
    authResponse: Buffer.alloc(0),
    database: undefined,
    authPluginName: 'caching_sha2_password',
    attributes: undefined,
    zstdLevel: undefined,
  });
}

/** An empty password, as most plugins write it. */
const NO_PASSWORD = Buffer.from([0]);
const AUTH_MORE_DATA = 0x01;
const FAST_AUTH_OK = 0x03;
/** A switch of the plugin and its rounds; no plugin needs more. */
const MAX_ANSWERS = 5;
const MAX_PACKET_BYTES = 4096;

const DEADLINE_MS = 1000;
const QUEUE_PATIENCE_TICKS = 60;
/** Connections a thread keeps open for politeness alone: well within the descriptors set aside for such. */
const MAX_LEAVING = 50;
