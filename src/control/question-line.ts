/**
 * Questions to a server, in SQL's text protocol, on a connection that somebody else has logged in. One is under way at a
 * time, the others wait their turn.
 *
 * A member is asked the same several times a second, and mostly answers the same: an answer of the same bytes is not read
 * again, and is the very same object, so that whoever compares has little to do.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { COM_QUERY } from '../../protocol/commands.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { type TextResponse, TextResponseReader, type TextTable } from '../../protocol/text-response.ts';

/** What each statement of a text was answered. */
export type Tables = readonly TextTable[];

export class QuestionLine {
  readonly #stream: Socket;
  readonly #onEnd: (error: unknown) => void;
  readonly #known = new Map<string, Known>();
  readonly #waiting: Asked[] = [];
  #current: Asked | null = null;
  /** Bytes of the answer that came so far and are those of the answer before; all of them while there is no reader. */
  #repeated = 0;
  #received: Buffer[] = [];
  #reader: TextResponseReader | null = null;
  #ended: { readonly error: unknown } | null = null;

  /**
   * @param stream of a session without CLIENT_QUERY_ATTRIBUTES, CLIENT_DEPRECATE_EOF and compression; nobody else listens to
   *   what comes on it
   * @param onEnd called with what makes the connection useless, unless the stream itself tells it
   */
  constructor(stream: Socket, onEnd: (error: unknown) => void) {
    this.#stream = stream;
    this.#onEnd = onEnd;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** @throws Error with the server's `errno`, or whatever ended the connection */
  ask(text: string): Promise<Tables> {
    return new Promise((resolve, reject) => {
      const asked: Asked = { text, resolve, reject };
      if (this.#ended !== null) reject(this.#ended.error);
      else if (this.#current === null) this.#send(asked);
      else this.#waiting.push(asked);
    });
  }

  /** The connection is of no more use: what is asked is not going to be answered. */
  end(error: unknown): void {
    this.#ended ??= { error };
    const unanswered = this.#current === null ? [] : [this.#current, ...this.#waiting];
    this.#current = null;
    this.#waiting.length = 0;
    for (const { reject } of unanswered) reject(error);
  }

  #send(asked: Asked): void {
    this.#current = asked;
    this.#stream.write(this.#known.get(asked.text)?.packet ?? encodeQuery(asked.text));
  }

  #receive(chunk: Buffer): void {
    if (this.#ended !== null) return;
    const asked = this.#current;
    const known = asked === null ? undefined : this.#known.get(asked.text);
    if (asked !== null && known !== undefined && this.#repeats(chunk, known.bytes)) {
      // An answer has no end but its own: what is as long and the same is over.
      if (this.#repeated < known.bytes.length) return;
      this.#advance();
      asked.resolve(known.tables);
      return;
    }
    try {
      const response = this.#read(chunk, known);
      if (response === null) return;
      if (response.kind === 'error') {
        const { message, errorCode } = response.err;
        this.#refuse(asked, Object.assign(new Error(message), { errno: errorCode }));
      } else if (asked === null) throw new Error('the server answers what it was not asked');
      else {
        this.#remember(asked.text, response.tables);
        this.#advance();
        asked.resolve(response.tables);
      }
    } catch (error) {
      this.#onEnd(error);
    }
  }

  /** Whether the answer goes on like the one before. */
  #repeats(chunk: Buffer, before: Buffer): boolean {
    const from = this.#repeated;
    const to = from + chunk.length;
    if (this.#reader !== null || to > before.length) return false;
    if (before.compare(chunk, 0, chunk.length, from, to) !== 0) return false;
    this.#repeated = to;
    return true;
  }

  #read(chunk: Buffer, known: Known | undefined): TextResponse | null {
    if (this.#reader === null) {
      this.#reader = new TextResponseReader(MAX_RESPONSE_BYTES);
      if (known !== undefined && this.#repeated > 0) {
        const repeated = known.bytes.subarray(0, this.#repeated);
        this.#received.push(repeated);
        this.#reader.push(repeated);
      }
    }
    this.#received.push(chunk);
    return this.#reader.push(chunk);
  }

  /** To nobody's question it is why the server is about to close. */
  #refuse(asked: Asked | null, error: Error): void {
    if (asked === null) throw Object.assign(error, { fatal: true });
    this.#advance();
    asked.reject(error);
  }

  #remember(text: string, tables: Tables): void {
    const known = this.#known.get(text);
    const [oldest] = this.#known.keys();
    if (known === undefined && this.#known.size === MAX_KNOWN && oldest !== undefined)
      this.#known.delete(oldest);
    const bytes = Buffer.concat(this.#received);
    if (bytes.length <= MAX_KNOWN_BYTES)
      this.#known.set(text, { packet: known?.packet ?? encodeQuery(text), bytes, tables });
    else this.#known.delete(text);
  }

  #advance(): void {
    this.#repeated = 0;
    if (this.#reader !== null) {
      this.#received = [];
      this.#reader = null;
    }
    this.#current = null;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
  }
}

type Asked = {
  readonly text: string;
  resolve(tables: Tables): void;
  reject(error: unknown): void;
};

/** A text that was asked before, and what was answered last. */
type Known = { readonly packet: Buffer; readonly bytes: Buffer; readonly tables: Tables };

function encodeQuery(text: string): Buffer {
  return encodePacket(Buffer.concat([Buffer.from([COM_QUERY]), Buffer.from(text, 'utf8')]), 0);
}

/** Far above what any member has to say, routing guidelines and GTIDs included. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** Texts of one session: its probe, its metadata, its replication. */
const MAX_KNOWN = 16;
const MAX_KNOWN_BYTES = 256 * 1024;
