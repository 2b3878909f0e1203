/** Sessions that have to end, because their member is not what it was or the router goes: at the moment it hurts least. */
import t, { type Test } from 'tap';
import { CLIENT_SSL } from '../../protocol/capability-flags.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import type { Member } from '../../routing/topology.ts';
import { DataLab, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { createStream, expectStream } from '../support/random-stream.ts';
import { loginPayload, RawClient } from '../support/raw-client.ts';
import { type ScriptedServer, serveTransactions } from '../support/scripted-server.ts';
import { pause, until } from '../support/until.ts';

t.test('an idle session on a demoted primary ends at once, and its server hears COM_QUIT', async (t) => {
  const { lab, server, client } = await openLab(t);
  await client.command(COM_PING);
  lab.publish(demoted(server));
  t.equal(await client.readPacket(), null);
  t.equal(client.end, 'fin');
  t.equal(lab.ended('member_demoted'), 1);
  await until('the server to hear of it', () => server.peers[0]?.commands.at(-1) === COM_QUIT);
  client.close();
  await lab.settled();
});

t.test('a session that has been unused ends with the snapshot that demotes its member', async (t) => {
  const { lab, server, client } = await openLab(t);
  await pause(1100);
  lab.publish(demoted(server));
  t.equal(lab.ended('member_demoted'), 1, 'though it has not been set up');
  t.equal(await client.readPacket(), null);
  client.close();
  await lab.settled();
});

t.test('a session in a transaction ends when its COMMIT is answered', async (t) => {
  const { lab, server, client } = await openLab(t);
  await client.command(COM_QUERY, 'BEGIN');
  lab.publish(demoted(server));
  for (let statement = 0; statement < 5; statement++) {
    t.ok(await client.command(COM_QUERY, 'INSERT'));
    await pause(30);
  }
  t.equal(lab.route('sessionsInTransaction'), 1);
  t.ok(await client.command(COM_QUERY, 'COMMIT'), 'the OK of the COMMIT arrives');
  t.equal(await client.readPacket(), null, 'and then the end');
  t.equal(lab.ended('member_demoted'), 1);
  await until('the server to hear of it', () => server.peers[0]?.commands.at(-1) === COM_QUIT);
  client.close();
  await lab.settled();
});

t.test('a session that is being set up is not cut short between two statements', async (t) => {
  const { lab, server, client } = await openLab(t);
  lab.publish(demoted(server));
  for (const statement of ['SET NAMES', 'SET NAMES', 'SELECT @@sql_mode', 'SET sql_mode'])
    t.ok(await client.command(COM_QUERY, statement), statement);
  t.equal(lab.route('sessionsOpen'), 1);
  t.ok(await client.command(COM_INIT_DB, 'wordpress'), 'the schema is selected');
  t.equal(await client.readPacket(), null, 'and now the client can do it all again elsewhere');
  t.equal(lab.ended('member_demoted'), 1);
  client.close();
  await lab.settled();
});

t.test(
  'a session whose statement has failed, perhaps with a transaction open, is left its ROLLBACK',
  async (t) => {
    const { lab, server, client } = await openLab(t);
    for (let answer = 0; answer < 5; answer++) await client.command(COM_PING);
    client.send(0, Buffer.from('\x03SLEEP'));
    await until('it to be busy', () => lab.route('sessionsBusy') === 1);
    lab.publish(demoted(server));
    server.peers[0]?.err(1, 1644, 'HY000', 'scripted');
    t.equal((await client.readErr()).errorCode, 1644);
    t.ok(await client.command(COM_QUERY, 'COMMIT'), 'what it says of the transaction is answered');
    t.equal(await client.readPacket(), null, 'and then it ends');
    t.equal(lab.ended('member_demoted'), 1);
    client.close();
    await lab.settled();
  },
);

t.test('a session whose write the member refuses ends with the refusal', async (t) => {
  const { lab, server, client } = await openLab(t);
  for (let answer = 0; answer < 5; answer++) await client.command(COM_PING);
  client.send(0, Buffer.from('\x03SLEEP'));
  await until('it to be busy', () => lab.route('sessionsBusy') === 1);
  lab.publish(demoted(server));
  server.peers[0]?.err(1, 1290, 'HY000', 'scripted');
  t.equal((await client.readErr()).errorCode, 1290);
  client.send(0, Buffer.of(COM_PING));
  t.equal(await client.readPacket(), null, 'it does not hear it again and again');
  client.close();
  await lab.settled();
});

t.test('a session that waits for an answer ends when it has it', async (t) => {
  const { lab, server, client } = await openLab(t);
  client.send(0, Buffer.from('\x03SLEEP'));
  await until('it to be busy', () => lab.route('sessionsBusy') === 1);
  lab.publish(demoted(server));
  await pause(150);
  t.equal(lab.route('sessionsOpen'), 1);
  server.peers[0]?.ok(1);
  t.equal((await client.readPacket())?.sequenceId, 1);
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('member_demoted'), 1);
  client.close();
  await lab.settled();
});

t.test('a transaction that goes on is cut after drain.grace', async (t) => {
  const { lab, server, client } = await openLab(t, 'drain: { grace: 200ms }');
  await client.command(COM_QUERY, 'BEGIN');
  const startedAtMs = performance.now();
  lab.publish(demoted(server));
  t.equal(await client.readPacket(), null);
  t.ok(performance.now() - startedAtMs > 190);
  t.equal(lab.ended('member_demoted'), 1);
  t.same(server.peers[0]?.commands, [COM_QUERY], 'which is no orderly end for the server');
  client.close();
  await lab.settled();
});

t.test('a doubt that passes leaves sessions where they are', async (t) => {
  const { lab, server, client } = await openLab(t, 'drain: { grace: 200ms }');
  await client.command(COM_QUERY, 'BEGIN');
  lab.publish(demoted(server));
  lab.publish(primaryAt(server));
  await client.command(COM_QUERY, 'COMMIT');
  await pause(250);
  t.ok(await client.command(COM_PING));
  lab.publish(primaryAt(server, { acceptsWrites: false, reason: 'no quorum' }));
  t.ok(await client.command(COM_PING), 'and so does a doubt');
  client.close();
  await lab.settled();
});

t.test('sessions on a member that is gone are cut at once, with what was on its way', async (t) => {
  const { lab, server, client } = await openLab(t);
  const others = [await RawClient.logIn(lab.port()), await RawClient.logIn(lab.port())];
  await others[0]?.command(COM_QUERY, 'BEGIN');
  others[1]?.send(0, Buffer.from('\x03SLEEP'));
  const stream = 3_000_000;
  server.peers[0]?.write(createStream('rest')(stream));
  await until('the rest to be with the router', () => lab.route('bytesToClient') >= stream);
  lab.publish();
  t.equal(await expectStream(client, 'rest', stream, AT_ONCE), stream);
  for (const each of [client, ...others]) {
    t.equal(await each.readPacket(), null);
    // Whose command is with the server must not take its end for one in order.
    t.equal(each.end, each === others[1] ? 'reset' : 'fin');
    each.close();
  }
  t.equal(lab.ended('member_gone'), 3);
  await until('the server to be left', () => server.peers.every((peer) => peer.end !== null));
  await lab.settled();
});

t.test('another server at the same address is another member', async (t) => {
  const { lab, server, client } = await openLab(t);
  lab.publish(primaryAt(server, { id: 'another' }));
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('member_gone'), 1);
  client.close();
  await lab.settled();
});

t.test('sessions for reading stay on a promoted member, unless they are to go', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveTransactions);
  lab.publish(secondaryAt(server));
  const client = await RawClient.logIn(lab.port('ro'));
  lab.publish(primaryAt(server));
  t.ok(await client.command(COM_PING));
  lab.publish(primaryAt(server, { secondarySessions: 'drain' }));
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('member_promoted', 'ro'), 1);
  client.close();
  await lab.settled();
});

t.test(
  'a session that is idle for limits.idleTimeout ends in order, one in the middle of a command does not',
  async (t) => {
    const { lab, server, client } = await openLab(t, 'limits: { idleTimeout: 200ms }');
    const busy = await RawClient.logIn(lab.port());
    busy.send(0, Buffer.from('\x03SLEEP'));
    await client.command(COM_PING);
    t.equal(await client.readPacket(), null);
    t.equal(lab.ended('idle_timeout'), 1);
    await until('the server to hear of it', () => server.peers[0]?.commands.at(-1) === COM_QUIT);
    t.equal(lab.route('sessionsBusy'), 1);
    for (const each of [client, busy]) each.close();
    await lab.settled();
  },
);

t.test('an opaque session ends when nothing has moved for a moment and the server spoke last', async (t) => {
  const lab = await DataLab.start(t, { config: 'drain: { grace: 2s }' });
  const server = await lab.server(t, async (peer) => {
    await peer.readLogin().catch(() => null);
  });
  const quiet = await openTls(lab, server);
  server.peers[0]?.write(Buffer.from('something'));
  await quiet.readBytes(9);
  const asking = await openTls(lab, server);
  await until('both to be opaque', () => lab.route('sessionsOpaque') === 2);
  const startedAtMs = performance.now();
  lab.publish(demoted(server));
  t.equal(await quiet.readPacket(), null);
  // The grace would have cut both of them in one turn.
  t.equal(lab.route('sessionsOpen'), 1, 'who waits for an answer stays');
  t.equal(await asking.readPacket(), null);
  t.ok(performance.now() - startedAtMs > 1990, 'until the grace is over');
  t.equal(lab.ended('member_demoted'), 2);
  for (const client of [quiet, asking]) client.close();
  await lab.settled();
});

t.test('a session that is still authenticating gets through, and ends then', async (t) => {
  const { lab, server, client } = await openLab(t);
  await client.command(COM_PING);
  const late = await RawClient.connect(lab.port());
  await late.readPacket();
  lab.publish(demoted(server));
  late.write(encodePacket(loginPayload(), 1));
  t.equal((await late.readPacket())?.payload[0], 0, 'it is let in');
  t.equal(await late.readPacket(), null, 'and let go');
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('member_demoted'), 2);
  for (const each of [client, late]) each.close();
  await lab.settled();
});

t.test(
  'a drain: accepts for a while, ends sessions at boundaries, then the rest, then says so',
  async (t) => {
    const { lab, client } = await openLab(t, 'drain: { grace: 5s }');
    await client.command(COM_PING);
    const working = await RawClient.logIn(lab.port());
    await working.command(COM_QUERY, 'BEGIN');
    const startedAtMs = performance.now();
    lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 500, timeoutMs: 2000 });
    const late = await RawClient.logIn(lab.port());
    t.ok(await late.command(COM_PING), 'who comes in time is served');
    for (const each of [client, late]) t.equal(await each.readPacket(), null);
    t.ok(performance.now() - startedAtMs > 490);
    await t.rejects(RawClient.connect(lab.port()), { code: 'ECONNREFUSED' });
    t.ok(await working.command(COM_QUERY, 'INSERT'), 'a transaction has until the end');
    t.notOk(lab.posted.some((message) => message.kind === 'drained'));
    t.equal(await working.readPacket(), null);
    t.ok(performance.now() - startedAtMs > 1990);
    for (const each of [client, late, working]) each.close();
    await until('the end to be told', () => lab.posted.some((message) => message.kind === 'drained'));
    t.equal(lab.ended('shutdown'), 3);
    await lab.settled();
  },
);

t.test('a drain: a doubt that passes does not call it off', async (t) => {
  const { lab, server, client } = await openLab(t);
  await client.command(COM_QUERY, 'BEGIN');
  lab.publish(demoted(server));
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 20_000 });
  await pause(30);
  lab.publish(primaryAt(server));
  t.ok(await client.command(COM_QUERY, 'COMMIT'));
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('shutdown'), 1);
  client.close();
  await lab.settled();
});

t.test('a drain: a command that crosses the end of its session is not forwarded', async (t) => {
  const { lab, server, client } = await openLab(t);
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 2000 });
  let answered = 0;
  // It asks again with every answer: the last command has met the FIN on its way.
  while ((await client.command(COM_PING)) !== null) answered++;
  t.equal(client.end, 'fin');
  client.send(0, Buffer.of(COM_PING));
  const [peer] = server.peers;
  await until('the server to hear of the end', () => peer?.commands.at(-1) === COM_QUIT);
  t.equal(peer?.commands.length, answered + 1, 'the server has had what was answered, and the goodbye');
  client.close();
  await lab.settled();
});

t.test('a drain: who waits for a member is served when there is one, and let go then', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveTransactions);
  const held = await RawClient.connect(lab.port());
  await until('it to be held', () => lab.route('sessionsHeld') === 1);
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 9000 });
  await pause(30);
  lab.publish(primaryAt(server));
  await held.authenticate();
  t.ok(await held.command(COM_PING));
  t.equal(await held.readPacket(), null);
  t.equal(lab.ended('shutdown'), 1);
  held.close();
  await lab.settled();
});

t.test('a drain: who is held hears 1053 in the end, and who reads slowly gets all of it', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveTransactions);
  lab.publish(secondaryAt(server));
  const slow = await RawClient.logIn(lab.port('ro'));
  const held = await RawClient.connect(lab.port('rw'));
  const stream = 16_000_000;
  const peer = await server.peer(0);
  peer.write(createStream('slow')(stream));
  await until('the kernels to be full', () => lab.threadCell('backpressurePauses') > 0);
  peer.finish();
  lab.thread.receive({ kind: 'drain', stopAcceptingAfterMs: 0, timeoutMs: 3000 });
  const [refused, received] = await Promise.all([
    held.readErr(),
    expectStream(slow, 'slow', Number.POSITIVE_INFINITY, AT_ONCE),
  ]);
  t.equal(refused.errorCode, 1053);
  t.equal(received, stream);
  t.notOk(
    lab.posted.some((message) => message.kind === 'drained'),
    'nobody is forgotten',
  );
  for (const client of [slow, held]) client.close();
  await until('the end to be told', () => lab.posted.some((message) => message.kind === 'drained'));
  await lab.settled();
});

/** A client that is in at a primary. */
async function openLab(t: Test, config = '') {
  const lab = await DataLab.start(t, { config });
  const server = await lab.server(t, serveTransactions);
  lab.publish(primaryAt(server));
  return { lab, server, client: await RawClient.logIn(lab.port()) };
}

/** A session that is TLS to the router: it cannot look into it. */
async function openTls(lab: DataLab, server: ScriptedServer): Promise<RawClient> {
  lab.publish(primaryAt(server));
  const client = await RawClient.connect(lab.port());
  await client.readPacket();
  const request = Buffer.from(loginPayload().subarray(0, 32));
  request.writeUInt32LE((request.readUInt32LE() | CLIENT_SSL) >>> 0);
  client.write(encodePacket(request, 1), CLIENT_HELLO);
  return client;
}

function demoted(server: ScriptedServer): Member {
  return secondaryAt(server, { primarySessions: 'drain' });
}

/** As much of a TLS record as the router looks at: a handshake that begins with client_hello. */
const CLIENT_HELLO = Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0]);
const AT_ONCE = { random: () => 0, maxChunkBytes: 1, stallsAt: [], maxStallMs: 0 };
const COM_QUIT = 1;
const COM_INIT_DB = 0x02;
const COM_QUERY = 3;
const COM_PING = 14;
