/** Passwords between a side with TLS and a side without: what each is sent in place of what the other said. */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import t from 'tap';
import { AuthBridge, type AuthMove, type SecureLeg } from '../../protocol/auth-bridge.ts';
import { encodeAuthMoreData } from '../../protocol/auth-more-data.ts';
import { encodeAuthNextFactor } from '../../protocol/auth-next-factor.ts';
import { encodeAuthSwitchRequest } from '../../protocol/auth-switch-request.ts';
import { CLIENT_PLUGIN_AUTH, CLIENT_SECURE_CONNECTION } from '../../protocol/capability-flags.ts';
import { decodeChangeUser, encodeChangeUser } from '../../protocol/change-user.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const GREETED = Buffer.from('abcdefghijklmnopqrst\0');
const SWITCHED = Buffer.from('ABCDEFGHIJKLMNOPQRST\0');
const PASSWORD = Buffer.from('a password that is longer than the nonce\0');
const FULL_AUTH = Buffer.from([1, 4]);
const SHA2 = 'caching_sha2_password';

t.test('a client with TLS, a server without: the password is encrypted for the server', async (t) => {
  const bridge = bridgeOf('client');
  t.same(bridge.begin(SHA2, Buffer.from('scramble')), { plugin: SHA2, response: Buffer.from('scramble') });
  t.same(bridge.fromServer(FULL_AUTH), toClient(FULL_AUTH));
  const sent = Buffer.from(PASSWORD);
  t.same(bridge.fromClient(sent), toServer([2]), 'the key is asked for');
  t.ok(
    sent.every((byte) => byte === 0),
    'and the packet wiped',
  );
  t.same(decrypted(bridge.fromServer(keyPacket()), GREETED), PASSWORD);
});

t.test('the nonce is the one that was said last', async (t) => {
  const switched = encodeAuthSwitchRequest({ kind: 'named', authPluginName: SHA2, authPluginData: SWITCHED });
  const bridge = bridgeOf('client');
  bridge.begin('other', Buffer.from('x'));
  bridge.fromServer(switched);
  bridge.fromClient(Buffer.from('scramble'));
  bridge.fromServer(FULL_AUTH);
  bridge.fromClient(Buffer.from(PASSWORD));
  t.same(decrypted(bridge.fromServer(keyPacket()), SWITCHED), PASSWORD);
  const factor = encodeAuthNextFactor({ authPluginName: SHA2, authPluginData: GREETED });
  bridge.fromServer(factor);
  bridge.fromServer(FULL_AUTH);
  bridge.fromClient(Buffer.from(PASSWORD));
  t.same(decrypted(bridge.fromServer(keyPacket()), GREETED), PASSWORD, 'also in the next factor');
});

t.test('a client without TLS, a server with: the password is decrypted for the server', async (t) => {
  const bridge = bridgeOf('server');
  bridge.begin(SHA2, Buffer.from('scramble'));
  bridge.fromServer(FULL_AUTH);
  t.same(bridge.fromClient(Buffer.from([2])), toClient(keyPacket()), 'the router has a key of its own');
  t.same(bridge.fromClient(encrypted(GREETED)), { kind: 'to-server', payload: PASSWORD, isSecret: true });
});

t.test('sha256_password begins with the password, so the server is made to ask', async (t) => {
  const plugin = 'sha256_password';
  const request = encodeAuthSwitchRequest({
    kind: 'named',
    authPluginName: plugin,
    authPluginData: SWITCHED,
  });
  for (const secure of ['client', 'server'] as const) {
    const bridge = bridgeOf(secure);
    const first = secure === 'client' ? PASSWORD : Buffer.from([1]);
    const begun = bridge.begin(plugin, Buffer.from(first));
    t.notMatch(begun.plugin, plugin);
    t.equal(begun.response.length, 0, 'nothing of the password');
    t.same(bridge.fromServer(request), toClient(request));
    if (secure === 'client') {
      t.same(bridge.fromClient(Buffer.from(PASSWORD)), toServer([1]));
      t.same(decrypted(bridge.fromServer(keyPacket()), SWITCHED), PASSWORD);
    } else {
      t.same(bridge.fromClient(Buffer.from([1])), toClient(keyPacket()));
      t.same(bridge.fromClient(encrypted(SWITCHED)), {
        kind: 'to-server',
        payload: PASSWORD,
        isSecret: true,
      });
    }
  }
  t.same(
    bridgeOf('client').begin(plugin, Buffer.from([0])),
    { plugin, response: Buffer.from([0]) },
    'no password',
  );
});

t.test('all else passes, and what cannot work names the setting', async (t) => {
  for (const secure of ['client', 'server'] as const) {
    const bridge = bridgeOf(secure);
    bridge.begin('client_ed25519', Buffer.alloc(64, 1));
    const data = Buffer.from('any bytes of a plugin');
    t.same(bridge.fromServer(data), toClient(data));
    t.match(bridge.fromClient(Buffer.from(data)), { kind: 'to-server', payload: data });
  }
  for (const authPluginName of ['mysql_clear_password', 'dialog', 'authentication_openid_connect_client']) {
    const switched = { kind: 'named', authPluginName, authPluginData: Buffer.alloc(0) } as const;
    const refusing = bridgeOf('client');
    refusing.begin(SHA2, Buffer.from('x'));
    refusing.fromServer(encodeAuthSwitchRequest(switched));
    t.match(refusing.fromClient(Buffer.from(PASSWORD)), { kind: 'refused', why: /serverSslMode/ });
    t.notMatch(bridgeOf('client').begin(authPluginName, Buffer.from(PASSWORD)).response, PASSWORD);
  }

  const pinned = bridgeOf('server');
  pinned.begin(SHA2, Buffer.from('x'));
  pinned.fromServer(FULL_AUTH);
  t.match(pinned.fromClient(Buffer.alloc(256, 7)), {
    kind: 'refused',
    why: /not the router's.*serverSslMode/,
  });

  const wrong = bridgeOf('server');
  wrong.begin(SHA2, Buffer.from('x'));
  wrong.fromServer(FULL_AUTH);
  wrong.fromClient(Buffer.from([2]));
  t.match(wrong.fromClient(Buffer.alloc(256, 7)), { kind: 'refused' });

  const keyless = bridgeOf('client');
  keyless.begin(SHA2, Buffer.from('x'));
  keyless.fromServer(FULL_AUTH);
  keyless.fromClient(Buffer.from(PASSWORD));
  t.match(keyless.fromServer(encodeAuthMoreData({ pluginData: Buffer.from('no key') })), { kind: 'refused' });
});

t.test('COM_CHANGE_USER is taken apart and put together again', async (t) => {
  for (const flags of [
    CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH,
    CLIENT_SECURE_CONNECTION,
    CLIENT_PLUGIN_AUTH,
    0,
  ]) {
    const auth = (flags & CLIENT_SECURE_CONNECTION) === 0 ? 'abc\0' : '\x03abc';
    const plugin = (flags & CLIENT_PLUGIN_AUTH) === 0 ? '' : 'plugin\0';
    const whole = Buffer.from(`\x11user\0${auth}db\0\xff\0${plugin}\x02\0\0`, 'latin1');
    const command = decodeChangeUser(whole, flags);
    t.same(encodeChangeUser(command, flags), whole);
    t.equal(command.authResponse.toString(), 'abc');
    t.equal(command.authPluginName, plugin === '' ? undefined : 'plugin');
    for (let length = 0; length < whole.length; length++) {
      try {
        const part = whole.subarray(0, length);
        t.same(encodeChangeUser(decodeChangeUser(part, flags), flags), part);
      } catch (error) {
        t.match(error, { name: 'ProtocolError', side: 'client' });
      }
    }
  }
});

function bridgeOf(secure: SecureLeg): AuthBridge {
  const key = { publicPem: PEM, privateKey };
  return new AuthBridge({ secure, key, isMultiFactorAgreed: true, authPluginData: GREETED });
}

function toClient(payload: Buffer): AuthMove {
  return { kind: 'to-client', payload };
}

function toServer(bytes: readonly number[]): AuthMove {
  return { kind: 'to-server', payload: Buffer.from(bytes), isSecret: false };
}

function keyPacket(): Buffer {
  return encodeAuthMoreData({ pluginData: Buffer.from(PEM) });
}

function encrypted(nonce: Buffer): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, xor(PASSWORD, nonce));
}

function decrypted(move: AuthMove, nonce: Buffer): Buffer | null {
  if (move.kind !== 'to-server') return null;
  return xor(
    privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, move.payload),
    nonce,
  );
}

function xor(bytes: Buffer, nonce: Buffer): Buffer {
  return bytes.map((byte, index) => byte ^ (nonce[index % 20] ?? 0)) as Buffer; // A Buffer's map makes a Buffer.
}
