import { Buffer } from 'node:buffer';
import { isIP } from 'node:net';
import t from 'tap';
import { ProtocolError } from '../../protocol/errors.ts';
import { formatIpAddress, parseIpAddress, withoutMapping } from '../../protocol/ip-address.ts';
import { type ProxyHeader, readProxyHeader } from '../../protocol/proxy-protocol.ts';
import { encodeProxyHeaderV2, SIGNATURE_V2 } from '../../protocol/proxy-protocol-v2.ts';
import { bytes, createRandom, hex, mutate } from './bytes.ts';

const MAX_BYTES = 4096;
const OWN: ProxyHeader = { kind: 'own' };
const proxied = (address: string, port: number, to: string, toPort: number): ProxyHeader => ({
  kind: 'proxied',
  source: { address, port },
  destination: { address: to, port: toPort },
});
const IPV4 = proxied('192.0.2.7', 41_234, '198.51.100.1', 3306);
const IPV6 = proxied('2001:db8::7', 65_535, '2001:db8::1', 0);
const IPV4_BLOCK = hex('c0000207 c6336401 a112 0cea');
const IPV6_BLOCK = hex('20010db8000000000000000000000007 20010db8000000000000000000000001 ffff 0000');

const HEADERS: readonly (readonly [string, Buffer, ProxyHeader])[] = [
  ['version 1, IPv4', bytes('PROXY TCP4 192.0.2.7 198.51.100.1 41234 3306\r\n'), IPV4],
  ['version 1, IPv6', bytes('PROXY TCP6 2001:db8::7 2001:DB8:0:0::1 65535 0\r\n'), IPV6],
  ['version 1, unknown', bytes('PROXY UNKNOWN\r\n'), OWN],
  ['version 1, unknown with more', bytes(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`), OWN],
  ['version 2, IPv4', bytes(SIGNATURE_V2, 0x21, 0x11, 0, 12, IPV4_BLOCK), IPV4],
  ['version 2, IPv6', bytes(SIGNATURE_V2, 0x21, 0x21, 0, 36, IPV6_BLOCK), IPV6],
  [
    'version 2 with TLVs',
    // An authority, an empty NOOP, TLS with a version inside.
    bytes(
      SIGNATURE_V2,
      0x21,
      0x11,
      0,
      37,
      IPV4_BLOCK,
      2,
      0,
      2,
      'db',
      4,
      0,
      0,
      0x20,
      0,
      14,
      1,
      0,
      0,
      0,
      0,
      0x21,
      0,
      6,
      'TLSv1.',
    ),
    IPV4,
  ],
  ['version 2, local', bytes(SIGNATURE_V2, 0x20, 0x00, 0, 0), OWN],
  ['version 2, local with addresses', bytes(SIGNATURE_V2, 0x20, 0x11, 0, 12, IPV4_BLOCK), OWN],
  ['version 2, unspecified', bytes(SIGNATURE_V2, 0x21, 0x00, 0, 3, 'abc'), OWN],
  ['version 2, a UNIX socket', bytes(SIGNATURE_V2, 0x21, 0x31, 0, 216, Buffer.alloc(216)), OWN],
  ['version 2, UDP', bytes(SIGNATURE_V2, 0x21, 0x12, 0, 12, IPV4_BLOCK), OWN],
];

for (const [name, header, value] of HEADERS) {
  t.test(`${name}: read whole, with what follows left alone, and not before it is whole`, async (t) => {
    for (const rest of ['', '\r\n', 'PROXY TCP4', SIGNATURE_V2]) {
      const read = readProxyHeader(bytes(header, rest), MAX_BYTES);
      t.same(read, { kind: 'header', header: value, consumedBytes: header.length });
    }
    for (let length = 0; length < header.length; length++)
      t.equal(readProxyHeader(header.subarray(0, length), MAX_BYTES).kind, 'incomplete', `${length} bytes`);
  });
}

t.test('a checksum must be right', async (t) => {
  const withChecksum = (checksum: Buffer) =>
    bytes(SIGNATURE_V2, 0x21, 0x11, 0, 19, IPV4_BLOCK, 3, 0, 4, checksum);
  const right = hex(CHECKSUM);
  t.match(readProxyHeader(withChecksum(right), MAX_BYTES), { kind: 'header' });
  const wrong = Buffer.from(right);
  wrong[3] = (wrong[3] ?? 0) ^ 1;
  t.throws(() => readProxyHeader(withChecksum(wrong), MAX_BYTES), /checksum is wrong/);
});

t.test('what only begins as a header is refused', async (t) => {
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['no end', bytes('PROXY TCP4 ', '1'.repeat(100)), /no end of line/],
    ['an end too late', bytes(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`), /no end of line/],
    ['another family', bytes('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n'), /the line is not/],
    ['nothing', bytes('PROXY \r\n'), /the line is not/],
    ['more', bytes('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n'), /the line is not/],
    ['less', bytes('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n'), /a port is no number/],
    ['two blanks', bytes('PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n'), /the line is not|an address/],
    ['IPv6 as IPv4', bytes('PROXY TCP4 ::1 ::1 1 2\r\n'), /an address is none/],
    ['IPv4 as IPv6', bytes('PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n'), /an address is none/],
    ['a name', bytes('PROXY TCP4 db db 1 2\r\n'), /an address is none/],
    ['a leading zero', bytes('PROXY TCP4 010.2.3.4 1.2.3.4 1 2\r\n'), /an address is none/],
    ['a port too high', bytes('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n'), /a port is no number/],
    ['a port with a sign', bytes('PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n'), /a port is no number/],
    ['version 3', bytes(SIGNATURE_V2, 0x31, 0x11, 0, 12, IPV4_BLOCK), /version 3/],
    ['a command that is none', bytes(SIGNATURE_V2, 0x22, 0x11, 0, 12, IPV4_BLOCK), /command 2/],
    ['too short for IPv4', bytes(SIGNATURE_V2, 0x21, 0x11, 0, 11, IPV4_BLOCK), /too short/],
    ['too short for IPv6', bytes(SIGNATURE_V2, 0x21, 0x21, 0, 12, IPV4_BLOCK), /too short/],
    ['too long', bytes(SIGNATURE_V2, 0x21, 0x11, 0xff, 0xff), /more than 4096/],
    ['a TLV cut off', bytes(SIGNATURE_V2, 0x21, 0x11, 0, 14, IPV4_BLOCK, 4, 0), /a TLV is cut off/],
    ['a TLV too long', bytes(SIGNATURE_V2, 0x21, 0x11, 0, 16, IPV4_BLOCK, 4, 0, 2, 0), /a TLV is longer/],
    [
      'a checksum of 3 bytes',
      bytes(SIGNATURE_V2, 0x21, 0x11, 0, 18, IPV4_BLOCK, 3, 0, 3, 1, 2, 3),
      /not 4 bytes/,
    ],
  ];
  for (const [name, input, why] of cases)
    t.throws(
      () => readProxyHeader(input, MAX_BYTES),
      { code: 'ER_HANDSHAKE_ERROR', side: 'client', detail: why },
      name,
    );
});

t.test('anything else is no header, from its first byte that differs', async (t) => {
  for (const other of [
    'GET / HTTP/1.1\r\n',
    'proxy TCP4',
    'PROXX',
    '\r\n\r\n\0\r\nQUIX',
    '\x16\x03\x01',
    '\0',
  ])
    t.equal(readProxyHeader(bytes(other), MAX_BYTES).kind, 'absent', JSON.stringify(other));
});

t.test('what the router sends is read as it was meant', async (t) => {
  for (const header of [IPV4, IPV6, OWN]) {
    const encoded = encodeProxyHeaderV2(header);
    t.same(readProxyHeader(encoded, MAX_BYTES), { kind: 'header', header, consumedBytes: encoded.length });
  }
  const mixed = encodeProxyHeaderV2(proxied('192.0.2.7', 1, '2001:db8::1', 2));
  t.match(readProxyHeader(mixed, MAX_BYTES), { header: proxied('::ffff:192.0.2.7', 1, '2001:db8::1', 2) });
  const nobody = encodeProxyHeaderV2(proxied('', 0, '', 0));
  t.match(readProxyHeader(nobody, MAX_BYTES), { header: OWN });
});

t.test('mutated headers are read or refused, and never more than there is', async (t) => {
  const random = createRandom(2);
  for (const [name, header] of HEADERS) {
    for (let round = 0; round < 3000; round++) {
      const mutated = mutate(header, random);
      try {
        const read = readProxyHeader(mutated, MAX_BYTES);
        if (read.kind === 'header' && read.consumedBytes > mutated.length)
          t.fail(`${name}: ${mutated.toString('hex')}`);
      } catch (error) {
        if (!(error instanceof ProtocolError))
          throw new Error(`${name}: ${mutated.toString('hex')}`, { cause: error });
      }
    }
  }
});

t.test('an address has one spelling', async (t) => {
  const cases = [
    ['1.2.3.4', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['2001:0DB8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['::ffff:0a00:1', '::ffff:10.0.0.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ] as const;
  for (const [text, spelling] of cases) {
    const parsed = parseIpAddress(text);
    t.equal(parsed === undefined ? undefined : formatIpAddress(parsed), spelling, text);
  }
  const none = [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
    '::1%lo',
  ];
  for (const text of none) t.equal(parseIpAddress(text), undefined, text);
  const random = createRandom(3);
  for (let round = 0; round < 20_000; round++) {
    const text = mutate(bytes(cases[Math.floor(random() * cases.length)]?.[0] ?? ''), random).toString(
      'latin1',
    );
    if (text.includes('%')) continue;
    if ((parseIpAddress(text) !== undefined) !== (isIP(text) !== 0)) t.fail(text);
  }
  t.equal(withoutMapping('::ffff:10.0.0.1'), '10.0.0.1');
  t.equal(withoutMapping('::ffff:a00:1'), '::ffff:a00:1');
  t.equal(withoutMapping('10.0.0.1'), '10.0.0.1');
});

/** By another implementation, which gives the published check value 0xe3069283 for "123456789". */
const CHECKSUM = 'd491b797';
