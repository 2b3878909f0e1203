import { Buffer } from 'node:buffer';

/**
 * The header before every payload.
 *
 *     int<3>  payload_length   bytes that follow this header, 0 to 0xff_ffff
 *     int<1>  sequence_id      counts up from 0 in each exchange, wraps from 255 to 0
 *
 * A payload of exactly 0xff_ffff bytes is continued in the next packet, so a long payload always ends in a
 * packet that is shorter (perhaps empty).
 * Source: MySQL source documentation, "MySQL Packets" (page_protocol_basic_packets).
 */

/** Bytes before each payload. */
export const PACKET_HEADER_BYTES = 4;

/** The longest payload of one packet; exactly this many bytes mean "continued in the next packet". */
export const MAX_PAYLOAD_BYTES = 0xff_ffff;

export interface PacketHeader {
  /** Bytes after the header, 0 to 0xff_ffff. */
  readonly payloadBytes: number;
  /** 0 to 255. */
  readonly sequenceId: number;
}

/** The payload length written at `offset`; the caller has made sure that three bytes are there. */
export function readPayloadBytes(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8) | ((bytes[offset + 2] ?? 0) << 16);
}

/** The id that must follow `sequenceId` within one exchange. */
export function nextSequenceId(sequenceId: number): number {
  return (sequenceId + 1) & 0xff;
}

/** Writes a header at `offset`. */
export function writePacketHeader(target: Uint8Array, offset: number, header: PacketHeader): void {
  target[offset] = header.payloadBytes & 0xff;
  target[offset + 1] = (header.payloadBytes >> 8) & 0xff;
  target[offset + 2] = (header.payloadBytes >> 16) & 0xff;
  target[offset + 3] = header.sequenceId & 0xff;
}

/**
 * A payload as it goes over the wire: one packet, or several when it has 0xff_ffff bytes or more. The first
 * carries `sequenceId`, the others count on.
 */
export function encodePacket(payload: Uint8Array, sequenceId: number): Buffer {
  const packets = Math.floor(payload.length / MAX_PAYLOAD_BYTES) + 1;
  const encoded = Buffer.allocUnsafe(payload.length + packets * PACKET_HEADER_BYTES);
  let from = 0;
  let to = 0;
  for (let packet = 0; packet < packets; packet++) {
    const payloadBytes = Math.min(payload.length - from, MAX_PAYLOAD_BYTES);
    writePacketHeader(encoded, to, { payloadBytes, sequenceId: (sequenceId + packet) & 0xff });
    encoded.set(payload.subarray(from, from + payloadBytes), to + PACKET_HEADER_BYTES);
    from += payloadBytes;
    to += PACKET_HEADER_BYTES + payloadBytes;
  }
  return encoded;
}
