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
import { sessionFate } from '../../routing/session-fate.ts';
import type { Member, Topology } from '../../routing/topology.ts';
import { add, type EndReason, THREAD } from '../shared/counters.ts';
import type { SessionFacts } from '../shared/messages.ts';
import { type BoundaryKnowledge, BoundaryWait } from './boundary-wait.ts';
import { CommandWatch } from './command-watch.ts';
import { type Accepted, Connection, type ConnectionSink, type Side } from './connection.ts';
import { encodeErrDuring, Login } from './login.ts';
import { Placement, type PlacementFailure } from './placement.ts';
import { endReasonFor, errFor, type Refusal } from './refusal.ts';
import { SessionAccount } from './session-account.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';
import { ChangeUserRelay } from './tls/change-user-relay.ts';

type Phase = 'placing' | 'connection' | 'command' | 'opaque' | 'closed';

export class Session implements ConnectionSink {
  readonly #context: ThreadContext;
  readonly #route: RouteState;
  readonly #account: SessionAccount;
  readonly #client: Connection;
  /** Empty unless sessions are limited by client address. */
  readonly #limitedAddress: string;
  #phase: Phase = 'placing';
  #placement: Placement | null = null;
  #member: Member | null = null;
  #server: Connection | null = null;
  /** There in the connection phase. */
  #login: Login | null = null;
  /** There while command boundaries are known. */
  #commands: CommandWatch | null = null;
  /** There while the session has to end as soon as it can. */
  #boundaryWait: BoundaryWait | null = null;
  /** Who has sent FIN, in that order. */
  readonly #ended: Side[] = [];
  #isAdmitted = false;

  constructor(context: ThreadContext, route: RouteState, id: number, accepted: Accepted | Connection) {
    this.#context = context;
    this.#route = route;
    this.#client = Connection.accept(accepted, context.transport, this);
    const isLimitedByAddress = context.config().limits.maxConnectionsPerClient > 0;
    this.#limitedAddress = isLimitedByAddress ? this.#client.remoteAddress : '';
    this.#account = new SessionAccount(context, route, id, this.#client);
    context.sessions.add(this);
    const refusal = context.admission.enter(route, this.#client, this.#limitedAddress);
    this.#isAdmitted = refusal === null;
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
    if (!this.#isRelaying) {
      if (side === 'client') this.#finish('client_closed');
      else this.#serverClosed(null);
      return;
    }
    this.#ended.push(side);
    // After COM_QUIT nobody has anything to say: there is no need to wait for the other side's FIN.
    if (this.#commands?.hasQuit) return this.#endBoth();
    if (this.#ended[0] === 'server') this.#signalServerClosed();
    if (this.#ended.length === 2) return this.#endBoth();
    if (side === 'client') this.#server?.end();
    else this.#client.end();
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
      return this.#finish(endReasonFor(refusal.reason));
    }
    if (this.#commands?.hasQuit) this.#finish('client_quit');
    else this.#finish(error === null ? 'client_closed' : 'client_error');
  }

  /** What the new topology says of the session's member. */
  onTopology(topology: Topology): void {
    const member = this.#member;
    if (member === null) return this.#placement?.onTopology();
    const { id: memberId, address, role } = member;
    const fate = sessionFate(topology, { memberId, address, role }, this.#route.bound.role);
    if (fate === 'cut') return this.cut('member_gone');
    if (fate === 'drain')
      return this.endAtBoundary(this.#isOnPrimaryRoute ? 'member_demoted' : 'member_promoted');
    if (this.#boundaryWait === null || this.#boundaryWait.reason === 'shutdown') return;
    this.#boundaryWait.close();
    this.#boundaryWait = null;
  }

  /** Ends the session at its next command boundary outside a transaction, at the latest after the grace. */
  endAtBoundary(reason: EndReason): void {
    if (this.#phase === 'closed') return;
    // A doubt that passes calls off other waits, but not the router's own end.
    const isWaiting = this.#boundaryWait !== null && this.#boundaryWait.reason !== 'max_session_age';
    if (isWaiting && reason !== 'shutdown') return;
    if (this.#boundary() !== 'busy' && this.#commands?.isUnused) return this.#endOrderly(reason);
    this.#boundaryWait?.close();
    const isVoluntary = reason === 'max_session_age';
    const graceMs = isVoluntary ? null : this.#context.config().drain.graceMs;
    this.#boundaryWait = new BoundaryWait(reason, graceMs, {
      // Where boundaries are unknown, nothing is ended that might as well go on.
      knowledge: () => (isVoluntary && this.#phase === 'opaque' ? 'busy' : this.#boundary()),
      takeMoved: () => this.#account.takeMoved(),
      end: () => this.#endOrderly(reason),
      cut: () => this.cut(reason),
    });
  }

  /** Ends the session at once. What was sent to the client before still reaches it. */
  cut(reason: EndReason): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'placing') return this.#refuse({ reason: 'draining', detail: '' });
    this.#endClient(reason);
  }

  /** Called about once a second. */
  sweep(nowMs: number, idleTimeoutMs: number): void {
    const idleForMs = this.#account.idleForMs(nowMs);
    const { maxSessionAgeMs } = this.#route.bound;
    if (maxSessionAgeMs > 0 && this.#endOfAge(maxSessionAgeMs, idleForMs)) return;
    if (idleForMs === 0) return;
    // A server that has closed reads no more, and many clients do not notice before their next command.
    if (this.#ended[0] === 'server' && this.#server?.queuedBytes === 0)
      return this.#endClient('server_closed');
    if (idleTimeoutMs === 0 || idleForMs < idleTimeoutMs) return;
    if (this.#isRelaying && (this.#commands === null || this.#commands.isIdle))
      this.#endOrderly('idle_timeout');
  }

  /** @returns whether the session has ended */
  #endOfAge(maxSessionAgeMs: number, idleForMs: number): boolean {
    const age = this.#account.judgeAge(maxSessionAgeMs);
    if (age === 'young' || this.#phase !== 'command') return false;
    if (idleForMs > 0 && this.#boundary() === 'boundary') {
      this.#endOrderly('max_session_age');
      return true;
    }
    if (age === 'overdue' && this.#boundaryWait === null) this.endAtBoundary('max_session_age');
    return false;
  }

  /** Bytes taken from one side and not yet by the kernel for the other. */
  get queuedBytes(): number {
    return this.#client.queuedBytes + (this.#server?.queuedBytes ?? 0);
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

  get #isOnPrimaryRoute(): boolean {
    return this.#route.bound.role === 'primary';
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
      onRefusedByServer: () => this.#endClient('server_refused'),
      onRefusal: (refusal) => this.#refuse(refusal),
    });
    this.#placement = null;
    this.#login.onBytes('server', greeting, greeting.length);
  }

  #unplaced(failure: PlacementFailure): void {
    this.#placement = null;
    if (failure.kind === 'refusal') return this.#refuse(failure.refusal);
    this.#client.write(failure.packet, 0, failure.packet.length);
    this.#endClient('server_refused');
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
    this.#boundaryWait?.check();
  }

  /** The other side does not take more for now: whoever sends has to wait, until `onDrain`. */
  #stall(source: Connection | null): void {
    add(this.#context.cells, THREAD.backpressurePauses, 1);
    source?.pause();
  }

  #boundary(): BoundaryKnowledge {
    if (this.#phase === 'opaque') {
      // A client that takes nothing for now makes a session quiet that is in the middle of a result.
      const hasAll = this.#client.queuedBytes === 0;
      return hasAll && this.#account.lastSide === 'server' ? 'unknown' : 'busy';
    }
    if (this.#phase !== 'command' || this.#commands === null) return 'busy';
    if (!this.#commands.isIdle || this.#commands.isInTransaction) return 'busy';
    return this.#commands.isSettingUp ? 'unknown' : 'boundary';
  }

  #serverClosed(error: NodeJS.ErrnoException | null): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'connection') {
      const lost: Refusal = { reason: 'server_lost', detail: 'the server closed during authentication' };
      return this.#refuse(this.#login?.refusalAtClose('server', error) ?? lost);
    }
    if (this.#ended.length > 0 || this.#commands?.hasQuit) return this.#endBoth();
    this.#signalServerClosed();
    this.#endClient(error === null ? 'server_closed' : 'server_error');
  }

  #signalServerClosed(): void {
    if (this.#member !== null) this.#context.signal('server-closed', this.#member);
  }

  /** Both sides are done; what each has still to get reaches it. */
  #endBoth(): void {
    const server = this.#server;
    this.#server = null;
    if (server !== null) this.#context.farewells.leave(server);
    if (this.#commands?.hasQuit) return this.#endClient('client_quit');
    this.#endClient(this.#ended[0] === 'server' ? 'server_closed' : 'client_closed');
  }

  /** Nothing is under way: the server is told with COM_QUIT, the client with FIN. */
  #endOrderly(reason: EndReason): void {
    const server = this.#server;
    this.#server = null;
    if (server !== null) {
      if (this.#phase === 'command') this.#context.farewells.quit(server);
      else server.destroy();
    }
    this.#endClient(reason);
  }

  /** Answers the client with an error of the router's own, and ends the session. */
  #refuse(refusal: Refusal, sequenceId?: number): void {
    if (this.#phase === 'closed') return;
    const err = errFor(refusal);
    const packet = sequenceId === undefined ? encodeErrDuring(this.#login, err) : encodeErr(err, sequenceId);
    this.#client.write(packet, 0, packet.length);
    this.#account.refused(refusal, err.errorCode);
    this.#endClient(endReasonFor(refusal.reason));
  }

  /** Ends the session; what was sent to the client before still reaches it. */
  #endClient(reason: EndReason): void {
    if (this.#phase === 'closed') return;
    this.#close(reason);
    this.#context.farewells.leave(this.#client);
  }

  /** Ends the session of a client that is gone. */
  #finish(reason: EndReason): void {
    if (this.#phase === 'closed') return;
    this.#close(reason);
    this.#client.destroy();
  }

  #close(reason: EndReason): void {
    this.#release();
    this.#phase = 'closed';
    this.#account.close(reason);
    this.#context.sessions.delete(this);
    if (this.#isAdmitted) this.#context.admission.leave(this.#route, this.#limitedAddress);
  }

  /** Lets go of everything but the client. */
  #release(): void {
    this.#placement?.abandon();
    this.#placement?.loginOver();
    this.#placement = null;
    this.#boundaryWait?.close();
    this.#boundaryWait = null;
    this.#commands?.close();
    const [server, login] = [this.#server, this.#login];
    this.#server = null;
    this.#login = null;
    if (login !== null) login.abandon();
    else server?.destroy();
  }
}
