/** Plays a conversation to a ConnectionPhase as the data plane does, under any cut of the bytes. */
import { Buffer } from 'node:buffer';
import type { ConnectionEvent, ConnectionFacts } from '../../protocol/connection-events.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import type { ConnectionPhaseOptions } from '../../protocol/connection-phase-feed.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { byteByByte, offsets } from './bytes.ts';

/** Who sends what, in order. */
export type Step = readonly ['client' | 'server', Buffer];

export interface Outcome {
  /** One line per packet: `kind sequenceId payloadBytes endOffset`. */
  readonly events: readonly string[];
  readonly state: string;
  readonly facts: ConnectionFacts | undefined;
  /** Hex of what belongs to the connection phase, and of what each side sent beyond it. */
  readonly forwarded: { readonly client: string; readonly server: string };
  readonly rest: { readonly client: string; readonly server: string };
  /** `code side` of the ProtocolError, if one ended it. */
  readonly error: string | undefined;
  /** Whether the client was ever told to wait for the server. */
  readonly wasHeld: boolean;
}

export function converse(steps: readonly Step[], options?: ConnectionPhaseOptions): Outcome {
  const phase = new ConnectionPhase(options);
  const events: ConnectionEvent[] = [];
  const forwarded = { client: Buffer.alloc(0), server: Buffer.alloc(0) };
  const rest = { client: Buffer.alloc(0), server: Buffer.alloc(0) };
  let wasHeld = false;
  let error: string | undefined;

  const feed = (side: 'client' | 'server', chunk: Buffer): void => {
    const bytes = Buffer.concat([rest[side], chunk]);
    const result = side === 'client' ? phase.feedClient(bytes) : phase.feedServer(bytes);
    events.push(...result.events);
    forwarded[side] = Buffer.concat([forwarded[side], bytes.subarray(0, result.consumedBytes)]);
    rest[side] = bytes.subarray(result.consumedBytes);
    if (result.next === 'hold') wasHeld = true;
    if (result.next === 'read' && rest[side].length > 3) throw new Error('more than a header left to keep');
    if ((result.next === 'done') !== ['command-phase', 'tls', 'refused', 'failed'].includes(phase.state)) {
      throw new Error(`${result.next} in state ${phase.state}`);
    }
  };
  try {
    for (const [side, chunk] of steps) {
      feed(side, chunk);
      if (side === 'server' && rest.client.length > 0) feed('client', Buffer.alloc(0));
    }
  } catch (caught) {
    if (!(caught instanceof ProtocolError)) throw caught;
    error = `${caught.code} ${caught.side}`;
  }
  return {
    events: events.map((e) => `${e.kind} ${e.sequenceId} ${e.payloadBytes} ${e.endOffset}`),
    state: phase.state,
    facts: events.flatMap((event) => (event.kind === 'ok' ? [event.facts] : []))[0],
    forwarded: { client: forwarded.client.toString('hex'), server: forwarded.server.toString('hex') },
    rest: { client: rest.client.toString('hex'), server: rest.server.toString('hex') },
    error,
    wasHeld,
  };
}

/** The same conversation byte by byte, and with each of its steps cut in two at each offset. */
export function* cutConversations(steps: readonly Step[]): Generator<readonly Step[]> {
  yield steps.flatMap(([side, chunk]) => byteByByte(chunk).map((byte): Step => [side, byte]));
  for (const [index, [side, chunk]] of steps.entries()) {
    for (const at of offsets(chunk)) {
      const halves: readonly Step[] = [
        [side, chunk.subarray(0, at)],
        [side, chunk.subarray(at)],
      ];
      yield [...steps.slice(0, index), ...halves, ...steps.slice(index + 1)];
    }
  }
}
