/** One server in one pod, restarted while its clients come and go. */
import t from 'tap';
import { createSandbox, missingParts, waitFor } from '../../src/sandbox/index.ts';
import { ask, connectTo } from '../support/clients.ts';
import { countedByName, failuresOf, percentile, Visitors } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');

t.test('a single server is restarted: who connects meanwhile waits', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer();
  // A busy machine may take longer than the default for a restart.
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [server.address],
    flags: ['--hold-timeout=30s'],
  });
  await router.untilTopology('a primary', ({ primary }) => primary === server.address);

  const patient = await connectTo(router.ports.rw);
  const lost = new Promise((resolve) => patient.once('error', resolve));
  const patience = { connectTimeout: 60_000 };
  const writers = Visitors.start(t, router.ports.rw, 50, patience);
  const readers = Visitors.start(t, router.ports.ro, 50, patience);
  await waitFor({ what: 'the first visitors', timeoutMs: 20_000 }, async () =>
    writers.visits.length > 3 && readers.visits.length > 3 ? true : undefined,
  );

  const startedAtMs = performance.now();
  const stopped = server.stop();
  await lost;
  const closedAtMs = performance.now();
  await stopped;
  t.pass('a session that was open ends with its server');
  await waitFor({ what: 'clients to wait', timeoutMs: 20_000 }, async () =>
    (await router.metric('fairlead_sessions_held')) > 4 ? true : undefined,
  );
  t.match(await router.get('/readyz'), { status: 503 });
  t.match(await router.get('/livez'), { status: 200 });
  await server.start();
  const backAtMs = performance.now();
  await router.untilTopology('the primary again', ({ primary }) => primary === server.address);
  const seenAtMs = performance.now();
  t.comment(
    `away for ${(backAtMs - startedAtMs).toFixed(0)} ms, seen again after ${(seenAtMs - backAtMs).toFixed(0)} ms`,
  );
  t.same(await ask(router.ports.rw, 'SELECT 1'), [[1]]);

  for (const [name, visitors] of [['RW', writers] as const, ['RO', readers] as const]) {
    const visits = await visitors.stop();
    const waits = visits.map(({ tookMs }) => tookMs);
    const later = visits.filter(({ atMs }) => atMs > closedAtMs);
    t.equal(countedByName(failuresOf(later)), 'none', `${name}: no client was turned away`);
    // Who was logging in at that moment had met the server already: one comes every 50 ms, and is slow on a slow machine.
    t.ok(failuresOf(visits).length <= 3, `${name}: hardly a client was cut short by the stop`);
    t.ok(Math.max(...waits) > 200, `${name}: some waited`);
    t.comment(
      `${name}: ${visits.length} clients, median ${percentile(waits, 0.5).toFixed(0)} ms,` +
        ` longest ${Math.max(...waits).toFixed(0)} ms`,
    );
  }
  t.ok((await router.metric('fairlead_holds_ended_total', { result: 'served' })) > 4);
  t.equal(await router.metric('fairlead_holds_ended_total', { result: 'expired' }), 0);
  t.equal(await router.metric('fairlead_sessions_refused_total'), 0);
  t.equal(await router.metric('fairlead_sessions_held'), 0);
  t.match(await router.get('/readyz'), { status: 200 });
});
