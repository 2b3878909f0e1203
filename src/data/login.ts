/**
 * A session's connection phase: who is at the door, until it is let in or turned away, within a deadline.
 *
 * It owns everything that exists only until then, and is dropped as a whole when it is over.
 */
import type { AuthBridge } from '../../protocol/auth-bridge.ts';
import type { ConnectionFacts } from '../../protocol/connection-events.ts';
import { type ErrPacket, encodeErrBeforeHandshake } from '../../protocol/err-packet.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { HandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import type { Member } from '../../routing/topology.ts';
import { Deadline } from '../shared/deadline.ts';
import type { Connection, Side } from './connection.ts';
import { ConnectionPhaseRelay } from './connection-phase-relay.ts';
import type { IntroducedClient } from './guidelines/introduction.ts';
import { maskedFlags } from './handshake-changes.ts';
import type { Placement } from './placement.ts';
import { type Refusal, refusalFor } from './refusal.ts';
import type { RouteState, ThreadContext } from './thread-context.ts';
import { TerminatedLogin, type TerminatedLoginSink } from './tls/terminated-login.ts';

/** What became of the login. All but `onIntroduced` end it, and only one of them is called. */
export type LoginSink = {
  /** The client has said who it is; the server has been told. */
  onIntroduced(response: HandshakeResponse41): void;
  /** The final OK has been forwarded. The bytes belong to the command phase and have not been forwarded. */
  onAuthenticated(facts: ConnectionFacts, fromServer: Buffer, fromClient: Buffer, bridge?: AuthBridge): void;
  /** TLS between the two of them begins, which the router cannot read; the bytes have not been forwarded. */
  onTls(fromClient: Buffer): void;
  /** The server's ERR has been forwarded. */
  onRefusedByServer(): void;
  /** One of them broke the protocol or was late: the client is to be told, with `encodeErr`. */
  onRefusal(refusal: Refusal): void;
};

export class Login {
  readonly #context: ThreadContext;
  readonly #member: Member;
  readonly #placement: Placement | null;
  readonly #sink: LoginSink;
  readonly #relay: ConnectionPhaseRelay | TerminatedLogin;
  readonly #client: Connection;
  readonly #server: Connection;
  readonly #deadline = new Deadline('others');
  #isOver = false;

  /** `placement` is told when the login is over: the next held session may go on. */
  constructor(
    context: ThreadContext,
    route: RouteState,
    parties: Parties,
    placement: Placement | null,
    sink: LoginSink,
  ) {
    const { limits } = context.config();
    this.#context = context;
    this.#member = parties.member;
    this.#client = parties.client;
    this.#server = parties.server;
    this.#placement = placement;
    this.#sink = sink;
    this.#relay = createRelay(context, route, parties, {
      onHandshakeResponse: (response) => sink.onIntroduced(response),
      onAuthenticated: (facts, fromServer, fromClient, bridge) => {
        this.#over();
        context.reach.classic.readmission.letIn(parties.member);
        sink.onAuthenticated(facts, fromServer, fromClient, bridge);
      },
      onTls: (fromClient) => {
        this.#over();
        sink.onTls(fromClient);
      },
      onRefused: ({ errorCode }) => {
        context.reach.classic.readmission.turnedAway(parties.member, errorCode);
        sink.onRefusedByServer();
      },
      onRefusal: (refusal) => sink.onRefusal(refusal),
    });
    this.#deadline.set(limits.clientHandshakeTimeoutMs, () => sink.onRefusal(LATE));
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    try {
      if (side === 'server') this.#relay.fromServer(buffer, length);
      else this.#relay.fromClient(buffer, length);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (error.side === 'server') this.#context.signal('no-handshake', this.#member);
      return this.#sink.onRefusal(refusalFor(error));
    }
    // The connections may be somebody else's by now.
    if (this.#isOver) return;
    const [source, target] = side === 'server' ? [this.#server, this.#client] : [this.#client, this.#server];
    if (target.queuedBytes > STALLING_BYTES) source.pause();
  }

  /** Everything that was queued for `side` has been sent. */
  onDrain(side: Side): void {
    if (side === 'client') this.#server.resume();
    else if (!this.#relay.holdsClient) this.#client.resume();
  }

  /** Why a connection has ended, where more is known of it than that it has. */
  refusalAtClose(side: Side, error: Error | null): Refusal | null {
    return this.#relay instanceof TerminatedLogin ? this.#relay.refusalAtClose(side, error) : null;
  }

  /** An ERR packet as the client expects it at this moment. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#relay.encodeErr(err);
  }

  /** The session ends before the login has: brings the server's part to an end that it does not count as a failure. */
  abandon(): void {
    this.#over();
    this.#relay.leaveServer(this.#context.farewells);
  }

  #over(): void {
    this.#isOver = true;
    this.#deadline.close();
    this.#placement?.loginOver();
  }
}

type Parties = {
  readonly client: Connection;
  readonly server: Connection;
  readonly member: Member;
  /** Where the router has greeted the client itself. */
  readonly introduced: IntroducedClient | null;
};

function createRelay(
  context: ThreadContext,
  { bound, tls }: RouteState,
  { client, server, member, introduced }: Parties,
  sink: TerminatedLoginSink,
): ConnectionPhaseRelay | TerminatedLogin {
  const changes = {
    maxHandshakeResponseBytes: context.config().limits.maxHandshakeBytes,
    masked: maskedFlags(bound),
    addsIdentity: bound.clientAttributes,
  };
  if (tls === null) return new ConnectionPhaseRelay(client, server, changes, sink);
  const memberHost = hostOf(member.address);
  const { ownGreeting } = context;
  return new TerminatedLogin({ ...changes, client, server, memberHost, tls, introduced, ownGreeting }, sink);
}

/** The host of "host:port" or "[host]:port". */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** An ERR packet for a client whose login has not begun, or is what `login` says. */
export function encodeErrDuring(login: Login | null, err: ErrPacket): Buffer {
  return login?.encodeErr(err) ?? encodeErrBeforeHandshake(err);
}

/**
 * As much may be queued for one side before the other is read no further: a packet that somebody without an account may send,
 * and then some. Every wire tells when so much has been sent.
 */
const STALLING_BYTES = 256 * 1024;
const LATE: Refusal = { reason: 'handshake_timeout', detail: 'no complete authentication in time' };
