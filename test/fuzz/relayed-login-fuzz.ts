/**
 * Feeds logins, changed or not and cut anywhere, to the relay of a login whose TLS is passed through, whose client leaves at any
 * moment: it must throw nothing but ProtocolErrors; the server must have got whole packets only, and both sides what the other
 * said, unchanged and in order; and a farewell must have the number that the server waits for.
 */
import { ProtocolError } from '../../protocol/errors.ts';
import { PACKET_HEADER_BYTES, readPayloadBytes } from '../../protocol/packet-header.ts';
import { Connection } from '../../src/data/connection.ts';
import { ConnectionPhaseRelay } from '../../src/data/connection-phase-relay.ts';
import type { Farewells } from '../../src/data/farewell.ts';
import type { Step } from '../protocol/conversation.ts';
import { type LoginFuzzResult, mutateLogin, readLogins } from './connection-phase-fuzz.ts';
import { Random } from './random.ts';
import { SCRIPTED_LOGINS } from './scripted-logins.ts';
import { RecordingSocket } from './terminated-login-fuzz.ts';

/** Runs the corpus, then changed logins, until the time is up or one fails. */
export function fuzzRelayedLogin(seconds: number, seed: number): LoginFuzzResult {
  const deadline = performance.now() + seconds * 1000;
  const random = new Random(seed);
  const pool = [...SCRIPTED_LOGINS, ...readLogins()];
  const ends = new Set<string>();
  let logins = 0;
  while (performance.now() < deadline) {
    const [one, other] = [pool[random.below(pool.length)], pool[random.below(pool.length)]];
    if (one === undefined || other === undefined) throw new RangeError('there is no login to change');
    const isChanged = random.chance(0.7);
    const steps = isChanged ? mutateLogin(random, one, other) : one;
    const { end, failure } = relay(random, steps, isChanged);
    logins += 1;
    ends.add(end);
    if (failure === undefined) continue;
    const hex = steps.map(([side, bytes]) => `${side} ${bytes.toString('hex')}`).join('; ');
    return { logins, ends: ends.size, failure: `${failure}: ${hex}` };
  }
  return { logins, ends: ends.size, failure: undefined };
}

function relay(
  random: Random,
  steps: readonly Step[],
  isChanged: boolean,
): { readonly end: string; readonly failure: string | undefined } {
  const sockets = { client: new RecordingSocket(), server: new RecordingSocket() };
  const said: Record<Step[0], Buffer[]> = { client: [], server: [] };
  let end = '';
  const ended = (how: string) => () => {
    end = how;
  };
  const sink = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };
  const connection = (socket: RecordingSocket) => Connection.accept(socket, { kind: 'portable' }, sink);
  const login = new ConnectionPhaseRelay(
    connection(sockets.client),
    connection(sockets.server),
    { maxHandshakeResponseBytes: 16_384, masked: 0, addsIdentity: false },
    {
      onHandshakeResponse: () => undefined,
      onAuthenticated: ended('in'),
      onTls: ended('tls'),
      onRefused: ended('refused'),
    },
  );
  const feed = (side: Step[0], bytes: Buffer): void => {
    said[side].push(bytes);
    if (side === 'client') login.fromClient(bytes, bytes.length);
    else login.fromServer(bytes, bytes.length);
  };
  const leavesAt = random.chance(0.5) ? random.below(steps.length * 3) : Number.POSITIVE_INFINITY;
  const waiting: Buffer[] = [];
  let fed = 0;
  try {
    for (const [side, piece] of cutAnywhere(random, steps)) {
      if (fed++ >= leavesAt) break;
      if (side === 'server') feed(side, piece);
      else waiting.push(piece);
      while (end === '' && waiting.length > 0 && !sockets.client.isHeld)
        feed('client', waiting.shift() ?? EMPTY);
      if (end !== '') break;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) return { end, failure: `it throws ${error}` };
    end = `${error.code} ${error.side}`;
  }
  const got = { client: Buffer.concat(sockets.client.sent), server: Buffer.concat(sockets.server.sent) };
  for (const [side, from] of [
    ['client', 'server'],
    ['server', 'client'],
  ] as const) {
    const all = Buffer.concat(said[from]);
    if (!all.subarray(0, got[side].length).equals(got[side]))
      return { end, failure: `the ${side} gets what nobody said` };
  }
  if (!isWhole(got.server)) return { end, failure: 'half a packet is sent to the server' };
  const left = end === '' ? leave(login) : null;
  const isWrong = left !== null && !isChanged && left !== (lastSequenceId(got.client) + 1) % 256;
  return { end, failure: isWrong ? `the farewell is number ${left}` : undefined };
}

/** @returns the number of the packet that the server is told to be waiting for; null where it is told of none */
function leave(login: ConnectionPhaseRelay): number | null {
  let told: number | null = null;
  const farewells = {
    abandonHandshake: () => undefined,
    abandonAuthentication: (_server: Connection, sequenceId: number | null) => {
      told = sequenceId;
    },
  };
  // As far as a login uses it.
  login.leaveServer(farewells as unknown as Farewells);
  return told;
}

function* cutAnywhere(random: Random, steps: readonly Step[]): Generator<Step> {
  for (const [side, bytes] of steps) {
    let from = 0;
    while (random.chance(0.6) && bytes.length - from > 1) {
      const to = from + 1 + random.below(bytes.length - from - 1);
      yield [side, Buffer.from(bytes.subarray(from, to))];
      from = to;
    }
    yield [side, Buffer.from(bytes.subarray(from))];
  }
}

function isWhole(bytes: Buffer): boolean {
  let at = 0;
  while (bytes.length - at >= PACKET_HEADER_BYTES) at += PACKET_HEADER_BYTES + readPayloadBytes(bytes, at);
  return at === bytes.length;
}

/** Of the last whole packet. */
function lastSequenceId(bytes: Buffer): number {
  let last = -1;
  for (let at = 0; bytes.length - at >= PACKET_HEADER_BYTES; ) {
    const end = at + PACKET_HEADER_BYTES + readPayloadBytes(bytes, at);
    if (end <= bytes.length) last = bytes[at + 3] ?? -1;
    at = end;
  }
  return last;
}

const EMPTY = Buffer.alloc(0);
