/**
 * One attempt to reach one member: connect, then wait for its first word, where it has one.
 */
import type { Member } from '../../routing/topology.ts';
import { isLate } from '../shared/lateness.ts';
import { isGivenOut, isSameEnd, SELF_CONNECT_CODE } from '../shared/self-connect.ts';
import { Connection, type ConnectionSink, type Side, type Transport } from './connection.ts';
import type { Farewells } from './farewell.ts';
import type { FirstWord } from './first-word.ts';

export type DialOutcome =
  /** The server sent its initial handshake; where servers do not speak first it stands, and has sent nothing. */
  | { readonly kind: 'greeted'; readonly connection: Connection; readonly firstBytes: Buffer }
  /** The server sent an ERR in its place, and closes. */
  | { readonly kind: 'error-packet'; readonly errorNumber: number; readonly packet: Buffer }
  | { readonly kind: 'refused' | 'unreachable'; readonly code: string }
  /** The router itself could not open a connection: no descriptors, no local ports. Says nothing about the member. */
  | { readonly kind: 'out-of-resources'; readonly code: string }
  | { readonly kind: 'connect-timeout' }
  | { readonly kind: 'no-handshake'; readonly why: 'timeout' | 'closed' | 'malformed' };

export type DialDeadlines = { readonly connectTimeoutMs: number; readonly handshakeTimeoutMs: number };

export class Dial implements ConnectionSink {
  readonly member: Member;
  readonly startedAtMs = performance.now();
  readonly #connection: Connection;
  readonly #firstWord: FirstWord;
  readonly #settle: (dial: Dial, outcome: DialOutcome) => void;
  #timer: NodeJS.Timeout;
  readonly #deadlines: DialDeadlines;
  #connectedAtMs: number | null = null;
  #wasLate = false;
  #isSettled = false;
  /** What the server has sent so far; empty until its first bytes. */
  #received: Buffer = EMPTY;

  /** `settle` is called once, never before the constructor has returned; not at all after `abandon`. `prologue` is said first. */
  constructor(
    member: Member,
    address: { readonly host: string; readonly port: number },
    transport: Transport,
    firstWord: FirstWord,
    deadlines: DialDeadlines,
    settle: (dial: Dial, outcome: DialOutcome) => void,
    prologue: Buffer | null = null,
  ) {
    this.member = member;
    this.#firstWord = firstWord;
    this.#settle = settle;
    this.#deadlines = deadlines;
    const { connectTimeoutMs, handshakeTimeoutMs } = deadlines;
    this.#timer = setTimeout(() => this.#late(), Math.min(connectTimeoutMs, handshakeTimeoutMs));
    this.#connection = Connection.dial(address, transport, this, () => {
      if (isGivenOut(address.port) && this.#leadsToItself(address)) return this.#refuseItself();
      this.#connectedAtMs = performance.now();
      if (prologue !== null) this.#connection.write(prologue, 0, prologue.length);
      if (!firstWord.isAwaited(member)) this.#greeted();
    });
  }

  #leadsToItself(dialled: { readonly host: string; readonly port: number }): boolean {
    const { localPort: port, localAddress: host } = this.#connection;
    return isSameEnd({ host, port }, dialled);
  }

  /** With RST, which leaves the port free for whoever is to listen on it. */
  #refuseItself(): void {
    this.#connection.reset();
    this.#finish({ kind: 'refused', code: SELF_CONNECT_CODE });
  }

  /** Nobody wants the answer any more. The server may have accepted already, and is not broken off. */
  abandon(farewells: Farewells): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    const { handshakeTimeoutMs } = this.#deadlines;
    this.#firstWord.abandonDial(this.#connection, this.#received, handshakeTimeoutMs, farewells);
  }

  onBytes(_side: Side, buffer: Buffer, length: number): void {
    if (this.#isSettled) return;
    this.#received = Buffer.concat([this.#received, buffer.subarray(0, length)]);
    const opening = this.#firstWord.judge(this.#received);
    switch (opening.kind) {
      case 'incomplete':
        return;
      case 'greeting':
        return this.#greeted();
      case 'error':
        return this.#finish({
          kind: 'error-packet',
          errorNumber: opening.errorNumber,
          packet: this.#received,
        });
      case 'malformed':
        return this.#finish({ kind: 'no-handshake', why: 'malformed' });
      default:
        opening satisfies never;
    }
  }

  #greeted(): void {
    this.#finish({ kind: 'greeted', connection: this.#connection, firstBytes: this.#received });
  }

  onEnd(): void {
    this.#finish({ kind: 'no-handshake', why: 'closed' });
  }

  onDrain(): void {
    // Nothing is written before the server has greeted.
  }

  onClose(_side: Side, error: NodeJS.ErrnoException | null): void {
    if (this.#connectedAtMs !== null) return this.#finish({ kind: 'no-handshake', why: 'closed' });
    const code = error?.code ?? 'closed';
    if (OUT_OF_RESOURCES.has(code)) return this.#finish({ kind: 'out-of-resources', code });
    this.#finish({ kind: code === 'ECONNREFUSED' ? 'refused' : 'unreachable', code });
  }

  /** One timer serves both deadlines: it is rarely needed at all, and set again where there is time left. */
  #late(): void {
    const { connectTimeoutMs, handshakeTimeoutMs } = this.#deadlines;
    const isConnected = this.#connectedAtMs !== null;
    const sinceMs = performance.now() - (this.#connectedAtMs ?? this.startedAtMs);
    const deadlineMs = isConnected ? handshakeTimeoutMs : connectTimeoutMs;
    const leftMs = deadlineMs - sinceMs;
    if (!this.#wasLate && isLate(performance.now() + leftMs)) {
      this.#wasLate = true;
      this.#timer = setTimeout(() => this.#late(), deadlineMs);
    } else if (leftMs <= 0)
      return this.#finish(
        isConnected ? { kind: 'no-handshake', why: 'timeout' } : { kind: 'connect-timeout' },
      );
    else this.#timer = setTimeout(() => this.#late(), leftMs);
  }

  #finish(outcome: DialOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    if (outcome.kind !== 'greeted') this.#connection.destroy();
    this.#settle(this, outcome);
  }
}

const EMPTY = Buffer.alloc(0);
const OUT_OF_RESOURCES: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
]);
