/**
 * Chooses how a data thread carries bytes: tries the fast transport on a loopback connection and takes the portable one
 * when anything is not as expected.
 *
 * What is tried is what the fast transport stands on: adopting an accepted handle, reading into a lent buffer, and a
 * write to the descriptor that stops where the kernel's buffer is full and goes on in order.
 */
import { createServer, type Server, Socket } from 'node:net';
import type { RelayMode } from '../config/config.ts';
import { Connection, type ConnectionSink, type Transport } from './connection.ts';

export type TransportChoice = {
  readonly transport: Transport;
  /** Why the fast transport was not taken; empty when it was, or was not wanted. */
  readonly reason: string;
};

export async function chooseTransport(mode: RelayMode, bufferBytes: number): Promise<TransportChoice> {
  if (mode === 'portable') return { transport: { kind: 'portable' }, reason: '' };
  const fast: Transport = { kind: 'fast', readBuffer: Buffer.allocUnsafeSlow(bufferBytes) };
  try {
    await proveTransport(fast);
    return { transport: fast, reason: '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { transport: { kind: 'portable' }, reason };
  }
}

/** Sends a patterned stream through an accepted and a dialled connection, against a reader that starts late. */
export function proveTransport(transport: Transport): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    const dialler = new Socket();
    const received = { bytes: 0, isInOrder: true };
    const finish = (error: Error | null) => {
      clearTimeout(deadline);
      closeAll(server, dialler, accepted);
      if (error === null) resolve();
      else reject(error);
    };
    const deadline = setTimeout(() => finish(new Error('the self-test did not end in time')), DEADLINE_MS);
    let accepted: Connection | null = null;
    server.on('error', finish);
    dialler.on('error', finish);
    server.on('connection', (socket) => {
      accepted = Connection.accept(
        socket,
        transport,
        sinkThat(PROBE.length, (bytes) => {
          if (!bytes.equals(PROBE)) return finish(new Error('bytes read through the lent buffer differ'));
          for (let sent = 0; sent < STREAM_BYTES; sent += PATTERN.length)
            accepted?.write(PATTERN, 0, PATTERN.length);
          if (accepted?.queuedBytes === 0) return finish(new Error('a full kernel buffer was not noticed'));
          dialler.resume();
        }),
      );
    });
    dialler.on('data', (chunk: Buffer) => {
      for (let index = 0; index < chunk.length; index += 4099) {
        if (chunk[index] !== PATTERN[(received.bytes + index) % PATTERN.length]) received.isInOrder = false;
      }
      received.bytes += chunk.length;
      if (!received.isInOrder) return finish(new Error('bytes arrived changed'));
      if (received.bytes === STREAM_BYTES) finish(null);
    });
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return finish(new Error('no loopback address'));
      dialler.pause();
      dialler.connect(address.port, '127.0.0.1', () => dialler.write(PROBE));
    });
  });
}

function sinkThat(length: number, then: (bytes: Buffer) => void): ConnectionSink {
  let gathered = Buffer.alloc(0);
  return {
    onBytes(_side, buffer, bytes) {
      gathered = Buffer.concat([gathered, buffer.subarray(0, bytes)]);
      if (gathered.length === length) then(gathered);
    },
    // The test ends by its own count or deadline: how the connections end afterwards says nothing.
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  };
}

function closeAll(server: Server, dialler: Socket, accepted: Connection | null): void {
  accepted?.destroy();
  dialler.destroy();
  server.close();
}

const PROBE = Buffer.from('fairlead');
/** A prime length, so that a chunk that is lost or repeated shifts the pattern. */
const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
/** More than Linux lets a loopback socket hold. */
const STREAM_BYTES = PATTERN.length * 256;
const DEADLINE_MS = 2000;
