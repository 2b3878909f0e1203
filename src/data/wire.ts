/** A connection's bytes and their ends: what every way of carrying them offers, and what it tells. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { BareTcp } from './bare-wire.ts';

/** Told by a wire. Bytes are lent: they are the owner's only until the call returns. */
export type WireOwner = {
  wireRead(buffer: Buffer, length: number): void;
  /** The peer sends no more; what it sent before has been delivered. */
  wireEnded(): void;
  /** Everything queued has been taken by the kernel. */
  wireDrained(): void;
  /** It is over. `error` is null when it ended in order. */
  wireClosed(error: NodeJS.ErrnoException | null): void;
};

export type Wire = {
  /**
   * Sends `buffer[start, end)`. All of it is sent or queued, in order. A buffer lent by a wire may be reused at once, any other is
   * the wire's until it is sent.
   *
   * @returns bytes now waiting
   */
  write(buffer: Buffer, start: number, end: number): number;
  /** Sends bytes that nobody is to find in memory afterwards, `bytes` included. */
  writeSecret(bytes: Buffer): void;
  /** Bytes accepted by `write` and not yet taken by the kernel. */
  readonly queuedBytes: number;
  /** The peer has sent FIN, and everything it sent before has been read. */
  readonly hasPeerEnded: boolean;
  readonly isOpen: boolean;
  /** What a fast wire shares with the others of its thread; null where each chunk that is read has a buffer of its own. */
  readonly tcp: BareTcp | null;
  /** Null while it is plain TCP. */
  readonly tls: TLSSocket | null;
  /** Of the other end, and of ours; null once that is not known any more. */
  readonly remote: Endpoint | null;
  readonly local: Endpoint | null;
  pause(): void;
  resume(): void;
  /** Sends FIN after what is queued. Once both sides have, the wire closes. */
  end(): void;
  /** Ends at once with RST, or inside TLS without its goodbye: the peer is not to take it for an end in order. */
  reset(): void;
  /** Ends at once; what is queued is lost. */
  destroy(): void;
  /** Gives the connection up to a socket, which does not read yet; the wire is not to be used any more. */
  toSocket(): Socket;
};

export type Endpoint = { readonly address: string; readonly port: number };

/** A server that vanished without a word is noticed by the kernel's probes (after 10 s), not only by the next write. */
export const SERVER_KEEP_ALIVE_SECONDS = 10;
