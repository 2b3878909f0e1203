/**
 * Chooses how a data thread carries bytes: tries the fast transport on a loopback connection and takes the portable one
 * when anything is not as expected.
 *
 * What is tried is what the fast transport stands on: adopting an accepted handle, reading into a lent buffer, and a
 * write to the descriptor that stops where the kernel's buffer is full and goes on in order.
 */
import { Socket } from 'node:net';
import type { RelayMode } from '../config/config.ts';
import { Connection, type ConnectionSink, type Transport } from './connection.ts';
import { createListener } from './listener.ts';

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

/** Sends a patterned stream through an accepted connection, against a reader that starts late. */
export async function proveTransport(transport: Transport): Promise<void> {
  const dialler = new Socket();
  const outcome = Promise.withResolvers<void>();
  const connections: Connection[] = [];
  const stream = (connection: Connection, probe: Buffer) => {
    if (!probe.equals(PROBE)) throw new Error('bytes read through the lent buffer differ');
    for (let sent = 0; sent < STREAM_BYTES; sent += PATTERN.length)
      connection.write(PATTERN, 0, PATTERN.length);
    if (connection.queuedBytes === 0) throw new Error('a full kernel buffer was not noticed');
    dialler.resume();
  };
  // What is thrown in a callback of the event loop would end the thread.
  const attempt = (act: () => void) => {
    try {
      act();
    } catch (error) {
      outcome.reject(error);
    }
  };
  const listener = await createListener({ host: '127.0.0.1', port: 0 }, false, transport.kind, {
    onAcceptFailed: (code) => outcome.reject(new Error(`a connection could not be accepted: ${code}`)),
    onConnection: (accepted) =>
      attempt(() => {
        const then = (probe: Buffer) => attempt(() => stream(connection, probe));
        const connection = Connection.accept(accepted, transport, sinkThat(PROBE.length, then));
        connections.push(connection);
      }),
  });
  const deadline = setTimeout(
    () => outcome.reject(new Error('the self-test did not end in time')),
    DEADLINE_MS,
  );
  let received = 0;
  dialler.on('error', outcome.reject);
  dialler.on('data', (chunk: Buffer) => {
    for (let index = 0; index < chunk.length; index += SAMPLE_STEP) {
      if (chunk[index] === PATTERN[(received + index) % PATTERN.length]) continue;
      return outcome.reject(new Error('bytes arrived changed'));
    }
    received += chunk.length;
    if (received === STREAM_BYTES) outcome.resolve();
  });
  dialler.pause();
  dialler.connect(listener.port, '127.0.0.1', () => dialler.write(PROBE));
  try {
    await outcome.promise;
  } finally {
    clearTimeout(deadline);
    for (const connection of connections) connection.destroy();
    dialler.destroy();
    listener.close();
  }
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

const PROBE = Buffer.from('fairlead');
/** A prime length, so that a chunk that is lost or repeated shifts the pattern. */
const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
/** More than Linux lets a loopback socket hold. */
const STREAM_BYTES = PATTERN.length * 256;
const DEADLINE_MS = 5000;
/** Not every byte is looked at: a prime step meets any shift soon enough. */
const SAMPLE_STEP = 4099;
