/** Clients for whom there is no member: they wait, go on the moment there is one, and hear of it when there is none. */
import t from 'tap';
import { encodePacket } from '../../protocol/packet-header.ts';
import { HEADER, sharedHeader } from '../../src/shared/counters.ts';
import { hasDecisionLapsed, noteDecision } from '../../src/shared/decision-lapse.ts';
import { DataLab, openSockets, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { loginPayload, RawClient } from '../support/raw-client.ts';
import { serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

t.test('a client without a member is held, and goes on within milliseconds of a topology', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveOk);
  const client = await RawClient.connect(lab.port());
  await until('the client to be held', () => lab.route('sessionsHeld') === 1);
  lab.publish(secondaryAt(server, { acceptsReads: true }));
  t.equal(lab.route('sessionsHeld'), 1, 'a topology without a primary changes nothing');
  const publishedAtMs = performance.now();
  lab.publish(primaryAt(server));
  await client.authenticate();
  const tookMs = performance.now() - publishedAtMs;
  t.comment(`from the topology to the end of the login: ${tookMs.toFixed(1)} ms`);
  t.ok(tookMs < 2000, 'even on a machine that is busy with other tests');
  t.equal(lab.route('holdsServed'), 1);
  t.ok(await client.command(COM_PING));
  client.close();
  await lab.settled();
});

t.test('who comes to write waits while nobody has looked over the members for too long', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveOk);
  lab.publish(primaryAt(server));
  const header = sharedHeader(lab.counters);
  t.notOk(hasDecisionLapsed(header), 'nobody has begun to');
  noteDecision(header, 5000);
  t.notOk(hasDecisionLapsed(header));
  // As if it had been made a minute ago.
  Atomics.sub(header, HEADER.decisionLapsesAt, 60_000);
  const [writer, reader] = [await RawClient.connect(lab.port('rw')), await RawClient.connect(lab.port('ro'))];
  await until('the writer to be held', () => lab.route('sessionsHeld') === 1);
  await reader.authenticate();
  noteDecision(header, 5000);
  await writer.authenticate();
  t.equal(lab.route('holdsServed'), 1, 'without a new topology');
  for (const client of [writer, reader]) client.close();
  await lab.settled();
});

t.test('after hold.timeout the client hears 2003 and why', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 150ms }' });
  const startedAtMs = performance.now();
  const client = await RawClient.connect(lab.port());
  t.match(await client.readErr(), {
    errorCode: 2003,
    sequenceId: 0,
    message:
      /^Can't connect to remote MySQL server: no confirmed writable primary \(route rw, waited 0\.\d s\)$/,
  });
  t.ok(performance.now() - startedAtMs > 140);
  t.equal(await client.readPacket(), null);
  t.equal(client.end, 'fin');
  t.equal(lab.route('holdsExpired'), 1);
  t.equal(lab.refused('no_destination'), 1);
  t.equal(lab.ended('no_destination'), 1);
  client.close();
  await lab.settled();
});

t.test('no more than hold.maxSessions wait, over all routes', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 5s, maxSessions: 2 }' });
  const waiting = [await RawClient.connect(lab.port('rw')), await RawClient.connect(lab.port('ro'))];
  await until('two to wait', () => lab.route('sessionsHeld') + lab.route('sessionsHeld', 'ro') === 2);
  const third = await RawClient.connect(lab.port());
  t.match(await third.readErr(), { errorCode: 2003, message: /too many clients are waiting/ });
  t.equal(lab.refused('hold_full'), 1);
  waiting[0]?.close();
  await until('one to have left', () => lab.route('holdsAbandoned') === 1);
  waiting.push(await RawClient.connect(lab.port()));
  await until('its place to be taken', () => lab.route('sessionsHeld') === 1);
  for (const client of [...waiting, third]) client.close();
  await lab.settled();
  t.equal(lab.route('holdsAbandoned') + lab.route('holdsAbandoned', 'ro'), 3);
});

t.test('clients that leave while they are held are forgotten', async (t) => {
  const before = openSockets();
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveOk);
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(lab.port())));
  await until('all to be held', () => lab.route('sessionsHeld') === 20);
  clients.forEach((client, index) => {
    if (index % 2 === 0) client.reset();
    else client.close();
  });
  await until('all to be forgotten', () => lab.route('holdsAbandoned') === 20);
  lab.publish(primaryAt(server));
  await lab.settled();
  t.equal(server.peers.length, 0, 'nobody is dialled for');
  lab.thread.close();
  await until('all sockets to be closed', () => openSockets() <= before + 1);
});

t.test('held clients go on in the order they came', async (t) => {
  const lab = await DataLab.start(t);
  const server = await lab.server(t, serveOk);
  const clients: RawClient[] = [];
  for (let index = 0; index < 60; index++) {
    clients.push(await RawClient.connect(lab.port()));
    await until('it to be held', () => lab.route('sessionsHeld') === index + 1);
  }
  lab.publish(primaryAt(server));
  await Promise.all(
    clients.map(async (client, index) => {
      await client.readPacket();
      client.write(encodePacket(loginPayload(`client-${index}`), 1));
      await client.readPacket();
    }),
  );
  t.same(
    server.peers.map((peer) => peer.username),
    clients.map((_, index) => `client-${index}`),
  );
  t.equal(lab.route('holdsServed'), 60);
  t.equal(lab.route('sessionsHeld'), 0);
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a held client reaches a member that was offered but did not listen yet', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 5s }' });
  const early = await lab.server(t, serveOk);
  const member = primaryAt(early);
  await early.close();
  lab.publish(member);
  const client = await RawClient.connect(lab.port());
  await until('it to be held', () => lab.route('sessionsHeld') === 1);
  await lab.server(t, serveOk, '127.0.0.1', member.dial?.port);
  await client.authenticate();
  t.equal(lab.route('holdsServed'), 1);
  client.close();
  await lab.settled();
});

t.test('a client that waits for a hung primary goes on to the one that takes its place', async (t) => {
  const lab = await DataLab.start(t);
  const hung = await lab.server(t, () => undefined);
  const next = await lab.server(t, serveOk);
  lab.publish(primaryAt(hung, { slot: 0 }), secondaryAt(next, { slot: 1 }));
  const client = await RawClient.connect(lab.port());
  await hung.peer(0);
  lab.publish(secondaryAt(hung, { slot: 0, acceptsReads: false }), secondaryAt(next, { slot: 1 }));
  t.equal(hung.peers.length, 1);
  lab.publish(secondaryAt(hung, { slot: 0, acceptsReads: false }), primaryAt(next, { slot: 1 }));
  await client.authenticate();
  t.equal(next.logins, 1);
  client.close();
  await lab.settled();
});

t.test('with hold.timeout 0 nobody waits, but every candidate is tried', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 0 }' });
  const refused = await RawClient.connect(lab.port());
  t.match(await refused.readErr(), { errorCode: 2003, message: /no confirmed writable primary/ });
  refused.close();
  const gone = await lab.server(t, serveOk);
  const member = secondaryAt(gone, { slot: 0 });
  await gone.close();
  const server = await lab.server(t, async (peer) => {
    await until('the other candidate to have failed', () => lab.dials(0, 'refused') > 0);
    await serveOk(peer);
  });
  lab.publish(member, secondaryAt(server, { slot: 1 }));
  const clients = await Promise.all([RawClient.logIn(lab.port('ro')), RawClient.logIn(lab.port('ro'))]);
  for (const client of clients) client.close();
  t.equal(lab.route('holdsStarted') + lab.route('holdsStarted', 'ro'), 0);
  await lab.settled();
});

t.test('a client that waits speaks too early: it hears 1043, and waits no more', async (t) => {
  const lab = await DataLab.start(t);
  const client = await RawClient.connect(lab.port());
  await until('it to be held', () => lab.route('sessionsHeld') === 1);
  client.write(Buffer.from('hello?'));
  t.equal((await client.readErr()).errorCode, 1043);
  client.close();
  await lab.settled();
  t.equal(lab.route('holdsAbandoned'), 1);
});

const COM_PING = 14;
