/**
 * A client that is greeted by the router itself, because only its login tells which server it is for: it gets TLS where
 * the route offers it, and says who it is. What it says of its password is for the router's nonce and of no use; the
 * server that is chosen then asks for it with a nonce of its own (AuthSwitchRequest), so that authentication stays between
 * client and server, whatever the plugin.
 */
import { CLIENT_PLUGIN_AUTH, CLIENT_SSL, hasCapability } from '../../../protocol/capability-flags.ts';
import { ConnectionPhase } from '../../../protocol/connection-phase.ts';
import type { ErrPacket } from '../../../protocol/err-packet.ts';
import { CLIENT_HANDSHAKE_FAULT, ProtocolError } from '../../../protocol/errors.ts';
import type { HandshakeResponse41 } from '../../../protocol/handshake-response41.ts';
import { encodeInitialHandshake, type InitialHandshake } from '../../../protocol/initial-handshake.ts';
import { encodePacket } from '../../../protocol/packet-header.ts';
import type { Connection } from '../connection.ts';
import { changeOffer, checkCompression, type TlsFacts } from '../handshake-changes.ts';
import type { Refusal } from '../refusal.ts';
import { acceptTls } from '../tls/handshake.ts';
import type { RouteTls } from '../tls/route-tls.ts';
import { greetingLike } from './own-greeting.ts';

/** A client that has been greeted and has said who it is. */
export type IntroducedClient = {
  /** Has seen the greeting and the client's packets. */
  readonly phase: ConnectionPhase;
  /** As if the client had no plugin that anybody knows, so that the server asks it anew. */
  readonly response: HandshakeResponse41;
  readonly sequenceId: number;
  readonly tls: TlsFacts | null;
  /** Flags that both the greeting and the client have. */
  readonly agreed: number;
};

export type IntroductionSink = {
  onIntroduced(client: IntroducedClient): void;
  onRefusal(refusal: Refusal): void;
};

export class Introduction {
  readonly #client: Connection;
  readonly #tls: RouteTls;
  readonly #sink: IntroductionSink;
  readonly #phase: ConnectionPhase;
  readonly #offered: number;
  #stage: 'client' | 'client-tls' | 'over' = 'client';
  #tlsFacts: TlsFacts | null = null;
  #rest: Buffer = EMPTY;

  /** Greets at once. */
  constructor(
    client: Connection,
    tls: RouteTls,
    learned: InitialHandshake,
    limits: { readonly masked: number; readonly maxHandshakeResponseBytes: number },
    sink: IntroductionSink,
  ) {
    this.#client = client;
    this.#tls = tls;
    this.#sink = sink;
    const { maxHandshakeResponseBytes, masked } = limits;
    this.#phase = new ConnectionPhase({
      maxHandshakeResponseBytes,
      tls: 'ended-here',
    });
    const isOffered =
      tls.clientMode === 'required' ||
      (tls.clientMode === 'preferred' &&
        (tls.serverMode !== 'as-client' || hasCapability(learned.capabilityFlags, CLIENT_SSL)));
    const greeting = changeOffer(greetingLike(learned), masked, isOffered);
    this.#offered = greeting.capabilityFlags;
    const packet = encodePacket(encodeInitialHandshake(greeting), 0);
    this.#phase.feedServer(packet);
    client.write(packet, 0, packet.length);
  }

  /** @throws ProtocolError */
  fromClient(buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    const chunk = this.#rest.length === 0 ? fresh : Buffer.concat([this.#rest, fresh]);
    this.#rest = EMPTY;
    const { events, consumedBytes, next } = this.#phase.feedClient(chunk);
    const rest = chunk.subarray(consumedBytes);
    if (next === 'tls') return this.#beginTls(rest);
    const [first] = events;
    if (first?.kind !== 'handshake-response') {
      this.#rest = Buffer.from(rest);
      return;
    }
    if (rest.length > 0 || next === 'hold')
      throw new ProtocolError(CLIENT_HANDSHAKE_FAULT, 'packets ahead of the server');
    this.#introduced(first.handshakeResponse, first.sequenceId);
  }

  /** An ERR packet as the client expects it at this moment; nothing while only TLS is expected. */
  encodeErr(err: ErrPacket): Buffer {
    return this.#stage === 'client-tls' ? EMPTY : this.#phase.encodeErr(err);
  }

  /** Why the client's connection has ended, where this knows better than the connection. */
  refusalAtClose(error: Error | null): Refusal | null {
    if (this.#stage !== 'client-tls') return null;
    const why = error?.message ?? 'it closed the connection';
    return { reason: 'tls_client', detail: `TLS with the client failed: ${why}` };
  }

  #beginTls(rest: Buffer): void {
    this.#stage = 'client-tls';
    acceptTls(this.#client, this.#tls, rest, (outcome) => {
      if (this.#stage !== 'client-tls') return;
      this.#stage = 'client';
      if (outcome.kind === 'secured') this.#tlsFacts = outcome.facts;
      else this.#refuse('tls_required', `the client's certificate is not accepted: ${outcome.why}`);
    });
  }

  #introduced(response: HandshakeResponse41, sequenceId: number): void {
    this.#stage = 'over';
    // It may be a password.
    response.authResponse.fill(0);
    if (this.#tls.clientMode === 'required' && this.#tlsFacts === null)
      return this.#refuse('tls_required', 'SSL is required from client');
    if (!hasCapability(response.capabilityFlags, CLIENT_PLUGIN_AUTH))
      return this.#refuse(
        'bad_handshake',
        'the client cannot be asked for its password anew (CLIENT_PLUGIN_AUTH)',
      );
    checkCompression(response.capabilityFlags, ~this.#offered);
    this.#sink.onIntroduced({
      phase: this.#phase,
      response: { ...response, authPluginName: NO_PLUGIN, authResponse: EMPTY },
      sequenceId,
      tls: this.#tlsFacts,
      agreed: (response.capabilityFlags & this.#offered) >>> 0,
    });
  }

  #refuse(reason: Refusal['reason'], detail: string): void {
    this.#sink.onRefusal({ reason, detail });
  }
}

const EMPTY = Buffer.alloc(0);
/** No account has it, so the server answers with an AuthSwitchRequest to the one the account has. */
const NO_PLUGIN = 'fairlead_ask_again';
