/** A client that speaks in bytes, so that it can say what no library would. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { CLIENT_SSL } from '../../protocol/capability-flags.ts';
import { encodeConnectionAttributes } from '../../protocol/connection-attributes.ts';
import { decodeErrPacket, ERR_HEADER, type ErrPacket } from '../../protocol/err-packet.ts';
import { encodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { encodeSslRequest } from '../../protocol/ssl-request.ts';
import { SERVER_CAPABILITIES } from './scripted-server.ts';
import { Wire } from './wire.ts';

export class RawClient extends Wire {
  static async connect(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true, noDelay: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    // While nobody listens there, the kernel may give the client that very port, and TCP connects it to itself.
    if (socket.localPort === port && localAddress === '127.0.0.1') {
      socket.resetAndDestroy();
      throw new Error(`nobody listens on ${port}`);
    }
    return client;
  }

  /** Connects and authenticates. @throws when the server does not answer OK */
  static async logIn(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    const client = await RawClient.connect(port, localAddress);
    await client.authenticate();
    return client;
  }

  /** Reads the initial handshake, asks for TLS, and goes on inside it: the next packet is the HandshakeResponse41, number 2. */
  async secure(options: ConnectionOptions = {}): Promise<RawClient> {
    await this.readPacket();
    this.write(SSL_REQUEST);
    const socket = connectTls({ socket: this.release(), rejectUnauthorized: false, ...options });
    const client = new RawClient(socket, this.raw);
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]);
    return client;
  }

  async authenticate(): Promise<void> {
    const greeting = await this.readPacket();
    if (greeting === null || greeting.payload[0] === ERR_HEADER) {
      throw new Error(`no initial handshake: ${greeting === null ? this.end : greeting.payload}`);
    }
    this.write(LOGIN);
    const answer = await this.readPacket();
    if (answer === null || answer.payload[0] !== 0) {
      throw new Error(`not let in: ${answer === null ? this.end : answer.payload}`);
    }
  }

  /** Sends a command and reads the one packet that answers it; null when the connection ended instead. */
  async command(number: number, text = ''): Promise<Buffer | null> {
    this.send(0, Buffer.concat([Buffer.of(number), Buffer.from(text)]));
    const answer = await this.readPacket();
    return answer?.payload ?? null;
  }

  /** The ERR packet that has to come next, with its sequence id. */
  async readErr(): Promise<ErrPacket & { readonly sequenceId: number }> {
    const packet = await this.readPacket();
    if (packet === null) throw new Error(`the connection ended without an ERR: ${this.end}`);
    return { ...decodeErrPacket(packet.payload), sequenceId: packet.sequenceId };
  }
}

/** A HandshakeResponse41 as a client without a password sends it. */
export function loginPayload(
  username = 'app',
  attributeBytes = 0,
  authResponse: Buffer = Buffer.alloc(0),
): Buffer {
  return encodeHandshakeResponse41({
    capabilityFlags: (SERVER_CAPABILITIES & ~CLIENT_SSL) >>> 0,
    mariadbCapabilityFlags: 0,
    maxPacketBytes: 0x100_0000,
    characterSet: 255,
    textEncoding: 'utf8',
    username,
    authResponse,
    database: undefined,
    authPluginName: 'caching_sha2_password',
    attributes: encodeConnectionAttributes([{ name: 'program_name', value: 'x'.repeat(attributeBytes) }]),
    zstdLevel: undefined,
  });
}

/** The client's first packet where it asks for TLS. */
export const SSL_REQUEST = encodePacket(
  encodeSslRequest({
    capabilityFlags: SERVER_CAPABILITIES,
    mariadbCapabilityFlags: 0,
    maxPacketBytes: 0x100_0000,
    characterSet: 255,
  }),
  1,
);

export const LOGIN = encodePacket(loginPayload(), 1);
