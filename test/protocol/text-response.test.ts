import { deepStrictEqual } from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import t from 'tap';
import { ProtocolError } from '../../protocol/errors.ts';
import { type TextResponse, TextResponseReader } from '../../protocol/text-response.ts';
import { bytes, createRandom, cuts, mutate, offsets, packet } from './bytes.ts';

const LIMIT = 1_000_000;
const LAST = 0x02;
const MORE = 0x0a;
const eof = (sequenceId: number, status: number) => packet(sequenceId, 0xfe, 0, 0, status, 0);
const column = (sequenceId: number, name: string) =>
  packet(
    sequenceId,
    ...['def', '', 'members', 'm', name, name].flatMap((text) => [text.length, text]),
    12,
    '\x2d\x00\x00\x04\x00\x00\xfd\x00\x00\x00\x00\x00',
  );
const LONG = 'x'.repeat(300);

const SAMPLES: readonly {
  readonly name: string;
  readonly stream: Buffer;
  readonly response: TextResponse;
}[] = [
  {
    name: 'a statement without rows',
    stream: packet(1, 0, 0, 0, LAST, 0, 0, 0),
    response: { kind: 'tables', tables: [[]] },
  },
  {
    name: 'a table without rows',
    stream: bytes(packet(1, 1), column(2, 'id'), eof(3, LAST), eof(4, LAST)),
    response: { kind: 'tables', tables: [[]] },
  },
  {
    name: 'NULL, an empty text, a long one, and what begins like an EOF',
    stream: bytes(
      packet(1, 3),
      ...[column(2, 'a'), column(3, 'b'), column(4, '\xc3\xa9')],
      eof(5, LAST),
      packet(6, 0xfb, 0, 1, '7'),
      packet(7, 0xfc, 44, 1, LONG, 0xfb, 2, '\xc3\xa9'),
      packet(8, 0, 0, 0),
      eof(9, LAST),
    ),
    response: {
      kind: 'tables',
      tables: [
        [
          { a: null, b: '', é: '7' },
          { a: LONG, b: null, é: 'é' },
          { a: '', b: '', é: '' },
        ],
      ],
    },
  },
  {
    name: 'three statements',
    stream: bytes(
      ...[packet(1, 1), column(2, 'id'), eof(3, MORE), packet(4, 1, '1'), packet(5, 1, '2'), eof(6, MORE)],
      packet(7, 0, 1, 0, MORE, 0, 0, 0),
      ...[packet(8, 1), column(9, 'name'), eof(10, LAST), packet(11, 2, 'db'), eof(12, LAST)],
    ),
    response: { kind: 'tables', tables: [[{ id: '1' }, { id: '2' }], [], [{ name: 'db' }]] },
  },
  {
    name: 'an error',
    stream: packet(1, 0xff, 0x76, 0x04, '#42000denied'),
    response: { kind: 'error', err: { errorCode: 1142, sqlState: '42000', message: 'denied' } },
  },
  {
    name: 'an error behind some rows of the second statement',
    stream: bytes(
      packet(1, 0, 0, 0, MORE, 0, 0, 0),
      ...[packet(2, 1), column(3, 'id'), eof(4, LAST), packet(5, 1, '1')],
      packet(6, 0xff, 0xd4, 0x0b, '#HY000too long'),
    ),
    response: { kind: 'error', err: { errorCode: 3028, sqlState: 'HY000', message: 'too long' } },
  },
  {
    name: 'an error out of order, with which a server ends a session',
    stream: packet(0, 0xff, 0xbf, 0x0f, '#HY000idle'),
    response: { kind: 'error', err: { errorCode: 4031, sqlState: 'HY000', message: 'idle' } },
  },
];

for (const { name, stream, response } of SAMPLES) {
  t.test(`${name} is read however it is cut, and only when it is whole`, async (t) => {
    for (const chunks of cuts(stream)) {
      const reader = new TextResponseReader(LIMIT);
      const answers = chunks.map((chunk) => reader.push(chunk));
      const [last, ...earlier] = answers.toReversed();
      deepStrictEqual(last, response);
      deepStrictEqual(new Set(earlier), new Set(earlier.length === 0 ? [] : [null]));
    }
    for (const length of offsets(stream)) {
      deepStrictEqual(new TextResponseReader(LIMIT).push(stream.subarray(0, length)), null);
    }
    t.throws(() => new TextResponseReader(LIMIT).push(bytes(stream, 0)), /1 bytes behind its end/);
    t.throws(() => new TextResponseReader(stream.length - 1).push(stream), ProtocolError);
  });
}

t.test('what is no response is a ProtocolError', async (t) => {
  const table: readonly (readonly [string, Buffer, RegExp])[] = [
    ['an empty packet', packet(1), /an empty packet/],
    ['a request for a file', packet(1, 0xfb, '/etc/passwd'), /0xfb does not begin/],
    ['far too many columns', packet(1, 0xfd, 0, 0, 1), /65536 columns/],
    ['packets out of order', packet(2, 0, 0, 0, LAST, 0, 0, 0), /sequence id 2 follows 0/],
    ['no EOF behind the columns', bytes(packet(1, 1), column(2, 'id'), packet(3, 1, '1')), /header is 0x1/],
    [
      'a row of more columns',
      bytes(packet(1, 1), column(2, 'id'), eof(3, LAST), packet(4, 1, '1', 1, '2')),
      /2 bytes behind/,
    ],
    ['a row of fewer', bytes(packet(1, 1), column(2, 'id'), eof(3, LAST), packet(4, 9, '1')), /needs 9/],
  ];
  for (const [name, stream, message] of table)
    t.throws(() => new TextResponseReader(LIMIT).push(stream), { name: 'ProtocolError', message }, name);
});

t.test('mutated responses are responses, or ProtocolErrors', async () => {
  const random = createRandom(7);
  for (const { stream } of SAMPLES) {
    for (let round = 0; round < 2000; round++) {
      try {
        new TextResponseReader(LIMIT).push(mutate(stream, random));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  }
});
