/**
 * Feeds changed logins to the login whose TLS ends at the router, with TLS on either side, both or none: it must throw nothing
 * but ProtocolErrors, send each side whole packets and nothing behind the end, and end once. Logins that nobody has changed
 * never show a server without TLS a password that came through TLS.
 *
 *     node test/fuzz/terminated-login-fuzz.ts --seconds 60 [--seed 1]
 *
 * Sequence ids are put right most of the time: an SSLRequest counts, and recordings know nothing of those the router adds.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { createErrPacket } from '../../protocol/err-packet.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { PACKET_HEADER_BYTES, readPayloadBytes } from '../../protocol/packet-header.ts';
import { Connection } from '../../src/data/connection.ts';
import { OwnGreeting } from '../../src/data/guidelines/own-greeting.ts';
import type { RouteTls } from '../../src/data/tls/route-tls.ts';
import { TerminatedLogin } from '../../src/data/tls/terminated-login.ts';
import { stackOf } from '../../src/shared/message-of.ts';
import type { Step } from '../protocol/conversation.ts';
import { SSL_REQUEST } from '../support/raw-client.ts';
import { type LoginFuzzResult, mutateLogin, readLogins } from './connection-phase-fuzz.ts';
import { Random } from './random.ts';
import { SCRIPTED_LOGINS } from './scripted-logins.ts';

/** Runs the corpus in every mode, then changed logins until the time is up or one fails. */
export function fuzzTerminatedLogin(seconds: number, seed: number): LoginFuzzResult {
  const deadline = performance.now() + seconds * 1000;
  const random = new Random(seed);
  const pool = [...SCRIPTED_LOGINS, ...readLogins()];
  const ends = new Set<string>();
  let logins = 0;
  const tryLogin = (steps: readonly Step[], mode: Mode, isChanged: boolean): string | undefined => {
    logins += 1;
    const lab = new LoginLab(random, mode);
    try {
      lab.play(steps, isChanged);
      const failure = lab.fault(isChanged);
      if (failure !== undefined) return `${JSON.stringify(mode)}: ${failure}: ${hexOf(steps)}`;
    } catch (error) {
      return `${JSON.stringify(mode)}: it throws ${stackOf(error)}: ${hexOf(steps)}`;
    }
    ends.add(`${lab.ends.join(' ')} ${lab.packetsSeen}`);
    return undefined;
  };
  for (const steps of pool) {
    for (const mode of MODES) {
      const failure = tryLogin(mode.client ? withSslRequest(steps) : steps, mode, false);
      if (failure !== undefined) return { logins, ends: ends.size, failure };
    }
  }
  while (performance.now() < deadline) {
    const mode = MODES[random.below(MODES.length)] ?? MODES[0];
    const [one, other] = [pool[random.below(pool.length)], pool[random.below(pool.length)]];
    if (one === undefined || other === undefined) throw new RangeError('there is no login to change');
    const begun = mode.client && random.chance(0.9) ? withSslRequest(one) : one;
    const failure = tryLogin(mutateLogin(random, begun, other), mode, true);
    if (failure !== undefined) return { logins, ends: ends.size, failure };
  }
  return { logins, ends: ends.size, failure: undefined };
}

/** Which sides have TLS. */
type Mode = { readonly client: boolean; readonly server: boolean };
const MODES = [
  { client: true, server: true },
  { client: true, server: false },
  { client: false, server: true },
  { client: false, server: false },
] as const satisfies readonly Mode[];

class LoginLab {
  readonly ends: string[] = [];
  packetsSeen = 0;
  readonly #random: Random;
  readonly #mode: Mode;
  readonly #client = new RecordingSocket();
  readonly #server = new RecordingSocket();
  readonly #login: TerminatedLogin;
  /** Told once TLS stands; there while it is being made. */
  #handshakes: (() => void)[] = [];

  constructor(random: Random, mode: Mode) {
    this.#random = random;
    this.#mode = mode;
    const sink = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };
    const connection = (socket: Socket) => Connection.accept(socket, { kind: 'portable' }, sink);
    const end = (how: string) => () => void this.ends.push(how);
    this.#login = new TerminatedLogin(
      {
        client: connection(this.#client),
        server: connection(this.#server),
        memberHost: 'db',
        tls: this.#tls(),
        maxHandshakeResponseBytes: 16_384,
        masked: 0,
        addsIdentity: random.chance(0.5),
        introduced: null,
        ownGreeting: new OwnGreeting(),
      },
      {
        onHandshakeResponse: () => undefined,
        onAuthenticated: end('in'),
        onTls: end('passed through'),
        onRefused: end('refused by the server'),
        onRefusal: ({ reason }) => void this.ends.push(reason),
      },
    );
  }

  play(steps: readonly Step[], isChanged: boolean): void {
    const waiting: Buffer[] = [];
    for (const [side, bytes] of steps) {
      if (side === 'client') waiting.push(bytes);
      else this.#feed('server', bytes, isChanged);
      this.#secureAll();
      while (waiting.length > 0 && !this.#client.isHeld) {
        this.#feed('client', waiting.shift() ?? EMPTY, isChanged);
        this.#secureAll();
      }
      if (this.ends.length > 0) return;
    }
  }

  /** What is wrong with what both sides were sent. */
  fault(isChanged: boolean): string | undefined {
    if (this.ends.length > 1) return `it ends ${this.ends.length} times: ${this.ends.join(', ')}`;
    for (const [name, { sent }] of [
      ['client', this.#client],
      ['server', this.#server],
    ] as const) {
      const bytes = Buffer.concat(sent);
      for (let at = 0; at < bytes.length; ) {
        if (bytes.length - at < PACKET_HEADER_BYTES) return `half a header is sent to the ${name}`;
        at += PACKET_HEADER_BYTES + readPayloadBytes(bytes, at);
        if (at > bytes.length) return `half a packet is sent to the ${name}`;
      }
    }
    if (isChanged || !this.#mode.client || this.#mode.server) return undefined;
    return Buffer.concat(this.#server.sent).includes('secret\0') ? 'the password leaves TLS' : undefined;
  }

  #feed(side: 'client' | 'server', bytes: Buffer, isChanged: boolean): void {
    if (this.ends.length > 0) return;
    this.packetsSeen += 1;
    // It is wiped where it may be a password, and it is fed again in the next mode.
    const chunk = Buffer.from(bytes);
    const peer = side === 'client' ? this.#client : this.#server;
    if (chunk.length > 3 && (!isChanged || this.#random.chance(0.9))) numberFrom(chunk, peer.lastSequenceId);
    try {
      if (side === 'client') this.#login.fromClient(chunk, chunk.length);
      else this.#login.fromServer(chunk, chunk.length);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.ends.push(`${error.code} ${error.side}`);
      const err = this.#login.encodeErr(createErrPacket('ER_HANDSHAKE_ERROR'));
      if (err.length > 0) this.#client.write(err);
    }
  }

  #secureAll(): void {
    for (const secured of this.#handshakes.splice(0)) if (this.ends.length === 0) secured();
  }

  /** Whose TLS always comes about, at once; what is inside it is what the steps have. */
  #tls(): RouteTls {
    const secured = (recorder: RecordingSocket, event: string) => {
      const socket = Object.assign(recorder.again(), {
        getProtocol: () => 'TLSv1.3',
        getCipher: () => ({ name: 'none' }),
      });
      this.#handshakes.push(() => void socket.emit(event));
      return socket;
    };
    const tls = {
      clientMode: this.#mode.client ? 'preferred' : 'disabled',
      serverMode: this.#mode.server ? 'required' : 'disabled',
      authKey: AUTH_KEY,
      needsClientCertificate: false,
      accept: () => secured(this.#client, 'secure'),
      connect: () => secured(this.#server, 'secureConnect'),
      objection: () => null,
      forget: () => undefined,
    };
    // As far as a login uses it; a real one would encrypt.
    return tls as unknown as RouteTls;
  }
}

/** Keeps what is written to it. */
export class RecordingSocket extends Socket {
  sent: Buffer[] = [];
  isHeld = false;

  /** The same peer, on the other side of TLS. */
  again(): RecordingSocket {
    const socket = new RecordingSocket();
    socket.sent = this.sent;
    socket.pause = () => this.pause() && socket;
    socket.resume = () => this.resume() && socket;
    return socket;
  }

  get lastSequenceId(): number {
    return this.sent.at(-1)?.[3] ?? -1;
  }

  override write(bytes: string | Uint8Array, ...rest: unknown[]): boolean {
    // A secret is wiped once it was sent.
    this.sent.push(Buffer.from(bytes));
    for (const told of rest) if (typeof told === 'function') told();
    return true;
  }

  override pause(): this {
    this.isHeld = true;
    return this;
  }

  override resume(): this {
    this.isHeld = false;
    return this;
  }
}

/** The packets of a chunk as they would follow the one before. */
function numberFrom(chunk: Buffer, lastSequenceId: number): void {
  let next = lastSequenceId + 1;
  for (let at = 0; at + PACKET_HEADER_BYTES <= chunk.length; next += 1) {
    chunk[at + 3] = next;
    at += PACKET_HEADER_BYTES + readPayloadBytes(chunk, at);
  }
}

function withSslRequest(steps: readonly Step[]): readonly Step[] {
  const at = steps.findIndex(([side]) => side === 'client');
  const first = steps[at]?.[1];
  // Some of them have it.
  if (first === undefined || first.length === SSL_REQUEST.length) return steps;
  return steps.toSpliced(at, 0, ['client', SSL_REQUEST]);
}

function hexOf(steps: readonly Step[]): string {
  return steps.map(([side, bytes]) => `${side} ${bytes.toString('hex')}`).join('; ');
}

const EMPTY = Buffer.alloc(0);
const PRIVATE_KEY = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey;
const AUTH_KEY = {
  privateKey: createPrivateKey(PRIVATE_KEY),
  publicPem: createPublicKey(PRIVATE_KEY).export({ format: 'pem', type: 'spki' }).toString(),
};

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(1 + (Date.now() % 0x7fff_fffe)) },
    },
  });
  const result = fuzzTerminatedLogin(Number(values.seconds), Number(values.seed));
  console.log(`seed ${values.seed}: ${result.logins} logins, ${result.ends} ways to end`);
  if (result.failure !== undefined) {
    console.error(result.failure);
    process.exitCode = 1;
  }
}
