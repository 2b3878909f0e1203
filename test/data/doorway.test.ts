/** Who gets in: networks, proxies that speak for others, and addresses that sent garbage too often. */
import t, { type Test } from 'tap';
import { readProxyHeader } from '../../protocol/proxy-protocol.ts';
import { encodeProxyHeaderV2 } from '../../protocol/proxy-protocol-v2.ts';
import { encodeXFrame, X_CLIENT } from '../../protocol/x/frame.ts';
import { DataLab, labConfig, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { LOGIN, RawClient } from '../support/raw-client.ts';
import { type ScriptedServer, type ServerPeer, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

const LINE = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 41234 3306\r\n');
const V2 = encodeProxyHeaderV2({
  kind: 'proxied',
  source: { address: '2001:db8::7', port: 41_235 },
  destination: { address: '2001:db8::1', port: 3306 },
});

for (const mode of ['fast', 'portable'] as const) {
  t.test(`${mode}: a listed proxy tells for whom it connects, however the header is cut`, async (t) => {
    const { lab } = await openLab(t, `clientProxyProtocolFrom: [127.0.0.1]`, { mode });
    for (const [header, client] of [
      [LINE, '192.0.2.7:41234'],
      [V2, '2001:db8::7:41235'],
    ] as const) {
      for (const at of [0, 1, 7, header.length - 1]) {
        const proxy = await RawClient.connect(lab.port());
        proxy.write(header.subarray(0, at));
        await until('the part to be read', () => true);
        proxy.write(header.subarray(at));
        await proxy.authenticate();
        t.same(clientsOf(lab), [client]);
        t.ok(await proxy.command(COM_PING));
        proxy.close();
        await lab.settled();
      }
    }
  });
}

t.test('a health check of the proxy is under the proxy’s own address, or no session at all', async (t) => {
  const { lab } = await openLab(t, `clientProxyProtocolFrom: "127.0.0.0/8 ::1"`);
  for (const own of [Buffer.from('PROXY UNKNOWN\r\n'), encodeProxyHeaderV2({ kind: 'own' })]) {
    const check = await RawClient.connect(lab.port());
    check.write(own);
    await check.authenticate();
    t.match(clientsOf(lab), [/^127\.0\.0\.1:/]);
    check.close();
    await lab.settled();
  }
  const accepted = lab.route('sessionsAccepted');
  const bare = await RawClient.connect(lab.port());
  bare.finish();
  t.equal(await bare.readPacket(), null);
  t.equal(lab.route('sessionsAccepted'), accepted, 'who only connects is no session');
  t.equal(lab.refused('bad_proxy_header'), 0, 'and no error');
  bare.close();
});

t.test('a drain does not wait for proxies that keep connections in store', async (t) => {
  const { lab } = await openLab(t, `clientProxyProtocolFrom: [127.0.0.1]`);
  const stored = await RawClient.connect(lab.port());
  const late = await RawClient.connect(lab.port());
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 9000 });
  late.write(LINE);
  await late.authenticate();
  t.equal(await stored.readPacket(), null);
  t.equal(await late.readPacket(), null, 'who said who it is in time was let in, and let go');
  await until('the end to be told', () => lab.posted.some((message) => message.kind === 'drained'));
  t.equal(lab.ended('shutdown'), 1);
  for (const client of [stored, late]) client.close();
});

t.test('a listed proxy without a proper header in time is refused, and not counted against it', async (t) => {
  const { lab } = await openLab(t, `clientProxyProtocolFrom: [127.0.0.1]`, {
    config: 'limits: { clientHandshakeTimeout: 300ms, maxConnectErrors: 2 }',
  });
  const wrong = ['PROXY TCP9 …\r\n', 'GET / HTTP/1.1\r\n', '', 'PROXY TCP4 '];
  for (const [index, text] of wrong.entries()) {
    const proxy = await RawClient.connect(lab.port());
    proxy.write(Buffer.from(text, 'latin1'));
    t.equal((await proxy.readErr()).errorCode, 1043, JSON.stringify(text));
    t.equal(await proxy.readPacket(), null);
    t.equal(lab.refused('bad_proxy_header'), index + 1);
    proxy.close();
  }
  t.equal(lab.events('client_blocked').length, 0);
  t.match(lab.events('client_refused')[0]?.fields, { reason: 'bad_proxy_header', client: '127.0.0.1' });
});

t.test(
  'what a client sends right behind the header is its own: heard on X Protocol, garbage on the classic one',
  async (t) => {
    const route =
      '  - { name: px, listen: "127.0.0.1:0", role: primary, protocol: x, clientProxyProtocolFrom: [127.0.0.1] }';
    const lab = await DataLab.start(t, {
      routeKeys: 'clientProxyProtocolFrom: [127.0.0.1]',
      config: 'limits: { maxConnectErrors: 1 }',
      routes: route,
    });
    const said = encodeXFrame(X_CLIENT.CON_CAPABILITIES_GET, Buffer.from('first'));
    const heard = Promise.withResolvers<Buffer | null>();
    const server = await lab.server(t, async (peer) => {
      peer.write(X_HELLO);
      heard.resolve(await peer.readBytes(said.length));
    });
    lab.publish(primaryAt(server, { x: { dial: { host: server.host, port: server.port }, greets: true } }));
    const listening = lab.posted.find((message) => message.kind === 'listening' && message.route === 'px');
    const speaker = await RawClient.connect(listening?.kind === 'listening' ? listening.port : 0);
    speaker.write(V2, said);
    t.same(await heard.promise, said);
    t.same(clientsOf(lab), ['2001:db8::7:41235']);
    speaker.close();

    lab.publish(primaryAt(await lab.server(t, serveOk)));
    const early = await RawClient.connect(lab.port());
    early.write(LINE, Buffer.from('GET / HTTP/1.1'));
    t.equal((await early.readErr()).errorCode, 1043);
    const again = await RawClient.connect(lab.port());
    again.write(LINE);
    t.equal((await again.readErr()).errorCode, 1129, 'it is counted for the client');
    const other = await RawClient.connect(lab.port());
    other.write(Buffer.from('PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n'));
    await other.authenticate();
    for (const client of [early, again, other]) client.close();
    await lab.settled();
  },
);

t.test('from anybody else the header is a bad handshake, and says nothing of anybody', async (t) => {
  const { lab } = await openLab(t, `clientProxyProtocolFrom: [127.0.0.2], deny: [192.0.2.0/24]`);
  const spoofer = await RawClient.connect(lab.port());
  spoofer.write(LINE);
  let packet = await spoofer.readPacket();
  if (packet?.payload[0] !== 0xff) packet = await spoofer.readPacket();
  t.equal(packet?.payload.readUInt16LE(1), 1043);
  t.match(lab.events('client_refused')[0]?.fields, { client: '127.0.0.1' });
  spoofer.close();
  const direct = await RawClient.logIn(lab.port());
  t.match(clientsOf(lab), [/^127\.0\.0\.1:/], 'without it there is nothing to it');
  direct.close();
  await lab.settled();
});

t.test('an optional header is waited for a moment; who sends none is a client like any other', async (t) => {
  const { lab } = await openLab(t, `clientProxyProtocolFrom: [127.0.0.1], clientProxyProtocol: optional`);
  const proxied = await RawClient.connect(lab.port());
  proxied.write(V2);
  await proxied.authenticate();
  const direct = await RawClient.logIn(lab.port());
  t.match(clientsOf(lab), ['2001:db8::7:41235', /^127\.0\.0\.1:/]);
  for (const client of [proxied, direct]) client.close();
  await lab.settled();
});

t.test('networks and limits go by the address the proxy tells, in error 1130 too', async (t) => {
  const { lab } = await openLab(
    t,
    `clientProxyProtocolFrom: [127.0.0.1], allow: [192.0.2.0/24, "2001:db8::/32"], deny: [192.0.2.128/25]`,
    {
      config: 'limits: { maxConnectionsPerClient: 1 }',
    },
  );
  const connect = async (source: string) => {
    const proxy = await RawClient.connect(lab.port());
    const family = source.includes(':') ? 'TCP6' : 'TCP4';
    const destination = source.includes(':') ? '::1' : '127.0.0.1';
    proxy.write(Buffer.from(`PROXY ${family} ${source} ${destination} 1 2\r\n`));
    return proxy;
  };
  const [first, second] = [await connect('192.0.2.7'), await connect('2001:db8:1::7')];
  await first.authenticate();
  await second.authenticate();
  t.equal((await (await connect('192.0.2.7')).readErr()).errorCode, 1040);
  for (const outsider of ['192.0.3.7', '192.0.2.200', '2001:db9::1']) {
    const err = await (await connect(outsider)).readErr();
    t.match(err, { errorCode: 1130, message: `Host '${outsider}' is not allowed to connect here` });
  }
  const own = await RawClient.connect(lab.port());
  own.write(Buffer.from('PROXY UNKNOWN\r\n'));
  t.equal((await own.readErr()).errorCode, 1130, 'the proxy itself is not in the list');
  t.equal(lab.refused('not_allowed'), 4);
  for (const client of [first, second]) client.close();
  await lab.settled();
});

t.test('a reload changes who is let in; open sessions stay', async (t) => {
  const { lab } = await openLab(t);
  const before = await RawClient.logIn(lab.port());
  const [rw] = labConfig({ routeKeys: 'deny: ["127.0.0.1"]' }).routes;
  if (rw === undefined) throw new Error('the lab has a route');
  lab.thread.receive({
    kind: 'reload',
    config: labConfig({}),
    routes: [{ ...rw, index: 0, listen: { ...rw.listen, port: lab.port() } }],
    tls: new Map(),
  });
  t.equal((await (await RawClient.connect(lab.port())).readErr()).errorCode, 1130);
  t.ok(await before.command(COM_PING));
  before.close();
  await lab.settled();
});

t.test(
  'malformed logins in a row shut an address out with 1129; others and other mistakes do not',
  async (t) => {
    const { lab, server } = await openLab(t, '', { config: 'limits: { maxConnectErrors: 3 }' });
    const garbage = async (bytes: Buffer, from = '127.0.0.1') => {
      const client = await RawClient.connect(lab.port(), from);
      await client.readPacket();
      client.write(bytes);
      const err = await client.readErr();
      client.close();
      return err.errorCode;
    };
    // What a health check, a port scanner and a user with a wrong password do.
    for (let round = 0; round < 4; round++) {
      (await RawClient.connect(lab.port())).close();
      const reader = await RawClient.connect(lab.port());
      await reader.readPacket();
      reader.close();
      lab.publish(primaryAt(await lab.server(t, refuseAll)));
      await t.rejects(RawClient.logIn(lab.port()), /not let in/);
      lab.publish(primaryAt(server));
    }
    t.equal(await garbage(MALFORMED), 1043);
    t.equal(await garbage(OUT_OF_ORDER), 1156);
    const good = await RawClient.logIn(lab.port());
    good.close();
    t.equal(await garbage(MALFORMED), 1043, 'a login that succeeded sets the count back');
    t.equal(await garbage(MALFORMED), 1043);
    const early = await RawClient.connect(lab.port());
    early.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    while ((await early.readPacket()) !== null);
    const err = await (await RawClient.connect(lab.port())).readErr();
    t.match(err, {
      errorCode: 1129,
      message: "Host '127.0.0.1' is blocked because of many connection errors",
    });
    t.equal(lab.events('client_blocked').length, 1);
    t.equal(lab.refused('client_blocked'), 1);
    t.equal(await garbage(MALFORMED, '127.0.0.9'), 1043, 'another address is not');
    const neighbour = await RawClient.logIn(lab.port(), '127.0.0.9');
    neighbour.close();
    await lab.settled();
  },
);

t.test('servers are told the client’s address, on every way to them', async (t) => {
  const { lab, server } = await openLab(
    t,
    'clientProxyProtocolFrom: [127.0.0.1], serverProxyProtocol: v2',
    {},
    readHeader,
  );
  const headers: unknown[] = [];
  async function readHeader(peer: ServerPeer): Promise<void> {
    const fixed = await peer.readBytes(16);
    const rest = fixed === null ? null : await peer.readBytes(fixed.readUInt16BE(14));
    if (fixed === null || rest === null) return peer.close();
    const read = readProxyHeader(Buffer.concat([fixed, rest]), 4096);
    headers.push(read.kind === 'header' && read.header.kind === 'proxied' ? read.header.source : read);
    await serveOk(peer);
  }
  lab.publish(primaryAt(server), secondaryAt(server, { slot: 1 }));
  const proxied = await RawClient.connect(lab.port());
  proxied.write(V2);
  await proxied.authenticate();
  t.ok(await proxied.command(COM_PING));
  const own = await RawClient.connect(lab.port('ro'));
  own.write(Buffer.from('PROXY UNKNOWN\r\n'));
  await own.authenticate();
  t.match(headers, [
    { address: '2001:db8::7', port: 41_235 },
    { address: '127.0.0.1', port: own.socket.localPort },
  ]);
  for (const client of [proxied, own]) client.close();
  await lab.settled();
});

async function openLab(
  t: Test,
  routeKeys = '',
  options: { readonly mode?: 'fast' | 'portable'; readonly config?: string } = {},
  script: (peer: ServerPeer) => Promise<void> = serveOk,
): Promise<{ lab: DataLab; server: ScriptedServer }> {
  const lab = await DataLab.start(t, { routeKeys, ...options });
  const server = await lab.server(t, script);
  lab.publish(primaryAt(server));
  return { lab, server };
}

function clientsOf(lab: DataLab): readonly string[] {
  return [...lab.thread.sessions].map((session) => session.facts().client);
}

async function refuseAll(peer: ServerPeer): Promise<void> {
  if ((await peer.readLogin()) === null) return;
  peer.err(2, 1045, '28000', 'Access denied');
  peer.finish();
}

const MALFORMED = Buffer.concat([Buffer.of(4, 0, 0, 1), Buffer.alloc(4, 0xff)]);
const OUT_OF_ORDER = Buffer.concat([LOGIN.subarray(0, 3), Buffer.of(9), LOGIN.subarray(4)]);
const X_HELLO = Buffer.from('050000000b08051a00', 'hex');
const COM_PING = 14;
