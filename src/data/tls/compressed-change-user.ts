/**
 * Keeps COM_CHANGE_USER out of a session whose packets are compressed and of which only one side has TLS: nobody translates
 * the password inside, and a client that trusts in its TLS would send it readable for everybody behind the router.
 *
 *     int<3> compressed length, int<1> sequence id, int<3> length before; zlib or zstd, or the bytes as they are with 0
 *
 * Each command begins a compressed packet, with the sequence id 0. Those that can be a change of user are looked into before
 * they are passed on; all others pass as they come.
 */
import { constants, inflateSync, zstdDecompressSync } from 'node:zlib';
import { COM_CHANGE_USER } from '../../../protocol/commands.ts';
import { type ErrPacket, encodeErr } from '../../../protocol/err-packet.ts';
import { PACKET_HEADER_BYTES, readPayloadBytes } from '../../../protocol/packet-header.ts';
import type { Connection, ConnectionSink, Side } from '../connection.ts';
import type { Refusal } from '../refusal.ts';

export class CompressedChangeUserGuard implements ConnectionSink {
  readonly #algorithm: 'zlib' | 'zstd';
  readonly #sink: ConnectionSink;
  readonly #refuse: (refusal: Refusal, encode: (err: ErrPacket) => Buffer) => void;
  /** A compressed packet that is not whole. */
  #held: Buffer = EMPTY;
  /** Bytes of a packet that pass unseen. */
  #passing = 0;

  /** Puts itself between the client and the session. */
  constructor(
    client: Connection,
    algorithm: 'zlib' | 'zstd',
    sink: ConnectionSink,
    refuse: (refusal: Refusal, encode: (err: ErrPacket) => Buffer) => void,
  ) {
    this.#algorithm = algorithm;
    this.#sink = sink;
    this.#refuse = refuse;
    client.attach(this);
  }

  onBytes(side: Side, buffer: Buffer, length: number): void {
    const fresh = buffer.subarray(0, length);
    const chunk = this.#held.length === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    this.#held = EMPTY;
    const { end, isRefused } = this.#walk(chunk);
    if (end > 0) this.#sink.onBytes(side, chunk, end);
    if (isRefused) this.#refuse(REFUSAL, (err) => encodeCompressed(encodeErr(err, 1), 1));
    else if (end < chunk.length) this.#held = Buffer.from(chunk.subarray(end));
  }

  onEnd(side: Side): void {
    this.#sink.onEnd(side);
  }

  onDrain(side: Side): void {
    this.#sink.onDrain(side);
  }

  onClose(side: Side, error: NodeJS.ErrnoException | null): void {
    this.#sink.onClose(side, error);
  }

  /** @returns up to where the chunk may be passed on, and whether what follows must not be */
  #walk(chunk: Buffer): { readonly end: number; readonly isRefused: boolean } {
    let end = Math.min(this.#passing, chunk.length);
    this.#passing -= end;
    while (chunk.length - end >= COMPRESSED_HEADER_BYTES) {
      const bytes = COMPRESSED_HEADER_BYTES + readPayloadBytes(chunk, end);
      const beginsCommand = chunk[end + 3] === 0;
      if (
        !beginsCommand ||
        chunk.readUIntLE(end + 4, 3) > MAX_INSPECTED_BYTES ||
        bytes > MAX_INSPECTED_BYTES
      ) {
        this.#passing = Math.max(0, end + bytes - chunk.length);
        end = Math.min(end + bytes, chunk.length);
      } else {
        if (chunk.length - end < bytes) break;
        if (this.#holdsChangeUser(chunk.subarray(end, end + bytes))) return { end, isRefused: true };
        end += bytes;
      }
    }
    return { end, isRefused: false };
  }

  #holdsChangeUser(packet: Buffer): boolean {
    const packets = this.#decompressed(packet);
    for (let at = 0; at + PACKET_HEADER_BYTES < packets.length; ) {
      if (packets[at + 3] === 0 && packets[at + PACKET_HEADER_BYTES] === COM_CHANGE_USER) return true;
      at += PACKET_HEADER_BYTES + readPayloadBytes(packets, at);
    }
    return false;
  }

  #decompressed(packet: Buffer): Buffer {
    const bytesBefore = packet.readUIntLE(4, 3);
    const content = packet.subarray(COMPRESSED_HEADER_BYTES);
    if (bytesBefore === 0) return content;
    try {
      const options = { maxOutputLength: bytesBefore };
      if (this.#algorithm === 'zstd') return zstdDecompressSync(content, options);
      return inflateSync(content, { ...options, finishFlush: constants.Z_SYNC_FLUSH });
    } catch (error) {
      // The server will say what it thinks of it: it does not get a command out of this either.
      if (error instanceof Error) return EMPTY;
      throw error;
    }
  }
}

function encodeCompressed(content: Buffer, sequenceId: number): Buffer {
  const header = Buffer.alloc(COMPRESSED_HEADER_BYTES);
  header.writeUIntLE(content.length, 0, 3);
  header[3] = sequenceId;
  return Buffer.concat([header, content]);
}

const EMPTY = Buffer.alloc(0);
const COMPRESSED_HEADER_BYTES = 7;
/** 64 KiB of connection attributes, and as much of an answer. */
const MAX_INSPECTED_BYTES = 128 * 1024;
const REFUSAL: Refusal = {
  reason: 'auth_impossible',
  detail:
    'COM_CHANGE_USER cannot be translated inside compressed packets; set compression to disabled, or serverSslMode to as-client on this route',
};
