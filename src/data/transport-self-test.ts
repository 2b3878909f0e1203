/**
 * Chooses how a data thread carries bytes: tries the fast transport on loopback connections and takes the portable one
 * when anything is not as expected.
 *
 * What is tried is what the fast transport stands on: taking over an accepted handle and dialling with a bare one, reading
 * into a lent buffer, a write to the descriptor that stops where the kernel's buffer is full and goes on in order, and an
 * end in either direction that closes both sides.
 */
import { Socket } from 'node:net';
import type { RelayMode } from '../config/config.ts';
import { messageOf } from '../shared/message-of.ts';
import { createBareTcp } from './bare-wire.ts';
import { type Accepted, Connection, type ConnectionSink, type Transport } from './connection.ts';
import { createListener, type Listener } from './listener.ts';
import { tcpBinding } from './tcp-handle.ts';

export type TransportChoice = {
  readonly transport: Transport;
  /** Why the fast transport was not taken; empty when it was, or was not wanted. */
  readonly reason: string;
};

export async function chooseTransport(mode: RelayMode, bufferBytes: number): Promise<TransportChoice> {
  if (mode === 'portable') return { transport: { kind: 'portable' }, reason: '' };
  try {
    const tcp = createBareTcp(tcpBinding(), bufferBytes);
    const fast: Transport = { kind: 'fast', tcp };
    await proveTransport(fast);
    return { transport: fast, reason: '' };
  } catch (error) {
    const reason = messageOf(error);
    return { transport: { kind: 'portable' }, reason };
  }
}

export async function proveTransport(transport: Transport): Promise<void> {
  await attempt(transport, proveStream);
  await attempt(transport, proveEnding);
}

/** A try on one connection. What it opens is closed for it; what it throws in a callback fails it and ends nothing else. */
type Proof = (stage: Stage) => void;
type Stage = {
  readonly transport: Transport;
  readonly port: number;
  readonly onAccepted: (begin: (accepted: Accepted) => void) => void;
  readonly closeLater: (closable: { destroy(): void }) => void;
  readonly guarded: <A extends readonly unknown[]>(act: (...args: A) => void) => (...args: A) => void;
  readonly pass: () => void;
  readonly fail: (error: Error) => void;
};

async function attempt(transport: Transport, prove: Proof): Promise<void> {
  const outcome = Promise.withResolvers<void>();
  const closables: { destroy(): void }[] = [];
  let begin: ((accepted: Accepted) => void) | null = null;
  // What is thrown in a callback of the event loop would end the thread.
  const guarded =
    <A extends readonly unknown[]>(act: (...args: A) => void) =>
    (...args: A) => {
      try {
        act(...args);
      } catch (error) {
        outcome.reject(error);
      }
    };
  const listener: Listener = await createListener({ host: '127.0.0.1', port: 0 }, false, transport.kind, {
    onAcceptFailed: (code) => outcome.reject(new Error(`a connection could not be accepted: ${code}`)),
    onConnection: guarded((accepted) => begin?.(accepted)),
  });
  const late = () => outcome.reject(new Error('the self-test did not end in time'));
  const deadline = setTimeout(late, DEADLINE_MS);
  try {
    prove({
      transport,
      port: listener.port,
      onAccepted: (then) => {
        begin = then;
      },
      closeLater: (closable) => closables.push(closable),
      guarded,
      pass: outcome.resolve,
      fail: outcome.reject,
    });
    await outcome.promise;
  } finally {
    clearTimeout(deadline);
    for (const closable of closables) closable.destroy();
    listener.close();
  }
}

/** Sends a patterned stream through an accepted connection, against a reader that starts late. */
function proveStream({ transport, port, onAccepted, closeLater, guarded, pass, fail }: Stage): void {
  const dialler = new Socket();
  closeLater(dialler);
  onAccepted((accepted) => {
    const stream = guarded((probe: Buffer) => {
      if (!probe.equals(PROBE)) throw new Error('bytes read through the lent buffer differ');
      for (let sent = 0; sent < STREAM_BYTES; sent += PATTERN.length)
        connection.write(PATTERN, 0, PATTERN.length);
      if (connection.queuedBytes === 0) throw new Error('a full kernel buffer was not noticed');
      dialler.resume();
    });
    const connection = Connection.accept(accepted, transport, sinkThat(PROBE.length, stream));
    closeLater(connection);
  });
  let received = 0;
  dialler.on('error', fail);
  dialler.on('data', (chunk: Buffer) => {
    for (let index = 0; index < chunk.length; index += SAMPLE_STEP) {
      if (chunk[index] === PATTERN[(received + index) % PATTERN.length]) continue;
      return fail(new Error('bytes arrived changed'));
    }
    received += chunk.length;
    if (received === STREAM_BYTES) pass();
  });
  dialler.pause();
  dialler.connect(port, '127.0.0.1', () => dialler.write(PROBE));
}

/** Dials, is answered, and both sides end one after the other. */
function proveEnding({ transport, port, onAccepted, closeLater, guarded, pass, fail }: Stage): void {
  let closed = 0;
  const onClose = (_side: unknown, error: Error | null) => {
    if (error !== null) return fail(error);
    if (++closed === 2) pass();
  };
  onAccepted((accepted) => {
    const answer = guarded((probe: Buffer) => {
      connection.write(probe, 0, probe.length);
      connection.end();
    });
    const connection = Connection.accept(accepted, transport, { ...sinkThat(PROBE.length, answer), onClose });
    closeLater(connection);
  });
  let answer: Buffer = EMPTY;
  const keep = (bytes: Buffer) => {
    answer = bytes;
  };
  const onEnd = guarded(() => {
    if (!answer.equals(PROBE)) throw new Error('an answer came changed, or not before its end');
    connection.end();
  });
  const sink = { ...sinkThat(PROBE.length, keep), onEnd, onClose };
  const connection = Connection.dial({ host: '127.0.0.1', port }, transport, sink, () => {
    connection.write(PROBE, 0, PROBE.length);
  });
  closeLater(connection);
}

function sinkThat(length: number, then: (bytes: Buffer) => void): ConnectionSink {
  let gathered: Buffer = EMPTY;
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

const EMPTY = Buffer.alloc(0);
const PROBE = Buffer.from('fairlead');
/** A prime length, so that a chunk that is lost or repeated shifts the pattern. */
const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
/** More than Linux lets a loopback socket hold. */
const STREAM_BYTES = PATTERN.length * 256;
const DEADLINE_MS = 5000;
/** Not every byte is looked at: a prime step meets any shift soon enough. */
const SAMPLE_STEP = 4099;
