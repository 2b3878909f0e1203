/** What may happen at the door of a route that ends TLS: cut, wrong and late bytes, certificates good and bad, new files. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import t from 'tap';
import { CLIENT_COMPRESS, CLIENT_SSL } from '../../../protocol/capability-flags.ts';
import {
  decodeConnectionAttributes,
  encodeConnectionAttributes,
} from '../../../protocol/connection-attributes.ts';
import {
  decodeHandshakeResponse41,
  encodeHandshakeResponse41,
} from '../../../protocol/handshake-response41.ts';
import { decodeInitialHandshake } from '../../../protocol/initial-handshake.ts';
import { encodePacket } from '../../../protocol/packet-header.ts';
import { createAuthority, type Issued, writeFiles } from '../../support/certificates.ts';
import { DataLab, primaryAt } from '../../support/data-lab.ts';
import { loginPayload, RawClient, SSL_REQUEST } from '../../support/raw-client.ts';
import { SERVER_CAPABILITIES, type ServerPeer, serveOk } from '../../support/scripted-server.ts';
import { until } from '../../support/until.ts';

const authority = createAuthority();
const LOGIN_IN_TLS = encodePacket(loginPayload(), 2);
const COM_PING = 14;
const COM_QUIT = 1;

t.test('SSLRequest and the TLS that follows it may be cut anywhere', async (t) => {
  for (const mode of ['fast', 'portable'] as const) {
    const lab = await DataLab.start(t, {
      mode,
      routeKeys: 'clientSslMode: required, serverSslMode: disabled',
    });
    lab.publish(primaryAt(await lab.server(t, serveOk)));
    const wholeLength = SSL_REQUEST.length + 300;
    const cuts = [0, 1, 3, 4, 5, 35, 36, 37, 40, 41, ...Array.from({ length: 12 }, (_, n) => 50 + n * 25)];
    for (const cut of cuts.filter((at) => at < wholeLength)) {
      const outcome = await connectCut(lab.port(), cut);
      if (outcome !== 'in') t.fail(`${mode}, cut at ${cut}: ${outcome}`);
    }
    t.equal(lab.route('sessionsOpaque'), 0, 'sessions whose TLS ends here are seen');
    await lab.settled();
  }
});

t.test('what is no TLS ends the client and leaves the server in good order', async (t) => {
  const keys = 'clientSslMode: preferred, serverSslMode: disabled';
  const lab = await DataLab.start(t, { routeKeys: keys, config: 'limits: { clientHandshakeTimeout: 1s }' });
  const server = await lab.server(t, serveOk);
  lab.publish(primaryAt(server));
  const garbage: readonly Buffer[] = [
    randomBytes(400),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0x16, 3, 1, 0xff, 0xff]),
    encodePacket(loginPayload(), 2),
  ];
  for (const bytes of garbage) {
    const client = await RawClient.connect(lab.port());
    await client.readPacket();
    client.write(SSL_REQUEST, bytes);
    await client.readToEnd();
    client.close();
  }
  const silent = await RawClient.connect(lab.port());
  await silent.readPacket();
  silent.write(SSL_REQUEST);
  t.equal((await silent.readToEnd()).length, 0, 'in the middle of TLS no error packet can be said');
  silent.close();
  await lab.settled();
  await until('the server to be left', () => server.peers.every(({ end }) => end !== null));
  t.equal(server.brokenOff, 0, 'every handshake with the server was brought to an end');
  t.ok(lab.refused('tls_client') > 0);
  t.equal(lab.refused('handshake_timeout'), 1 + garbage.length - lab.refused('tls_client'));
});

t.test('TLS that is demanded and not there is refused, and nobody is counted as a bad host', async (t) => {
  const lab = await DataLab.start(t, { routeKeys: 'clientSslMode: required, serverSslMode: as-client' });
  let capabilities = SERVER_CAPABILITIES;
  const server = await lab.server(t, async (peer) => {
    if ((await peer.readLogin(capabilities)) !== null) peer.err(2, 1045, '28000', 'Access denied');
    peer.finish();
  });
  lab.publish(primaryAt(server));
  const plain = await RawClient.connect(lab.port());
  await plain.readPacket();
  plain.write(encodePacket(loginPayload(), 1));
  t.match(await plain.readErr(), {
    errorCode: 2026,
    sqlState: 'HY000',
    message: 'SSL connection error: SSL is required from client',
    sequenceId: 2,
  });
  capabilities = (SERVER_CAPABILITIES & ~CLIENT_SSL) >>> 0;
  const other = await RawClient.connect(lab.port());
  t.match(await other.readErr(), {
    errorCode: 2026,
    message: "SSL connection error: SSL is required by router, but the server doesn't support it",
    sequenceId: 0,
  });
  for (const client of [plain, other]) client.close();
  await lab.settled();
  await until('the server to be left', () => server.peers.every(({ end }) => end !== null));
  t.equal(server.brokenOff, 0);
  t.equal(lab.refused('tls_required'), 2);
});

t.test("a member's certificate is verified, by its CA or by its name as well", async (t) => {
  const folder = await writeFiles(t, {
    'ca.pem': authority.cert,
    'other.pem': createAuthority('Other').cert,
  });
  const lab = await DataLab.start(t, {
    routes: ['verify-ca', 'verify-identity']
      .flatMap((verify) => [
        { name: verify, verify, ca: 'ca' },
        { name: `${verify}-other`, verify, ca: 'other' },
      ])
      .map(
        ({ name, verify, ca }) =>
          `  - { name: ${name}, listen: "127.0.0.1:0", role: primary, clientSslMode: preferred, serverSslMode: required, serverSslVerify: ${verify}, serverSslCa: ${folder}/${ca}.pem }`,
      )
      .join('\n'),
  });
  const { cert, key } = authority.issue('db-1', ['db-1.example']);
  let context = createSecureContext({ cert, key });
  const server = await lab.server(t, async (peer) => {
    const secured = await peer.secure(context);
    if ((await secured?.logInSecurely()) != null) await secured?.answerCommands(() => secured.ok(1));
    peer.username = secured?.username ?? null;
  });
  for (const [name, host, expected, maxVersion = 'TLSv1.3'] of [
    ['verify-ca', 'db-1.example', 'in'],
    ['verify-ca', 'elsewhere', 'in'],
    ['verify-ca-other', 'db-1.example', /^2026 connecting to destination failed with TLS error: /],
    ['verify-identity', 'db-1.example', 'in'],
    ['verify-identity', 'db-2.example', /^2026 .*TLS error: ERR_TLS_CERT_ALTNAME_INVALID/],
    ['verify-identity', 'db-3.example', /^2026 .*TLS error: ERR_TLS_CERT_ALTNAME_INVALID/, 'TLSv1.2'],
    ['verify-identity-other', 'db-1.example', /^2026 .*TLS error: /],
  ] as const) {
    context = createSecureContext({ cert, key, maxVersion });
    lab.publish(primaryAt(server, { address: `${host}:3306` }));
    // A TLS session with a member that will not do must not be what lets the next one in.
    for (let visit = 0; visit < (expected === 'in' ? 1 : 3); visit++) {
      t.match(await visitPlain(lab.port(name)), expected, `${name}, member ${host}, visit ${visit}`);
      await until('the server to be left', () => lab.thread.farewells.size === 0);
    }
  }
  await lab.settled();
  await until('the server to be left', () => server.peers.every(({ end }) => end !== null));
  t.equal(server.brokenOff, 0, 'an unverified server is left with a login that it refuses');
  t.equal(server.logins, 3);
});

t.test('clients need a certificate where the route has a CA for them', async (t) => {
  const [good, revoked] = [authority.issue('app'), authority.issue('lost')];
  const stranger = createAuthority('Stranger').issue('app');
  const folder = await writeFiles(t, {
    'ca.pem': authority.cert,
    'crl.pem': authority.revocationList(revoked),
  });
  const keys = `clientSslMode: required, serverSslMode: disabled, clientSslCa: ${folder}/ca.pem, clientSslCrl: ${folder}/crl.pem`;
  const lab = await DataLab.start(t, { routeKeys: keys });
  const server = await lab.server(t, serveOk);
  lab.publish(primaryAt(server));
  const refused = /^2026 SSL connection error: the client's certificate is not accepted: /;
  const visit = (certificate: Issued | null) =>
    visitSecure(lab.port(), certificate === null ? {} : { cert: certificate.cert, key: certificate.key });
  t.match(await visit(good), 'in');
  t.match(await visit(null), refused);
  t.match(await visit(revoked), refused);
  t.match(await visit(stranger), refused);
  await lab.settled();
  await until('the server to be left', () => server.peers.every(({ end }) => end !== null));
  t.equal(server.brokenOff, 0);
});

t.test('folders of CAs and of revocation lists, looked into again when a file in them changes', async (t) => {
  const other = createAuthority('Other CA');
  const [good, lost, others] = [authority.issue('app'), authority.issue('lost'), other.issue('app')];
  const folder = await writeFiles(t, {
    '0a1b2c3d.0': authority.cert,
    '0a1b2c3d.r0': authority.revocationList(),
  });
  const keys = `clientSslMode: required, serverSslMode: disabled, clientSslCapath: ${folder}, clientSslCrlpath: ${folder}`;
  const lab = await DataLab.start(t, { routeKeys: keys });
  lab.publish(primaryAt(await lab.server(t, serveOk)));
  const visit = ({ cert, key }: Issued) => visitSecure(lab.port(), { cert, key });
  const refused = /^2026 SSL connection error: the client's certificate is not accepted: /;
  t.match(await visit(good), 'in');
  t.match(await visit(lost), 'in');
  t.match(await visit(others), refused);
  await writeFile(join(folder, '0a1b2c3d.r0'), authority.revocationList(lost));
  await writeFile(join(folder, 'other.pem'), other.cert + other.revocationList());
  await lab.tls?.look();
  t.match(await visit(good), 'in');
  t.match(await visit(lost), refused, 'withdrawn since');
  t.match(await visit(others), 'in', 'of a CA that was added');
  await writeFile(join(folder, 'README'), 'no PEM');
  await lab.tls?.look();
  t.match(await visit(good), 'in', 'a folder that cannot be used changes nothing');
  await lab.settled();
});

t.test('files that change are used for new sessions, and half a pair is not', async (t) => {
  const [first, second] = [authority.issue('first'), authority.issue('second')];
  const folder = await writeFiles(t, {
    '1.crt': first.cert,
    '1.key': first.key,
    '2.crt': second.cert,
    '2.key': first.key,
  });
  // As Kubernetes does: the names stay, what a link leads to is exchanged.
  const swap = async (to: string) => {
    for (const kind of ['crt', 'key']) {
      await symlink(join(folder, `${to}.${kind}`), join(folder, `new.${kind}`));
      await rename(join(folder, `new.${kind}`), join(folder, `tls.${kind}`));
    }
  };
  await swap('1');
  const lab = await DataLab.start(t, {
    routeKeys: `clientSslMode: required, serverSslMode: disabled, clientSslCert: ${folder}/tls.crt, clientSslKey: ${folder}/tls.key`,
  });
  lab.publish(primaryAt(await lab.server(t, serveOk)));
  const open = await enter(lab.port());
  t.equal(certificateOf(open), 'first');
  await swap('2');
  await lab.tls?.look();
  t.equal(certificateOf(await enter(lab.port())), 'first', 'a certificate without its key changes nothing');
  await writeFile(join(folder, '2.key'), second.key);
  await lab.tls?.look();
  t.equal(certificateOf(await enter(lab.port())), 'second');
  t.equal((await open.command(COM_PING))?.[0], 0, 'the session of before goes on');
});

t.test('TLS sessions are resumed, with clients and with members', async (t) => {
  const { cert, key } = authority.issue('db');
  const context = createSecureContext({ cert, key });
  const resumed: boolean[] = [];
  for (const isOn of [true, false]) {
    const keys = `clientSslMode: required, serverSslMode: required, clientSslSessionCache: ${isOn}, serverSslSessionCache: ${isOn}`;
    const lab = await DataLab.start(t, { routeKeys: keys });
    const server = await lab.server(t, async (peer) => {
      const secured = await peer.secure(context);
      if (secured === null || (await secured.logInSecurely()) === null) return;
      resumed.push((secured.socket as TLSSocket).isSessionReused()); // What `secure` answers is inside TLS.
      await secured.answerCommands(() => secured.ok(1));
    });
    lab.publish(primaryAt(server));
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const client = await enter(lab.port(), { maxVersion });
      const session = await sessionOf(client);
      await client.command(COM_PING);
      const again = await enter(lab.port(), { maxVersion, ...(session === undefined ? {} : { session }) });
      t.equal(
        socketOf(again).isSessionReused(),
        isOn,
        `client, ${maxVersion}, tickets ${isOn ? 'on' : 'off'}`,
      );
      for (const each of [client, again]) each.close();
    }
    t.equal(resumed.shift(), false);
    t.equal(resumed.filter(Boolean).length > 0, isOn, `member, resumption ${isOn ? 'on' : 'off'}`);
    resumed.length = 0;
    await lab.settled();
  }
});

t.test(
  'a client cannot pretend to be somebody else, nor learn of what the route keeps from it',
  async (t) => {
    const lab = await DataLab.start(t, { routeKeys: 'compression: disabled' });
    const seen: ReturnType<typeof decodeHandshakeResponse41>[] = [];
    const server = await lab.server(t, async (peer: ServerPeer) => {
      const login = await peer.readLogin((SERVER_CAPABILITIES | CLIENT_COMPRESS) >>> 0);
      if (login !== null) seen.push(decodeHandshakeResponse41(login.payload));
      peer.ok(2);
    });
    lab.publish(primaryAt(server));
    for (const attributeBytes of [10, 65_500]) {
      const client = await RawClient.connect(lab.port());
      const offer = decodeInitialHandshake((await client.readPacket())?.payload ?? Buffer.alloc(0));
      t.equal(offer.capabilityFlags & CLIENT_COMPRESS, 0);
      const spoof = {
        ...decodeHandshakeResponse41(loginPayload('app', attributeBytes)),
        attributes: encodeConnectionAttributes([
          { name: '_client_ip', value: '192.0.2.1' },
          { name: '_CLIENT_PORT', value: '1' },
          { name: '_client_ssl_cipher', value: 'x' },
          { name: 'program_name', value: 'x'.repeat(attributeBytes) },
        ]),
      };
      client.write(encodePacket(encodeHandshakeResponse41(spoof), 1));
      t.equal((await client.readPacket())?.payload[0], 0);
      const { attributes } = seen.shift() ?? {};
      const { localPort } = client.raw;
      const own = decodeConnectionAttributes(attributes ?? Buffer.alloc(0)).filter(({ name }) =>
        name.startsWith('_'),
      );
      const expected = [
        { name: '_client_ip', value: '127.0.0.1' },
        { name: '_client_port', value: String(localPort) },
      ];
      t.same(own, attributeBytes > 1000 ? [] : expected, `${attributeBytes} bytes of its own`);
      client.close();
    }
    const unasked = await RawClient.connect(lab.port());
    await unasked.readPacket();
    const login = loginPayload();
    login.writeUInt32LE((login.readUInt32LE() | CLIENT_COMPRESS) >>> 0);
    unasked.send(1, login);
    t.match(
      await unasked.readErr(),
      { sequenceId: 2, errorCode: 2012, message: /compression is not offered/ },
      'a client that compresses all the same would never be understood',
    );
    await until('the server to have a login to refuse', () => seen.length === 1);
    t.equal(seen.pop()?.username, 'fairlead-abandoned-handshake', 'and the server is not broken off');
  },
);

t.test('a session whose TLS ends here drains at its next command boundary', async (t) => {
  const { cert, key } = authority.issue('db');
  const context = createSecureContext({ cert, key });
  const lab = await DataLab.start(t, { routeKeys: 'clientSslMode: required, serverSslMode: required' });
  let mayAnswer = false;
  const seen: (number | undefined)[] = [];
  const server = await lab.server(t, async (peer) => {
    const secured = await peer.secure(context);
    if (secured === null || (await secured.logInSecurely()) === null) return;
    seen.push((await secured.readPacket())?.payload[0]);
    await until('the answer to be due', () => mayAnswer);
    secured.ok(1);
    seen.push((await secured.readPacket())?.payload[0]);
    secured.finish();
  });
  lab.publish(primaryAt(server));
  const client = await enter(lab.port());
  const answer = client.command(COM_PING);
  await until('the command to arrive', () => seen.length === 1);
  lab.publish(primaryAt(server, { role: 'SECONDARY', acceptsWrites: false, primarySessions: 'drain' }));
  t.equal(lab.route('sessionsOpen'), 1, 'not in the middle of a command');
  mayAnswer = true;
  t.equal((await answer)?.[0], 0, 'whose answer comes through');
  t.equal((await client.readToEnd()).length, 0);
  client.close();
  await lab.settled();
  await until('the server to be left', () => seen.length === 2);
  t.equal(seen[1], COM_QUIT);
  t.equal(lab.ended('member_demoted'), 1);
});

/** Connects with TLS, the first `cut` bytes on their own, all before the rest in one segment. */
async function connectCut(port: number, cut: number): Promise<string> {
  const client = await RawClient.connect(port);
  await client.readPacket();
  const { raw } = client;
  let pending: Buffer | null = Buffer.from(SSL_REQUEST);
  const tunnel = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const bytes: Buffer = pending === null ? chunk : Buffer.concat([pending, chunk]);
      if (pending === null) return void raw.write(bytes, () => done());
      pending = null;
      raw.write(bytes.subarray(0, cut));
      // Long enough for the first part to be read on its own, most of the time.
      setTimeout(() => raw.write(bytes.subarray(cut), () => done()), cut === 0 ? 0 : 4);
    },
  });
  raw.on('data', (chunk) => tunnel.push(chunk));
  raw.on('close', () => tunnel.destroy());
  const socket = connectTls({ socket: tunnel, rejectUnauthorized: false });
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]);
  const inside = new RawClient(socket, raw);
  inside.write(LOGIN_IN_TLS);
  const answer = await inside.readPacket();
  const isIn = answer?.payload[0] === 0 && answer.sequenceId === 3;
  raw.destroy();
  return isIn ? 'in' : `${answer?.payload ?? inside.end}`;
}

async function enter(port: number, options: Parameters<RawClient['secure']>[0] = {}): Promise<RawClient> {
  const client = await (await RawClient.connect(port)).secure(options);
  client.write(LOGIN_IN_TLS);
  const answer = await client.readPacket();
  if (answer?.payload[0] !== 0) throw new Error(`not let in: ${answer?.payload ?? client.end}`);
  return client;
}

/** `in`, or the error. */
async function visitSecure(port: number, options: Parameters<RawClient['secure']>[0]): Promise<string> {
  const client = await (await RawClient.connect(port)).secure(options);
  client.write(LOGIN_IN_TLS);
  return outcomeOf(client);
}

async function visitPlain(port: number): Promise<string> {
  const client = await RawClient.connect(port);
  await client.readPacket();
  client.write(encodePacket(loginPayload(), 1));
  return outcomeOf(client);
}

async function outcomeOf(client: RawClient): Promise<string> {
  const answer = await client.readPacket();
  client.close();
  if (answer?.payload[0] === 0) return 'in';
  if (answer === null) return `ended: ${client.end}`;
  return `${answer.payload.readUInt16LE(1)} ${answer.payload.subarray(9)}`;
}

function socketOf(client: RawClient): TLSSocket {
  return client.socket as TLSSocket; // `secure` has made it.
}

function certificateOf(client: RawClient): string | undefined {
  const name = socketOf(client).getPeerX509Certificate()?.subject;
  return name?.replace('CN=', '');
}

/** What the client needs to come back; under TLS 1.3 it comes after the handshake, with the first bytes. */
async function sessionOf(client: RawClient): Promise<Buffer | undefined> {
  const socket = socketOf(client);
  if (socket.getProtocol() === 'TLSv1.2') return socket.getSession();
  const arrived = once(socket, 'session').then(([session]: Buffer[]) => session);
  await client.command(COM_PING);
  return Promise.race([arrived, client.command(COM_PING).then(() => socket.getSession())]);
}
