/** Clients that are no MySQL clients, or bad ones: each hears one clear error or just the end, and hurts nobody. */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CLIENT_SSL } from '../../protocol/capability-flags.ts';
import { CommandTracker } from '../../protocol/command-tracker.ts';
import { ConnectionPhase } from '../../protocol/connection-phase.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import type { EndReason, RefusalReason } from '../../src/shared/counters.ts';
import { createRandom } from '../protocol/bytes.ts';
import { DataLab, openSockets, primaryAt } from '../support/data-lab.ts';
import { LOGIN, loginPayload, RawClient } from '../support/raw-client.ts';
import { SERVER_CAPABILITIES, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';
import type { Wire } from '../support/wire.ts';

type BadClient = {
  readonly says: string;
  readonly bytes: Buffer;
  /** Number and sequence id of the ERR it gets. */
  readonly error: readonly [errorCode: number, sequenceId: number];
  readonly refused: RefusalReason;
  readonly ended: EndReason;
};

const TLS_CLIENT_HELLO = Buffer.from('1603010200010001fc0303', 'hex');
const OLD_LOGIN = Buffer.concat([Buffer.from([0x05, 0x00, 0, 0, 0]), Buffer.from('app\0')]);
const TWO_PACKETS = Buffer.concat([LOGIN, encodePacket(Buffer.alloc(8), 9)]);

const OUT_OF_ORDER = { refused: 'out_of_order', ended: 'protocol_error' } as const;
const BAD_HANDSHAKE = { refused: 'bad_handshake', ended: 'protocol_error' } as const;
const TOO_LATE = { refused: 'handshake_timeout', ended: 'handshake_timeout' } as const;

const BAD_CLIENTS: readonly BadClient[] = [
  // 'GET ' is a header with sequence id 0x20.
  {
    says: 'an HTTP request',
    bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    error: [1156, 0x21],
    ...OUT_OF_ORDER,
  },
  { says: 'a TLS ClientHello', bytes: TLS_CLIENT_HELLO, error: [1156, 3], ...OUT_OF_ORDER },
  { says: 'a wrong sequence id', bytes: encodePacket(loginPayload(), 5), error: [1156, 6], ...OUT_OF_ORDER },
  { says: 'a packet too much', bytes: TWO_PACKETS, error: [1156, 10], ...OUT_OF_ORDER },
  { says: 'an empty packet', bytes: encodePacket(Buffer.alloc(0), 1), error: [1043, 2], ...BAD_HANDSHAKE },
  { says: 'a login of before 4.1', bytes: encodePacket(OLD_LOGIN, 1), error: [1043, 2], ...BAD_HANDSHAKE },
  {
    says: 'a login that is too large',
    bytes: encodePacket(loginPayload('app', 20_000), 1),
    error: [1043, 2],
    ...BAD_HANDSHAKE,
  },
  { says: 'nothing at all', bytes: Buffer.alloc(0), error: [1159, 1], ...TOO_LATE },
  { says: 'three bytes', bytes: LOGIN.subarray(0, 3), error: [1159, 1], ...TOO_LATE },
  { says: 'half a login', bytes: LOGIN.subarray(0, 40), error: [1159, 2], ...TOO_LATE },
];

for (const bad of BAD_CLIENTS) {
  t.test(`a client that says ${bad.says} hears ${bad.error[0]}`, async (t) => {
    const timeout = bad.refused === 'handshake_timeout' ? '200ms' : '10s';
    const { lab, bystander, server } = await openLab(t, timeout);
    const client = await RawClient.connect(lab.port());
    await client.readPacket();
    client.write(bad.bytes);
    const err = await client.readErr();
    t.same([err.errorCode, err.sequenceId], bad.error);
    t.match(err.sqlState, /^08S01$/);
    t.equal(await client.readPacket(), null, 'and nothing else');
    t.equal(client.end, 'fin');
    t.equal(lab.refused(bad.refused), 1);
    t.equal(lab.ended(bad.ended), 1);
    t.match(lab.events('client_refused')[0]?.fields, { reason: bad.refused, error: bad.error[0] });
    client.close();
    t.ok(await bystander.command(COM_PING), 'others go on');
    await until('the server to be left', () => server.openPeers.length === 1);
    t.equal(server.brokenOff, 0, 'the server has nothing to count against the router');
    bystander.close();
    await lab.settled();
  });
}

t.test('a client that asks for TLS where there is none hears 1043', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, async (peer) => {
    await peer.readLogin((SERVER_CAPABILITIES & ~CLIENT_SSL) >>> 0);
    peer.close();
  });
  lab.publish(primaryAt(server));
  const client = await RawClient.connect(lab.port());
  await client.readPacket();
  client.write(encodePacket(sslRequest(), 1));
  t.equal((await client.readErr()).errorCode, 1043);
  client.close();
  await lab.settled();
});

t.test('a client that speaks before the server hears 1043, without SQLSTATE', async (t) => {
  const lab = await DataLab.start(t);
  const client = await RawClient.connect(lab.port());
  client.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  const err = await client.readErr();
  t.match(err, { errorCode: 1043, sequenceId: 0, sqlState: undefined });
  t.equal(lab.refused('bad_handshake'), 1);
  client.close();
  await lab.settled();
});

t.test('random bytes in place of a login get one error each', async (t) => {
  const { lab, bystander, server } = await openLab(t, '300ms');
  const seed = randomBytes(2).readUInt16LE();
  const random = createRandom(seed);
  const clients = Array.from({ length: 60 }, async () => {
    const client = await RawClient.connect(lab.port());
    await client.readPacket();
    client.write(Buffer.from(Array.from({ length: 1 + random() * 300 }, () => random() * 256)));
    const err = await client.readErr();
    t.ok([1043, 1156, 1159].includes(err.errorCode), `seed ${seed}: ${err.errorCode}`);
    t.equal(await client.readPacket(), null);
    client.close();
  });
  await Promise.all(clients);
  t.ok(await bystander.command(COM_PING));
  bystander.close();
  await lab.settled();
  await until('the server to be left', () => server.openPeers.length === 0);
  t.equal(server.brokenOff, 0);
});

t.test('a name of any length is shown shortened', async (t) => {
  const { lab, bystander } = await openLab(t);
  const client = await RawClient.connect(lab.port());
  await client.readPacket();
  client.send(1, loginPayload('é'.repeat(4000)));
  await client.readPacket();
  lab.thread.receive({ kind: 'list-sessions', requestId: 1, limit: 10 });
  const listed = lab.posted.flatMap((message) => (message.kind === 'sessions' ? message.sessions : []));
  t.same(
    listed.map(({ user }) => user),
    ['app', `${'é'.repeat(128)}…`],
  );
  for (const each of [client, bystander]) each.close();
  await lab.settled();
});

t.test('a defect that a login meets ends that session alone, and is told', async (t) => {
  const { lab, bystander } = await openLab(t);
  const { feedClient } = ConnectionPhase.prototype;
  t.teardown(() => Object.assign(ConnectionPhase.prototype, { feedClient }));
  const client = await RawClient.connect(lab.port());
  await client.readPacket();
  ConnectionPhase.prototype.feedClient = () => {
    throw new RangeError('a defect');
  };
  client.write(LOGIN);
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('internal_error'), 1);
  t.match(lab.events('session_failed')[0]?.fields, { route: 'rw', error: /RangeError: a defect\n/ });
  t.ok(await bystander.command(COM_PING), 'others go on');
  for (const each of [client, bystander]) each.close();
  await lab.settled();
});

t.test('a defect that a command meets ends that session alone, too', async (t) => {
  const { lab, bystander } = await openLab(t);
  const { onClientBytes } = CommandTracker.prototype;
  t.teardown(() => Object.assign(CommandTracker.prototype, { onClientBytes }));
  const client = await RawClient.logIn(lab.port());
  CommandTracker.prototype.onClientBytes = () => {
    throw new RangeError('another defect');
  };
  client.send(0, Buffer.of(COM_PING));
  t.equal(await client.readPacket(), null);
  CommandTracker.prototype.onClientBytes = onClientBytes;
  t.equal(lab.ended('internal_error'), 1);
  t.match(lab.events('session_failed')[0]?.fields, { error: /RangeError: another defect\n/ });
  t.ok(await bystander.command(COM_PING), 'others go on');
  for (const each of [client, bystander]) each.close();
  await lab.settled();
});

for (const mode of ['fast', 'portable'] as const) {
  for (const tls of ['passthrough', 'preferred'] as const) {
    t.test(
      `a client that floods its login waits for the server, which does not read (${mode}, ${tls})`,
      async (t) => {
        const keys = `clientSslMode: ${tls}${tls === 'preferred' ? ', serverSslMode: disabled' : ''}`;
        const lab = await DataLab.start(t, { mode, routeKeys: keys });
        const server = await lab.server(t, (peer) => void peer.readLogin());
        lab.publish(primaryAt(server));
        const client = await RawClient.connect(lab.port());
        await client.readPacket();
        client.write(LOGIN);
        const size = 130_000;
        const peer = await server.peer(0);
        await until('the login', () => peer.username !== null);
        const most = await floodFrom(lab, client, (sequenceId) =>
          encodePacket(Buffer.alloc(size), sequenceId),
        );
        t.ok(most < 1_000_000, `${most} bytes were queued`);
        for (let sequenceId = 2; sequenceId < FLOOD_PACKETS; sequenceId++) {
          const packet = await peer.readPacket();
          if (packet?.sequenceId !== (sequenceId & 0xff) || packet.payload.length !== size)
            throw new Error(`packet ${sequenceId} is ${packet?.sequenceId}`);
        }
        peer.ok(FLOOD_PACKETS & 0xff);
        t.equal((await client.readPacket())?.payload[0], 0, 'nothing was lost');
        client.close();
        peer.close();
        await lab.settled();
      },
    );
  }
}

/** Sends packets from number 2 on. @returns the most bytes that were queued in the router at once */
async function floodFrom(
  lab: DataLab,
  sender: Wire,
  packetOf: (sequenceId: number) => Buffer,
): Promise<number> {
  let most = 0;
  for (let sequenceId = 2; sequenceId < FLOOD_PACKETS; sequenceId++) {
    sender.write(packetOf(sequenceId & 0xff));
    await setImmediate();
    for (const { queuedBytes } of lab.thread.sessions) most = Math.max(most, queuedBytes);
  }
  return most;
}

for (const how of ['finish', 'reset'] as const) {
  t.test(`a client may go (${how}) at every byte of its login`, async (t) => {
    const before = openSockets();
    const { lab, bystander, server } = await openLab(t);
    const clients = Array.from({ length: LOGIN.length + 1 }, async (_, length) => {
      const client = await RawClient.connect(lab.port());
      await client.readPacket();
      client.write(LOGIN.subarray(0, length));
      client[how]();
      if (how === 'finish') await client.readToEnd();
      client.close();
    });
    await Promise.all(clients);
    await until('the sessions to end', () => lab.route('sessionsOpen') === 1);
    t.ok(lab.ended('client_closed') + lab.ended('client_error') === LOGIN.length + 1);
    t.ok(await bystander.command(COM_PING));
    bystander.close();
    await until('the server to be left', () => server.openPeers.length === 0);
    t.equal(server.brokenOff, 0, 'each server connection was answered');
    await lab.settled();
    lab.thread.close();
    await until('all sockets to be closed', () => openSockets() <= before + 1);
  });
}

t.test('clients that come and go at once leave nothing behind', async (t) => {
  const before = openSockets();
  const { lab, bystander, server } = await openLab(t);
  for (let round = 0; round < 40; round++) {
    const client = await RawClient.connect(lab.port());
    if (round % 2 === 0) client.reset();
    else client.close();
  }
  await until('all to have been seen', () => lab.route('sessionsAccepted') === 41);
  await until('the sessions to end', () => lab.route('sessionsOpen') === 1);
  t.ok(await bystander.command(COM_PING));
  bystander.close();
  await until('the server to be left', () => server.openPeers.length === 0);
  t.equal(server.brokenOff, 0, 'a port check is not the server’s business');
  lab.thread.close();
  await until('all sockets to be closed', () => openSockets() <= before + 1);
});

async function openLab(t: Test, clientHandshakeTimeout = '10s') {
  const lab = await DataLab.start(t, {
    config: `limits: { clientHandshakeTimeout: ${clientHandshakeTimeout}, maxHandshakeBytes: 16KiB }`,
  });
  const server = await lab.server(t, serveOk);
  lab.publish(primaryAt(server));
  return { lab, server, bystander: await RawClient.logIn(lab.port()) };
}

/** The first 32 bytes of a login, with CLIENT_SSL. */
function sslRequest(): Buffer {
  const request = Buffer.from(loginPayload().subarray(0, 32));
  request.writeUInt32LE((request.readUInt32LE() | CLIENT_SSL) >>> 0);
  return request;
}

const COM_PING = 14;
/** 32 MB: far more than the kernel takes for a reader that does not read. */
const FLOOD_PACKETS = 250;
