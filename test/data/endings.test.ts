/** How sessions end: by either side, in order or not, and what still has to arrive then. */
import t, { type Test } from 'tap';
import { ERRORS } from '../../protocol/error-codes.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { DataLab, openSockets, primaryAt } from '../support/data-lab.ts';
import { createStream, expectStream, type Manners } from '../support/random-stream.ts';
import { LOGIN, RawClient } from '../support/raw-client.ts';
import { type ServerPeer, type ServerScript, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

for (const mode of ['fast', 'portable'] as const) {
  const story = (name: string, tell: (t: Test, lab: DataLab) => Promise<void>) =>
    t.test(`${name} (${mode})`, async (t) => {
      const before = openSockets();
      const lab = await DataLab.start(t, { mode });
      await tell(t, lab);
      await lab.settled();
      lab.thread.close();
      await until('all sockets to be closed', () => openSockets() <= before + lab.servers.length);
    });

  story('a server that closes in the middle of a result: the client gets what was sent', async (t, lab) => {
    const client = await logInTo(t, lab, async (peer) => {
      peer.write(createStream('result')(RESULT_BYTES));
      peer.finish();
      await peer.readToEnd();
      peer.close();
    });
    await until('the kernels to be full', () => lab.threadCell('backpressurePauses') > 0);
    t.equal(await expectStream(client, 'result', Number.POSITIVE_INFINITY, AT_ONCE), RESULT_BYTES);
    t.equal(client.end, 'fin');
    client.close();
    await until('the session to end', () => lab.ended('server_closed') === 1);
    t.match(lab.signals(), ['server-closed']);
  });

  for (const how of ['finish', 'reset'] as const) {
    story(`a server's last words reach the client before its ${how}`, async (t, lab) => {
      const client = await logInTo(t, lab, async (peer) => {
        await peer.readPacket();
        peer.err(1, ERRORS.ER_SERVER_SHUTDOWN.number, '08S01', 'Server shutdown in progress');
        peer[how]();
      });
      client.send(0, Buffer.of(COM_QUERY, ...Buffer.from('SELECT 1')));
      t.equal((await client.readErr()).errorCode, ERRORS.ER_SERVER_SHUTDOWN.number);
      t.equal(await client.readPacket(), null);
      // A reset is passed on: clients tell one from the other.
      t.equal(client.end, how === 'finish' ? 'fin' : 'reset');
      client.close();
      await until('the session to end', () => lab.ended('server_closed') + lab.ended('server_error') === 1);
    });
  }

  story('a client that vanishes in the middle of a result frees the server', async (t, lab) => {
    for (const how of ['reset', 'close'] as const) {
      const client = await logInTo(t, lab, sendForEver);
      await client.readBytes(100_000);
      const peer = await lab.servers[lab.servers.length - 1]?.peer(0);
      client[how]();
      await until('the server to be left', () => peer?.end !== null);
    }
    await until('the sessions to end', () => lab.ended('client_error') + lab.ended('client_closed') === 2);
    t.same(lab.signals(), [], 'which says nothing of the server');
  });

  story('a client that vanishes while it reads nothing frees the server', async (t, lab) => {
    const client = await logInTo(t, lab, sendForEver);
    await until('the kernels to be full', () => lab.threadCell('backpressurePauses') > 0);
    client.reset();
    await until('the session to end', () => lab.ended('client_error') === 1);
    await until('the server to be left', () => lab.servers[0]?.peers[0]?.end !== null);
  });

  story('COM_QUIT reaches the server, and the session ends as quit', async (t, lab) => {
    const client = await logInTo(t, lab, (peer) => peer.answerCommands(() => peer.ok(1)));
    client.send(0, Buffer.of(COM_QUIT));
    client.finish();
    await client.readToEnd();
    client.close();
    await until('the session to end', () => lab.ended('client_quit') === 1);
    t.same(lab.servers[0]?.peers[0]?.commands, [COM_QUIT]);
    t.same(lab.signals(), []);
  });

  story('a client that says goodbye behind a command, and ends, still gets its answer', async (t, lab) => {
    const client = await logInTo(t, lab, async (peer) => {
      for (const command of [COM_PING, COM_QUIT]) t.equal((await peer.readPacket())?.payload[0], command);
      t.equal(await peer.readPacket(), null);
      peer.ok(1);
      peer.finish();
    });
    client.write(encodePacket(Buffer.of(COM_PING), 0), encodePacket(Buffer.of(COM_QUIT), 0));
    client.finish();
    t.equal((await client.readPacket())?.payload[0], 0);
    t.equal(await client.readPacket(), null);
    client.close();
    await until('the session to end', () => lab.ended('client_quit') === 1);
  });

  story('a server that does not close behind COM_QUIT is closed', async (t, lab) => {
    const client = await logInTo(t, lab, async (peer) => void (await peer.readPacket()));
    client.send(0, Buffer.of(COM_QUIT));
    client.finish();
    await until('the session to end', () => lab.ended('client_quit') === 1);
    await until('the server to be left', () => lab.servers[0]?.peers[0]?.end === 'fin');
    await until('the farewells to be over', () => lab.thread.farewells.size === 0);
    client.close();
    lab.servers[0]?.peers[0]?.close();
  });

  story('a client that leaves without COM_QUIT closes its server connection', async (t, lab) => {
    const client = await logInTo(t, lab, (peer) => peer.answerCommands(() => peer.ok(1)));
    client.close();
    await until('the session to end', () => lab.ended('client_closed') === 1);
    await until('the server to be left', () => lab.servers[0]?.peers[0]?.isClosed === true);
  });

  story('a server that closes while its client does nothing: the session ends soon', async (t, lab) => {
    const client = await logInTo(t, lab, (peer) => peer.close());
    await until('the client to hear of it', async () => (await client.readSome()) === null);
    t.equal(client.end, 'fin');
    await until('the session to end', () => lab.ended('server_closed') === 1);
    t.match(lab.signals(), ['server-closed']);
    client.close();
  });

  story('a command that is sent ahead of the OK is answered, and so is the next', async (t, lab) => {
    const server = await lab.server(t, async (peer) => {
      await peer.readLogin();
      await until('the early command to be held', () => lab.route('sessionsOpen') === 1);
      peer.ok(2);
      await peer.answerCommands(() => peer.ok(1));
    });
    lab.publish(primaryAt(server));
    const client = await RawClient.connect(lab.port());
    await client.readPacket();
    client.write(LOGIN, encodePacket(Buffer.of(COM_PING), 0));
    t.equal((await client.readPacket())?.sequenceId, 2, 'the OK of the login');
    t.equal((await client.readPacket())?.sequenceId, 1, 'the OK of the early command');
    t.ok(await client.command(COM_PING));
    client.close();
  });

  story('sessions leave nothing behind', async (t, lab) => {
    const server = await lab.server(t, serveOk);
    lab.publish(primaryAt(server));
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.logIn(lab.port())));
      t.equal(lab.route('sessionsOpen'), 10);
      await Promise.all(clients.map((client) => client.command(COM_PING)));
      for (const client of clients) client.close();
      await until('the sessions to end', () => lab.route('sessionsOpen') === 0);
    }
    t.equal(lab.route('sessionsAccepted'), 50);
    t.equal(server.brokenOff, 0);
  });
}

/** A client that is in, at a server that does `script` then. */
async function logInTo(t: Test, lab: DataLab, script: ServerScript): Promise<RawClient> {
  const server = await lab.server(t, async (peer) => {
    if (await peer.logIn()) await script(peer);
  });
  lab.publish(primaryAt(server));
  return RawClient.logIn(lab.port());
}

async function sendForEver(peer: ServerPeer): Promise<void> {
  const next = createStream('endless');
  // Reading on, it hears of the client's end.
  peer.socket.resume();
  while (peer.end === null && !peer.socket.destroyed) {
    peer.write(next(100_000));
    await peer.drained();
  }
  peer.close();
}

const COM_QUIT = 1;
const COM_QUERY = 3;
const COM_PING = 14;
/** More than the kernels hold between the server and a client that does not read. */
const RESULT_BYTES = 16_000_000;
const AT_ONCE: Manners = { random: () => 0, maxChunkBytes: 1_000_000, stallsAt: [], maxStallMs: 0 };
