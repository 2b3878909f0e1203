import { Buffer } from 'node:buffer';
import t from 'tap';
import { decodeAuthMoreData, encodeAuthMoreData } from '../../protocol/auth-more-data.ts';
import { decodeAuthNextFactor, encodeAuthNextFactor } from '../../protocol/auth-next-factor.ts';
import { decodeAuthSwitchRequest, encodeAuthSwitchRequest } from '../../protocol/auth-switch-request.ts';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_CONNECT_WITH_DB,
  CLIENT_LONG_PASSWORD,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SESSION_TRACK,
  CLIENT_SSL,
  CLIENT_TRANSACTIONS,
  CLIENT_ZSTD_COMPRESSION_ALGORITHM,
} from '../../protocol/capability-flags.ts';
import {
  checkConnectionAttributes,
  decodeConnectionAttributes,
  encodeConnectionAttributes,
  replaceConnectionAttributes,
} from '../../protocol/connection-attributes.ts';
import { decodeEofPacket, encodeEofPacket } from '../../protocol/eof-packet.ts';
import {
  createErrPacket,
  decodeErrPacket,
  encodeErr,
  encodeErrBeforeHandshake,
  encodeErrPacket,
} from '../../protocol/err-packet.ts';
import {
  decodeHandshakeResponse41,
  encodeHandshakeResponse41,
  isHandshakeResponse320,
} from '../../protocol/handshake-response41.ts';
import { decodeInitialHandshake, encodeInitialHandshake } from '../../protocol/initial-handshake.ts';
import { decodeOkPacket, decodeOkPacketHead, encodeOkPacket } from '../../protocol/ok-packet.ts';
import { decodeSslRequest, encodeSslRequest } from '../../protocol/ssl-request.ts';
import { bytes, hex } from './bytes.ts';
import { testCodec } from './codec-table.ts';

const ZEROS = (length: number): Buffer => Buffer.alloc(length);

testCodec(t, {
  name: 'InitialHandshake',
  decode: decodeInitialHandshake,
  encode: encodeInitialHandshake,
  samples: [
    {
      name: "MySQL 8.4's",
      payload: bytes(
        10, // protocol version
        '8.4.3\0', // server version
        hex('2a 00 00 00'), // thread id
        'abcdefgh', // auth-plugin-data-part-1
        0, // filler
        hex('ff ff'), // capability_flags_1
        255, // character_set: utf8mb4_0900_ai_ci
        hex('02 00'), // status_flags: autocommit
        hex('ff df'), // capability_flags_2: all but CLIENT_CAPABILITY_EXTENSION
        21, // auth_plugin_data_len
        ZEROS(10), // reserved
        'ijklmnopqrst\0', // auth-plugin-data-part-2
        'caching_sha2_password\0',
      ),
      value: {
        serverVersion: '8.4.3',
        connectionId: 42,
        authPluginData: bytes('abcdefghijklmnopqrst\0'),
        capabilityFlags: 0xdfff_ffff,
        mariadbCapabilityFlags: 0,
        characterSet: 255,
        statusFlags: 2,
        authPluginName: 'caching_sha2_password',
      },
    },
    {
      name: "MariaDB 11's, with extended capabilities in the reserved bytes",
      payload: bytes(
        10,
        '5.5.5-11.4.2-MariaDB-log\0',
        hex('ff ff ff ff'), // the largest thread id
        'abcdefgh',
        0,
        hex('fe f7'), // without CLIENT_LONG_PASSWORD (here CLIENT_MYSQL) and CLIENT_SSL
        45,
        hex('02 00'),
        hex('ff 81'),
        21,
        ZEROS(6),
        hex('1d 00 00 00'), // progress, bulk, extended metadata, cached metadata
        'ijklmnopqrst\0',
        'mysql_native_password\0',
      ),
      value: {
        serverVersion: '5.5.5-11.4.2-MariaDB-log',
        connectionId: 0xffff_ffff,
        authPluginData: bytes('abcdefghijklmnopqrst\0'),
        capabilityFlags: 0x81ff_f7fe,
        mariadbCapabilityFlags: 0x1d,
        characterSet: 45,
        statusFlags: 2,
        authPluginName: 'mysql_native_password',
      },
    },
    {
      name: 'one without plugins, as MySQL 5.1 sent it',
      payload: bytes(
        10,
        '5.1.73\0',
        hex('01 00 00 00'),
        'abcdefgh',
        0,
        hex('ff f7'),
        8,
        hex('02 00'),
        hex('00 00'),
        0, // auth_plugin_data_len without CLIENT_PLUGIN_AUTH
        ZEROS(10),
        'ijklmnopqrst\0',
      ),
      value: {
        serverVersion: '5.1.73',
        connectionId: 1,
        authPluginData: bytes('abcdefghijklmnopqrst\0'),
        capabilityFlags: 0xf7ff,
        mariadbCapabilityFlags: 0,
        characterSet: 8,
        statusFlags: 2,
        authPluginName: '',
      },
    },
    {
      name: 'one whose plugin name has no NUL, as MySQL 5.5.7 sent it',
      payload: bytes(
        10,
        '5.5.7-rc\0',
        hex('01 00 00 00'),
        'abcdefgh',
        0,
        hex('ff f7'),
        8,
        hex('02 00'),
        hex('0f 80'),
        21,
        ZEROS(10),
        'ijklmnopqrst\0',
        'mysql_native_password',
      ),
      value: {
        serverVersion: '5.5.7-rc',
        connectionId: 1,
        authPluginData: bytes('abcdefghijklmnopqrst\0'),
        capabilityFlags: 0x800f_f7ff,
        mariadbCapabilityFlags: 0,
        characterSet: 8,
        statusFlags: 2,
        authPluginName: 'mysql_native_password',
      },
      encodesTo: bytes(
        10,
        '5.5.7-rc\0',
        hex('01 00 00 00'),
        'abcdefgh',
        0,
        hex('ff f7'),
        8,
        hex('02 00'),
        hex('0f 80'),
        21,
        ZEROS(10),
        'ijklmnopqrst\0',
        'mysql_native_password\0',
      ),
    },
  ],
});

t.test(
  'an initial handshake of another protocol version, or without the 4.1 protocol, is refused by name',
  async (t) => {
    const wrongVersion = bytes(9, '3.20.32a\0', hex('01 00 00 00'), 'abcdefgh\0');
    t.throws(() => decodeInitialHandshake(wrongVersion), { code: 'CR_SERVER_HANDSHAKE_ERR', side: 'server' });
    const tooOld = bytes(10, '4.0.30\0', hex('01 00 00 00'), 'abcdefgh', 0, hex('2c 20 08 02 00'), ZEROS(13));
    t.throws(() => decodeInitialHandshake(tooOld), { code: 'CR_SERVER_HANDSHAKE_ERR', side: 'server' });
  },
);

t.test('a capability masked in an initial handshake takes its field with it', async (t) => {
  const handshake = {
    serverVersion: '9.7.0',
    connectionId: 7,
    authPluginData: bytes('abcdefghijklmnopqrst\0'),
    capabilityFlags: 0xdfff_ffff & ~CLIENT_PLUGIN_AUTH,
    mariadbCapabilityFlags: 0,
    characterSet: 255,
    statusFlags: 2,
    authPluginName: 'caching_sha2_password',
  };
  t.equal(decodeInitialHandshake(encodeInitialHandshake(handshake)).authPluginName, '');
});

testCodec(t, {
  name: 'SSLRequest',
  decode: decodeSslRequest,
  encode: encodeSslRequest,
  samples: [
    {
      name: "the mysql client's",
      payload: bytes(
        hex('85 ae ff 19'), // client_flag
        hex('00 00 00 01'), // max_packet_size: 16 MiB
        255, // character_set
        ZEROS(23), // filler
      ),
      value: {
        capabilityFlags: 0x19ff_ae85,
        mariadbCapabilityFlags: 0,
        maxPacketBytes: 0x0100_0000,
        characterSet: 255,
      },
    },
    {
      name: "a MariaDB client's, with extended capabilities in the filler",
      payload: bytes(
        hex('84 ae ff 01'), // without CLIENT_LONG_PASSWORD
        hex('00 00 00 40'), // 1 GiB
        45,
        ZEROS(19),
        hex('1c 00 00 00'),
      ),
      value: {
        capabilityFlags: 0x01ff_ae84,
        mariadbCapabilityFlags: 0x1c,
        maxPacketBytes: 0x4000_0000,
        characterSet: 45,
      },
    },
  ],
});

const RESPONSE_FLAGS = CLIENT_LONG_PASSWORD | CLIENT_PROTOCOL_41 | CLIENT_TRANSACTIONS;
const ALL_RESPONSE_FLAGS =
  RESPONSE_FLAGS |
  CLIENT_CONNECT_WITH_DB |
  CLIENT_SECURE_CONNECTION |
  CLIENT_PLUGIN_AUTH |
  CLIENT_CONNECT_ATTRS |
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA |
  CLIENT_ZSTD_COMPRESSION_ALGORITHM;
const RESPONSE = {
  capabilityFlags: RESPONSE_FLAGS,
  mariadbCapabilityFlags: 0,
  maxPacketBytes: 0x0100_0000,
  characterSet: 255,
  textEncoding: 'utf8',
  username: 'app',
  authResponse: ZEROS(0),
  database: undefined,
  authPluginName: '',
  attributes: undefined,
  zstdLevel: undefined,
} as const;

const responseHead = (flags: string): Buffer =>
  bytes(
    hex(flags), // client_flag
    hex('00 00 00 01'), // max_packet_size
    255, // character_set
    ZEROS(23), // filler
  );
const SCRAMBLE = hex('00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13');

testCodec(t, {
  name: 'HandshakeResponse41',
  decode: decodeHandshakeResponse41,
  encode: encodeHandshakeResponse41,
  samples: [
    {
      name: 'one with every field',
      payload: bytes(
        responseHead('09 a2 38 04'),
        'app\0', // username
        20, // auth_response, counted by a length-encoded integer
        SCRAMBLE,
        'shop\0', // database
        'mysql_native_password\0',
        31, // connection attributes
        4,
        '_pid',
        3,
        '117',
        12,
        '_client_name',
        8,
        'libmysql',
        3, // zstd_compression_level
      ),
      value: {
        ...RESPONSE,
        capabilityFlags: ALL_RESPONSE_FLAGS,
        authResponse: SCRAMBLE,
        database: 'shop',
        authPluginName: 'mysql_native_password',
        attributes: encodeConnectionAttributes([
          { name: '_pid', value: '117' },
          { name: '_client_name', value: 'libmysql' },
        ]),
        zstdLevel: 3,
      },
    },
    {
      name: 'one with an auth response of 300 bytes and attributes of 64 KiB',
      payload: bytes(
        responseHead('01 a2 30 00'),
        'app\0',
        hex('fc 2c 01'), // lenenc 300
        Buffer.alloc(300, 'J'),
        hex('fd 03 00 01'), // lenenc 65539: two lengths of 1 and 3 bytes, no name, 65535 bytes of value
        0,
        hex('fc ff ff'),
        Buffer.alloc(0xffff, 'v'),
      ),
      value: {
        ...RESPONSE,
        capabilityFlags:
          RESPONSE_FLAGS |
          CLIENT_SECURE_CONNECTION |
          CLIENT_CONNECT_ATTRS |
          CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
        authResponse: Buffer.alloc(300, 'J'),
        attributes: encodeConnectionAttributes([{ name: '', value: 'v'.repeat(0xffff) }]),
      },
    },
    {
      name: 'one with a length byte before the auth response',
      payload: bytes(responseHead('01 a2 08 00'), 'app\0', 20, SCRAMBLE, 'caching_sha2_password\0'),
      value: {
        ...RESPONSE,
        capabilityFlags: RESPONSE_FLAGS | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH,
        authResponse: SCRAMBLE,
        authPluginName: 'caching_sha2_password',
      },
    },
    {
      name: 'one with a NUL behind the auth response, as before MySQL 4.1.1',
      payload: bytes(responseHead('01 22 00 00'), 'app\0', 'scramble\0'),
      value: { ...RESPONSE, authResponse: bytes('scramble') },
    },
    {
      name: 'one without user, password and attributes',
      payload: bytes(responseHead('01 a2 18 00'), '\0', 0, 'mysql_native_password\0', 0),
      value: {
        ...RESPONSE,
        capabilityFlags:
          RESPONSE_FLAGS | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH | CLIENT_CONNECT_ATTRS,
        username: '',
        authPluginName: 'mysql_native_password',
        attributes: ZEROS(0),
      },
    },
    {
      name: 'one whose user name is Latin-1',
      payload: bytes(responseHead('09 a2 00 00'), hex('6d fc 6c 6c 65 72 00'), 0, hex('62 fc 72 6f 00')),
      value: {
        ...RESPONSE,
        capabilityFlags: RESPONSE_FLAGS | CLIENT_SECURE_CONNECTION | CLIENT_CONNECT_WITH_DB,
        textEncoding: 'latin1',
        username: 'müller',
        database: 'büro',
      },
    },
    {
      name: 'one that leaves its plugin name out',
      payload: bytes(responseHead('01 a2 08 00'), 'app\0', 0),
      value: { ...RESPONSE, capabilityFlags: RESPONSE_FLAGS | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH },
      encodesTo: bytes(responseHead('01 a2 08 00'), 'app\0', 0, 0),
    },
    {
      name: 'one with bytes behind its last field',
      payload: bytes(responseHead('01 a2 00 00'), 'app\0', 0, 'and more'),
      value: { ...RESPONSE, capabilityFlags: RESPONSE_FLAGS | CLIENT_SECURE_CONNECTION },
      encodesTo: bytes(responseHead('01 a2 00 00'), 'app\0', 0),
    },
  ],
});

t.test('what mysqld 9.7 takes for nothing is nothing here: fields announced and not sent', async (t) => {
  const announcing = (flags: number, tail: string) => {
    const payload = encodeHandshakeResponse41({
      ...RESPONSE,
      capabilityFlags: (CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION) >>> 0,
    });
    payload.writeUInt32LE((payload.readUInt32LE() | flags) >>> 0);
    return decodeHandshakeResponse41(Buffer.concat([payload, Buffer.from(tail)]));
  };
  t.match(announcing(CLIENT_CONNECT_ATTRS, ''), { attributes: { length: 0 } });
  t.match(announcing(CLIENT_CONNECT_WITH_DB, ''), { database: '' });
  t.match(announcing(CLIENT_CONNECT_WITH_DB, 'shop'), { database: 'shop' });
  t.match(announcing(CLIENT_ZSTD_COMPRESSION_ALGORITHM, ''), { zstdLevel: 0 });
});

t.test('a HandshakeResponse320 is refused by name', async (t) => {
  const response = bytes(
    hex('85 24'), // client_flag, two bytes
    hex('00 00 01'), // max_packet_size
    'app\0',
    'scramble',
    0,
  );
  t.equal(isHandshakeResponse320(response), true);
  t.throws(() => decodeHandshakeResponse41(response), { code: 'ER_NOT_SUPPORTED_AUTH_MODE', side: 'client' });
});

t.test('a client that lies about a length is told so, whatever the length', async (t) => {
  for (const lie of ['fa', 'fb', 'fc ff ff', 'fd ff ff ff', 'fe ff ff ff ff ff ff ff ff', 'ff']) {
    const payload = bytes(responseHead('01 a2 30 00'), 'app\0', hex(lie), 'short');
    t.throws(() => decodeHandshakeResponse41(payload), { code: 'ER_HANDSHAKE_ERROR', side: 'client' }, lie);
  }
});

testCodec(t, {
  name: 'AuthSwitchRequest',
  decode: decodeAuthSwitchRequest,
  encode: encodeAuthSwitchRequest,
  samples: [
    {
      name: 'one to mysql_native_password',
      payload: bytes(0xfe, 'mysql_native_password\0', SCRAMBLE, 0),
      value: {
        kind: 'named',
        authPluginName: 'mysql_native_password',
        authPluginData: bytes(SCRAMBLE, 0),
      },
    },
    {
      name: 'one without plugin data',
      payload: bytes(0xfe, 'mysql_clear_password\0'),
      value: { kind: 'named', authPluginName: 'mysql_clear_password', authPluginData: ZEROS(0) },
    },
    { name: 'the one-byte form', payload: bytes(0xfe), value: { kind: 'old-password' } },
  ],
});

testCodec(t, {
  name: 'AuthMoreData',
  decode: decodeAuthMoreData,
  encode: encodeAuthMoreData,
  samples: [
    { name: "caching_sha2_password's fast path", payload: bytes(1, 3), value: { pluginData: bytes(3) } },
    { name: 'one without data', payload: bytes(1), value: { pluginData: ZEROS(0) } },
    {
      name: 'a public key',
      payload: bytes(1, '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n'),
      value: { pluginData: bytes('-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n') },
    },
  ],
});

testCodec(t, {
  name: 'AuthNextFactor',
  decode: decodeAuthNextFactor,
  encode: encodeAuthNextFactor,
  samples: [
    {
      name: 'one to a device',
      payload: bytes(2, 'authentication_webauthn_client\0', 32, SCRAMBLE),
      value: { authPluginName: 'authentication_webauthn_client', authPluginData: bytes(32, SCRAMBLE) },
    },
  ],
});

const OK = {
  header: 0,
  affectedRows: 0n,
  lastInsertId: 0n,
  statusFlags: 0x0002,
  warnings: 0,
  info: ZEROS(0),
  sessionStateInfo: undefined,
} as const;

testCodec(t, {
  name: 'OkPacket with session tracking',
  decode: (payload) => decodeOkPacket(payload, CLIENT_PROTOCOL_41 | CLIENT_SESSION_TRACK),
  encode: (ok) => encodeOkPacket(ok, CLIENT_PROTOCOL_41 | CLIENT_SESSION_TRACK),
  samples: [
    { name: 'the shortest', payload: hex('00 00 00 02 00 00 00'), value: OK },
    {
      name: 'one with large counts, text and changed session state',
      payload: bytes(
        0,
        hex('fd ff ff ff'), // affected_rows
        hex('fe ff ff ff ff ff ff ff ff'), // last_insert_id: the largest
        hex('03 40'), // status_flags: autocommit, in a transaction, session state changed
        hex('02 00'), // warnings
        4,
        'done', // info
        5,
        hex('01 03 02 64 62'), // session state information: schema "db"
      ),
      value: {
        ...OK,
        affectedRows: 0xff_ffffn,
        lastInsertId: 0xffff_ffff_ffff_ffffn,
        statusFlags: 0x4003,
        warnings: 2,
        info: bytes('done'),
        sessionStateInfo: hex('01 03 02 64 62'),
      },
    },
    {
      name: 'one that ends a result set',
      payload: hex('fe 00 00 22 00 01 00'),
      value: { ...OK, header: 0xfe, statusFlags: 0x22, warnings: 1 },
    },
  ],
});

testCodec(t, {
  name: 'OkPacket without session tracking',
  decode: (payload) => decodeOkPacket(payload, CLIENT_PROTOCOL_41),
  encode: (ok) => encodeOkPacket(ok, CLIENT_PROTOCOL_41),
  samples: [
    {
      name: 'one whose text goes to the end',
      payload: bytes(hex('00 fc fb 00 01 02 00 00 00'), 'Rows matched: 251'),
      value: { ...OK, affectedRows: 251n, lastInsertId: 1n, info: bytes('Rows matched: 251') },
    },
  ],
});

t.test('the head of an OK packet can be read where the rest was cut off', async (t) => {
  const cut = bytes(hex('00 01 00 02 40 00 00'), hex('fc ff ff'), 'text without its end');
  t.equal(decodeOkPacketHead(cut).statusFlags, 0x4002);
  t.throws(() => decodeOkPacketHead(hex('0a 00 00 02 00 00 00')), { code: 'CR_MALFORMED_PACKET' });
});

testCodec(t, {
  name: 'EofPacket',
  decode: decodeEofPacket,
  encode: encodeEofPacket,
  samples: [
    {
      name: 'one with more results',
      payload: hex('fe 01 00 0a 00'),
      value: { warnings: 1, statusFlags: 0x0a },
    },
  ],
});

testCodec(t, {
  name: 'ErrPacket',
  decode: decodeErrPacket,
  encode: encodeErrPacket,
  samples: [
    {
      name: 'one with SQLSTATE',
      payload: bytes(
        0xff,
        hex('15 04'),
        '#28000',
        "Access denied for user 'app'@'10.0.0.9' (using password: YES)",
      ),
      value: {
        errorCode: 1045,
        sqlState: '28000',
        message: "Access denied for user 'app'@'10.0.0.9' (using password: YES)",
      },
    },
    {
      name: 'one from before the initial handshake',
      payload: bytes(0xff, hex('10 04'), 'Too many connections'),
      value: { errorCode: 1040, sqlState: undefined, message: 'Too many connections' },
    },
    {
      name: 'one without SQLSTATE whose text begins with the marker',
      payload: bytes(0xff, hex('10 04'), '#1 of the limits'),
      value: { errorCode: 1040, sqlState: undefined, message: '#1 of the limits' },
    },
    {
      name: 'one without text',
      payload: bytes(0xff, hex('10 04'), '#08004'),
      value: { errorCode: 1040, sqlState: '08004', message: '' },
    },
  ],
});

t.test("the router's own ERR has its state only where the client can know what that is", async (t) => {
  const err = createErrPacket('ER_CON_COUNT_ERROR');
  t.same(
    encodeErrBeforeHandshake(err),
    bytes(hex('17 00 00 00'), 0xff, hex('10 04'), 'Too many connections'),
  );
  t.same(encodeErr(err, 2), bytes(hex('1d 00 00 02'), 0xff, hex('10 04'), '#08004Too many connections'));
  const named = createErrPacket(
    'CR_CONN_HOST_ERROR',
    "Can't connect to remote MySQL server: no primary for 9 s",
  );
  t.equal(named.errorCode, 2003);
  t.match(named.message, /no primary/);
});

t.test('an SSLRequest is told from a HandshakeResponse41 by its flag alone', async (t) => {
  const request = decodeSslRequest(bytes(responseHead('01 aa 00 00'), 'bytes mysqld ignores as well'));
  t.equal((request.capabilityFlags & CLIENT_SSL) !== 0, true);
});

t.test('connection attributes are replaced without being read', async (t) => {
  const own = [
    { name: '_os', value: 'Linux' },
    { name: '_Client_IP', value: '192.0.2.1' },
    { name: '_client_name', value: 'libmysql' },
    { name: 'long', value: 'v'.repeat(300) },
    { name: '_client_port', value: '1' },
  ];
  const added = [{ name: '_client_ip', value: '10.0.0.9' }];
  const block = encodeConnectionAttributes(own);
  const replaced = replaceConnectionAttributes(block, ['_client_ip', '_client_port'], added);
  t.same(decodeConnectionAttributes(replaced), [
    ...own.filter(({ name }) => !/_client_(ip|port)/i.test(name)),
    ...added,
  ]);
  t.same(
    replaceConnectionAttributes(Buffer.alloc(0), ['_client_ip'], added),
    encodeConnectionAttributes(added),
  );
  t.same(decodeConnectionAttributes(hex('01 fc 01 41')), [{ name: 'ü', value: 'A' }], 'Latin-1');
  const ends = own.map((_, index) => encodeConnectionAttributes(own.slice(0, index)).length);
  for (let cut = 0; cut < block.length; cut++) {
    const cutShort = () => checkConnectionAttributes(block.subarray(0, cut));
    if (ends.includes(cut)) t.doesNotThrow(cutShort);
    else t.throws(cutShort, { name: 'ProtocolError' }, `cut at ${cut}`);
  }
});
