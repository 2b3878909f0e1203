import { Buffer } from 'node:buffer';
import t from 'tap';
import { Cursor } from '../../protocol/cursor.ts';
import { ProtocolError, SERVER_FAULT } from '../../protocol/errors.ts';
import { type GatheredPacket, PacketGatherer } from '../../protocol/packet-gatherer.ts';
import { encodePacket, MAX_PAYLOAD_BYTES } from '../../protocol/packet-header.ts';
import { PacketSplitter } from '../../protocol/packet-splitter.ts';
import { Writer } from '../../protocol/writer.ts';
import { bytes, createRandom, cuts, hex, packet } from './bytes.ts';

interface Seen {
  readonly sequenceId: number;
  readonly payloadBytes: number;
  readonly payload: Buffer;
  readonly isContinuation: boolean;
}

/** Splits chunks and puts the pieces together again. */
function split(chunks: Iterable<Buffer>, splitter = new PacketSplitter()): readonly Seen[] {
  const seen: Seen[] = [];
  for (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length; ) {
      const from = offset;
      offset = splitter.advance(chunk, from);
      const last = seen.at(-1);
      if (splitter.step === 'header') {
        const { sequenceId, payloadBytes, isContinuation } = splitter;
        seen.push({ sequenceId, payloadBytes, payload: Buffer.alloc(0), isContinuation });
      } else if (splitter.step === 'payload' && last !== undefined) {
        const payload = Buffer.concat([last.payload, chunk.subarray(from, offset)]);
        seen[seen.length - 1] = { ...last, payload };
      }
    }
  }
  return seen;
}

function gather(chunks: Iterable<Buffer>, maxPayloadBytes: number): readonly GatheredPacket[] {
  const gatherer = new PacketGatherer({ maxPayloadBytes, side: 'client' });
  const gathered: GatheredPacket[] = [];
  for (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length; ) {
      offset = gatherer.advance(chunk, offset);
      if (gatherer.packet !== undefined) gathered.push(gatherer.packet);
    }
  }
  return gathered;
}

const STREAM = bytes(
  packet(0, 'first'),
  packet(1),
  packet(2, 'x'),
  packet(255, Buffer.alloc(300, 7)),
  packet(0),
);

t.test('the splitter finds the same packets however the stream is cut', async (t) => {
  for (const chunks of cuts(STREAM)) {
    const seen = split(chunks);
    t.same(
      seen.map(({ sequenceId, payload }) => [sequenceId, payload.toString('latin1')]),
      [
        [0, 'first'],
        [1, ''],
        [2, 'x'],
        [255, '\x07'.repeat(300)],
        [0, ''],
      ],
    );
  }
});

t.test('the splitter knows what is left over', async (t) => {
  const splitter = new PacketSplitter();
  t.equal(splitter.isBetweenPackets, true);
  split([hex('05 00')], splitter);
  t.same([splitter.headerBytes, splitter.isBetweenPackets, splitter.step], [2, false, 'starved']);
  split([bytes(hex('00 09'), 'abc')], splitter);
  t.same([splitter.headerBytes, splitter.remainingBytes, splitter.isBetweenPackets], [0, 2, false]);
  t.equal(splitter.isPayloadComplete, false);
  split([bytes('de')], splitter);
  t.same([splitter.remainingBytes, splitter.isBetweenPackets, splitter.isPayloadComplete], [0, true, true]);
});

t.test('a payload of 0xffffff bytes goes on in the next packet, even if that is empty', async (t) => {
  const stream = encodePacket(Buffer.alloc(MAX_PAYLOAD_BYTES, 1), 3);
  t.equal(stream.length, MAX_PAYLOAD_BYTES + 8);
  const splitter = new PacketSplitter();
  const seen = split([stream.subarray(0, 10_000), stream.subarray(10_000)], splitter);
  t.same(
    seen.map(({ sequenceId, payloadBytes, isContinuation }) => [sequenceId, payloadBytes, isContinuation]),
    [
      [3, MAX_PAYLOAD_BYTES, false],
      [4, 0, true],
    ],
  );
  split([packet(0, 'next')], splitter);
  t.equal(splitter.isContinuation, false);
});

t.test('payloads around the 16 MiB edges are gathered whole', async (t) => {
  const two = MAX_PAYLOAD_BYTES * 2;
  for (const length of [MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, two, two + 1]) {
    const payload = Buffer.alloc(length, 'p');
    payload.write('end', length - 3);
    const stream = bytes(encodePacket(payload, 254), packet(9, 'next'));
    const chunks: Buffer[] = [];
    for (let at = 0; at < stream.length; at += 999_983) chunks.push(stream.subarray(at, at + 999_983));
    const [first, second] = gather(chunks, two + 1);
    t.equal(first?.payload.equals(payload), true, `${length} bytes`);
    t.equal(first?.lastSequenceId, (254 + Math.floor(length / MAX_PAYLOAD_BYTES)) & 0xff);
    t.same(second, { payload: bytes('next'), sequenceId: 9, lastSequenceId: 9 });
  }
});

t.test('the gatherer refuses a payload over its limit as soon as a header says so', async (t) => {
  t.equal(gather([packet(0, Buffer.alloc(100))], 100).length, 1);
  t.throws(() => gather([packet(0, Buffer.alloc(101)).subarray(0, 4)], 100), {
    code: 'ER_NET_PACKET_TOO_LARGE',
    side: 'client',
  });
  const continued = bytes(packet(0, Buffer.alloc(MAX_PAYLOAD_BYTES)), hex('01 00 00 01'));
  t.throws(() => gather([continued], MAX_PAYLOAD_BYTES), { code: 'ER_NET_PACKET_TOO_LARGE' });
});

t.test('the gatherer refuses a continuation that does not count on', async (t) => {
  const stream = bytes(packet(4, Buffer.alloc(MAX_PAYLOAD_BYTES)), packet(6, 'rest'));
  t.throws(() => gather([stream], MAX_PAYLOAD_BYTES * 2), {
    code: 'ER_NET_PACKETS_OUT_OF_ORDER',
    side: 'client',
  });
});

t.test('what was gathered stays when the chunk is used again', async (t) => {
  const chunk = packet(0, 'payload');
  const [gathered] = gather([chunk], 100);
  chunk.fill(0xee);
  t.same(gathered?.payload, bytes('payload'));
});

t.test('the splitter makes no object per packet', async (t) => {
  const stream = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => packet(id & 0xff, 'twelve bytes')));
  const splitter = new PacketSplitter();
  const walk = (): void => {
    for (let offset = 0; offset < stream.length; ) offset = splitter.advance(stream, offset);
  };
  for (let warmUp = 0; warmUp < 20; warmUp++) walk();
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < 20; round++) walk();
  const perPacket = (process.memoryUsage().heapUsed - before) / 200_000;
  t.ok(perPacket < 4, `${perPacket.toFixed(2)} bytes of heap per packet`);
});

t.test('a cursor reads every kind of field, and a writer writes it', async (t) => {
  const payload = new Writer(1)
    .writeUint1(0xfe)
    .writeUint2(0xfedc)
    .writeUint3(0xfe_dcba)
    .writeUint4(0xfedc_ba98)
    .writeUint6(0xfedc_ba98_7654)
    .writeUint8(0xfedc_ba98_7654_3210n)
    .writeLenencInt(250)
    .writeLenencInt(251)
    .writeLenencInt(0xffff)
    .writeLenencInt(0x1_0000)
    .writeLenencInt(0x100_0000)
    .writeLenencInt(0xffff_ffff_ffff_ffffn)
    .writeLenencBytes(bytes('counted'))
    .writeNulBytes(bytes('ended'))
    .writeBytes(bytes('fixed'))
    .writeZeros(2)
    .writeBytes(bytes('rest'))
    .finish();
  const cursor = new Cursor(payload, 'Sample', SERVER_FAULT);
  t.equal(cursor.peekUint1(), 0xfe);
  t.equal(cursor.readUint1('a'), 0xfe);
  t.equal(cursor.readUint2('a'), 0xfedc);
  t.equal(cursor.readUint3('a'), 0xfe_dcba);
  t.equal(cursor.readUint4('a'), 0xfedc_ba98);
  t.equal(cursor.readUint6('a'), 0xfedc_ba98_7654);
  t.equal(cursor.readUint8('a'), 0xfedc_ba98_7654_3210n);
  for (const expected of [250n, 251n, 0xffffn, 0x1_0000n, 0x100_0000n, 0xffff_ffff_ffff_ffffn]) {
    t.equal(cursor.readLenencInt('a'), expected);
  }
  t.equal(cursor.readLenencBytes('a').toString(), 'counted');
  t.equal(cursor.readNulBytes('a').toString(), 'ended');
  t.equal(cursor.readBytes(5, 'a').toString(), 'fixed');
  cursor.skip(2, 'a');
  t.equal(cursor.remainingBytes, 4);
  t.equal(cursor.readRest().toString(), 'rest');
  t.equal(cursor.readRest().length, 0);
  t.equal(cursor.peekUint1(), undefined);
});

t.test('a cursor stays within a payload that is a part of a larger buffer', async (t) => {
  const chunk = bytes('before', 'payload', 'behind\0');
  const cursor = new Cursor(new Uint8Array(chunk.buffer, chunk.byteOffset + 6, 7), 'Sample', SERVER_FAULT);
  t.throws(() => cursor.readNulBytes('name'), {
    code: 'CR_MALFORMED_PACKET',
    side: 'server',
    message: 'CR_MALFORMED_PACKET: Sample: name has no NUL in the 7 bytes left',
  });
  t.equal(cursor.readRest().toString(), 'payload');
  t.throws(() => cursor.readUint4('flags'), { message: /flags needs 4 bytes, 0 are left/ });
});

t.test('a writer refuses what does not fit its field', async (t) => {
  t.throws(() => new Writer().writeUint1(256), RangeError);
  t.throws(() => new Writer().writeNulBytes(bytes('a\0b')), RangeError);
});

t.test('random bytes are split or refused, never misread past their end', async (t) => {
  const random = createRandom(1);
  for (let round = 0; round < 300; round++) {
    const stream = Buffer.from(
      Array.from({ length: random() * 200 }, () => (random() < 0.6 ? random() * 4 : random() * 256)),
    );
    const seen = split([stream]);
    for (const { payload, payloadBytes } of seen) t.ok(payload.length <= payloadBytes);
    try {
      gather([stream], 64);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
});
