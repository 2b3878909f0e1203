/** Limits at the door: who is one too many hears 1040, and a place that is free again is free at once. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { createClientCounts } from '../../src/shared/client-counts.ts';
import { clientTables, createCounterMemory, forgetThread } from '../../src/shared/counters.ts';
import type { HammerStart } from '../support/client-counts-worker.ts';
import { DataLab, labConfig, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

for (const [reason, config, detail] of [
  [
    'total_limit',
    'limits: { maxConnections: 2 }',
    /^2 sessions: limits.maxConnections, or what the open files/,
  ],
  ['client_limit', 'limits: { maxConnectionsPerClient: 2 }', /maxConnectionsPerClient, 2$/],
  ['route_limit', 'rwLimit: 2', /of the route, 2$/],
] as const) {
  t.test(`${reason}: the third client hears 1040 until one leaves`, async (t) => {
    const lab = await startLab(t, config);
    const clients = [await RawClient.logIn(lab.port()), await RawClient.logIn(lab.port())];
    for (let attempt = 0; attempt < 3; attempt++) {
      const third = await RawClient.connect(lab.port());
      const err = await third.readErr();
      t.match(err, { errorCode: 1040, sequenceId: 0, sqlState: undefined, message: 'Too many connections' });
      t.equal(await third.readPacket(), null);
      t.equal(third.end, 'fin');
      third.close();
    }
    t.equal(lab.refused(reason), 3);
    t.equal(lab.ended('limit'), 3);
    const fields = { reason, client: '127.0.0.1', detail };
    t.match(lab.events('client_refused')[0], { level: 'warn', fields });
    clients[0]?.close();
    await until('a place to be free', () => lab.route('sessionsOpen') === 1);
    clients.push(await RawClient.logIn(lab.port()));
    for (const client of clients) client.close();
    await lab.settled();
  });
}

t.test('a limit of one route leaves the other alone', async (t) => {
  const lab = await startLab(t, 'rwLimit: 1');
  const clients = [await RawClient.logIn(lab.port('rw')), await RawClient.logIn(lab.port('ro'))];
  clients.push(await RawClient.logIn(lab.port('ro')));
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a limit of one client address leaves others alone', async (t) => {
  const lab = await startLab(t, 'limits: { maxConnectionsPerClient: 1 }');
  const clients = await Promise.all(
    ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((address) => RawClient.logIn(lab.port(), address)),
  );
  const another = await RawClient.connect(lab.port('ro'), '127.0.0.2');
  t.equal((await another.readErr()).errorCode, 1040, 'it is counted over all routes');
  for (const client of [...clients, another]) client.close();
  await lab.settled();
});

t.test('clients that wait count as well', async (t) => {
  const lab = await DataLab.start(t, { config: 'limits: { maxConnections: 1 }' });
  const waiting = await RawClient.connect(lab.port());
  await until('it to be held', () => lab.route('sessionsHeld') === 1);
  const second = await RawClient.connect(lab.port());
  t.equal((await second.readErr()).errorCode, 1040);
  for (const client of [waiting, second]) client.close();
  await lab.settled();
});

t.test('a reload changes the limits for those who come', async (t) => {
  const lab = await startLab(t, 'limits: { maxConnections: 1 }');
  const first = await RawClient.logIn(lab.port());
  const config = labConfig({ config: 'limits: { maxConnections: 2, maxConnectionsPerClient: 1 }' });
  lab.thread.receive({
    kind: 'reload',
    config,
    routes: config.routes.map((each, index) => ({ ...each, index })),
    tls: new Map(),
  });
  const second = await RawClient.logIn(lab.port());
  const third = await RawClient.connect(lab.port());
  t.equal((await third.readErr()).errorCode, 1040);
  for (const client of [first, second, third]) client.close();
  await lab.settled();
});

t.test('counts by client address', async (t) => {
  t.test('are exact over threads that come and go at once', async (t) => {
    const seen = new SharedArrayBuffer(8);
    const counters = createCounterMemory(3);
    const entered = await Promise.all(
      [0, 1, 2].map(async (threadIndex): Promise<number> => {
        const workerData: HammerStart = { counters, seen, threadIndex, limit: 2, rounds: 30_000 };
        const file = new URL('../support/client-counts-worker.ts', import.meta.url);
        const [count] = await once(new Worker(file, { workerData }), 'message');
        return Number(count);
      }),
    );
    const [inside, tooMany] = new Int32Array(seen);
    t.equal(tooMany, 0, 'never more than the limit inside');
    t.equal(inside, 0);
    t.comment(`entered: ${entered}`);
    for (const count of entered) t.ok(count > 1000, 'and not for want of places given');
    const counts = createClientCounts(clientTables(counters), 0);
    t.same([counts.enter('10.0.0.1', 1), counts.enter('10.0.0.1', 1)], [true, false]);
  });

  t.test('of a thread that died are forgotten', async (t) => {
    const counters = createCounterMemory(2);
    const [one, other] = [0, 1].map((thread) => createClientCounts(clientTables(counters), thread));
    t.ok(one?.enter('a', 1));
    t.notOk(other?.enter('a', 1));
    forgetThread(counters, 0);
    t.ok(other?.enter('a', 1));
  });

  t.test('take more addresses than there are places, and give all back', async (t) => {
    const counters = createCounterMemory(1);
    const counts = createClientCounts(clientTables(counters), 0);
    const addresses = Array.from({ length: 12_000 }, (_, index) => `2001:db8::${index.toString(16)}`);
    t.ok(addresses.every((address) => counts.enter(address, 1)));
    t.notOk(addresses.some((address) => counts.enter(address, 1)));
    for (const address of addresses) counts.leave(address);
    t.ok(addresses.every((address) => counts.enter(address, 1)));
  });
});

async function startLab(t: Test, config: string): Promise<DataLab> {
  const rwLimit = /^rwLimit: (\d+)$/.exec(config)?.[1];
  const lab = await DataLab.start(t, rwLimit === undefined ? { config } : { rwLimit: Number(rwLimit) });
  const server = await lab.server(t, serveOk);
  lab.publish(primaryAt(server, { slot: 0 }), secondaryAt(server, { id: 'other', slot: 1 }));
  return lab;
}
