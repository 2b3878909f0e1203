/** Plays a dialogue against a port, and keeps every byte that was answered. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CLIENT_SSL } from '../../../protocol/capability-flags.ts';
import { encodeHandshakeResponse41 } from '../../../protocol/handshake-response41.ts';
import { decodeInitialHandshake } from '../../../protocol/initial-handshake.ts';
import { encodePacket, PACKET_HEADER_BYTES, readPayloadBytes } from '../../../protocol/packet-header.ts';
import { pause } from '../../support/until.ts';
import { type Dialogue, OWN } from './dialogue.ts';

/** Of one packet received. */
type Head = { readonly sequenceId: number; readonly length: number; readonly head: Buffer };

/** Told of everything said and heard; null where nobody wants to know. */
export type Tell = ((line: string) => void) | null;

export class Player {
  /** What is read and written: the TCP socket, or the TLS around it. */
  #socket: Socket;
  readonly #raw: Socket;
  readonly #dialogue: Dialogue;
  readonly #own: string;
  readonly #tell: Tell;
  /** Everything since the initial handshake. */
  readonly #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #end: 'fin' | 'reset' | 'closed' | null = null;
  /** What has come of the packet that is being received. */
  #partial: Buffer = Buffer.alloc(0);
  #skip = 0;
  #authRounds = 0;
  #isAuthenticating = true;
  readonly #errors: number[] = [];
  #errorsBefore = 0;
  /** Of the packets of the login. */
  #loginBytes = 0;
  #lastOkStatus: number | null = null;
  /** Of every packet received since the login. */
  readonly sequenceIds: number[] = [];
  connectionId = 0;
  isIn = false;

  private constructor(socket: Socket, dialogue: Dialogue, own: string, tell: Tell) {
    this.#socket = socket;
    this.#raw = socket;
    this.#dialogue = dialogue;
    this.#own = own;
    this.#tell = tell;
    this.#watch(socket);
  }

  #watch(socket: Socket): void {
    socket.on('end', () => {
      this.#end ??= 'fin';
    });
    socket.on('error', () => {
      this.#end ??= 'reset';
    });
    socket.on('close', () => {
      this.#end ??= 'closed';
    });
  }

  /** Connects and logs in; whether that succeeds, `isIn` says. `own` is as long as OWN. */
  static async logIn(
    port: number,
    dialogue: Dialogue,
    own: string,
    tell: Tell,
    hasTls = false,
  ): Promise<Player> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    const player = new Player(socket, dialogue, own, tell);
    let greeting = Buffer.alloc(0);
    while (greeting.length < 4 || greeting.length < 4 + readPayloadBytes(greeting, 0)) {
      const [chunk]: Buffer[] = await once(socket, 'data');
      greeting = Buffer.concat([greeting, chunk ?? Buffer.alloc(0)]);
    }
    player.connectionId = decodeInitialHandshake(greeting.subarray(PACKET_HEADER_BYTES)).connectionId;
    if (hasTls) await player.#secure();
    player.#socket.on('data', (chunk) => player.#take(chunk));
    player.#send(
      encodePacket(
        encodeHandshakeResponse41({
          capabilityFlags: (hasTls ? dialogue.capabilities | CLIENT_SSL : dialogue.capabilities) >>> 0,
          mariadbCapabilityFlags: dialogue.mariadbCapabilities,
          maxPacketBytes: 0x4000_0000,
          characterSet: 45,
          textEncoding: 'utf8',
          username: own,
          authResponse: Buffer.alloc(0),
          database: own,
          authPluginName: dialogue.plugin,
          attributes: Buffer.from('\x07program\x02fz'),
          zstdLevel: undefined,
        }),
        hasTls ? 2 : 1,
      ),
    );
    while (player.#isAuthenticating && player.#end === null) await pause(1);
    return player;
  }

  async #secure(): Promise<void> {
    const request = Buffer.alloc(32);
    request.writeUInt32LE((this.#dialogue.capabilities | CLIENT_SSL) >>> 0, 0);
    request.writeUInt32LE(0x4000_0000, 4);
    request.writeUInt8(45, 8);
    request.writeUInt32LE(this.#dialogue.mariadbCapabilities, 28);
    this.#send(encodePacket(request, 1));
    this.#raw.removeAllListeners('data');
    this.#socket = connectTls({ socket: this.#raw, rejectUnauthorized: false });
    this.#watch(this.#socket);
    await Promise.race([once(this.#socket, 'secureConnect'), once(this.#raw, 'close')]);
  }

  get clientPort(): number {
    return this.#raw.localPort ?? 0;
  }
  get receivedBytes(): number {
    return this.#receivedBytes;
  }
  get end(): 'fin' | 'reset' | 'closed' | null {
    return this.#end;
  }
  /** Numbers of the ERR packets received since the login. */
  get errors(): readonly number[] {
    return this.#errors;
  }
  /** Something of the last turn has failed. */
  get hasErred(): boolean {
    return this.#errors.length > this.#errorsBefore;
  }
  /** Bytes that are written and not with the kernel. */
  get unsent(): number {
    return this.#socket.writableLength;
  }
  /** A packet has begun and not ended. */
  get isWithinPacket(): boolean {
    return this.#partial.length > 0 || this.#skip > 0;
  }

  async say(index: number): Promise<void> {
    const turn = this.#dialogue.turns[index];
    if (turn === undefined) return;
    this.#authRounds = 0;
    this.#errorsBefore = this.#errors.length;
    const bytes = this.#mine(turn.bytes);
    this.#tell?.(`${this.#own} says ${turn.says.join(' | ')}`);
    let from = 0;
    for (const cut of [...turn.cuts, bytes.length]) {
      if (this.#end !== null) return;
      if (cut > from) this.#send(bytes.subarray(from, cut));
      from = Math.max(from, cut);
      if (cut < bytes.length) await pause(turn.pauseMs);
    }
  }

  /** What the server's own answer to COM_PING says of the session: its status flags; null when it has ended. */
  async ask(): Promise<number | null> {
    this.#lastOkStatus = null;
    this.#send(Buffer.of(1, 0, 0, 0, 0x0e));
    for (let waited = 0; this.#lastOkStatus === null && this.#end === null && waited < 3000; waited++)
      await pause(1);
    return this.#lastOkStatus;
  }

  /** Says goodbye as the dialogue has it. */
  leave(): void {
    switch (this.#dialogue.end) {
      case 'quit':
        this.#send(Buffer.of(1, 0, 0, 0, 1));
        return;
      case 'fin':
        this.#socket.end();
        return;
      case 'reset':
        this.#raw.resetAndDestroy();
        return;
      default:
        this.#dialogue.end satisfies never;
    }
  }

  async closed(): Promise<void> {
    for (let waited = 0; this.#end === null && waited < 5000; waited++) await pause(1);
    this.#socket.destroy();
    this.#raw.destroy();
  }

  /**
   * What was received since the login, without what differs from one time to the next.
   *
   * @param hidesWarnings how many are counted as well: a statement of the router's own may leave some
   */
  transcript(hidesWarnings: boolean): Buffer {
    const all = Buffer.concat(this.#chunks).subarray(this.#loginBytes);
    const parts: Buffer[] = [];
    for (let at = 0; at < all.length; ) {
      const whole =
        at + PACKET_HEADER_BYTES <= all.length ? at + PACKET_HEADER_BYTES + readPayloadBytes(all, at) : at;
      const end = whole > at ? Math.min(whole, all.length) : all.length;
      const packet = neutral(all.subarray(at, end));
      const isOk = hidesWarnings && packet.length === 11 && packet[4] === 0;
      parts.push(isOk ? packet.subarray(0, 9) : packet);
      at = end;
    }
    const text = Buffer.concat(parts).toString('latin1').replaceAll(this.#own, OWN);
    return Buffer.from(text, 'latin1');
  }

  #mine(bytes: Buffer): Buffer {
    if (!bytes.includes(OWN)) return bytes;
    return Buffer.from(bytes.toString('latin1').replaceAll(OWN, this.#own), 'latin1');
  }

  #send(bytes: Buffer): void {
    if (this.#end === null && this.#socket.writable) this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#receivedBytes += chunk.length;
    let at = Math.min(this.#skip, chunk.length);
    this.#skip -= at;
    let rest =
      this.#partial.length === 0 ? chunk.subarray(at) : Buffer.concat([this.#partial, chunk.subarray(at)]);
    this.#partial = Buffer.alloc(0);
    at = 0;
    while (rest.length - at >= PACKET_HEADER_BYTES) {
      const length = readPayloadBytes(rest, at);
      const begins = at + PACKET_HEADER_BYTES;
      const wanted = Math.min(length, HEAD_BYTES);
      if (rest.length - begins < wanted) break;
      const isWhole = rest.length - begins >= length;
      if (!isWhole && length <= HEAD_BYTES) break;
      this.#packet({ sequenceId: rest[at + 3] ?? 0, length, head: rest.subarray(begins, begins + wanted) });
      at = begins + Math.min(length, rest.length - begins);
      if (!isWhole) this.#skip = begins + length - rest.length;
    }
    rest = rest.subarray(at);
    if (rest.length > 0 && this.#skip === 0) this.#partial = Buffer.from(rest);
  }

  #packet({ sequenceId, length, head }: Head): void {
    const first = head[0] ?? -1;
    this.#tell?.(`${this.#own} hears ${sequenceId}, ${length} bytes: ${readable(head)}`);
    if (first === 0 && length >= 7 && head[1] === 0 && head[2] === 0)
      this.#lastOkStatus = head.readUInt16LE(3);
    if (first === 0xff && length > 2 && !this.#isAuthenticating) this.#errors.push(head.readUInt16LE(1));
    if (this.#isAuthenticating) this.#loginBytes += PACKET_HEADER_BYTES + length;
    if (this.#isAuthenticating && (first === 0 || first === 0xff)) {
      this.#isAuthenticating = false;
      this.isIn = first === 0;
      return;
    }
    this.sequenceIds.push(sequenceId);
    if (head.equals(FILE_REQUEST)) return this.#upload(sequenceId);
    // A plugin's name, or a word of caching_sha2_password's that asks for an answer.
    const isSwitch = first === 0xfe && length > 9 && /^[a-z0-9_]+\0/.test(head.toString('latin1', 1));
    const isMore = first === 0x01 && length === 2 && head[1] === 4;
    if (!isSwitch && !isMore) return;
    const answer = this.#dialogue.authAnswers[this.#authRounds++];
    if (answer !== undefined) this.#send(encodePacket(answer, (sequenceId + 1) & 0xff));
  }

  #upload(sequenceId: number): void {
    let next = sequenceId;
    for (const part of [...this.#dialogue.file, Buffer.alloc(0)]) {
      next = (next + 1) & 0xff;
      this.#send(encodePacket(part, next));
    }
  }
}

/** Bytes for people. */
export function readable(bytes: Buffer): string {
  const written = (byte: string) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return bytes.toString('latin1').replaceAll(/[^ -~]/g, written);
}

/** A packet without what is random in it. */
function neutral(packet: Buffer): Buffer {
  const payload = packet.subarray(PACKET_HEADER_BYTES);
  const text = payload.toString('latin1', 0, 64);
  if (text.startsWith('Uptime: ')) return Buffer.concat([packet.subarray(3, 4), Buffer.from('Uptime')]);
  // MariaDB's numbers of statements, in the answer to COM_STMT_PREPARE.
  if (payload[0] === 0 && (payload.length === 12 || payload.length === 13))
    return Buffer.concat([packet.subarray(0, 5), packet.subarray(9)]);
  const name = /^\xfe([a-z0-9_]+)\0/.exec(text)?.[1];
  if (name === undefined || payload.length > 64) return packet;
  return Buffer.concat([packet.subarray(0, 4), Buffer.from(name)]);
}

const HEAD_BYTES = 64;
const FILE_REQUEST = Buffer.from('\xfbfz.csv', 'latin1');
