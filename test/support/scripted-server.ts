/** A server that says what the test tells it to say, to each connection the same or another thing. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_DEPRECATE_EOF,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SSL,
  CLIENT_TRANSACTIONS,
} from '../../protocol/capability-flags.ts';
import { encodeErrPacket } from '../../protocol/err-packet.ts';
import { decodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodeInitialHandshake } from '../../protocol/initial-handshake.ts';
import { encodeOkPacket, OK_HEADER } from '../../protocol/ok-packet.ts';
import { SSL_REQUEST_BYTES } from '../../protocol/ssl-request.ts';
import { SERVER_STATUS_AUTOCOMMIT, SERVER_STATUS_IN_TRANS } from '../../protocol/status-flags.ts';
import { until } from './until.ts';
import { Wire, type WirePacket } from './wire.ts';

/** What the server does with a connection. When it returns, the connection stays as it is. */
export type ServerScript = (peer: ServerPeer) => void | Promise<void>;

export class ServerPeer extends Wire {
  /** The user the client named; null before its HandshakeResponse41. */
  username: string | null = null;
  /** Commands read by `answerCommands`, by number. */
  readonly commands: number[] = [];
  connectionId = 0;

  greet(capabilityFlags: number = SERVER_CAPABILITIES): void {
    this.send(0, initialHandshake(this.connectionId, capabilityFlags));
  }

  /** Greets and reads the HandshakeResponse41; null when the client left before it was whole. */
  async readLogin(capabilityFlags: number = SERVER_CAPABILITIES): Promise<WirePacket | null> {
    this.greet(capabilityFlags);
    const packet = await this.readPacket();
    if (packet !== null) this.username = decodeHandshakeResponse41(packet.payload).username;
    return packet;
  }

  /** Greets, and lets everybody in but nobody's farewell. @returns whether a client is in */
  async logIn(capabilityFlags: number = SERVER_CAPABILITIES): Promise<boolean> {
    const login = await this.readLogin(capabilityFlags);
    if (login === null) return false;
    if (this.username === FAREWELL_USER) {
      this.err(2, 1045, '28000', 'Access denied');
      this.finish();
      return false;
    }
    this.ok(2);
    return true;
  }

  /**
   * Greets, and goes on inside TLS once the client asks for it. null when it does not.
   *
   * @returns the connection as it goes on, and whether the TLS session was resumed
   */
  async secure(secureContext: SecureContext): Promise<ServerPeer | null> {
    this.greet();
    const request = await this.readPacket();
    if (request?.payload.length !== SSL_REQUEST_BYTES) return null;
    const socket = new TLSSocket(this.release(), { isServer: true, secureContext });
    const peer = new ServerPeer(socket, this.raw);
    await Promise.race([once(socket, 'secure'), once(socket, 'close')]);
    return peer;
  }

  /** Reads the HandshakeResponse41 inside TLS, and lets everybody in but nobody's farewell. */
  async logInSecurely(): Promise<WirePacket | null> {
    const packet = await this.readPacket();
    if (packet === null) return null;
    this.username = decodeHandshakeResponse41(packet.payload).username;
    if (this.username !== FAREWELL_USER) {
      this.ok(packet.sequenceId + 1);
      return packet;
    }
    this.err(packet.sequenceId + 1, 1045, '28000', 'Access denied');
    this.finish();
    return null;
  }

  ok(sequenceId: number, statusFlags: number = SERVER_STATUS_AUTOCOMMIT): void {
    this.send(sequenceId, okPayload(statusFlags));
  }

  err(sequenceId: number, errorCode: number, sqlState: string | undefined, message: string): void {
    this.send(sequenceId, encodeErrPacket({ errorCode, sqlState, message }));
  }

  /** Answers each command until the client leaves; COM_QUIT closes. */
  async answerCommands(answer: (command: WirePacket) => void): Promise<void> {
    for (let packet = await this.readPacket(); packet !== null; packet = await this.readPacket()) {
      this.commands.push(packet.payload[0] ?? -1);
      if (packet.payload[0] === 1) return this.finish();
      answer(packet);
    }
    this.finish();
  }
}

export class ScriptedServer {
  readonly #server: Server;
  readonly peers: ServerPeer[] = [];
  readonly host: string;
  /** A script that failed fails the test when the server is closed. */
  #failure: unknown = null;

  private constructor(host: string, script: ServerScript) {
    this.host = host;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const peer = new ServerPeer(socket);
      peer.connectionId = this.peers.push(peer);
      Promise.resolve(script(peer)).catch((error: unknown) => {
        this.#failure ??= error;
      });
    });
  }

  /** `port` is given only to take one that was had before. */
  static async start(script: ServerScript, host = '127.0.0.1', port = 0): Promise<ScriptedServer> {
    const server = new ScriptedServer(host, script);
    await new Promise<void>((resolve) => server.#server.listen(port, host, resolve));
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? 0 : address.port;
  }

  /** Connections that are not closed on this side. */
  get openPeers(): readonly ServerPeer[] {
    return this.peers.filter((peer) => !peer.isClosed);
  }

  /** Connections that ended without a HandshakeResponse41: what max_connect_errors counts. */
  get brokenOff(): number {
    return this.peers.filter((peer) => peer.username === null && peer.end !== null).length;
  }

  /** Logins of sessions, farewells left out. */
  get logins(): number {
    return this.peers.filter((peer) => peer.username !== null && peer.username !== FAREWELL_USER).length;
  }

  /** The connection with this number, from 0, once it is there. */
  async peer(index: number): Promise<ServerPeer> {
    await until(`connection ${index} to the server`, () => this.peers.length > index);
    const peer = this.peers[index];
    if (peer === undefined) throw new Error('there was a connection');
    return peer;
  }

  /** Accepts nobody any more; connections stay. */
  stopListening(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.close();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    if (this.#failure !== null) throw this.#failure;
  }
}

/** A server that lets everybody in and answers each command with OK. */
export async function serveOk(peer: ServerPeer): Promise<void> {
  if (await peer.logIn()) await peer.answerCommands(() => peer.ok(1));
}

/** Knows BEGIN and COMMIT, and does not answer SLEEP. */
export async function serveTransactions(peer: ServerPeer): Promise<void> {
  if (!(await peer.logIn())) return;
  let status = SERVER_STATUS_AUTOCOMMIT;
  await peer.answerCommands(({ payload }) => {
    const text = payload.toString('latin1', 1);
    if (text === 'BEGIN') status |= SERVER_STATUS_IN_TRANS;
    if (text === 'COMMIT') status &= ~SERVER_STATUS_IN_TRANS;
    if (text !== 'SLEEP') peer.ok(1, status);
  });
}

export function initialHandshake(connectionId: number, capabilityFlags = SERVER_CAPABILITIES): Buffer {
  return encodeInitialHandshake({
    serverVersion: '9.7.0-scripted',
    connectionId,
    authPluginData: Buffer.from('abcdefghijklmnopqrst\0'),
    capabilityFlags,
    mariadbCapabilityFlags: 0,
    characterSet: 255,
    statusFlags: SERVER_STATUS_AUTOCOMMIT,
    authPluginName: 'caching_sha2_password',
  });
}

export function okPayload(statusFlags: number): Buffer {
  return encodeOkPacket(
    {
      header: OK_HEADER,
      affectedRows: 0n,
      lastInsertId: 0n,
      statusFlags,
      warnings: 0,
      info: Buffer.alloc(0),
      sessionStateInfo: undefined,
    },
    0,
  );
}

/** The name under which the router logs in when it has to leave a server that waits for an answer. */
export const FAREWELL_USER = 'fairlead-abandoned-handshake';

export const SERVER_CAPABILITIES =
  (1 |
    CLIENT_PROTOCOL_41 |
    CLIENT_SSL |
    CLIENT_TRANSACTIONS |
    CLIENT_SECURE_CONNECTION |
    CLIENT_PLUGIN_AUTH |
    CLIENT_CONNECT_ATTRS |
    CLIENT_DEPRECATE_EOF) >>>
  0;
