import { Buffer } from 'node:buffer';
import t from 'tap';
import { CLIENT_COMPRESS, CLIENT_DEPRECATE_EOF, CLIENT_SSL } from '../../protocol/capability-flags.ts';
import { replaceConnectionAttributes } from '../../protocol/connection-attributes.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import { CONNECTION_PHASE_TRANSITIONS, isFinalState } from '../../protocol/connection-phase-transitions.ts';
import { createErrPacket } from '../../protocol/err-packet.ts';
import { decodeHandshakeResponse41, encodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { decodeInitialHandshake, encodeInitialHandshake } from '../../protocol/initial-handshake.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { bytes, createRandom, hex, mutate, packet } from './bytes.ts';
import { converse, cutConversations, type Step } from './conversation.ts';

const NONCE = 'abcdefghijklmnopqrst';
const SCRAMBLE = Buffer.alloc(32, 0x5a);
const NATIVE_SCRAMBLE = Buffer.alloc(20, 0xa5);

const MYSQL_HANDSHAKE = mysqlHandshake('ff ff', 'ff df');
/** With protocol_compression_algorithms=uncompressed. */
const UNCOMPRESSED_HANDSHAKE = mysqlHandshake('df ff', 'ff db');

const MARIADB_HANDSHAKE = packet(
  0,
  10,
  '5.5.5-11.8.2-MariaDB\0',
  hex('05 00 00 00'),
  NONCE.slice(0, 8),
  0,
  hex('fe ff'), // without CLIENT_MYSQL, so there is an extended word
  45,
  hex('02 00'),
  hex('ff 81'),
  21,
  Buffer.alloc(6), // filler
  hex('1d 00 00 00'), // extended capabilities
  NONCE.slice(8),
  0,
  'mysql_native_password\0',
);

/** HandshakeResponse41: everything but CLIENT_SSL, compression and multi-factor unless asked for. */
function response(options: { flags?: string; auth?: Buffer; plugin?: string; tail?: Buffer } = {}): Buffer {
  const auth = options.auth ?? SCRAMBLE;
  return packet(
    1,
    hex(options.flags ?? '8d a6 ff 03'), // client_flag
    hex('00 00 00 01'), // max_packet_size
    255, // character_set
    Buffer.alloc(23), // filler
    'app\0',
    auth.length,
    auth,
    'shop\0',
    options.plugin ?? 'caching_sha2_password',
    0,
    16, // connection attributes
    3,
    '_os',
    5,
    'Linux',
    4,
    '_pid',
    0,
    options.tail ?? '',
  );
}

const RESPONSE = response();
const NATIVE_RESPONSE = response({ auth: NATIVE_SCRAMBLE, plugin: 'mysql_native_password' });
const ok = (sequenceId: number): Buffer => packet(sequenceId, hex('00 00 00 02 00 00 00'));
const accessDenied = (sequenceId: number): Buffer =>
  packet(sequenceId, 0xff, hex('15 04'), '#28000Access denied');
const SWITCH_TO_NATIVE = packet(2, 0xfe, 'mysql_native_password\0', NONCE, 0);
const COM_QUERY = packet(0, 3, 'SELECT 1');
const SSL_REQUEST = packet(1, hex('8d ae ff 03'), hex('00 00 00 01'), 255, Buffer.alloc(23));
/** The first bytes of a TLS record: handshake, TLS 1.0, 512 bytes, ClientHello. */
const CLIENT_HELLO = hex('16 03 01 02 00 01 00 01 fc 03 03');
const PUBLIC_KEY = bytes('-----BEGIN PUBLIC KEY-----\n', 'M'.repeat(392), '\n-----END PUBLIC KEY-----\n');

interface Story {
  readonly name: string;
  readonly steps: readonly Step[];
  /** `kind sequenceId` of each packet. */
  readonly events: readonly string[];
  readonly state: string;
  /** The plugin used last, where authentication succeeded. */
  readonly plugin?: string;
  /** Hex of what follows the phase. */
  readonly rest?: { readonly client: string; readonly server: string };
}

const STORIES: readonly Story[] = [
  {
    name: 'caching_sha2_password finds the password in its cache',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', packet(2, 1, 3)],
      ['server', ok(3)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'fast-auth-ok 2', 'ok 3'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: "caching_sha2_password's fast path and OK arrive in one segment",
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', bytes(packet(2, 1, 3), ok(3))],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'fast-auth-ok 2', 'ok 3'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'caching_sha2_password asks for the password, and the client for the public key',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', packet(2, 1, 4)],
      ['client', packet(3, 2)],
      ['server', packet(4, 1, PUBLIC_KEY)],
      ['client', packet(5, Buffer.alloc(256, 0xc3))],
      ['server', ok(6)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-more-data 2',
      'auth-response 3',
      'auth-more-data 4',
      'auth-response 5',
      'ok 6',
    ],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'MariaDB takes a native password at once',
    steps: [
      ['server', MARIADB_HANDSHAKE],
      ['client', response({ flags: '8c a6 ff 01', auth: NATIVE_SCRAMBLE, plugin: 'mysql_native_password' })],
      ['server', ok(2)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'ok 2'],
    state: 'command-phase',
    plugin: 'mysql_native_password',
  },
  {
    name: 'the server switches to another plugin',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', SWITCH_TO_NATIVE],
      ['client', packet(3, NATIVE_SCRAMBLE)],
      ['server', ok(4)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'ok 4',
    ],
    state: 'command-phase',
    plugin: 'mysql_native_password',
  },
  {
    name: 'the server switches by the single byte of old',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', NATIVE_RESPONSE],
      ['server', packet(2, 0xfe)],
      ['client', packet(3, 'scramble\0')],
      ['server', ok(4)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'ok 4',
    ],
    state: 'command-phase',
    plugin: 'mysql_old_password',
  },
  {
    name: 'an account without a password answers with nothing, twice',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', response({ auth: Buffer.alloc(0) })],
      ['server', SWITCH_TO_NATIVE],
      ['client', packet(3)],
      ['server', ok(4)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'ok 4',
    ],
    state: 'command-phase',
    plugin: 'mysql_native_password',
  },
  {
    name: 'the plugin switched to goes on with its own fast path',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', NATIVE_RESPONSE],
      ['server', packet(2, 0xfe, 'caching_sha2_password\0', NONCE, 0)],
      ['client', packet(3, SCRAMBLE)],
      ['server', packet(4, 1, 3)],
      ['server', ok(5)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'fast-auth-ok 4',
      'ok 5',
    ],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: "another plugin's 0x01 0x03 is data that the client may answer",
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', response({ plugin: 'authentication_ldap_sasl_client' })],
      ['server', packet(2, 1, 3)],
      ['client', packet(3, 'n,,n=app')],
      ['server', packet(4, 1, 'v=last words')],
      ['server', ok(5)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-more-data 2',
      'auth-response 3',
      'auth-more-data 4',
      'ok 5',
    ],
    state: 'command-phase',
    plugin: 'authentication_ldap_sasl_client',
  },
  {
    name: "MariaDB's PAM dialog sends its questions bare, and empty answers come back",
    steps: [
      ['server', MARIADB_HANDSHAKE],
      ['client', NATIVE_RESPONSE],
      ['server', packet(2, 0xfe, 'dialog\0', 4, 'Password: ')],
      ['client', packet(3, 'secret\0')],
      ['server', packet(4, 2, 'One-time code: ')],
      ['client', packet(5)],
      ['server', packet(6)],
      ['client', packet(7, 0xff)],
      ['server', ok(8)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'auth-more-data 4',
      'auth-response 5',
      'auth-more-data 6',
      'auth-response 7',
      'ok 8',
    ],
    state: 'command-phase',
    plugin: 'dialog',
  },
  {
    name: 'a second and a third factor follow',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', response({ flags: '8d a6 ff 13' })], // with CLIENT_MULTI_FACTOR_AUTHENTICATION
      ['server', packet(2, 1, 3)],
      ['server', packet(3, 2, 'authentication_ldap_simple\0')],
      ['client', packet(4, 'secret\0')],
      ['server', packet(5, 2, 'authentication_webauthn_client\0', NONCE)],
      ['client', packet(6, 1)],
      ['server', ok(7)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'fast-auth-ok 2',
      'auth-next-factor 3',
      'auth-response 4',
      'auth-next-factor 5',
      'auth-response 6',
      'ok 7',
    ],
    state: 'command-phase',
    plugin: 'authentication_webauthn_client',
  },
  {
    name: 'both halves of a plugin send two packets in a row',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['client', packet(2, 'more')],
      ['server', packet(3, 0xfe, 'two_in_a_row\0')],
      ['server', packet(4, 1, 'second')],
      ['client', packet(5, 'first')],
      ['client', packet(6, 'second')],
      ['server', ok(7)],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-response 2',
      'auth-switch-request 3',
      'auth-more-data 4',
      'auth-response 5',
      'auth-response 6',
      'ok 7',
    ],
    state: 'command-phase',
    plugin: 'two_in_a_row',
  },
  {
    name: 'the server has too many connections, and says so without SQLSTATE',
    steps: [['server', packet(0, 0xff, hex('10 04'), 'Too many connections')]],
    events: ['err 0'],
    state: 'refused',
  },
  {
    name: 'a server does not know the host, and says so with a state and an odd sequence id',
    steps: [['server', packet(2, 0xff, hex('6a 04'), "#HY000Host 'x' is not allowed to connect")]],
    events: ['err 2'],
    state: 'refused',
  },
  {
    name: 'the server loses patience before the client has answered',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['server', packet(1, 0xff, hex('87 04'), '#08S01Got timeout reading communication packets')],
    ],
    events: ['initial-handshake 0', 'err 1'],
    state: 'refused',
  },
  {
    name: "the server's ERR crosses the client's answer",
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', packet(1, 0xff, hex('1d 04'), '#08S01Server shutdown in progress')],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'err 1'],
    state: 'refused',
  },
  {
    name: 'the password is wrong',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', accessDenied(2)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'err 2'],
    state: 'refused',
  },
  {
    name: 'the server refuses instead of waiting for the plugin switched to',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', SWITCH_TO_NATIVE],
      ['server', accessDenied(3)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'auth-switch-request 2', 'err 3'],
    state: 'refused',
  },
  {
    name: 'the server refuses in the middle of a dialog',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', packet(2, 1, 4)],
      ['client', packet(3, 'secret\0')],
      ['server', accessDenied(4)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'auth-more-data 2', 'auth-response 3', 'err 4'],
    state: 'refused',
  },
  {
    name: 'a client sends its ClientHello with the SSLRequest',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', bytes(SSL_REQUEST, CLIENT_HELLO)],
    ],
    events: ['initial-handshake 0', 'ssl-request 1'],
    state: 'tls',
    rest: { client: CLIENT_HELLO.toString('hex'), server: '' },
  },
  {
    name: 'a client sends its first command behind its HandshakeResponse41',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', bytes(RESPONSE, COM_QUERY)],
      ['server', packet(2, 1, 3)],
      ['server', ok(3)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'fast-auth-ok 2', 'ok 3'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
    rest: { client: COM_QUERY.toString('hex'), server: '' },
  },
  {
    name: 'a client sends two commands behind its last answer, and the server answers behind its OK',
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', SWITCH_TO_NATIVE],
      ['client', bytes(packet(3, NATIVE_SCRAMBLE), COM_QUERY, packet(0, 14))],
      ['server', bytes(ok(4), hex('01 00 00 01 01'))],
    ],
    events: [
      'initial-handshake 0',
      'handshake-response 1',
      'auth-switch-request 2',
      'auth-response 3',
      'ok 4',
    ],
    state: 'command-phase',
    plugin: 'mysql_native_password',
    rest: { client: bytes(COM_QUERY, packet(0, 14)).toString('hex'), server: '0100000101' },
  },
  {
    name: "a command ahead of the server's last word of data is not taken for an answer",
    steps: [
      ['server', MYSQL_HANDSHAKE],
      ['client', bytes(response({ plugin: 'authentication_ldap_sasl_client' }), COM_QUERY)],
      ['server', packet(2, 1, 'v=last words')],
      ['server', ok(3)],
    ],
    events: ['initial-handshake 0', 'handshake-response 1', 'auth-more-data 2', 'ok 3'],
    state: 'command-phase',
    plugin: 'authentication_ldap_sasl_client',
    rest: { client: COM_QUERY.toString('hex'), server: '' },
  },
];

for (const story of STORIES) {
  t.test(`${story.name}: the same under every cut`, async (t) => {
    const whole = converse(story.steps);
    t.same(
      whole.events.map((event) => event.split(' ').slice(0, 2).join(' ')),
      story.events,
    );
    t.equal(whole.state, story.state);
    t.equal(whole.error, undefined);
    t.equal(whole.facts?.authPluginName, story.plugin);
    t.same(whole.rest, story.rest ?? { client: '', server: '' });
    for (const side of ['client', 'server'] as const) {
      const sent = Buffer.concat(
        story.steps.map(([from, chunk]) => (from === side ? chunk : Buffer.alloc(0))),
      );
      t.equal(whole.forwarded[side] + whole.rest[side], sent.toString('hex'), `${side}: no byte lost`);
    }
    const { wasHeld: _, ...expected } = whole;
    for (const steps of cutConversations(story.steps)) {
      const { wasHeld: __, ...outcome } = converse(steps);
      if (JSON.stringify(outcome, bigintless) !== JSON.stringify(expected, bigintless))
        t.same(outcome, expected);
    }
  });
}

t.test('an answer of the client may begin with any byte, and be of any length', async (t) => {
  for (let first = 0; first < 256; first++) {
    const outcome = converse([
      ['server', MYSQL_HANDSHAKE],
      ['client', RESPONSE],
      ['server', packet(2, 1, 4)],
      ['client', packet(3, first, 'answer')],
      ['server', ok(4)],
    ]);
    t.equal(outcome.state, 'command-phase');
  }
});

t.test('a dialog may have more packets than there are sequence ids', async (t) => {
  const steps: Step[] = [
    ['server', MYSQL_HANDSHAKE],
    ['client', RESPONSE],
  ];
  for (let round = 0; round < 300; round++) {
    steps.push(['server', packet((2 + 2 * round) & 0xff, 1, 'question')]);
    steps.push(['client', packet((3 + 2 * round) & 0xff, 'answer')]);
  }
  steps.push(['server', ok((2 + 600) & 0xff)]);
  t.equal(converse(steps).state, 'command-phase');
  const odd: readonly Step[] = [...steps.slice(0, 2), ['client', packet(2, 'shifts all ids by one')]];
  const shifted = steps.slice(2).map(([side, chunk]): Step => {
    const moved = Buffer.from(chunk);
    moved[3] = ((chunk[3] ?? 0) + 1) & 0xff;
    return [side, moved];
  });
  t.equal(converse([...odd, ...shifted]).state, 'command-phase');
});

t.test("a plugin's bare packet that begins with zero is not taken for an OK", async (t) => {
  const outcome = converse([
    ['server', MARIADB_HANDSHAKE],
    ['client', NATIVE_RESPONSE],
    ['server', packet(2, 0, 'six..')],
    ['client', packet(3, 'answer')],
    ['server', ok(4)],
  ]);
  t.equal(outcome.state, 'command-phase');
  t.match(outcome.events[2], /^auth-more-data 2/);
});

t.test("a client's packet waits for the end of the server's", async (t) => {
  const question = packet(2, 1, 'question');
  const phase = new ConnectionPhase();
  phase.feedServer(MYSQL_HANDSHAKE);
  phase.feedClient(RESPONSE);
  phase.feedServer(question.subarray(0, 6));
  t.same(phase.feedClient(packet(3, 'answer')), { events: [], consumedBytes: 0, next: 'hold' });
  t.equal(phase.feedServer(question.subarray(6)).events[0]?.kind, 'auth-more-data');
  t.equal(phase.feedClient(packet(3, 'answer')).events[0]?.kind, 'auth-response');
});

t.test('a client that is ahead of the server is held until the server has spoken', async (t) => {
  const phase = new ConnectionPhase();
  phase.feedServer(MYSQL_HANDSHAKE);
  const ahead = phase.feedClient(bytes(RESPONSE, COM_QUERY));
  t.equal(ahead.next, 'hold');
  t.equal(ahead.consumedBytes, RESPONSE.length);
  t.equal(phase.feedServer(packet(2, 1, 4)).next, 'read');
  t.equal(phase.feedClient(COM_QUERY).next, 'hold');
  t.equal(phase.feedServer(ok(3)).next, 'done');
});

t.test('the facts of a connection are those both sides offered', async (t) => {
  const { facts } = converse([
    ['server', MARIADB_HANDSHAKE],
    [
      'client',
      packet(
        1,
        hex('0c a6 1a 01'), // without CLIENT_LONG_PASSWORD
        hex('00 00 00 40'),
        224,
        Buffer.alloc(19),
        hex('14 00 00 00'), // extended capabilities: bulk, cached metadata
        'app\0',
        0,
        'shop\0',
        'mysql_native_password\0',
        5,
        3,
        '_os',
        0,
      ),
    ],
    ['server', packet(2, hex('00 00 00 03 00 00 00'))],
  ]);
  t.same(facts, {
    connectionId: 5,
    serverVersion: '5.5.5-11.8.2-MariaDB',
    serverCapabilities: 0x81ff_fffe,
    clientCapabilities: 0x011a_a60c,
    sharedCapabilities: 0x011a_a60c,
    sharedMariadbCapabilities: 0x14,
    compression: { kind: 'none' },
    username: 'app',
    database: 'shop',
    characterSet: 224,
    authPluginName: 'mysql_native_password',
    statusFlags: 3,
  });
});

t.test('compression is what the client says it uses and the server hears of: zlib before zstd', async (t) => {
  const zlib = 0x20;
  const compression = zlib | 0x0400_0000;
  const cases = [
    { flags: 'ad a6 ff 07', tail: hex('05'), expected: { kind: 'zlib' } },
    { flags: '8d a6 ff 07', tail: hex('05'), expected: { kind: 'zstd', level: 5 } },
    { flags: 'ad a6 ff 03', tail: hex(''), expected: { kind: 'zlib' } },
    { flags: '8d a6 ff 03', tail: hex(''), expected: { kind: 'none' } },
    { flags: 'ad a6 ff 07', tail: hex('05'), server: UNCOMPRESSED_HANDSHAKE, expected: { kind: 'zlib' } },
    { flags: 'ad a6 ff 07', tail: hex('05'), masked: zlib, expected: { kind: 'zstd', level: 5 } },
  ];
  for (const { flags, tail, server, masked, expected } of cases) {
    const { facts } = converse(
      [
        ['server', server ?? MYSQL_HANDSHAKE],
        ['client', response({ flags, tail })],
        ['server', ok(2)],
      ],
      { maskedCapabilities: masked ?? 0 },
    );
    t.same(facts?.compression, expected);
    const isShared = (facts?.sharedCapabilities ?? 0) & compression;
    t.equal(isShared !== 0, expected.kind !== 'none', 'which is all that the command phase is told');
  }
});

t.test('a caller may mask capabilities and rewrite attributes before it forwards', async (t) => {
  const masked = CLIENT_COMPRESS | CLIENT_SSL;
  const phase = new ConnectionPhase({ maskedCapabilities: masked });
  const [first] = phase.feedServer(MYSQL_HANDSHAKE).events;
  if (first?.kind !== 'initial-handshake') throw new Error('no initial handshake');
  t.equal(first.endOffset, MYSQL_HANDSHAKE.length);
  const capabilityFlags = (first.initialHandshake.capabilityFlags & ~masked) >>> 0;
  const offered = encodeInitialHandshake({ ...first.initialHandshake, capabilityFlags });
  t.equal(decodeInitialHandshake(offered).capabilityFlags & masked, 0);
  t.same(decodeInitialHandshake(offered).authPluginData, bytes(NONCE, 0));

  const [second] = phase.feedClient(RESPONSE).events;
  if (second?.kind !== 'handshake-response') throw new Error('no handshake response');
  t.same(encodePacket(encodeHandshakeResponse41(second.handshakeResponse), second.sequenceId), RESPONSE);
  const attributes = replaceConnectionAttributes(
    second.handshakeResponse.attributes ?? Buffer.alloc(0),
    [],
    [{ name: '_client_ip', value: '10.0.0.9' }],
  );
  const rewritten = decodeHandshakeResponse41(
    encodeHandshakeResponse41({ ...second.handshakeResponse, attributes }),
  );
  t.same(rewritten, { ...second.handshakeResponse, attributes });

  const [last] = phase.feedServer(ok(2)).events;
  if (last?.kind !== 'ok') throw new Error('no OK');
  t.equal(last.facts.serverCapabilities & masked, 0);
  t.equal(last.facts.sharedCapabilities & CLIENT_DEPRECATE_EOF, CLIENT_DEPRECATE_EOF);
});

t.test('a breach of the protocol is told by code and side, at the first byte that shows it', async (t) => {
  const greeted: readonly Step[] = [['server', MYSQL_HANDSHAKE]];
  const answered: readonly Step[] = [...greeted, ['client', RESPONSE]];
  const breaches: readonly (readonly [string, readonly Step[], string])[] = [
    ['a client that speaks first', [['client', hex('47')]], 'ER_NET_PACKETS_OUT_OF_ORDER client'],
    ['an HTTP request', [...greeted, ['client', bytes('GET ')]], 'ER_NET_PACKETS_OUT_OF_ORDER client'],
    ['TLS without SSLRequest', [...greeted, ['client', CLIENT_HELLO]], 'ER_NET_PACKETS_OUT_OF_ORDER client'],
    [
      'a HandshakeResponse41 of 16 MiB',
      [...greeted, ['client', hex('ff ff ff 01')]],
      'ER_NET_PACKET_TOO_LARGE client',
    ],
    ['an empty HandshakeResponse41', [...greeted, ['client', packet(1)]], 'ER_HANDSHAKE_ERROR client'],
    [
      'half a HandshakeResponse41',
      [...greeted, ['client', packet(1, hex('8d a6 ff 03'), 'ha')]],
      'ER_HANDSHAKE_ERROR client',
    ],
    [
      'a HandshakeResponse320',
      [...greeted, ['client', packet(1, hex('05 24 00 00 01'), 'app\0')]],
      'ER_NOT_SUPPORTED_AUTH_MODE client',
    ],
    [
      'half an SSLRequest',
      [...greeted, ['client', packet(1, hex('8d ae ff 03 00'))]],
      'ER_HANDSHAKE_ERROR client',
    ],
    [
      'an answer out of sequence',
      [...answered, ['server', SWITCH_TO_NATIVE], ['client', hex('14 00 00 05')]],
      'ER_NET_PACKETS_OUT_OF_ORDER client',
    ],
    [
      'a command where an answer is due',
      [...answered, ['server', SWITCH_TO_NATIVE], ['client', COM_QUERY]],
      'ER_NET_PACKETS_OUT_OF_ORDER client',
    ],
    [
      'two packets out of sequence',
      [...answered, ['client', packet(7, 'x')]],
      'ER_NET_PACKETS_OUT_OF_ORDER client',
    ],
    [
      'an answer of 16 MiB',
      [...answered, ['server', SWITCH_TO_NATIVE], ['client', hex('fe ff ff 03')]],
      'ER_NET_PACKET_TOO_LARGE client',
    ],
    [
      'a server that is an SSH server',
      [['server', bytes('SSH-2.0-OpenSSH_9.6\r\n')]],
      'CR_SERVER_HANDSHAKE_ERR server',
    ],
    [
      'a server that speaks X protocol',
      [['server', hex('05 00 00 00 0b 08 05 1a 00')]],
      'CR_SERVER_HANDSHAKE_ERR server',
    ],
    ['a server of MySQL 3.20', [['server', packet(0, 9, '3.20\0')]], 'CR_SERVER_HANDSHAKE_ERR server'],
    ['an empty initial handshake', [['server', packet(0)]], 'CR_MALFORMED_PACKET server'],
    ['half an initial handshake', [['server', packet(0, 10, '8.0\0')]], 'CR_MALFORMED_PACKET server'],
    [
      'an initial handshake with sequence id 1',
      [['server', packet(1, 10)]],
      'ER_NET_PACKETS_OUT_OF_ORDER server',
    ],
    ['two initial handshakes', [...greeted, ['server', packet(1, 10)]], 'ER_NET_PACKETS_OUT_OF_ORDER server'],
    [
      'an OK before the client has answered',
      [...greeted, ['server', ok(1)]],
      'ER_NET_PACKETS_OUT_OF_ORDER server',
    ],
    ['an OK out of sequence', [...answered, ['server', ok(3)]], 'ER_NET_PACKETS_OUT_OF_ORDER server'],
    [
      'an OK instead of waiting for the answer',
      [...answered, ['server', bytes(SWITCH_TO_NATIVE, ok(3))]],
      'ER_NET_PACKETS_OUT_OF_ORDER server',
    ],
    [
      "an OK before the answer's end",
      [...answered, ['client', hex('05 00 00 02 41')], ['server', ok(3)]],
      'ER_NET_PACKETS_OUT_OF_ORDER server',
    ],
    [
      'an OK that is cut short',
      [...answered, ['server', packet(2, hex('00 fe 00 00 00 00 00 00'))]],
      'CR_MALFORMED_PACKET server',
    ],
    [
      'an AuthSwitchRequest without a NUL',
      [...answered, ['server', packet(2, 0xfe, 'dialog')]],
      'CR_MALFORMED_PACKET server',
    ],
    ['an ERR that is cut short', [['server', packet(0, 0xff, 1)]], 'CR_MALFORMED_PACKET server'],
    ['AuthMoreData of 16 MiB', [...answered, ['server', hex('ff ff ff 02')]], 'CR_MALFORMED_PACKET server'],
  ];
  for (const [name, steps, expected] of breaches) {
    const outcome = converse(steps);
    t.equal(outcome.error, expected, name);
    t.equal(outcome.state, 'failed', name);
    const bytewise = converse([...cutConversations(steps)][0] ?? []);
    t.equal(bytewise.error, expected, `${name}, byte by byte`);
  }
});

t.test('TLS that was not offered, or was masked, is refused', async (t) => {
  const request: readonly Step[] = [
    ['server', MYSQL_HANDSHAKE],
    ['client', bytes(SSL_REQUEST, CLIENT_HELLO)],
  ];
  t.equal(converse(request).state, 'tls');
  t.equal(converse(request, { maskedCapabilities: CLIENT_SSL }).error, 'ER_HANDSHAKE_ERROR client');
});

t.test('limits are the caller’s', async (t) => {
  const steps: readonly Step[] = [
    ['server', MYSQL_HANDSHAKE],
    ['client', RESPONSE],
    ['server', packet(2, 1, Buffer.alloc(999))],
    ['client', packet(3, Buffer.alloc(1000))],
    ['server', ok(4)],
  ];
  const exact = { maxHandshakeResponseBytes: RESPONSE.length - 4, maxAuthPacketBytes: 1000 };
  t.equal(converse(steps, exact).state, 'command-phase');
  const tight = { ...exact, maxHandshakeResponseBytes: exact.maxHandshakeResponseBytes - 1 };
  t.equal(converse(steps, tight).error, 'ER_NET_PACKET_TOO_LARGE client');
  t.equal(converse(steps, { ...exact, maxAuthPacketBytes: 999 }).error, 'CR_MALFORMED_PACKET server');
});

t.test("the router's own ERR fits the moment", async (t) => {
  const err = createErrPacket('ER_CON_COUNT_ERROR');
  const phase = new ConnectionPhase();
  t.same(phase.encodeErr(err), packet(0, 0xff, hex('10 04'), 'Too many connections'));
  phase.feedServer(MYSQL_HANDSHAKE);
  t.same(phase.encodeErr(err), packet(1, 0xff, hex('10 04'), '#08004Too many connections'));
  phase.feedClient(RESPONSE);
  t.same(phase.encodeErr(err), packet(2, 0xff, hex('10 04'), '#08004Too many connections'));
  phase.feedServer(SWITCH_TO_NATIVE);
  t.throws(() => phase.feedClient(hex('14 00 00 07')), { code: 'ER_NET_PACKETS_OUT_OF_ORDER' });
  t.equal(phase.encodeErr(err)[3], 8, 'a client out of sequence is answered in its own');
  t.same(phase.feedClient(RESPONSE), { events: [], consumedBytes: 0, next: 'done' });
});

t.test('every state of the table can be reached and left, but for the final ones', async (t) => {
  const rows: [string, { readonly violation?: string }][] = Object.entries(CONNECTION_PHASE_TRANSITIONS);
  const reached = new Set(['initial-handshake', ...rows.flatMap(([, row]) => Object.values(row))]);
  t.same([...reached].sort(), rows.map(([state]) => state).sort());
  for (const [state, row] of rows) {
    const isFinal = ['command-phase', 'tls', 'refused', 'failed'].includes(state);
    t.equal(Object.keys(row).length === 0, isFinal, state);
    t.equal(!isFinal && row.violation !== 'failed', false, `${state} can fail`);
  }
  t.equal(isFinalState('tls'), true);
});

t.test('mutated conversations and random bytes end, and raise nothing but ProtocolError', async (t) => {
  const random = createRandom(41);
  const deadline = Date.now() + 1500;
  let rounds = 0;
  for (; rounds < 20_000 && Date.now() < deadline; rounds++) {
    const story = STORIES[rounds % STORIES.length];
    const steps = (story?.steps ?? []).map(
      ([side, chunk]): Step => [side, random() < 0.3 ? mutate(chunk, random) : chunk],
    );
    const noise = Buffer.from(
      Array.from({ length: random() * 60 }, () => random() * (random() < 0.5 ? 4 : 256)),
    );
    const at = Math.floor(random() * steps.length);
    const withNoise: readonly Step[] = [
      ...steps.slice(0, at),
      [random() < 0.5 ? 'client' : 'server', noise],
      ...steps.slice(at),
    ];
    const outcome = converse(random() < 0.5 ? steps : withNoise);
    if (outcome.error !== undefined && outcome.state !== 'failed')
      t.fail(`${outcome.error} in ${outcome.state}`);
  }
  t.ok(rounds > 500, `${rounds} conversations`);
});

function bigintless(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function mysqlHandshake(flags1: string, flags2: string): Buffer {
  return packet(
    0,
    10, // protocol version
    '9.7.0\0', // server version
    hex('0b 00 00 00'), // thread id
    NONCE.slice(0, 8), // auth-plugin-data-part-1
    0, // filler
    hex(flags1), // capability_flags_1
    255, // character_set
    hex('02 00'), // status_flags
    hex(flags2), // capability_flags_2
    21, // auth_plugin_data_len
    Buffer.alloc(10), // reserved
    NONCE.slice(8), // auth-plugin-data-part-2
    0,
    'caching_sha2_password\0',
  );
}
