/** Servers that accept and do not greet: overtaken, set aside, and back with their first initial handshake. */
import t, { type Test } from 'tap';
import { MEMBER, memberOffset, sumCells } from '../../src/shared/counters.ts';
import { DataLab, secondaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { type ScriptedServer, type ServerPeer, serveOk } from '../support/scripted-server.ts';
import { pause, until } from '../support/until.ts';

const READMISSION_MS = 300;

t.test('a hung server is overtaken after a moment, set aside, and back when it answers', async (t) => {
  const { lab, hung, good, wakeUp } = await openLab(t);
  const startedAtMs = performance.now();
  const first = await Promise.all([RawClient.logIn(lab.port('ro')), RawClient.logIn(lab.port('ro'))]);
  const tookMs = performance.now() - startedAtMs;
  t.comment(`both clients were in after ${tookMs.toFixed(0)} ms`);
  t.ok(tookMs > 90, 'one of them after the patience of 100 ms');
  t.equal(good.logins, 2);
  t.equal(lab.events('member_quarantined').length, 1);
  t.equal(quarantineGauge(lab, 0), 1);
  t.ok(lab.signals().includes('no-handshake'), 'the control plane is told');

  const dialled = hung.peers.length;
  const dialledAtMs = performance.now();
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.logIn(lab.port('ro'))));
  t.equal(good.logins, 22, 'nobody waits for it any more');
  const probes = 1 + Math.ceil((performance.now() - dialledAtMs) / READMISSION_MS);
  t.ok(hung.peers.length <= dialled + probes, 'and it is dialled for readmission alone');

  wakeUp();
  await until('it to be readmitted', () => lab.events('member_readmitted').length === 1);
  t.equal(quarantineGauge(lab, 0), 0);
  clients.push(await RawClient.logIn(lab.port('ro')), await RawClient.logIn(lab.port('ro')));
  t.equal(hung.logins, 1, 'it gets its share again');
  for (const client of [...first, ...clients]) client.close();
  await lab.settled();
  await until('the farewells to be over', () => lab.thread.farewells.size === 0);
  t.equal(hung.brokenOff, 0, 'every connection to it was answered');
});

t.test('a server that is only slow wins if it greets first', async (t) => {
  const lab = await startLab(t);
  const slow = await lab.server(t, (peer) => greetAfter(peer, 200));
  const slower = await lab.server(t, (peer) => greetAfter(peer, 600));
  publish(lab, slow, slower);
  const clients = await Promise.all([RawClient.logIn(lab.port('ro')), RawClient.logIn(lab.port('ro'))]);
  t.equal(slow.logins, 2, 'the one who dialled it, and the one who had dialled the slower');
  t.equal(slower.logins, 0);
  for (const client of clients) client.close();
  await lab.settled();
  await until('the farewells to be over', () => lab.thread.farewells.size === 0);
  t.equal(slow.brokenOff + slower.brokenOff, 0, 'who comes too late is answered too');
});

t.test('the patience follows what servers usually take', async (t) => {
  const lab = await startLab(t);
  const slow = await lab.server(t, (peer) => greetAfter(peer, 150));
  publish(lab, slow);
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.logIn(lab.port('ro'))));
  t.ok(lab.thread.reach.classic.greetingPace.patienceMs() > 150);
  const other = await lab.server(t, (peer) => greetAfter(peer, 150));
  publish(lab, slow, other);
  for (let index = 0; index < 6; index++) clients.push(await RawClient.logIn(lab.port('ro')));
  t.equal(lab.events('member_quarantined').length, 0, 'nobody is overtaken for being as slow as ever');
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('as many failures as quarantine.threshold set a member aside', async (t) => {
  const lab = await startLab(t, 'quarantine: { threshold: 3, interval: 100ms }');
  const gone = await lab.server(t, serveOk);
  const good = await lab.server(t, serveOk);
  publish(lab, gone, good);
  await gone.close();
  const clients: RawClient[] = [];
  for (let index = 0; index < 20; index++) clients.push(await RawClient.logIn(lab.port('ro')));
  t.equal(lab.events('member_quarantined').length, 1);
  const probes = lab.dials(0, 'refused') - 3;
  t.ok(probes >= 0 && probes < 5, 'three clients ran into it, then none');
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('when all are set aside they are tried all the same', async (t) => {
  const lab = await startLab(t);
  const gone = await lab.server(t, serveOk);
  publish(lab, gone);
  const port = gone.port;
  await gone.close();
  const client = await RawClient.connect(lab.port('ro'));
  await until('it to be set aside', () => lab.events('member_quarantined').length === 1);
  await lab.server(t, serveOk, '127.0.0.1', port);
  await client.authenticate();
  t.equal(lab.events('member_readmitted').length, 1, 'the client itself readmits it');
  client.close();
  await lab.settled();
});

async function openLab(t: Test) {
  const lab = await startLab(t);
  let isAwake = false;
  const hung = await lab.server(t, async (peer) => {
    await until('it to wake up', () => isAwake, 20_000);
    await serveOk(peer);
  });
  const good = await lab.server(t, serveOk);
  publish(lab, hung, good);
  const wakeUp = () => {
    isAwake = true;
  };
  return { lab, hung, good, wakeUp };
}

function startLab(t: Test, config = `quarantine: { interval: ${READMISSION_MS}ms }`): Promise<DataLab> {
  return DataLab.start(t, { config });
}

function publish(lab: DataLab, ...servers: readonly ScriptedServer[]): void {
  lab.publish(...servers.map((server, slot) => secondaryAt(server, { slot })));
}

function quarantineGauge(lab: DataLab, slot: number): number {
  return sumCells(lab.counters, 1, memberOffset(slot) + MEMBER.isQuarantined);
}

async function greetAfter(peer: ServerPeer, ms: number): Promise<void> {
  await pause(ms);
  await serveOk(peer);
}
