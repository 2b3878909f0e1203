import t from 'tap';
import { readClientHello } from '../../protocol/client-hello.ts';
import { hex } from './bytes.ts';

const HELLO = hex('16 03 01 00 08 01 00 00 04 03 03 aa bb');

t.test('a ClientHello is known for one from its first bytes on, and whole with its record', async (t) => {
  for (let length = 0; length < HELLO.length; length += 1) {
    t.equal(readClientHello(HELLO.subarray(0, length)), 'not-yet-whole', `${length} bytes`);
  }
  t.equal(readClientHello(HELLO), 'whole');
  t.equal(readClientHello(Buffer.concat([HELLO, HELLO])), 'whole');
});

for (const [what, bytes] of [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
  ['a MySQL packet', hex('20 00 00 02 8d a6')],
  ['an alert', hex('15 03 01 00 02 02 28')],
  ['SSL 2', hex('16 02 00 00 10 01')],
  ['a ServerHello', hex('16 03 03 00 10 02')],
  ['an empty record', hex('16 03 01 00 00')],
  ['a record beyond the limit', hex('16 03 01 40 01 01')],
] as const) {
  t.test(`${what} is no TLS`, async (t) => {
    t.equal(readClientHello(bytes), 'no-tls');
  });
}
