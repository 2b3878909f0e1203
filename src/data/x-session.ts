/**
 * The life of one session of X Protocol.
 *
 *   placing → login → opaque → closed
 *
 * The client may speak before there is a server: what it says is kept, up to a limit, and given to the server it is placed
 * on. The login is read along to know when it is over. After that, in TLS or not, everything is relayed and nothing is
 * known of boundaries (protocol/x/connection-phase.ts says why), as in any opaque session.
 */
import { ProtocolError } from '../../protocol/errors.ts';
import { XConnectionPhase } from '../../protocol/x/connection-phase.ts';
import { encodeXError } from '../../protocol/x/messages.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { add, type EndReason, THREAD } from '../shared/counters.ts';
import type { SessionFacts } from '../shared/messages.ts';
import type { BoundaryKnowledge } from './boundary-wait.ts';
import { type Accepted, Connection, type ConnectionSink, type Side } from './connection.ts';
import { Placement, type PlacementFailure } from './placement.ts';
import { type Refusal, refusalFor } from './refusal.ts';
import { SessionAccount } from './session-account.ts';
import { type EndingSession, type Parting, SessionEnd } from './session-end.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';

type Phase = 'placing' | 'login' | 'opaque' | 'closed';

export class XSession implements ConnectionSink, EndingSession {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #account: SessionAccount;
  readonly #client: Connection;
  readonly #end: SessionEnd;
  readonly #login: XConnectionPhase;
  #phase: Phase = 'placing';
  #placement: Placement | null = null;
  #member: Member | null = null;
  #server: Connection | null = null;
  /** What the client has said and no server has been told: while there is none, or until one has agreed to TLS. */
  #fromClient: Buffer = EMPTY;
  /** Of those, from the beginning, how many a server may be told as soon as there is one. */
  #readyBytes = 0;
  /** Of the client's login. */
  #deadline: NodeJS.Timeout | null = null;

  constructor(context: ThreadContext, route: RouteState, id: number, accepted: Accepted | Connection) {
    this.#context = context;
    this.#route = route;
    this.#login = new XConnectionPhase(context.config().limits.maxHandshakeBytes);
    this.#client = Connection.accept(accepted, context.transport, this);
    this.#account = new SessionAccount(context, route, id, this.#client);
    this.#end = new SessionEnd(context, route, this.#account, this.#client, this);
    context.sessions.add(this);
    const refusal = this.#account.enter();
    if (refusal === null) this.#place();
    else this.#refuse(refusal);
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    switch (this.#phase) {
      case 'placing':
      case 'login':
        return this.#readLogin(side, buffer.subarray(0, length));
      case 'opaque':
        return side === 'client' ? this.#toServer(buffer, length) : this.#toClient(buffer, length);
      case 'closed':
        return;
      default:
        this.#phase satisfies never;
    }
  }

  /** A half-close is passed on: what the other side still has to say comes through. */
  onEnd(side: Side): void {
    if (this.#phase !== 'opaque')
      return side === 'client' ? this.#end.clientGone('client_closed') : this.#serverClosed();
    if (this.#end.sideEnded(side)) return;
    if (side === 'client') this.#server?.end();
    else this.#client.end();
  }

  onDrain(side: Side): void {
    if (side === 'client') this.#server?.resume();
    else if (this.#phase === 'opaque' || this.#phase === 'login') this.#client.resume();
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    if (side === 'client') return this.#end.clientGone(error === null ? 'client_closed' : 'client_error');
    if (this.#phase === 'closed') return;
    // That a server closes in order is the usual answer to a client's goodbye, and cannot be told from anything else.
    if (error !== null && this.#member !== null) this.#context.signal('server-closed', this.#member);
    if (this.#phase !== 'opaque') return this.#serverClosed();
    if (this.#end.sideEnded('server')) return;
    this.#end.serverGone(error);
  }

  onTopology(topology: Topology): void {
    if (this.#member === null) this.#placement?.onTopology();
    else this.#end.onTopology(topology, this.#member);
  }

  endAtBoundary(reason: EndReason, patienceMs: number): void {
    this.#end.atBoundary(reason, patienceMs);
  }

  /** Ends the session at once. What was sent to the client before still reaches it. */
  cut(reason: EndReason): void {
    if (this.#phase === 'placing') this.#refuse({ reason: 'draining', detail: '' });
    else this.#end.cut(reason);
  }

  sweep(idleTimeoutMs: number): void {
    this.#end.sweep(idleTimeoutMs);
  }

  get isWatchable(): boolean {
    return this.#end.isServerFirstToEnd || this.queuedBytes > 0;
  }

  get queuedBytes(): number {
    return this.#client.queuedBytes + this.queuedToServer;
  }

  get queuedToServer(): number {
    return this.#server?.queuedBytes ?? 0;
  }

  get hasBoundaries(): boolean {
    return false;
  }

  get isUnanswered(): boolean {
    return false;
  }

  get isIdle(): boolean {
    return this.#phase === 'opaque';
  }

  get isEndless(): boolean {
    return false;
  }

  isUnused(): boolean {
    return false;
  }

  boundary(): BoundaryKnowledge {
    // A client that takes nothing for now makes a session quiet that is in the middle of a result.
    const hasAll = this.#phase === 'opaque' && this.#client.queuedBytes === 0;
    return hasAll && this.#account.lastSide === 'server' ? 'unknown' : 'busy';
  }

  release(parting: Parting): void {
    const server = this.#server;
    this.#phase = 'closed';
    this.#placement?.abandon();
    this.#clearDeadline();
    this.#placement = null;
    this.#server = null;
    this.#fromClient = EMPTY;
    if (server === null) return;
    // A goodbye of X Protocol cannot be put into a stream whose frames are not known.
    if (parting === 'leave') this.#context.farewells.leave(server);
    else server.destroy();
  }

  facts(): SessionFacts {
    return this.#account.facts(this.#state(), false);
  }

  #state(): string {
    switch (this.#phase) {
      case 'placing':
        return this.#placement?.isHeld ? 'held' : 'dialling';
      case 'login':
        return 'connection';
      case 'opaque':
      case 'closed':
        return this.#phase;
      default:
        return this.#phase satisfies never;
    }
  }

  #place(): void {
    this.#placement = new Placement(this.#context, this.#route, this.#client, {
      onPlaced: (member, connection, firstBytes) => this.#placed(member, connection, firstBytes),
      onUnplaced: (failure) => this.#unplaced(failure),
    });
    this.#placement.start();
  }

  #placed(member: Member, server: Connection, firstBytes: Buffer): void {
    this.#member = member;
    this.#server = server;
    this.#account.placedOn(member);
    server.attach(this);
    this.#phase = 'login';
    const { clientHandshakeTimeoutMs } = this.#context.config().limits;
    const late: Refusal = { reason: 'handshake_timeout', detail: 'no complete authentication in time' };
    this.#deadline = setTimeout(() => this.#refuse(late), clientHandshakeTimeoutMs);
    if (firstBytes.length > 0) this.#readLogin('server', firstBytes);
    this.#tellServer();
  }

  #unplaced(failure: PlacementFailure): void {
    this.#placement = null;
    if (failure.kind === 'refusal') return this.#refuse(failure.refusal);
    this.#client.write(failure.packet, 0, failure.packet.length);
    this.#end.now('server_refused');
  }

  #readLogin(side: Side, chunk: Buffer): void {
    try {
      if (side === 'server') this.#fromServer(chunk);
      else this.#takeFromClient(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) return this.#end.defect(error);
      this.#refuse(refusalFor(error));
    }
  }

  #fromServer(chunk: Buffer): void {
    const before = this.#login.state;
    this.#login.feedServer(chunk);
    this.#toClient(chunk, chunk.length);
    if (this.#login.state === 'authenticated') this.#account.authenticated();
    if (this.#login.state === before) return;
    const held = this.#fromClient;
    this.#fromClient = EMPTY;
    this.#client.resume();
    if (this.#login.state === 'open') return this.#takeFromClient(held);
    this.#loginOver();
    this.#toServer(held, held.length);
  }

  /** Bytes of the client: those that may go on wait for a server, the rest for the server's word. */
  #takeFromClient(chunk: Buffer): void {
    const readBytes = this.#login.feedClient(chunk);
    if (this.#phase === 'login') {
      this.#toServer(chunk, readBytes);
      if (this.#login.state === 'not-understood') return this.#loginOver();
      if (readBytes === chunk.length) return;
      this.#fromClient = Buffer.concat([this.#fromClient, chunk.subarray(readBytes)]);
      return this.#client.pause();
    }
    // Before there is a server, what may go on and what may not lie in one buffer: see #tellServer.
    this.#fromClient = Buffer.concat([this.#fromClient, chunk]);
    this.#readyBytes += readBytes;
    const { maxHandshakeBytes } = this.#context.config().limits;
    if (this.#fromClient.length >= maxHandshakeBytes || readBytes < chunk.length) this.#client.pause();
  }

  /** A server is there: it hears what the client has said so far. */
  #tellServer(): void {
    if (this.#phase !== 'login') return;
    const said = this.#fromClient;
    this.#fromClient = Buffer.from(said.subarray(this.#readyBytes));
    this.#toServer(said, this.#readyBytes);
    if (this.#fromClient.length === 0) this.#client.resume();
  }

  #loginOver(): void {
    this.#clearDeadline();
    this.#placement?.loginOver();
    this.#placement = null;
    this.#phase = 'opaque';
    this.#account.becameOpaque(this.#login.state === 'tls' ? 'tls' : 'X Protocol');
  }

  #toServer(buffer: Buffer, length: number): void {
    if (length === 0) return;
    this.#account.toServer(length);
    if (this.#server?.write(buffer, 0, length)) this.#stall(this.#client);
  }

  #toClient(buffer: Buffer, length: number): void {
    this.#account.toClient(length);
    if (this.#client.write(buffer, 0, length)) this.#stall(this.#server);
  }

  #stall(source: Connection | null): void {
    add(this.#context.cells, THREAD.backpressurePauses, 1);
    this.#context.watched.add(this);
    source?.pause();
  }

  /** The server has closed before the login was over; whether it said why is in the client's hands. */
  #serverClosed(): void {
    if (this.#phase === 'closed') return;
    if (this.#login.hasServerRefused) return this.#end.now('server_refused');
    this.#refuse({ reason: 'server_lost', detail: 'the server closed during authentication' });
  }

  /** Where nothing can be put between two frames, the client only sees its connection end. */
  #refuse(refusal: Refusal): void {
    this.#end.refuse(refusal, (err) => (this.#login.isServerBetweenFrames ? encodeXError(err) : null));
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }
}

const EMPTY = Buffer.alloc(0);
