/**
 * A client that speaks in bytes, for what no library does: any capability flags, pipelining, cursors, odd commands.
 * It logs in with an account that has no password. It does not understand answers: whoever uses it asks the tracker
 * when one is over, and COM_PING proves it, as nothing may come between it and its OK.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_TRANSACTIONS,
} from '../../../protocol/capability-flags.ts';
import { encodeHandshakeResponse41 } from '../../../protocol/handshake-response41.ts';
import { writePacketHeader } from '../../../protocol/packet-header.ts';

export class RawClient {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #receivedBytes = 0;
  #isEnded = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#receivedBytes += chunk.length;
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    socket.on('close', () => {
      this.#isEnded = true;
    });
    // 'close' follows; what was received until then is what the test looks at.
    socket.on('error', () => socket.destroy());
  }

  static async connect(port: number, username: string, capabilityFlags: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const client = new RawClient(socket);
    await once(socket, 'data');
    const payload = encodeHandshakeResponse41({
      capabilityFlags: (capabilityFlags | BASE_CAPABILITIES) >>> 0,
      maxPacketBytes: 0x4000_0000,
      characterSet: 255,
      mariadbCapabilityFlags: 0,
      textEncoding: 'utf8',
      username,
      authResponse: Buffer.alloc(0),
      database: undefined,
      authPluginName: 'caching_sha2_password',
      attributes: undefined,
      zstdLevel: undefined,
    });
    client.send(packet(1, payload));
    await once(socket, 'data');
    client.takeReceived();
    client.#receivedBytes = 0;
    return client;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Bytes received since the connection phase. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  send(...packets: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(packets));
  }

  /** What came since it was last asked. */
  takeReceived(): Buffer {
    const received = this.#received;
    this.#received = Buffer.alloc(0);
    return received;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A packet of a command. */
export function command(number: number, payload: string | Iterable<number> = ''): Buffer {
  const rest = typeof payload === 'string' ? Buffer.from(payload) : Uint8Array.from(payload);
  return packet(0, Buffer.concat([Buffer.of(number), rest]));
}

export function packet(sequenceId: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  writePacketHeader(header, 0, { payloadBytes: payload.length, sequenceId });
  return Buffer.concat([header, payload]);
}

const BASE_CAPABILITIES =
  CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH | CLIENT_TRANSACTIONS | 0x0001;
