/**
 * Conversations of the command phase as data: who sent which bytes, in which order. Built packet by packet, read from
 * recordings, replayed through a tracker under any cut, and compared by what the tracker told.
 */

import {
  type CommandTracker,
  createCommandTracker,
  type TrackerCapabilities,
} from '../../../protocol/command-tracker.ts';
import { commandName } from '../../../protocol/commands.ts';
import { MAX_PAYLOAD_BYTES, nextSequenceId, writePacketHeader } from '../../../protocol/packet-header.ts';

export type Side = 'client' | 'server';

export type Segment = { readonly side: Side; readonly bytes: Buffer };

export type Conversation = {
  readonly name: string;
  readonly agreed: TrackerCapabilities;
  readonly segments: readonly Segment[];
  /** What the tracker must tell, as `replay` writes it down, without counts of bytes. */
  readonly expected: readonly string[];
};

/** Builds a conversation. Sequence ids go on by themselves; a command starts again at 0. */
export class Script {
  readonly #segments: Segment[] = [];
  #sequenceId = 0;

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** A command of the client. */
  command(command: number, payload: string | Uint8Array = ''): this {
    this.#sequenceId = 0;
    return this.#send('client', Buffer.concat([Buffer.of(command), Buffer.from(payload)]));
  }

  /** A packet of the client within an exchange. */
  client(payload: Uint8Array | string): this {
    return this.#send('client', Buffer.from(payload));
  }

  server(...payloads: readonly (Uint8Array | readonly number[])[]): this {
    for (const payload of payloads) this.#send('server', Buffer.from(payload));
    return this;
  }

  /** The sequence id of the next packet. */
  sequence(sequenceId: number): this {
    this.#sequenceId = sequenceId;
    return this;
  }

  /** Bytes as they are. */
  raw(side: Side, bytes: Uint8Array | readonly number[]): this {
    this.#segments.push({ side, bytes: Buffer.from(bytes) });
    return this;
  }

  #send(side: Side, payload: Buffer): this {
    const packets: Buffer[] = [];
    for (let offset = 0; ; offset += MAX_PAYLOAD_BYTES) {
      const part = payload.subarray(offset, offset + MAX_PAYLOAD_BYTES);
      const header = Buffer.alloc(4);
      writePacketHeader(header, 0, { payloadBytes: part.length, sequenceId: this.#sequenceId });
      this.#sequenceId = nextSequenceId(this.#sequenceId);
      packets.push(header, part);
      if (part.length < MAX_PAYLOAD_BYTES) break;
    }
    return this.raw(side, Buffer.concat(packets));
  }
}

/** Neighbouring segments of one side made one, as they would arrive when nobody waits. */
export function joinSegments(segments: readonly Segment[]): readonly Segment[] {
  const joined: { side: Side; parts: Buffer[] }[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    if (last?.side === segment.side) last.parts.push(segment.bytes);
    else joined.push({ side: segment.side, parts: [segment.bytes] });
  }
  return joined.map(({ side, parts }) => ({ side, bytes: Buffer.concat(parts) }));
}

/** Writes down what a tracker tells. */
export class Recorder {
  readonly log: string[] = [];
  readonly tracker: CommandTracker;

  constructor(agreed: TrackerCapabilities) {
    const created: { tracker?: CommandTracker } = {};
    const { log } = this;
    this.tracker = createCommandTracker(agreed, {
      commandBegan: (command) => log.push(`begin ${nameOf(command)}`),
      responseBegan: (command) => log.push(`first ${nameOf(command)}`),
      responseEnded: (command) => log.push(describeEnd(command, created.tracker)),
      unsolicitedError: (number) => log.push(`unsolicited ${number}`),
      becameOpaque: (reason) => log.push(`opaque ${reason}`),
    });
    created.tracker = this.tracker;
  }

  feed(side: Side, bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (side === 'client') this.tracker.onClientBytes(bytes, start, end);
    else this.tracker.onServerBytes(bytes, start, end);
  }

  /** The log, and what the tracker says now that all is fed. */
  finish(): readonly string[] {
    return [...this.log, describeState(this.tracker)];
  }
}

/** A log without counts of bytes, as scripts and recordings state what they expect. */
export function withoutBytes(log: readonly string[]): readonly string[] {
  return log.map((line) => line.replace(/ bytes=\d+/, ''));
}

/** The bytes of all answers of a log together. */
export function answeredBytes(log: readonly string[]): number {
  return log.reduce((sum, line) => sum + Number(/ bytes=(\d+)/.exec(line)?.[1] ?? 0), 0);
}

/** Replays with every segment whole. */
export function replay(agreed: TrackerCapabilities, segments: readonly Segment[]): readonly string[] {
  const recorder = new Recorder(agreed);
  for (const { side, bytes } of segments) recorder.feed(side, bytes);
  return recorder.finish();
}

/** Replays with segment `index` cut at `cut`. The chunks are fed from one reused buffer, as the relay does. */
export function replayCut(
  agreed: TrackerCapabilities,
  segments: readonly Segment[],
  index: number,
  cut: number,
): readonly string[] {
  const recorder = new Recorder(agreed);
  for (const [position, { side, bytes }] of segments.entries()) {
    if (position !== index) recorder.feed(side, bytes);
    else {
      feedShifted(recorder, side, bytes.subarray(0, cut));
      feedShifted(recorder, side, bytes.subarray(cut));
    }
  }
  return recorder.finish();
}

/** Replays in chunks whose sizes `nextSize` gives. */
export function replayChunked(
  agreed: TrackerCapabilities,
  segments: readonly Segment[],
  nextSize: () => number,
): readonly string[] {
  const recorder = new Recorder(agreed);
  for (const { side, bytes } of segments) {
    let position = 0;
    while (position < bytes.length) {
      const end = Math.min(bytes.length, position + nextSize());
      recorder.feed(side, bytes, position, end);
      position = end;
    }
  }
  return recorder.finish();
}

/** Feeds a copy that lies between other bytes and is overwritten afterwards: nothing may be kept by reference. */
function feedShifted(recorder: Recorder, side: Side, chunk: Uint8Array): void {
  const shared = Buffer.alloc(chunk.length + 2 * MARGIN_BYTES, 0xff);
  shared.set(chunk, MARGIN_BYTES);
  recorder.feed(side, shared, MARGIN_BYTES, MARGIN_BYTES + chunk.length);
  shared.fill(0xff);
}

function describeEnd(command: number, tracker: CommandTracker | undefined): string {
  if (tracker === undefined) return `end ${nameOf(command)} before the tracker exists`;
  const { facts } = tracker;
  const outcome =
    facts.errorNumber === 0 ? `results=${facts.results}` : `error=${facts.errorNumber}/${facts.sqlState}`;
  return `end ${nameOf(command)} ${outcome} rows=${facts.rows} bytes=${facts.responseBytes} left=${tracker.inFlight}`;
}

function describeState(tracker: CommandTracker): string {
  if (tracker.isOpaque) return 'opaque';
  const { facts } = tracker;
  const transaction = `${facts.isInTransaction ? 'in transaction' : 'no transaction'}${facts.isStatusCurrent ? '' : '?'}`;
  const progress = tracker.isIdle ? 'idle' : `busy ${tracker.inFlight}`;
  return `${progress}, ${transaction}, ${facts.openStatements} statements, ${facts.openCursors} cursors`;
}

function nameOf(command: number): string {
  return commandName(command)?.slice('COM_'.length) ?? `0x${command.toString(16)}`;
}

const MARGIN_BYTES = 5;
