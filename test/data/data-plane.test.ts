/** The data plane as a whole: real threads on shared ports, and what happens when one of them dies. */
import type { Worker } from 'node:worker_threads';
import pino from 'pino';
import t, { type Test } from 'tap';
import { EMPTY_TOPOLOGY, type Member } from '../../routing/topology.ts';
import { DataPlane } from '../../src/data/data-plane.ts';
import { descriptorsWarning, sessionsWithinDescriptors } from '../../src/data/descriptors.ts';
import {
  HEADER,
  ROUTE,
  routeOffset,
  sharedHeader,
  sumCells,
  THREAD,
  threadCells,
} from '../../src/shared/counters.ts';
import { createEventLog } from '../../src/shared/events.ts';
import type { ToDataThread } from '../../src/shared/messages.ts';
import { topologyOf } from '../routing/members.ts';
import { gaugesOf, labConfig, openSockets, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { createStream, expectStream } from '../support/random-stream.ts';
import { RawClient } from '../support/raw-client.ts';
import { ScriptedServer, type ServerScript, serveOk } from '../support/scripted-server.ts';
import { pause, until } from '../support/until.ts';

t.test('connections are spread over the threads, and the round robin is one for all', async (t) => {
  const lab = await openLab(t);
  const servers = [await startServer(t), await startServer(t)];
  lab.publish(...servers.map((server, slot) => secondaryAt(server, { slot })));
  const clients = await Promise.all(Array.from({ length: 60 }, () => RawClient.logIn(lab.port('ro'))));
  const [one = 0, other = 0] = [0, 1].map((thread) => openIn(lab.plane, thread, 1));
  t.equal(one + other, 60);
  t.ok(one > 5 && other > 5, `${one} and ${other}`);
  // Exactly half each, but for a server that is overtaken for a busy machine's sake.
  for (const { logins } of servers) t.ok(logins >= 20 && logins <= 40, `${logins} of 60`);
  t.equal((await lab.plane.listSessions(100)).length, 60);
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a thread that dies is started again, and the other goes on as if nothing were', async (t) => {
  const lab = await openLab(t);
  const server = await startServer(t, async (peer) => {
    if (!(await peer.logIn())) return;
    await peer.answerCommands(({ payload }) => {
      if (payload[0] === COM_PING) peer.ok(1);
      else peer.write(createStream('result')(RESULT_BYTES));
    });
  });
  lab.publish(primaryAt(server));
  const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.logIn(lab.port())));
  const lost = openIn(lab.plane, 0);
  t.ok(lost > 0 && lost < 30);
  for (const client of clients) client.send(0, Buffer.of(COM_QUERY));

  await lab.workers[0]?.terminate();
  const received = await Promise.all(
    clients.map((client) => expectStream(client, 'result', RESULT_BYTES, SLOWLY)),
  );
  const survivors = clients.filter((_, index) => received[index] === RESULT_BYTES);
  t.equal(clients.filter((client) => client.end !== null).length, lost, 'its sessions end with it');
  t.ok(survivors.length >= 30 - lost, 'all others get their results');
  t.equal(openIn(lab.plane, 0), 0, 'its gauges are cleared');
  t.equal(Atomics.load(sharedHeader(lab.plane.counters), HEADER.openInAll), 30 - lost);
  for (const client of clients.filter(({ end }) => end === null)) {
    client.send(0, Buffer.of(COM_PING));
    t.equal((await client.readPacket())?.payload[0], 0);
  }

  await until('it to be started again', () => lab.plane.threadsAlive() === 2 && startsOf(lab.plane, 0) === 2);
  t.ok(lab.events.recent(100).some(({ kind }) => kind === 'data_thread_restarted'));
  await until('it to serve again', async () => {
    const client = await RawClient.logIn(lab.port());
    const isThere = openIn(lab.plane, 0) > 0;
    client.close();
    return isThere;
  });
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('clients that wait are forgotten with their thread, and their places with them', async (t) => {
  const lab = await openLab(t, 'hold: { timeout: 20s, maxSessions: 10 }');
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(lab.port())));
  // A thread counts for all first and then for itself: one that died in between would keep a place.
  await until('all to be held', () => heldInAll(lab.plane) === 10 && heldIn(lab.plane) === 10);
  for (const worker of [...lab.workers]) await worker.terminate();
  await until('their places to be free', () => heldInAll(lab.plane) === 0);
  await until('both to be started again', () => lab.plane.threadsAlive() === 2);
  for (const client of clients) t.equal(await client.readPacket(), null);
  const server = await startServer(t);
  lab.publish(primaryAt(server));
  await until(
    'the port to serve again',
    async () => {
      const client = await RawClient.logIn(lab.port()).catch(() => null);
      client?.close();
      return client !== null;
    },
    RESTART_DEADLINE_MS,
  );
  for (const client of clients) client.close();
  await lab.settled();
});

t.test(
  'when all threads die at once, the first restart waits for nothing, and further ones ever longer',
  async (t) => {
    const lab = await openLab(t);
    lab.publish(primaryAt(await startServer(t)));
    const delays = () =>
      lab.events
        .recent(100)
        .filter(({ kind, fields }) => kind === 'data_thread_restarted' && fields['thread'] === 0)
        .map(({ fields }) => fields['restart_after_ms'])
        .reverse();
    let bornAtMs = performance.now();
    for (const expected of [[0], [0, 250], [0, 250, 500]]) {
      if (performance.now() - bornAtMs > HEALTHY_AFTER_MS - 1000) {
        t.comment('this machine is so slow that the threads count as healthy by now');
        break;
      }
      await Promise.all(lab.workers.splice(0).map((worker) => worker.terminate()));
      await until('its end to be told', () => delays().length === expected.length);
      t.same(delays(), expected);
      bornAtMs = performance.now();
      await until(
        'the port to serve again',
        async () => {
          const client = await RawClient.logIn(lab.port()).catch(() => null);
          client?.close();
          return client !== null && lab.workers.length === 2;
        },
        RESTART_DEADLINE_MS,
      );
    }
    await lab.settled();
  },
);

t.test('a member nobody gets through to is out of reach once every thread has tried again', async (t) => {
  const lab = await openLab(t, 'quarantine: { interval: 100ms }');
  const server = await startServer(t);
  const member = primaryAt(server);
  await server.close();
  lab.publish(member);
  const clients: RawClient[] = [];
  // The kernel chooses the threads, and one that nobody came to knows nothing.
  await until('both threads to have met it', async () => {
    clients.push(await RawClient.connect(lab.port()));
    return lab.plane.isOutOfReach(member, 'classic');
  });
  t.equal(lab.plane.isOutOfReach(member, 'x'), false, 'by another protocol it may be reached');
  const { host, port } = member.dial ?? { host: '', port: 0 };
  const again = await ScriptedServer.start(serveOk, host, port);
  t.teardown(() => again.close());
  await until('it to be found', () => !lab.plane.isOutOfReach(member, 'classic'));
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a plane that is closed leaves nothing open', async (t) => {
  const before = openSockets();
  const lab = await openLab(t, `limits: { maxConnections: ${MANY_SESSIONS} }`);
  const affordable = sessionsWithinDescriptors(2) ?? MANY_SESSIONS;
  const told = lab.events.recent(100).find(({ kind }) => kind === 'descriptors_limit')?.fields['sessions'];
  t.equal(told ?? MANY_SESSIONS, Math.min(affordable, MANY_SESSIONS), 'as many as there are descriptors for');
  const server = await startServer(t);
  lab.publish(primaryAt(server));
  const client = await RawClient.logIn(lab.port());
  await lab.plane.close();
  t.equal(await client.readPacket(), null);
  client.close();
  await server.close();
  await until('all sockets to be closed', () => openSockets() <= before);
});

t.test('few descriptors are told of at the start, whether sessions are limited or not', async (t) => {
  t.equal(descriptorsWarning(200_000, 0), null);
  t.equal(
    descriptorsWarning(40, 0),
    'the open files (ulimit -n) allow 40 sessions; further clients hear 1040',
  );
  t.equal(descriptorsWarning(40, 30), null, 'enough for what is wanted');
  t.match(descriptorsWarning(5000, 6000), /allow 5000 sessions, fewer than limits.maxConnections, 6000/);
});

t.test('a drain ends when the sessions of all threads have', async (t) => {
  const lab = await openLab(t);
  const server = await startServer(t);
  lab.publish(primaryAt(server));
  const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.logIn(lab.port())));
  const drained = lab.plane.drain(0, 5000);
  for (const client of clients) {
    t.equal(await client.readPacket(), null);
    client.close();
  }
  await drained;
  t.equal(server.peers.filter((peer) => peer.commands.at(-1) === COM_QUIT).length, 12);
  await lab.settled();
});

t.test(
  'a thread that dies of a reload comes back with what was asked for, and the reload counts',
  async (t) => {
    const lab = await openLab(t);
    const server = await startServer(t);
    lab.publish(primaryAt(server));
    for (const worker of [...lab.workers]) {
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (message: ToDataThread) => {
        if (message.kind === 'reload') void worker.terminate();
        else post(message);
      };
    }
    const config = labConfig({
      config: 'threads: 2',
      routes: '  - { name: more, listen: "127.0.0.1:0", role: primary }',
    });
    await lab.plane.reload(config);
    await until('the new route', () => lab.port('more') > 0, RESTART_DEADLINE_MS);
    const client = await RawClient.logIn(lab.port('more'));
    client.close();
    await lab.settled();
  },
);

t.test('what died is not started again to accept clients while the router stops', async (t) => {
  const lab = await openLab(t);
  for (const born of [2, 4]) {
    await until('both to be there', () => lab.workers.length === born && lab.plane.threadsAlive() === 2);
    await Promise.all(lab.workers.slice(-2).map((worker) => worker.terminate()));
  }
  // The second time, a moment is let pass.
  await lab.plane.drain(0, 5000);
  await pause(2 * SECOND_RESTART_DELAY_MS);
  t.equal(lab.workers.length, 4);
});

async function openLab(t: Test, config = '') {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => void workers.push(worker);
  process.on('worker', onWorker);
  const events = createEventLog(pino({ enabled: false }), 100);
  const plane = await DataPlane.start({
    config: labConfig({ config: `threads: 2\n${config}` }),
    events,
    topology: EMPTY_TOPOLOGY,
    takenOver: [],
    onSignal: () => undefined,
  });
  t.teardown(async () => {
    process.off('worker', onWorker);
    await plane.close();
  });
  let version = 0;
  return {
    plane,
    workers,
    events,
    publish: (...members: readonly Member[]) => plane.publish(topologyOf(members, { version: ++version })),
    port: (name: 'rw' | 'ro' | 'more' = 'rw') =>
      plane.routes().find((route) => route.name === name)?.port ?? 0,
    settled: () => until('all gauges to be 0', () => gaugesOf(plane.counters, plane.threads).length === 0),
  };
}

async function startServer(t: Test, script: ServerScript = serveOk): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(script);
  t.teardown(() => server.close());
  return server;
}

/** Sessions open in one thread, on the route with that index. */
function openIn(plane: DataPlane, thread: number, route = 0): number {
  return threadCells(plane.counters, thread)[routeOffset(route) + ROUTE.sessionsOpen] ?? 0;
}

function startsOf(plane: DataPlane, thread: number): number {
  return threadCells(plane.counters, thread)[THREAD.starts] ?? 0;
}

function heldIn(plane: DataPlane): number {
  return sumCells(plane.counters, 2, routeOffset(0) + ROUTE.sessionsHeld);
}

function heldInAll(plane: DataPlane): number {
  return Atomics.load(sharedHeader(plane.counters), HEADER.heldInAll);
}

/** As in restart-delay.ts. */
const HEALTHY_AFTER_MS = 10_000;
const SECOND_RESTART_DELAY_MS = 250;
const RESTART_DEADLINE_MS = 60_000;
const MANY_SESSIONS = 100_000;
const RESULT_BYTES = 3_000_000;
const SLOWLY = { random: () => 0.5, maxChunkBytes: 1, stallsAt: [1], maxStallMs: 100 };
const COM_QUIT = 1;
const COM_QUERY = 3;
const COM_PING = 14;
