/** X Protocol between the first byte and the end of the login, in any pieces. */
import t from 'tap';
import { ProtocolError } from '../../protocol/errors.ts';
import { XConnectionPhase } from '../../protocol/x/connection-phase.ts';
import { encodeXFrame, X_CLIENT, X_SERVER } from '../../protocol/x/frame.ts';
import { asksForTls, decodeXError, encodeXError } from '../../protocol/x/messages.ts';
import { encodeBytesField, encodeVarintField } from '../../protocol/x/protobuf.ts';

/** As mysqld 9.7 sends it before the client has said anything. */
const HELLO = Buffer.from('050000000b08051a00', 'hex');
const GET = encodeXFrame(X_CLIENT.CON_CAPABILITIES_GET, Buffer.alloc(0));
const SET_TLS = setCapability('tls', 1);
const CAPABILITIES = encodeXFrame(X_SERVER.CONN_CAPABILITIES, Buffer.from('whatever'));
const OK = encodeXFrame(X_SERVER.OK, Buffer.alloc(0));
const REFUSED = encodeXFrame(X_SERVER.ERROR, Buffer.alloc(0));
const START = encodeXFrame(X_CLIENT.SESS_AUTHENTICATE_START, Buffer.from('MYSQL41'));
const AUTHENTICATED = encodeXFrame(X_SERVER.SESS_AUTHENTICATE_OK, Buffer.alloc(0));
const CLIENT_HELLO = Buffer.from('160301', 'hex');

t.test('a login ends with AuthenticateOk, in whatever pieces it comes', async (t) => {
  for (const pieceBytes of [1, 2, 3, 5, 1000]) {
    const phase = new XConnectionPhase(1000);
    t.equal(feed(phase, 'server', HELLO, pieceBytes), 9);
    t.equal(feed(phase, 'client', Buffer.concat([GET, START]), pieceBytes), GET.length + START.length);
    feed(phase, 'server', Buffer.concat([CAPABILITIES, HELLO, REFUSED]), pieceBytes);
    t.equal(phase.state, 'open', 'a refused login may be tried again');
    t.ok(phase.hasServerRefused);
    feed(phase, 'client', START, pieceBytes);
    feed(phase, 'server', Buffer.concat([AUTHENTICATED, Buffer.from('more')]), pieceBytes);
    t.equal(phase.state, 'authenticated');
    t.notOk(phase.hasServerRefused);
  }
});

t.test('TLS begins with the answer to the CapabilitiesSet that asks for it, and not before', async (t) => {
  for (const pieceBytes of [1, 4, 1000]) {
    const phase = new XConnectionPhase(1000);
    const said = Buffer.concat([GET, SET_TLS, CLIENT_HELLO]);
    t.equal(feed(phase, 'client', said, pieceBytes), GET.length + SET_TLS.length, 'what follows waits');
    t.equal(phase.state, 'tls-asked');
    feed(phase, 'server', Buffer.concat([HELLO, CAPABILITIES]), pieceBytes);
    t.equal(phase.state, 'tls-asked', 'that was the answer to another question');
    feed(phase, 'server', OK, pieceBytes);
    t.equal(phase.state, 'tls');
  }
});

t.test('a server that refuses TLS leaves the client where it was', async (t) => {
  const phase = new XConnectionPhase(1000);
  feed(phase, 'client', SET_TLS, 1000);
  feed(phase, 'server', REFUSED, 1000);
  t.equal(phase.state, 'open');
  t.equal(feed(phase, 'client', START, 1000), START.length);
  feed(phase, 'server', AUTHENTICATED, 1000);
  t.equal(phase.state, 'authenticated');
});

t.test('other capabilities are none of the router’s business', async (t) => {
  for (const set of [setCapability('tls', 0), setCapability('client.interactive', 1)]) {
    const phase = new XConnectionPhase(1000);
    feed(phase, 'client', set, 1000);
    feed(phase, 'server', OK, 1000);
    t.equal(phase.state, 'open');
  }
  t.equal(asksForTls(Buffer.alloc(0)), false);
});

t.test('what no client of X Protocol begins with is refused', async (t) => {
  const table: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['a TLS record', Buffer.from('1603010200010001fc0303', 'hex')],
    ['a frame without a type', Buffer.alloc(5)],
    ['a statement', encodeXFrame(12, Buffer.from('x'))],
    ['a message beyond the limit', encodeXFrame(X_CLIENT.SESS_AUTHENTICATE_START, Buffer.alloc(1001))],
    ['capabilities that are none', encodeXFrame(X_CLIENT.CON_CAPABILITIES_SET, Buffer.from('ffffff', 'hex'))],
  ];
  for (const [what, bytes] of table) {
    t.throws(() => feed(new XConnectionPhase(1000), 'client', bytes, 3), ProtocolError, what);
  }
});

t.test('what a client says to a server that answers is left to the two', async (t) => {
  const phase = new XConnectionPhase(1000);
  feed(phase, 'client', GET, 1000);
  feed(phase, 'server', CAPABILITIES, 1000);
  const unknown = Buffer.concat([encodeXFrame(46, Buffer.from('compressed')), Buffer.from('anything')]);
  t.equal(feed(phase, 'client', unknown, 1000), unknown.length);
  t.equal(phase.state, 'not-understood');
});

t.test('an error says code, state and text', async (t) => {
  const err = { errorCode: 1040, sqlState: '08004', message: 'Too many connections' };
  const frame = encodeXError(err);
  t.equal(frame.readUInt32LE(0), frame.length - 4);
  t.equal(frame[4], X_SERVER.ERROR);
  t.strictSame(decodeXError(frame.subarray(5)), err);
});

t.test('any message may be cut anywhere without harm', async (t) => {
  const message = SET_TLS.subarray(5);
  for (let length = 0; length < message.length; length++) {
    try {
      asksForTls(message.subarray(0, length));
    } catch (error) {
      if (!(error instanceof ProtocolError)) t.fail(`cut at ${length}: ${error}`);
    }
  }
});

/** @returns bytes of the client that may go on, or all of the server's */
function feed(phase: XConnectionPhase, side: 'client' | 'server', bytes: Buffer, pieceBytes: number): number {
  let taken = 0;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    if (side === 'client') taken += phase.feedClient(piece);
    else phase.feedServer(piece);
    if (side === 'server') taken += piece.length;
  }
  return taken;
}

function setCapability(name: string, value: number): Buffer {
  const scalar = Buffer.concat([encodeVarintField(1, 7), encodeVarintField(7, value)]);
  const any = Buffer.concat([encodeVarintField(1, 1), encodeBytesField(2, scalar)]);
  const capability = Buffer.concat([encodeBytesField(1, Buffer.from(name)), encodeBytesField(2, any)]);
  return encodeXFrame(X_CLIENT.CON_CAPABILITIES_SET, encodeBytesField(1, encodeBytesField(1, capability)));
}
