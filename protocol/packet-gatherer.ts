import type { Buffer } from 'node:buffer';
import { ByteCollector } from './byte-collector.ts';
import { type Fault, ProtocolError, type Side } from './errors.ts';
import { nextSequenceId } from './packet-header.ts';
import { PacketSplitter } from './packet-splitter.ts';

/** One whole payload, out of as many packets as it took. */
export interface GatheredPacket {
  /** A copy: no chunk is referred to. */
  readonly payload: Buffer;
  /** Of the first packet. */
  readonly sequenceId: number;
  /** Of the last packet; the same unless the payload was continued. */
  readonly lastSequenceId: number;
}

/**
 * Gathers whole payloads, across 0xff_ffff continuation, up to a limit. For packets that are to be changed or
 * answered; what only passes through goes by packet-splitter.ts.
 *
 * Memory follows the bytes that came, not the length a header announces. After a `ProtocolError` the gatherer
 * must be discarded.
 */
export class PacketGatherer {
  readonly #splitter = new PacketSplitter();
  readonly #collected: ByteCollector;
  readonly #maxPayloadBytes: number;
  readonly #side: Side;
  #payloadBytes = 0;
  #firstSequenceId = 0;
  #expectedSequenceId = 0;
  #packet: GatheredPacket | undefined;

  /** `maxPayloadBytes` counts a continued payload as one; more is ER_NET_PACKET_TOO_LARGE on `side`. */
  constructor(options: { readonly maxPayloadBytes: number; readonly side: Side }) {
    this.#maxPayloadBytes = options.maxPayloadBytes;
    this.#side = options.side;
    this.#collected = new ByteCollector(options.maxPayloadBytes);
  }

  /** The payload completed by the last `advance`, if it completed one. */
  get packet(): GatheredPacket | undefined {
    return this.#packet;
  }

  /** Whether nothing of a packet has been read that is not yet in `packet`. */
  get isBetweenPackets(): boolean {
    return this.#splitter.isBetweenPackets && this.#splitter.isPayloadComplete;
  }

  /** Reads on from `offset` to the end of a payload or of the chunk, and returns the offset it reached. */
  advance(chunk: Uint8Array, offset: number): number {
    this.#packet = undefined;
    while (offset < chunk.length && this.#packet === undefined) {
      const from = offset;
      offset = this.#splitter.advance(chunk, from);
      if (this.#splitter.step === 'starved') break;
      if (this.#splitter.step === 'header') this.#beginPacket();
      else this.#collected.add(chunk, from, offset);
      if (this.#splitter.isPayloadComplete) this.#finishPayload();
    }
    return offset;
  }

  #beginPacket(): void {
    const { payloadBytes, sequenceId } = this.#splitter;
    if (!this.#splitter.isContinuation) {
      this.#firstSequenceId = sequenceId;
      this.#payloadBytes = 0;
    } else if (sequenceId !== this.#expectedSequenceId) {
      const fault: Fault = { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: this.#side };
      throw new ProtocolError(
        fault,
        `a continued packet has sequence id ${sequenceId}, not ${this.#expectedSequenceId}`,
      );
    }
    this.#expectedSequenceId = nextSequenceId(sequenceId);
    this.#payloadBytes += payloadBytes;
    if (this.#payloadBytes > this.#maxPayloadBytes) {
      const fault: Fault = { code: 'ER_NET_PACKET_TOO_LARGE', side: this.#side };
      throw new ProtocolError(
        fault,
        `a payload of ${this.#payloadBytes} bytes or more, ${this.#maxPayloadBytes} are allowed`,
      );
    }
  }

  #finishPayload(): void {
    this.#packet = {
      payload: this.#collected.take(),
      sequenceId: this.#firstSequenceId,
      lastSequenceId: this.#splitter.sequenceId,
    };
  }
}
