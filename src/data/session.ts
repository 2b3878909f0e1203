/**
 * The life of one session: accepted, placed on a member, authenticated end to end, relayed, ended with one reason.
 *
 *   placing → connection → command | opaque → closed
 *
 * In `opaque` (TLS passed through, compression, or bytes the tracker does not understand) everything is relayed, but
 * command boundaries are unknown.
 */
import type { AuthBridge } from '../../protocol/auth-bridge.ts';
import { CLIENT_CONNECT_ATTRS, hasCapability } from '../../protocol/capability-flags.ts';
import type { Compression, ConnectionFacts } from '../../protocol/connection-events.ts';
import { type ErrPacket, encodeErr } from '../../protocol/err-packet.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { add, type EndReason, THREAD } from '../shared/counters.ts';
import type { SessionFacts } from '../shared/messages.ts';
import type { BoundaryKnowledge } from './boundary-wait.ts';
import { CommandWatch } from './command-watch.ts';
import { type Accepted, Connection, type ConnectionSink, type Side } from './connection.ts';
import { ConsistencySetting } from './consistency.ts';
import type { Guidance } from './guidelines/guidance.ts';
import { clientIdentity } from './handshake-changes.ts';
import { encodeErrDuring, Login } from './login.ts';
import { endReasonFor, type Refusal } from './refusal.ts';
import { SessionAccount } from './session-account.ts';
import { type EndingSession, type Parting, SessionEnd } from './session-end.ts';
import { type FoundServer, SessionStart } from './session-start.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';
import { ChangeUserRelay, type ChangingSession } from './tls/change-user-relay.ts';
import { CompressedChangeUserGuard } from './tls/compressed-change-user.ts';
import { tlsFactsOf } from './tls/handshake.ts';

type Phase = 'placing' | 'connection' | 'command' | 'opaque' | 'closed';

export class Session implements ConnectionSink, EndingSession {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #account: SessionAccount;
  readonly #client: Connection;
  readonly #end: SessionEnd;
  #phase: Phase = 'placing';
  /** There until a server has greeted. */
  #start: SessionStart | null = null;
  /** There under a routing guideline, once a server has greeted. */
  #guidance: Guidance | null = null;
  #member: Member | null = null;
  #server: Connection | null = null;
  /** There in the connection phase. */
  #login: Login | null = null;
  /** There while command boundaries are known, or COM_CHANGE_USER is to be stopped at. */
  #commands: CommandWatch | null = null;
  /** Agreed at the login, for COM_CHANGE_USER. */
  #capabilities = 0;
  /** There from the first COM_CHANGE_USER on, or what might have become one. */
  #changing: ChangeUserRelay | null = null;
  /** There after the login where only one side has TLS. */
  #bridge: AuthBridge | null = null;

  constructor(context: ThreadContext, route: RouteState, id: number, accepted: Accepted | Connection) {
    this.#context = context;
    this.#route = route;
    this.#client = Connection.accept(accepted, context.transport, this);
    this.#account = new SessionAccount(context, route, id, this.#client);
    this.#end = new SessionEnd(context, route, this.#account, this.#client, this);
    context.sessions.add(this);
    const refusal = this.#account.enter();
    if (refusal === null) this.#begin();
    else this.#refuse(refusal);
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    try {
      this.#take(side, buffer, length);
    } catch (error) {
      // The other sessions of the thread have no part in it.
      this.#end.defect(error);
    }
  }

  #take(side: Side, buffer: Buffer, length: number): void {
    switch (this.#phase) {
      case 'command':
      case 'opaque':
        if (side === 'client') this.#relayToServer(buffer, 0, length);
        else this.#relayToClient(buffer, 0, length);
        return;
      case 'connection':
        return this.#login?.onBytes(side, buffer, length);
      case 'placing':
        return this.#start?.onBytes(buffer, length);
      case 'closed':
        return;
      default:
        this.#phase satisfies never;
    }
  }

  /** A half-close is passed on: what the other side still has to say comes through. */
  onEnd(side: Side): void {
    if (!this.#isRelaying)
      return side === 'client' ? this.#end.clientGone('client_closed') : this.#serverClosed(null);
    // After COM_QUIT nobody has anything to say: there is no need to wait for the other side's FIN.
    const isOver = side === 'client' ? this.#commands?.hasQuitAnswered : this.#commands?.hasQuit;
    if (isOver) return this.#end.bothDone('client_quit');
    if (this.#end.sideEnded(side)) return;
    if (side === 'client') return this.#server?.end();
    this.#signalServerClosed();
    this.#client.end();
  }

  onDrain(side: Side): void {
    if (!this.#isRelaying) return this.#login?.onDrain(side);
    if (side === 'client') this.#server?.resume();
    else this.#client.resume();
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    if (side === 'server') return this.#serverClosed(error);
    const refusal = this.#login?.refusalAtClose(side, error) ?? this.#start?.refusalAtClose(error) ?? null;
    if (refusal !== null) {
      this.#account.refused(refusal, 0);
      return this.#end.clientGone(endReasonFor(refusal.reason));
    }
    if (this.#commands?.hasQuit) this.#end.clientGone('client_quit');
    else this.#end.clientGone(error === null ? 'client_closed' : 'client_error');
  }

  onTopology(topology: Topology): void {
    if (this.#member === null) return this.#start?.onTopology();
    const guided = this.#guidance?.fate(topology, this.#member);
    if (guided === undefined) this.#end.onTopology(topology, this.#member);
    else this.#end.meetFate(guided.fate, guided.reason);
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
    return this.#phase === 'command';
  }

  get isUnanswered(): boolean {
    return this.hasBoundaries && (this.#commands?.isUnanswered ?? false);
  }

  get isIdle(): boolean {
    return this.#phase === 'opaque' || (this.#phase === 'command' && (this.#commands?.isIdle ?? true));
  }

  get isEndless(): boolean {
    return this.#commands?.isDumping ?? false;
  }

  isUnused(forMs: number): boolean {
    return this.boundary() !== 'busy' && this.hasBoundaries && (this.#commands?.isUnused(forMs) ?? false);
  }

  boundary(): BoundaryKnowledge {
    if (this.#phase === 'opaque') {
      // A client that takes nothing for now makes a session quiet that is in the middle of a result.
      const hasAll = this.#client.queuedBytes === 0;
      return hasAll && this.#account.lastSide === 'server' ? 'unknown' : 'busy';
    }
    if (this.#phase !== 'command' || this.#commands === null) return 'busy';
    if (!this.#commands.isIdle || this.#commands.isInTransaction) return 'busy';
    return this.#commands.isToBeAwaited ? 'unknown' : 'boundary';
  }

  release(parting: Parting): void {
    const [server, login, phase] = [this.#server, this.#login, this.#phase];
    this.#phase = 'closed';
    this.#start?.abandon();
    this.#commands?.close();
    this.#start = null;
    this.#server = null;
    this.#login = null;
    this.#bridge?.end();
    if (login !== null) return login.abandon();
    if (server === null) return;
    if (this.#commands?.hasQuit && server.queuedBytes === 0) this.#context.farewells.awaitClose(server);
    else if (parting === 'leave') this.#context.farewells.leave(server);
    else if (parting === 'quit' && phase === 'command') this.#context.farewells.quit(server);
    else server.destroy();
  }

  facts(): SessionFacts {
    const isInTransaction = this.hasBoundaries && (this.#commands?.isInTransaction ?? false);
    return this.#account.facts(this.#state(), isInTransaction);
  }

  #state(): string {
    if (this.#phase === 'placing') return this.#start?.state ?? 'dialling';
    if (this.#phase !== 'command') return this.#phase;
    return this.#commands?.isIdle ? 'idle' : 'busy';
  }

  get #isRelaying(): boolean {
    return this.#phase === 'command' || this.#phase === 'opaque';
  }

  #begin(): void {
    this.#start = new SessionStart(this.#context, this.#route, this.#client, {
      onIntroduced: (response) => this.#account.introduced(response),
      onFound: (found) => this.#placed(found),
      onServerError: (packet) => {
        this.#client.write(packet, 0, packet.length);
        this.#end.now('server_refused');
      },
      onRefusal: (refusal) => this.#refuse(refusal),
    });
    this.#start.begin();
  }

  #placed({ member, connection, greeting, introduced, guidance, placement }: FoundServer): void {
    this.#member = member;
    this.#server = connection;
    this.#guidance = guidance;
    this.#account.placedOn(member, guidance);
    guidance?.placed();
    connection.attach(this);
    this.#phase = 'connection';
    this.#start = null;
    const parties = { client: this.#client, server: connection, member, introduced };
    this.#login = new Login(this.#context, this.#route, parties, placement, {
      onIntroduced: (response) => {
        this.#account.introduced(response);
        guidance?.learn(response);
      },
      onAuthenticated: (facts, fromServer, fromClient, bridge) => {
        this.#bridge = bridge ?? null;
        this.#authenticated(member, facts, fromServer, fromClient);
      },
      onTls: (fromClient) => this.#tlsBegins(fromClient),
      onRefusedByServer: () => this.#end.now('server_refused'),
      onRefusal: (refusal) => this.#refuse(refusal),
    });
    this.onBytes('server', greeting, greeting.length);
  }

  #authenticated(member: Member, facts: ConnectionFacts, fromServer: Buffer, fromClient: Buffer): void {
    this.#login = null;
    this.#phase = 'command';
    this.#account.authenticated();
    this.#capabilities = facts.sharedCapabilities;
    const isWatched = this.#context.config().relay.tracking || this.#bridge !== null;
    if (isWatched) this.#watch(member, facts);
    else this.#becomeOpaque('tracking switched off');
    const guard = this.#bridge === null ? null : this.#guardCompressed(facts.compression);
    if (fromServer.length > 0) this.#relayToClient(fromServer, 0, fromServer.length);
    const setting = this.#setConsistency();
    if (setting !== null) return setting.onBytes('client', fromClient, fromClient.length);
    if (fromClient.length > 0) (guard ?? this).onBytes('client', fromClient, fromClient.length);
  }

  #watch(member: Member, facts: ConnectionFacts): void {
    const addsIdentity =
      this.#route.bound.clientAttributes && hasCapability(facts.clientCapabilities, CLIENT_CONNECT_ATTRS);
    const onOpaque = (reason: string): void => {
      if (reason !== 'compression') add(this.#context.cells, THREAD.trackerGaveUp, 1);
      this.#becomeOpaque(reason);
    };
    const stopsAtChangeUser = addsIdentity || this.#bridge !== null;
    const onReset = this.#route.bound.consistency === null ? null : () => this.#resetConsistency();
    const [context, route] = [this.#context, this.#route];
    const watch = new CommandWatch(context, route, member, facts, onOpaque, stopsAtChangeUser, onReset);
    if (this.#phase === 'command') this.#commands = watch;
  }

  /** @returns whether this was the time for it: what the client has already sent of its next command goes first */
  #resetConsistency(): boolean {
    if (this.#changing?.isOver === false) return false;
    this.#setConsistency();
    return true;
  }

  /** Null where the route leaves it to servers and clients. */
  #setConsistency(): ConsistencySetting | null {
    const { name, consistency } = this.#route.bound;
    const [client, server, member] = [this.#client, this.#server, this.#member];
    if (consistency === null || server === null || member === null || this.#phase !== 'command') return null;
    const session = {
      ...{ client, server, capabilities: this.#capabilities, sink: this },
      onRefused: ({ errorCode, message }: ErrPacket) => {
        const text = `Route ${name} is to have consistency ${consistency}, which ${member.address} refuses: ${message}`;
        const fields = { route: name, member: member.address, error: errorCode };
        this.#context.event('warn', 'consistency_refused', text, fields);
      },
      end: (reason: EndReason) => this.#end.now(reason),
    };
    return new ConsistencySetting(session, consistency);
  }

  /** Nobody could translate a password that is sent inside compressed packets. */
  #guardCompressed(compression: Compression): ConnectionSink | null {
    if (compression.kind === 'none') return null;
    return new CompressedChangeUserGuard(this.#client, compression.kind, this, (refusal, encode) =>
      this.#end.refuse(refusal, encode),
    );
  }

  /** What the walk over the client's bytes has stopped at. */
  #changeUser(chunk: Buffer): void {
    const [client, server, commands] = [this.#client, this.#server, this.#commands];
    if (server === null || commands === null) return;
    const changing: ChangingSession = {
      ...{ client, server, capabilities: this.#capabilities, bridge: this.#bridge, sink: this },
      identity: this.#route.bound.clientAttributes ? clientIdentity(client, tlsFactsOf(client)) : null,
      underWay: () => {
        if (this.#phase !== 'command') return this.#phase === 'opaque' ? 'unknown' : 'over';
        return commands.isIdle ? 'nothing' : 'something';
      },
      toServer: (seen, isCommand) => {
        this.#account.toServer(seen.length);
        if (isCommand) commands.letChangeUserPass();
        commands.onClientBytes(seen, 0, seen.length);
      },
      toClient: (packet) => this.#relayToClient(packet, 0, packet.length),
      refuseCommand: (refusal, sequenceId) => this.#end.refuse(refusal, (err) => encodeErr(err, sequenceId)),
    };
    this.#changing = new ChangeUserRelay(changing, chunk);
  }

  #tlsBegins(fromClient: Buffer): void {
    this.#login = null;
    this.#becomeOpaque('tls');
    if (fromClient.length > 0) this.#relayToServer(fromClient, 0, fromClient.length);
  }

  /** From here on everything is relayed and nothing is known of boundaries. */
  #becomeOpaque(reason: string): void {
    this.#phase = 'opaque';
    if (!this.#commands?.isGuarding) this.#commands = null;
    this.#account.becameOpaque(reason);
  }

  #relayToServer(buffer: Buffer, start: number, end: number): void {
    const walked = this.#commands?.onClientBytes(buffer, start, end) ?? end;
    this.#account.toServer(walked - start);
    if (this.#server?.write(buffer, start, walked)) this.#stall(this.#client);
    if (walked < end) this.#changeUser(buffer.subarray(walked, end));
  }

  #relayToClient(buffer: Buffer, start: number, end: number): void {
    this.#account.toClient(end - start);
    this.#commands?.onServerBytes(buffer, start, end);
    if (this.#client.write(buffer, start, end)) this.#stall(this.#server);
    this.#end.serverSpoke();
  }

  /** The other side does not take more for now: whoever sends has to wait, until `onDrain`. */
  #stall(source: Connection | null): void {
    add(this.#context.cells, THREAD.backpressurePauses, 1);
    this.#context.watched.add(this);
    source?.pause();
  }

  #serverClosed(error: NodeJS.ErrnoException | null): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'connection') {
      const lost: Refusal = { reason: 'server_lost', detail: 'the server closed during authentication' };
      return this.#refuse(this.#login?.refusalAtClose('server', error) ?? lost);
    }
    if (this.#commands?.hasQuit) return this.#end.bothDone('client_quit');
    if (this.#end.sideEnded('server')) return;
    this.#signalServerClosed();
    this.#end.serverGone(error);
  }

  #signalServerClosed(): void {
    if (this.#member !== null) this.#context.signal('server-closed', this.#member);
  }

  #refuse(refusal: Refusal): void {
    this.#end.refuse(refusal, (err) => this.#start?.encodeErr(err) ?? encodeErrDuring(this.#login, err));
  }
}
