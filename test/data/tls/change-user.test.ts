/** COM_CHANGE_USER: who the client is cannot be claimed with it, and no password leaves TLS in it, however it comes. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { CLIENT_SSL } from '../../../protocol/capability-flags.ts';
import { decodeChangeUser, encodeChangeUser } from '../../../protocol/change-user.ts';
import {
  decodeConnectionAttributes,
  encodeConnectionAttributes,
} from '../../../protocol/connection-attributes.ts';
import { encodePacket } from '../../../protocol/packet-header.ts';
import { Connection, type ConnectionSink } from '../../../src/data/connection.ts';
import { ChangeUserRelay } from '../../../src/data/tls/change-user-relay.ts';
import { portOf } from '../../protocol/watching-relay.ts';
import { DataLab, primaryAt } from '../../support/data-lab.ts';
import { loginPayload, RawClient } from '../../support/raw-client.ts';
import { SERVER_CAPABILITIES, type ServerPeer } from '../../support/scripted-server.ts';
import { pause, until } from '../../support/until.ts';

const CLAIM = [
  { name: '_client_ip', value: '6.6.6.6' },
  { name: 'program_name', value: 'x' },
  { name: '_CLIENT_IP', value: '6.6.6.6' },
];
const CAPABILITIES = (SERVER_CAPABILITIES & ~CLIENT_SSL) >>> 0;
const CHANGE = encodePacket(
  encodeChangeUser(
    {
      user: Buffer.from('other'),
      authResponse: Buffer.alloc(0),
      database: Buffer.alloc(0),
      characterSet: Buffer.of(255, 0),
      authPluginName: 'caching_sha2_password',
      attributes: encodeConnectionAttributes(CLAIM),
      rest: Buffer.alloc(0),
    },
    CAPABILITIES,
  ),
  0,
);
const STMT_CLOSE = encodePacket(Buffer.of(0x19, 1, 0, 0, 0), 0);
const QUERY = encodePacket(Buffer.from('\x03SELECT 1'), 0);

/** Starts a server that notes the attributes of each change of user. */
async function start(t: Test, routeKeys = '') {
  const lab = await DataLab.start(t, { routeKeys });
  const seen: string[][] = [];
  const server = await lab.server(t, async (peer) => {
    if (!(await peer.logIn())) return;
    for (let packet = await peer.readPacket(); packet !== null; packet = await peer.readPacket()) {
      if (packet.payload[0] === 0x11) seen.push(attributesOf(packet.payload));
      if (packet.payload[0] !== 0x19) peer.ok(1);
    }
    peer.finish();
  });
  lab.publish(primaryAt(server));
  return { lab, server, seen };
}

function attributesOf(payload: Buffer): string[] {
  const { attributes } = decodeChangeUser(payload, CAPABILITIES);
  const all = decodeConnectionAttributes(attributes ?? Buffer.alloc(0));
  return all.map(({ name, value }) => (name === '_client_port' ? name : `${name}=${value}`));
}

const ROUTERS_WORD = ['program_name=x', '_client_ip=127.0.0.1', '_client_port'];

t.test('attributes of COM_CHANGE_USER are the router’s word, however its packet is cut', async (t) => {
  const { lab, seen } = await start(t);
  const client = await RawClient.logIn(lab.port());
  for (let cut = 1; cut < CHANGE.length; cut += cut < 8 ? 1 : 17) {
    client.write(CHANGE.subarray(0, cut));
    await flushed();
    client.write(CHANGE.subarray(cut));
    t.equal((await client.readPacket())?.payload[0], 0, `cut at ${cut}`);
  }
  client.write(Buffer.concat([STMT_CLOSE, CHANGE]));
  t.equal((await client.readPacket())?.payload[0], 0, 'behind a command without a reply');
  client.write(Buffer.concat([STMT_CLOSE, CHANGE.subarray(0, 3)]));
  await flushed();
  client.write(CHANGE.subarray(3));
  t.equal((await client.readPacket())?.payload[0], 0, 'and cut in its header');
  client.write(Buffer.concat([QUERY, QUERY, CHANGE]));
  for (const which of ['first', 'second', 'third']) {
    t.equal((await client.readPacket())?.payload[0], 0, `the ${which} answer, in order`);
  }
  t.equal((await client.command(0x03, 'SELECT 1'))?.[0], 0, 'the session goes on');
  t.ok(seen.length > 10);
  for (const attributes of seen) t.same(attributes, ROUTERS_WORD);
  client.write(Buffer.concat([CHANGE, QUERY]));
  t.match(await client.readErr(), { errorCode: 1156 }, 'nothing may be sent behind it');
  await lab.settled();
});

t.test('a session that is not understood any more changes no user', async (t) => {
  const { lab, seen } = await start(t);
  const client = await RawClient.logIn(lab.port());
  client.write(encodePacket(Buffer.from('\x03SELECT 1'), 7));
  t.equal((await client.readPacket())?.payload[0], 0);
  t.equal(lab.route('sessionsOpaque'), 1);
  t.equal((await client.command(0x03, 'SELECT 1'))?.[0], 0, 'everything else is relayed');
  client.write(CHANGE);
  t.match(await client.readErr(), { errorCode: 2026, message: /connect anew/ });
  t.same(seen, [], 'the server has seen nothing of it');
  await lab.settled();
});

t.test('a client that floods its change of user, which the server does not read, is refused', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, async (peer) => void (await peer.logIn()));
  lab.publish(primaryAt(server));
  const client = await RawClient.logIn(lab.port());
  client.write(CHANGE);
  for (let sequenceId = 1; sequenceId < 200; sequenceId++) client.send(sequenceId, Buffer.alloc(130_000));
  t.equal((await client.readErr()).errorCode, 1156);
  for (const each of [client, ...server.peers]) each.close();
  await lab.settled();
});

t.test(
  'who waits with a change of user is not read on because the server has taken what was queued',
  async (t) => {
    const peers: Socket[] = [];
    const listener = createServer((socket) => void peers.push(socket.on('error', () => socket.destroy())));
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    const to = { host: '127.0.0.1', port: portOf(listener.address()) };
    const dial = (sink: ConnectionSink) =>
      new Promise<Connection>((resolve) => {
        const connection = Connection.dial(to, { kind: 'portable' }, sink, () => resolve(connection));
      });
    const nothing = () => undefined;
    const silent = { onBytes: nothing, onEnd: nothing, onDrain: nothing, onClose: nothing };
    const client = await dial(silent);
    const server = await dial(silent);
    await until('both to be there', () => peers.length === 2);
    let readBytes = 0;
    const relay = new ChangeUserRelay(
      {
        ...{ client, server, capabilities: CAPABILITIES, bridge: null, identity: null },
        // As a session does it.
        sink: {
          ...silent,
          onBytes: (_side, _buffer, length) => {
            readBytes += length;
          },
          onDrain: () => client.resume(),
        },
        underWay: () => 'something',
        ...{ toServer: nothing, toClient: nothing, refuseCommand: nothing },
      },
      CHANGE,
    );
    relay.onDrain('server');
    for (const peer of peers) if (peer.remotePort === client.localPort) peer.write(Buffer.alloc(300_000));
    await pause(200);
    t.equal(readBytes, 0, 'it would be held beyond the limit, and refused in the middle of an answer');
    relay.onDrain('client');
    for (const connection of [client, server]) connection.destroy();
    for (const peer of peers) peer.destroy();
    listener.close();
  },
);

t.test('attributes stay as they are where the route adds none', async (t) => {
  const { lab, seen } = await start(t, 'clientAttributes: false');
  const client = await RawClient.logIn(lab.port());
  client.write(CHANGE);
  t.equal((await client.readPacket())?.payload[0], 0);
  t.same(seen, [CLAIM.map(({ name, value }) => `${name}=${value}`)]);
  client.close();
  await lab.settled();
});

t.test('a password of COM_CHANGE_USER stays inside TLS, also where commands are not tracked', async (t) => {
  for (const tracking of [true, false]) {
    const lab = await DataLab.start(t, {
      routeKeys: 'clientSslMode: required, serverSslMode: disabled',
      tracking,
    });
    const heard: Buffer[] = [];
    const server = await lab.server(t, (peer) => demandPassword(peer, heard));
    lab.publish(primaryAt(server));
    const client = await (await RawClient.connect(lab.port())).secure();
    client.write(encodePacket(loginPayload(), 2));
    t.equal((await client.readPacket())?.payload[0], 0);
    client.write(Buffer.concat([STMT_CLOSE, CHANGE]));
    t.same((await client.readPacket())?.payload, Buffer.of(1, 4), 'the whole password is asked for');
    client.write(encodePacket(Buffer.from('top secret\0'), 2));
    await until('the server to hear something', () => heard.length > 0);
    t.same(heard, [Buffer.of(2)], 'the server is asked for its public key');
    client.close();
    await lab.settled();
  }
});

/** Notes what it gets when it asks for the whole password. */
async function demandPassword(peer: ServerPeer, heard: Buffer[]): Promise<void> {
  if (!(await peer.logIn())) return;
  for (let packet = await peer.readPacket(); packet !== null; packet = await peer.readPacket()) {
    if (packet.payload[0] === 0x11) peer.send(1, Buffer.of(1, 4));
    else if (packet.payload[0] !== 0x19) heard.push(packet.payload);
  }
  peer.finish();
}

/** What was written last has been read by the router, or will be read by itself: both are to work. */
function flushed(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
