/** Random changes to conversations: of bits, bytes, lengths, packets, order, sides, and what was agreed. */
import * as C from '../../protocol/capability-flags.ts';
import { MAX_PAYLOAD_BYTES } from '../../protocol/packet-header.ts';
import type { Conversation, Segment } from '../protocol/tracker/conversation.ts';
import type { Random } from './random.ts';

/** A new conversation made from `conversation`, with parts of `other` in it. */
export function mutateConversation(
  random: Random,
  conversation: Conversation,
  other: Conversation,
): Conversation {
  let packets = splitPackets(conversation.segments);
  const donors = splitPackets(other.segments);
  const agreed = random.chance(0.2)
    ? { ...conversation.agreed, ...mutateAgreed(random) }
    : conversation.agreed;
  for (let count = random.below(4); count >= 0; count--) packets = mutatePackets(random, packets, donors);
  return { name: conversation.name, agreed, segments: packets.slice(0, MAX_PACKETS), expected: [] };
}

/** Segments cut at the ends of packets, as far as their lengths tell. */
function splitPackets(segments: readonly Segment[]): readonly Segment[] {
  return segments.flatMap(({ side, bytes }) => {
    const packets: Segment[] = [];
    let position = 0;
    while (position < bytes.length) {
      const length = position + 4 <= bytes.length ? bytes.readUIntLE(position, 3) : 0;
      packets.push({ side, bytes: bytes.subarray(position, position + 4 + length) });
      position += 4 + length;
    }
    return packets;
  });
}

function mutatePackets(
  random: Random,
  packets: readonly Segment[],
  donors: readonly Segment[],
): readonly Segment[] {
  const index = random.below(packets.length + 1);
  const before = packets.slice(0, index);
  const packet = packets[index];
  const after = packets.slice(index + 1);
  const donor = donors[random.below(donors.length)];
  if (packet === undefined || donor === undefined) return packets;
  switch (random.below(9)) {
    case 0:
      return [...before, ...after];
    case 1:
      return [...before, packet, packet, ...after];
    case 2:
      return [...before, donor, packet, ...after];
    case 3:
      // The donor's payload with a sequence id that fits.
      return [
        ...before,
        { side: packet.side, bytes: withSequenceId(donor.bytes, packet.bytes[3] ?? 0) },
        ...after,
      ];
    case 4:
      return [...before, ...after.slice(0, 1), packet, ...after.slice(1)];
    case 5:
      return [...before, { ...packet, side: packet.side === 'client' ? 'server' : 'client' }, ...after];
    case 6:
      return [...before, { ...packet, bytes: changeBytes(random, packet.bytes) }, ...after];
    case 7:
      return [...before, { ...packet, bytes: changeLength(random, packet.bytes) }, ...after];
    default:
      return [...before, packet, ...donors.slice(random.below(donors.length))];
  }
}

function changeBytes(random: Random, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  // The first bytes decide most.
  const reach = random.chance(0.8) ? Math.min(changed.length, 16) : changed.length;
  for (let count = random.below(3); count >= 0; count--) {
    const value = random.chance(0.5)
      ? (TELLING_BYTES[random.below(TELLING_BYTES.length)] ?? 0)
      : random.below(256);
    if (reach > 0) changed[random.below(reach)] = value;
  }
  return changed;
}

/** Cuts or lengthens a payload; the header follows most of the time. */
function changeLength(random: Random, bytes: Buffer): Buffer {
  if (random.chance(0.02)) return fullPacket(bytes);
  const payload = bytes.subarray(4);
  const changed = random.chance(0.5)
    ? payload.subarray(0, random.below(payload.length + 1))
    : Buffer.concat([payload, Buffer.alloc(random.below(40), random.below(256))]);
  const header = Buffer.from(bytes.subarray(0, 4));
  if (header.length === 4 && random.chance(0.8))
    header.writeUIntLE(Math.min(changed.length, MAX_PAYLOAD_BYTES), 0, 3);
  return Buffer.concat([header, changed]);
}

/** A packet of the greatest length, which is continued in the next. */
function fullPacket(bytes: Buffer): Buffer {
  const full = Buffer.alloc(4 + MAX_PAYLOAD_BYTES, 0x20);
  full.set(bytes.subarray(0, full.length));
  full.writeUIntLE(MAX_PAYLOAD_BYTES, 0, 3);
  return full;
}

function withSequenceId(bytes: Buffer, sequenceId: number): Buffer {
  const changed = Buffer.from(bytes);
  if (changed.length >= 4) changed[3] = sequenceId;
  return changed;
}

function mutateAgreed(random: Random) {
  const flags = [C.CLIENT_DEPRECATE_EOF, C.CLIENT_OPTIONAL_RESULTSET_METADATA].filter(() =>
    random.chance(0.5),
  );
  const mariadb = [C.MARIADB_CLIENT_PROGRESS, C.MARIADB_CLIENT_CACHE_METADATA].filter(() =>
    random.chance(0.2),
  );
  return {
    sharedCapabilities: flags.reduce((all, flag) => all | flag, C.CLIENT_PROTOCOL_41),
    sharedMariadbCapabilities: mariadb.reduce((all, flag) => all | flag, 0),
  };
}

const MAX_PACKETS = 400;
const TELLING_BYTES = [
  0x00, 0x01, 0x03, 0x11, 0x12, 0x16, 0x17, 0x18, 0x1c, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
] as const;
