/**
 * A relay of the simplest kind between real clients and a real server, with a tracker fed in between: what the
 * tracker says can be compared with what the client saw.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { ConnectionFacts } from '../../../protocol/connection-events.ts';
import { ConnectionPhase } from '../../../protocol/connection-phase.ts';
import type { FeedResult } from '../../../protocol/connection-phase-feed.ts';
import { waitFor } from '../../../src/sandbox/index.ts';
import { Recorder, type Segment, type Side } from './conversation.ts';

export class TrackedRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions: TrackedSession[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port and connects every client to `port` on loopback. */
  static async start(port: number): Promise<TrackedRelay> {
    const server = createServer({ noDelay: true });
    const relay = new TrackedRelay(server);
    server.on('connection', (client) => relay.#accept(client, port));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    // A TCP listener's address is always of this type; Node's declaration also covers pipes.
    return (this.#server.address() as AddressInfo).port;
  }

  /** The session opened last, once its connection phase is over. */
  async latestSession(): Promise<TrackedSession> {
    return waitFor({ what: 'a session in the command phase', timeoutMs: 20_000 }, async () => {
      const session = this.#sessions.at(-1);
      return session?.isEstablished === true ? session : undefined;
    });
  }

  get sessions(): readonly TrackedSession[] {
    return this.#sessions;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket, port: number): void {
    const server = connect({ host: '127.0.0.1', port, noDelay: true });
    const session = new TrackedSession();
    this.#sessions.push(session);
    this.#join(client, server, 'client', session);
    this.#join(server, client, 'server', session);
  }

  #join(from: Socket, to: Socket, side: Side, session: TrackedSession): void {
    this.#sockets.add(from);
    from.on('data', (chunk) => {
      session.pass(side, chunk);
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => to.end());
    // A reset by either end ends both; tests see it at their own end of the connection.
    from.on('error', () => to.destroy());
    from.on('close', () => this.#sockets.delete(from));
  }
}

/** The bytes of one session, and the tracker that saw them. */
export class TrackedSession {
  readonly segments: Segment[] = [];
  readonly #phase = new ConnectionPhase();
  #facts: ConnectionFacts | undefined;
  #recorder: Recorder | undefined;
  #heldClientBytes: Buffer = Buffer.alloc(0);

  get isEstablished(): boolean {
    return this.#recorder !== undefined;
  }

  get recorder(): Recorder {
    if (this.#recorder === undefined) throw new Error('the connection phase is not over');
    return this.#recorder;
  }

  get facts(): ConnectionFacts {
    if (this.#facts === undefined) throw new Error('the connection phase is not over');
    return this.#facts;
  }

  /** Bytes of the server since the connection phase. */
  get serverBytes(): number {
    return this.segments.reduce((sum, { side, bytes }) => sum + (side === 'server' ? bytes.length : 0), 0);
  }

  pass(side: Side, chunk: Buffer): void {
    if (this.#recorder !== undefined) this.#track(side, chunk);
    else if (side === 'server') this.#authenticate(chunk);
    else this.#heldClientBytes = this.#feedClient(Buffer.concat([this.#heldClientBytes, chunk]));
  }

  #authenticate(chunk: Buffer): void {
    const result = this.#phase.feedServer(chunk);
    this.#noteFacts(result);
    if (this.#facts !== undefined) {
      this.#recorder = new Recorder(this.#facts);
      this.#track('server', chunk.subarray(result.consumedBytes));
      this.#track('client', this.#heldClientBytes);
    } else if (result.consumedBytes < chunk.length)
      throw new Error('a header of the connection phase was cut');
    else this.#heldClientBytes = this.#feedClient(this.#heldClientBytes);
  }

  #feedClient(bytes: Buffer): Buffer {
    return bytes.subarray(this.#phase.feedClient(bytes).consumedBytes);
  }

  #noteFacts({ events }: FeedResult): void {
    for (const event of events) if (event.kind === 'ok') this.#facts = event.facts;
  }

  #track(side: Side, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.segments.push({ side, bytes: Buffer.from(bytes) });
    this.recorder.feed(side, bytes);
  }
}
