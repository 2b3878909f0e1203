import { MAX_PAYLOAD_BYTES, PACKET_HEADER_BYTES, readPayloadBytes } from './packet-header.ts';

/**
 * What `advance` met:
 * - `header`: a header is complete; its facts are in the splitter's properties, no payload byte is read yet;
 * - `payload`: the bytes from the offset given to the offset returned are payload;
 * - `starved`: the chunk ended within a header.
 */
export type SplitterStep = 'header' | 'payload' | 'starved';

/**
 * Finds the packets in one direction of a byte stream that comes in chunks cut anywhere, and copies nothing:
 * it keeps four header bytes and a count, and makes no object per packet or chunk.
 *
 *     let offset = 0;
 *     while (offset < chunk.length) {
 *       const from = offset;
 *       offset = splitter.advance(chunk, from);
 *       if (splitter.step === 'payload') use(chunk, from, offset);
 *       if (splitter.step === 'header') look(splitter.payloadBytes, splitter.sequenceId);
 *     }
 *
 * A packet without payload has only its `header` step. Whoever needs a whole payload uses packet-gatherer.ts.
 */
export class PacketSplitter {
  /** The header's bytes so far as a little-endian number. A buffer of its own for each direction of each session would
   * cost more than all the reading of headers. */
  #header = 0;
  #headerBytes = 0;
  #payloadBytes = 0;
  #remainingBytes = 0;
  #sequenceId = 0;
  #isContinuation = false;
  #step: SplitterStep = 'starved';

  /** What the last `advance` met. */
  get step(): SplitterStep {
    return this.#step;
  }

  /** Payload length in the last complete header. */
  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** Sequence id in the last complete header. */
  get sequenceId(): number {
    return this.#sequenceId;
  }

  /** Payload bytes of the current packet still to come. */
  get remainingBytes(): number {
    return this.#remainingBytes;
  }

  /** Whether the current packet continues the one before, which had 0xff_ffff bytes. */
  get isContinuation(): boolean {
    return this.#isContinuation;
  }

  /** Bytes of an incomplete header kept inside, 0 to 3. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** Whether the stream stands between two packets: nothing of a packet is outstanding, nothing is kept. */
  get isBetweenPackets(): boolean {
    return this.#headerBytes === 0 && this.#remainingBytes === 0;
  }

  /** Whether the current packet has ended and no other continues it. */
  get isPayloadComplete(): boolean {
    return this.#remainingBytes === 0 && this.#payloadBytes < MAX_PAYLOAD_BYTES;
  }

  /** Reads on from `offset` and returns the offset after what it met; `step` says what that was. */
  advance(chunk: Uint8Array, offset: number): number {
    const available = chunk.length - offset;
    if (this.#remainingBytes > 0) {
      const length = Math.min(this.#remainingBytes, available);
      this.#remainingBytes -= length;
      this.#step = 'payload';
      return offset + length;
    }
    if (this.#headerBytes === 0 && available >= PACKET_HEADER_BYTES) {
      this.#beginPacket(readPayloadBytes(chunk, offset), chunk[offset + 3] ?? 0);
      return offset + PACKET_HEADER_BYTES;
    }
    return this.#gatherHeader(chunk, offset);
  }

  #gatherHeader(chunk: Uint8Array, offset: number): number {
    while (this.#headerBytes < PACKET_HEADER_BYTES) {
      const byte = chunk[offset];
      if (byte === undefined) {
        this.#step = 'starved';
        return offset;
      }
      this.#header |= byte << (8 * this.#headerBytes++);
      offset++;
    }
    const header = this.#header;
    this.#header = 0;
    this.#headerBytes = 0;
    this.#beginPacket(header & MAX_PAYLOAD_BYTES, header >>> 24);
    return offset;
  }

  #beginPacket(payloadBytes: number, sequenceId: number): void {
    this.#isContinuation = this.#payloadBytes === MAX_PAYLOAD_BYTES;
    this.#payloadBytes = payloadBytes;
    this.#remainingBytes = payloadBytes;
    this.#sequenceId = sequenceId;
    this.#step = 'header';
  }
}
