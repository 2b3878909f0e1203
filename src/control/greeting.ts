/**
 * Connects to a member and looks at its first packet before anything else gets to see it: only a server that greets as
 * MySQL does is handed to mysql2, which would take any bytes for packets and gather as many as they announce.
 */
import { Buffer } from 'node:buffer';
import { createConnection, type Socket } from 'node:net';
import { CLIENT_SSL, hasCapability } from '../../protocol/capability-flags.ts';
import { decodeErrPacket, ERR_HEADER } from '../../protocol/err-packet.ts';
import { decodeInitialHandshake, PROTOCOL_VERSION } from '../../protocol/initial-handshake.ts';
import { PACKET_HEADER_BYTES, readPayloadBytes } from '../../protocol/packet-header.ts';
import type { DialAddress } from '../../routing/topology.ts';
import { messageOf } from '../shared/message-of.ts';
import { isGivenOut, isSameEnd, SELF_CONNECT_CODE } from '../shared/self-connect.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';

/** A socket with the server's greeting still in it: paused, nothing consumed. */
export type GreetedSocket = { readonly socket: Socket; readonly offersTls: boolean };

/**
 * @param connectTimeoutMs deadline for the TCP connect. For the greeting there is none here: a server that hangs greets when it
 *   goes on, and leaving before counts against its `max_connect_errors`.
 * @throws ControlFailure
 */
export function connectToServer(
  dial: DialAddress,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<GreetedSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(dial);
    let received: Buffer = Buffer.alloc(0);

    const end = (error: unknown): void => {
      release();
      // What comes after this has been reported already.
      socket.on('error', ignoreAfterEnd);
      socket.destroy();
      reject(toControlFailure(error));
    };
    const onConnect = (): void => {
      clearTimeout(timer);
      const { localAddress: host = '', localPort: port = 0 } = socket;
      if (!isGivenOut(dial.port) || !isSameEnd({ host, port }, dial)) return;
      // With RST, which leaves the port free for whoever is to listen on it.
      socket.resetAndDestroy();
      end(new ControlFailure('refused', `${SELF_CONNECT_CODE}: nobody listens on ${host}:${port}`));
    };
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        const offersTls = readGreeting(received);
        if (offersTls === null) return;
        release();
        socket.pause();
        socket.unshift(received);
        resolve({ socket, offersTls });
      } catch (error) {
        end(error);
      }
    };
    const onClose = (): void =>
      end(new ControlFailure('closed', 'the connection was closed before any greeting'));
    const onAbort = (): void => end(new ControlFailure('closed', 'given up'));
    const timer = setTimeout(() => {
      end(new ControlFailure('timeout', `no connection within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    const release = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket
        .off('connect', onConnect)
        .off('data', onData)
        .off('close', onClose)
        .off('end', onClose)
        .off('error', end);
    };
    socket
      .on('connect', onConnect)
      .on('data', onData)
      .on('close', onClose)
      .on('end', onClose)
      .on('error', end);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

/**
 * A socket that reads into one buffer: Node allocates 64 KiB for each read otherwise, and takes it through a stream that has
 * nothing to hold back here. Who listens for 'data' gets a copy of what came.
 */
function connect({ host, port }: DialAddress): Socket {
  const socket: Socket = createConnection({
    ...{ host, port, noDelay: true, keepAlive: true },
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(length, buffer) {
        socket.emit('data', Buffer.from(buffer.subarray(0, length)));
        return true;
      },
    },
  });
  return socket;
}

/** Whether the server offers TLS; null while the packet is not complete. */
function readGreeting(received: Buffer): boolean | null {
  const first = received[PACKET_HEADER_BYTES];
  if (first === undefined) {
    if (received.length >= PACKET_HEADER_BYTES) checkHeader(received);
    return null;
  }
  checkHeader(received);
  if (first !== PROTOCOL_VERSION && first !== ERR_HEADER) throw notMysql('its first packet is no greeting');
  const end = PACKET_HEADER_BYTES + readPayloadBytes(received, 0);
  if (received.length < end) return null;
  const payload = received.subarray(PACKET_HEADER_BYTES, end);
  try {
    if (first === PROTOCOL_VERSION)
      return hasCapability(decodeInitialHandshake(payload).capabilityFlags, CLIENT_SSL);
  } catch (error) {
    throw notMysql(messageOf(error));
  }
  const { errorCode, message } = decodeErrPacket(payload);
  throw toControlFailure(Object.assign(new Error(message), { errno: errorCode, fatal: true }));
}

function checkHeader(received: Buffer): void {
  const length = readPayloadBytes(received, 0);
  if (length === 0 || length > MAX_GREETING_BYTES || received[SEQUENCE_OFFSET] !== 0) {
    throw notMysql('its first bytes are no packet header');
  }
}

function notMysql(message: string): ControlFailure {
  return new ControlFailure('not-mysql', message);
}

function ignoreAfterEnd(_error: Error): void {
  // Nobody waits for this socket any more, and its end has been reported with the first error.
}

/** Answers to probes are shorter. */
const READ_BYTES = 16 * 1024;
const SEQUENCE_OFFSET = 3;
/** A greeting is about 80 bytes, an ERR in its place at most some 600. */
const MAX_GREETING_BYTES = 2048;
