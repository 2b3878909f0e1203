/** Sessions of X Protocol in one data thread: what the client gets where a real server cannot be made to do it. */
import t from 'tap';
import { encodeXFrame, X_CLIENT, X_SERVER } from '../../protocol/x/frame.ts';
import { decodeXError } from '../../protocol/x/messages.ts';
import { DataLab, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import type { ScriptedServer, ServerPeer, ServerScript } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

const HELLO = Buffer.from('050000000b08051a00', 'hex');
const GET = encodeXFrame(X_CLIENT.CON_CAPABILITIES_GET, Buffer.alloc(0));
const START = encodeXFrame(X_CLIENT.SESS_AUTHENTICATE_START, Buffer.from('MYSQL41'));
const CAPABILITIES = encodeXFrame(X_SERVER.CONN_CAPABILITIES, Buffer.from('some'));
const AUTHENTICATED = encodeXFrame(X_SERVER.SESS_AUTHENTICATE_OK, Buffer.alloc(0));

t.test('a client that speaks first is heard by the server it is placed on, once there is one', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, letIn);
  const client = await RawClient.connect(lab.port('x-rw'));
  client.write(GET, START);
  await until('the client to be held', () => lab.route('sessionsHeld', 'x-rw') === 1);
  lab.publish(primaryAt(server), xOnly(server, 'other', { acceptsReads: false }));
  t.equal(lab.route('sessionsHeld', 'x-rw'), 1, 'that the primary is there says nothing of its X port');
  lab.publish(xPrimary(server));
  t.strictSame(await client.readBytes(HELLO.length), HELLO);
  t.strictSame(await client.readBytes(CAPABILITIES.length + AUTHENTICATED.length), answers());
  t.equal(lab.route('sessionsAuthenticated', 'x-rw'), 1);
  t.equal(lab.route('sessionsOpaque', 'x-rw'), 1, 'of its boundaries nothing is known');
  client.write(Buffer.from('anything at all'));
  t.equal(String(await client.readBytes(15)), 'anything at all');
  client.finish();
  t.equal(await client.readBytes(1), null, 'a half-close is passed on');
  await lab.settled();
  t.equal(lab.ended('client_closed', 'x-rw'), 1);
  t.equal(lab.dials(0, 'ok', 'xDials'), 1);
  t.equal(lab.dials(0, 'ok'), 0);
});

t.test('errors come as X Protocol has them: limits, no destination, what is no X Protocol', async (t) => {
  const lab = await DataLab.start(t, { rwLimit: 1, config: 'hold: { timeout: 150ms }' });
  const held = await RawClient.connect(lab.port('x-rw'));
  await until('the first to be held', () => lab.route('sessionsHeld', 'x-rw') === 1);
  const second = await RawClient.connect(lab.port('x-rw'));
  t.match(await readXError(second), { errorCode: 1040, sqlState: '08004', message: 'Too many connections' });
  t.match(await readXError(held), {
    errorCode: 2003,
    sqlState: 'HY000',
    message: /^Can't connect to remote MySQL server: no confirmed writable primary \(route x-rw, waited/,
  });
  const stranger = await RawClient.connect(lab.port('x-ro'));
  stranger.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.match(await readXError(stranger), { errorCode: 1043, sqlState: '08S01' });
  t.equal(lab.refused('route_limit', 'x-rw'), 1);
  t.equal(lab.refused('no_destination', 'x-rw'), 1);
  t.equal(lab.refused('bad_handshake', 'x-ro'), 1);
  for (const client of [held, second, stranger]) client.close();
  await lab.settled();
});

t.test('who is told that a member has no X port, and why it waited', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 100ms }' });
  const server = await lab.server(t, letIn);
  lab.publish(primaryAt(server));
  const client = await RawClient.connect(lab.port('x-rw'));
  t.match(await readXError(client), { errorCode: 2003, message: /no X Protocol port is known of 127/ });
  client.close();
  await lab.settled();
});

t.test('a dead X port is set aside for X Protocol alone', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 200ms }' });
  const [dead, other] = [await lab.server(t, letIn), await lab.server(t, letIn)];
  const classic = await lab.server(t, (peer) => peer.greet());
  await dead.close();
  const x = (server: ScriptedServer) => ({ dial: { host: server.host, port: server.port }, greets: true });
  lab.publish(
    primaryAt(classic, { x: x(dead) }),
    secondaryAt(classic, { id: 'other', address: 'other:1', slot: 1, x: x(other) }),
  );
  const client = await RawClient.connect(lab.port('x-rw'));
  t.match(await readXError(client), { errorCode: 2003, message: /ECONNREFUSED/ });
  t.strictSame(lab.signals(), [], 'the control plane is not made to doubt the member');
  t.match(lab.events('member_quarantined'), [{ message: /^X Protocol of / }]);
  t.ok(lab.thread.reach.classic.quarantine.nextProbeAtMs() === null);
  const reader = await RawClient.connect(lab.port('ro'));
  t.not(await reader.readPacket(), null, 'the same member serves the classic protocol');
  for (const open of [client, reader]) open.close();
  await lab.settled();
});

t.test(
  'a server that accepts and says nothing is overtaken, where servers are known to speak first',
  async (t) => {
    const lab = await DataLab.start(t);
    const [hung, well] = [await lab.server(t, () => undefined), await lab.server(t, letIn)];
    lab.publish(
      xOnly(hung, 'hung', { acceptsReads: true, slot: 0 }),
      xOnly(well, 'well', { acceptsReads: true, slot: 1 }),
    );
    const clients = await Promise.all([1, 2].map(() => RawClient.connect(lab.port('x-ro'))));
    for (const client of clients) {
      client.write(GET, START);
      t.strictSame(await client.readBytes(HELLO.length), HELLO);
      client.close();
    }
    await lab.settled();
  },
);

t.test('where a server is known to be silent, a TCP connection is all that is asked for', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, async (peer) => {
    if (await peer.readBytes(GET.length + START.length)) peer.write(CAPABILITIES, AUTHENTICATED);
    await peer.readToEnd();
    peer.finish();
  });
  lab.publish(xPrimary(server, false));
  const client = await RawClient.connect(lab.port('x-rw'));
  client.write(GET, START);
  t.strictSame(await client.readBytes(answers().length), answers());
  client.close();
  await lab.settled();
});

t.test('a client that does not log in in time is told so; one whose server leaves as well', async (t) => {
  const lab = await DataLab.start(t, { config: 'limits: { clientHandshakeTimeout: 150ms }' });
  const server = await lab.server(t, async (peer) => {
    peer.write(HELLO);
    if ((await peer.readBytes(GET.length)) !== null) peer.finish();
  });
  lab.publish(xPrimary(server));
  const slow = await RawClient.connect(lab.port('x-rw'));
  await slow.readBytes(HELLO.length);
  t.match(await readXError(slow), { errorCode: 1159 });
  const left = await RawClient.connect(lab.port('x-rw'));
  await left.readBytes(HELLO.length);
  left.write(GET);
  t.match(await readXError(left), { errorCode: 2013 });
  t.equal(lab.refused('handshake_timeout', 'x-rw') + lab.refused('server_lost', 'x-rw'), 2);
  for (const client of [slow, left]) client.close();
  await lab.settled();
});

t.test('what a client says before it has a server is limited', async (t) => {
  const lab = await DataLab.start(t, { config: 'limits: { maxHandshakeBytes: 4KiB }' });
  const client = await RawClient.connect(lab.port('x-rw'));
  const message = encodeXFrame(X_CLIENT.SESS_AUTHENTICATE_START, Buffer.alloc(4000));
  // More than the kernel's buffers take: nothing beyond the limit and one read is taken.
  client.write(Buffer.alloc(24_000_000, message));
  await until('the client to be held', () => lab.route('sessionsHeld', 'x-rw') === 1);
  await until('the client to be stalled', () => client.socket.writableLength > 0);
  client.close();
  await lab.settled();
});

t.test('a drained session ends once it is quiet, the server having spoken last', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, letIn);
  lab.publish(xPrimary(server));
  const client = await loggedIn(lab);
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 5000 });
  t.equal(await client.readBytes(1), null);
  t.equal(client.end, 'fin');
  await until('the drain to be over', () => lab.posted.some(({ kind }) => kind === 'drained'));
  t.equal(lab.ended('shutdown', 'x-rw'), 1);
  client.close();
});

t.test('a session on a member that is gone ends at once', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, letIn);
  lab.publish(xPrimary(server));
  const client = await loggedIn(lab);
  lab.publish();
  t.equal(await client.readBytes(1), null);
  t.equal(lab.ended('member_gone', 'x-rw'), 1);
  client.close();
  await lab.settled();
});

/** Greets, lets anybody in, and says back what it hears. */
const letIn: ServerScript = async (peer: ServerPeer) => {
  peer.write(HELLO);
  if ((await peer.readBytes(GET.length + START.length)) === null) return peer.finish();
  peer.write(answers());
  for (let heard = await peer.readSome(); heard !== null; heard = await peer.readSome()) peer.write(heard);
  peer.finish();
};

function answers(): Buffer {
  return Buffer.concat([CAPABILITIES, AUTHENTICATED]);
}

async function loggedIn(lab: DataLab): Promise<RawClient> {
  const client = await RawClient.connect(lab.port('x-rw'));
  client.write(GET, START);
  await client.readBytes(HELLO.length + answers().length);
  return client;
}

async function readXError(client: RawClient) {
  const all = await client.readToEnd();
  const at = all.subarray(0, HELLO.length).equals(HELLO) ? HELLO.length : 0;
  if (all[at + 4] !== X_SERVER.ERROR) throw new Error(`no Mysqlx.Error: ${all.toString('hex')}`);
  return decodeXError(all.subarray(at + 5));
}

/** A primary that speaks nothing but X Protocol. */
function xPrimary(server: ScriptedServer, greets = true) {
  return primaryAt(server, { x: { dial: { host: server.host, port: server.port }, greets } });
}

function xOnly(server: ScriptedServer, id: string, facts: Parameters<typeof secondaryAt>[1]) {
  const x = { dial: { host: server.host, port: server.port }, greets: true };
  return secondaryAt(server, { id, address: `${id}:3306`, x, ...facts });
}
