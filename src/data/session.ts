/**
 * The life of one session: accepted, placed on a member, authenticated end to end, relayed, ended with one reason.
 *
 *   placing → connection → command | opaque → closed
 *
 * In `opaque` (TLS passed through, compression, or bytes the tracker does not understand) everything is relayed, but
 * command boundaries are unknown.
 */
import type { AuthBridge } from '../../protocol/auth-bridge.ts';
import type { ConnectionFacts } from '../../protocol/connection-events.ts';
import { encodeErr } from '../../protocol/err-packet.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { add, type EndReason, THREAD } from '../shared/counters.ts';
import type { SessionFacts } from '../shared/messages.ts';
import type { BoundaryKnowledge } from './boundary-wait.ts';
import { CommandWatch } from './command-watch.ts';
import { type Accepted, Connection, type ConnectionSink, type Side } from './connection.ts';
import { encodeErrDuring, Login } from './login.ts';
import { Placement, type PlacementFailure } from './placement.ts';
import { endReasonFor, type Refusal } from './refusal.ts';
import { SessionAccount } from './session-account.ts';
import { type EndingSession, type Parting, SessionEnd } from './session-end.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';
import { ChangeUserRelay } from './tls/change-user-relay.ts';

type Phase = 'placing' | 'connection' | 'command' | 'opaque' | 'closed';

export class Session implements ConnectionSink, EndingSession {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #account: SessionAccount;
  readonly #client: Connection;
  readonly #end: SessionEnd;
  #phase: Phase = 'placing';
  #placement: Placement | null = null;
  #member: Member | null = null;
  #server: Connection | null = null;
  /** There in the connection phase. */
  #login: Login | null = null;
  /** There while command boundaries are known. */
  #commands: CommandWatch | null = null;

  constructor(context: ThreadContext, route: RouteState, id: number, accepted: Accepted | Connection) {
    this.#context = context;
    this.#route = route;
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
      case 'command':
      case 'opaque':
        if (side === 'client') this.#relayToServer(buffer, 0, length);
        else this.#relayToClient(buffer, 0, length);
        return;
      case 'connection':
        return this.#login?.onBytes(side, buffer, length);
      case 'placing':
        // A MySQL client waits for the server's first word. Whoever does not is none.
        return this.#refuse({ reason: 'bad_handshake', detail: 'the client spoke before the server' });
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
    if (this.#commands?.hasQuit) return this.#end.bothDone('client_quit');
    if (this.#end.sideEnded(side)) return;
    if (side === 'client') return this.#server?.end();
    this.#signalServerClosed();
    this.#client.end();
  }

  onDrain(side: Side): void {
    if (!this.#isRelaying) return;
    if (side === 'client') this.#server?.resume();
    else this.#client.resume();
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    if (side === 'server') return this.#serverClosed(error);
    const refusal = this.#login?.refusalAtClose(side, error) ?? null;
    if (refusal !== null) {
      this.#account.refused(refusal, 0);
      return this.#end.clientGone(endReasonFor(refusal.reason));
    }
    if (this.#commands?.hasQuit) this.#end.clientGone('client_quit');
    else this.#end.clientGone(error === null ? 'client_closed' : 'client_error');
  }

  onTopology(topology: Topology): void {
    if (this.#member === null) this.#placement?.onTopology();
    else this.#end.onTopology(topology, this.#member);
  }

  endAtBoundary(reason: EndReason): void {
    this.#end.atBoundary(reason);
  }

  /** Ends the session at once. What was sent to the client before still reaches it. */
  cut(reason: EndReason): void {
    if (this.#phase === 'placing') this.#refuse({ reason: 'draining', detail: '' });
    else this.#end.now(reason);
  }

  sweep(nowMs: number, idleTimeoutMs: number): void {
    this.#end.sweep(nowMs, idleTimeoutMs);
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

  get isIdle(): boolean {
    return this.#isRelaying && (this.#commands === null || this.#commands.isIdle);
  }

  get isUnused(): boolean {
    return this.boundary() !== 'busy' && (this.#commands?.isUnused ?? false);
  }

  boundary(): BoundaryKnowledge {
    if (this.#phase === 'opaque') {
      // A client that takes nothing for now makes a session quiet that is in the middle of a result.
      const hasAll = this.#client.queuedBytes === 0;
      return hasAll && this.#account.lastSide === 'server' ? 'unknown' : 'busy';
    }
    if (this.#phase !== 'command' || this.#commands === null) return 'busy';
    if (!this.#commands.isIdle || this.#commands.isInTransaction) return 'busy';
    return this.#commands.isSettingUp ? 'unknown' : 'boundary';
  }

  release(parting: Parting): void {
    const [server, login, phase] = [this.#server, this.#login, this.#phase];
    this.#phase = 'closed';
    this.#placement?.abandon();
    this.#placement?.loginOver();
    this.#commands?.close();
    this.#placement = null;
    this.#server = null;
    this.#login = null;
    if (login !== null) return login.abandon();
    if (server === null) return;
    if (parting === 'leave') this.#context.farewells.leave(server);
    else if (parting === 'quit' && phase === 'command') this.#context.farewells.quit(server);
    else server.destroy();
  }

  facts(): SessionFacts {
    return this.#account.facts(this.#state(), this.#commands?.isInTransaction ?? false);
  }

  #state(): string {
    if (this.#phase === 'placing') return this.#placement?.isHeld ? 'held' : 'dialling';
    if (this.#phase !== 'command') return this.#phase;
    return this.#commands?.isIdle ? 'idle' : 'busy';
  }

  get #isRelaying(): boolean {
    return this.#phase === 'command' || this.#phase === 'opaque';
  }

  #place(): void {
    this.#placement = new Placement(this.#context, this.#route, this.#client, {
      onPlaced: (member, connection, greeting) => this.#placed(member, connection, greeting),
      onUnplaced: (failure) => this.#unplaced(failure),
    });
    this.#placement.start();
  }

  #placed(member: Member, connection: Connection, greeting: Buffer): void {
    this.#member = member;
    this.#server = connection;
    this.#account.placedOn(member);
    connection.attach(this);
    this.#phase = 'connection';
    const parties = { client: this.#client, server: connection, member };
    this.#login = new Login(this.#context, this.#route, parties, this.#placement, {
      onIntroduced: (response) => this.#account.introduced(response),
      onAuthenticated: (facts, fromServer, fromClient, bridge) => {
        if (bridge !== undefined) this.#relayChangesOfUser(connection, facts, bridge);
        this.#authenticated(member, facts, fromServer, fromClient);
      },
      onTls: (fromClient) => this.#tlsBegins(fromClient),
      onRefusedByServer: () => this.#end.now('server_refused'),
      onRefusal: (refusal) => this.#refuse(refusal),
    });
    this.#placement = null;
    this.#login.onBytes('server', greeting, greeting.length);
  }

  #unplaced(failure: PlacementFailure): void {
    this.#placement = null;
    if (failure.kind === 'refusal') return this.#refuse(failure.refusal);
    this.#client.write(failure.packet, 0, failure.packet.length);
    this.#end.now('server_refused');
  }

  #authenticated(member: Member, facts: ConnectionFacts, fromServer: Buffer, fromClient: Buffer): void {
    this.#login = null;
    this.#phase = 'command';
    this.#account.authenticated();
    if (this.#context.config().relay.tracking) {
      const watch = new CommandWatch(this.#context, this.#route, member, facts, (reason) => {
        if (reason !== 'compression') add(this.#context.cells, THREAD.trackerGaveUp, 1);
        this.#becomeOpaque(reason);
      });
      if (this.#phase === 'command') this.#commands = watch;
    } else {
      this.#becomeOpaque('tracking switched off');
    }
    if (fromServer.length > 0) this.#relayToClient(fromServer, 0, fromServer.length);
    if (fromClient.length > 0) this.#relayToServer(fromClient, 0, fromClient.length);
  }

  /** Where only one side has TLS, passwords are sent in two forms. */
  #relayChangesOfUser(server: Connection, { sharedCapabilities }: ConnectionFacts, bridge: AuthBridge): void {
    new ChangeUserRelay(this.#client, server, bridge, sharedCapabilities, {
      sink: this,
      isIdle: () => this.#commands?.isIdle ?? false,
      observe: (side, packet) => {
        if (side === 'client') this.#commands?.onClientBytes(packet, 0, packet.length);
        else this.#commands?.onServerBytes(packet, 0, packet.length);
      },
      refuseCommand: (refusal, sequenceId) => this.#refuse(refusal, sequenceId),
    });
  }

  #tlsBegins(fromClient: Buffer): void {
    this.#login = null;
    this.#becomeOpaque('tls');
    if (fromClient.length > 0) this.#relayToServer(fromClient, 0, fromClient.length);
  }

  /** From here on everything is relayed and nothing is known of boundaries. */
  #becomeOpaque(reason: string): void {
    this.#phase = 'opaque';
    this.#commands = null;
    this.#account.becameOpaque(reason);
  }

  #relayToServer(buffer: Buffer, start: number, end: number): void {
    this.#account.toServer(end - start);
    this.#commands?.onClientBytes(buffer, start, end);
    if (this.#server?.write(buffer, start, end)) this.#stall(this.#client);
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
    this.#end.now(error === null ? 'server_closed' : 'server_error');
  }

  #signalServerClosed(): void {
    if (this.#member !== null) this.#context.signal('server-closed', this.#member);
  }

  #refuse(refusal: Refusal, sequenceId?: number): void {
    this.#end.refuse(refusal, (err) =>
      sequenceId === undefined ? encodeErrDuring(this.#login, err) : encodeErr(err, sequenceId),
    );
  }
}
