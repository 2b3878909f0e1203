import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type AdminServer, createAdminServer } from '../../src/admin/server.ts';
import { ROUTE, routeOffset, threadCells } from '../../src/shared/counters.ts';
import type { SessionFacts } from '../../src/shared/messages.ts';
import { parseExposition } from './exposition-parser.ts';
import {
  ask,
  askRaw,
  eventLog,
  facts,
  healthyTopology,
  noTopology,
  silentLog,
  startAdmin,
} from './fixture.ts';

const PATHS = [
  '/',
  '/status.css',
  '/status.js',
  '/status.svg',
  '/livez',
  '/readyz',
  '/metrics',
  '/api/v1/topology',
  '/api/v1/sessions',
  '/api/v1/events',
  '/api/v1/status',
];

async function start(t: Test, ...options: Parameters<typeof startAdmin>): Promise<AdminServer> {
  const server = await startAdmin(...options);
  t.teardown(() => server.close());
  return server;
}

function session(id: string): SessionFacts {
  return {
    id,
    route: 'rw',
    client: '127.0.0.1:50000',
    member: 'db-1:3306',
    state: 'relay',
    user: 'app',
    database: 'shop',
    openedAtMs: 1,
    idleForMs: 2,
    isOpaque: false,
    inTransaction: false,
    guidelineRoute: null,
    bytesToServer: 3,
    bytesToClient: 4,
  };
}

t.test(
  'every path answers GET and HEAD, the latter without a body, both with security headers',
  async (t) => {
    const server = await start(t, facts());
    for (const path of PATHS) {
      const got = await ask(server, path);
      t.equal(got.status, 200, path);
      t.ok(got.body.length > 0, path);
      t.equal(got.headers['content-length'], String(Buffer.byteLength(got.body)));
      t.equal(got.headers['x-content-type-options'], 'nosniff');
      t.equal(got.headers['cache-control'], 'no-store');
      t.match(got.headers['content-security-policy'], /default-src 'none'/);
      t.notMatch(got.headers['content-security-policy'], /unsafe/);

      const head = await ask(server, path, { method: 'HEAD' });
      t.equal(head.status, 200, path);
      t.equal(head.body, '', path);
      t.equal(head.headers['content-type'], got.headers['content-type']);
    }
  },
);

t.test('what is not there is 404 and what writes is 405, as JSON under /api', async (t) => {
  const server = await start(t, facts());
  for (const path of ['/api', '/nothing', '/livez/', '//', '/status.css/../livez', '/%00']) {
    t.equal((await ask(server, path)).status, 404, path);
  }
  const missing = await ask(server, '/api/v1/nothing');
  t.equal(missing.status, 404);
  t.strictSame(JSON.parse(missing.body), {
    error: { code: 'not_found', message: 'there is nothing at this path' },
  });
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']) {
    const answer = await ask(server, '/api/v1/topology', { method });
    t.equal(answer.status, 405, method);
    t.equal(answer.headers.allow, 'GET, HEAD');
    t.equal(JSON.parse(answer.body).error.code, 'method_not_allowed');
  }
  t.equal(
    (await ask(server, '/livez', { method: 'POST' })).headers['content-type'],
    'text/plain; charset=utf-8',
  );
});

t.test('liveness never asks about the cluster, readiness does', async (t) => {
  let topology = noTopology();
  let isDraining = false;
  const server = await start(t, facts({ topology: () => topology, isDraining: () => isDraining }));
  t.equal((await ask(server, '/livez')).body, 'ok\n');
  const away = await ask(server, '/readyz');
  t.equal(away.status, 503);
  t.equal(
    away.body,
    'not ready: no route can route\nroute rw: no member is known\nroute ro: no member is known\n',
  );

  topology = healthyTopology();
  const ready = await ask(server, '/readyz');
  t.equal(ready.status, 200);
  t.equal(ready.body, 'ready: 2 of 2 routes can route\n');
  t.equal(
    (await ask(server, '/readyz?verbose')).body,
    'ready: 2 of 2 routes can route\nroute rw: ok, candidates: 1\nroute ro: ok, candidates: 3\n',
  );

  isDraining = true;
  const draining = await ask(server, '/readyz');
  t.equal(draining.status, 503);
  t.equal(draining.body, 'not ready: the router is stopping\n');
  t.equal((await ask(server, '/livez')).status, 200, 'a router that drains is alive');
});

t.test('the topology is shown as the design promises', async (t) => {
  const probe = { lastProbeSeconds: 0.0012, lastAnswerAtMs: 1, errorsByKind: new Map<string, number>() };
  const server = await start(t, facts({ memberProbes: () => new Map([['db-1:3306', probe]]) }));
  const answer = await ask(server, '/api/v1/topology');
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  const body = JSON.parse(answer.body);
  t.match(body, { version: 7, primary: 'db-1:3306', mode: 'single-primary', hasQuorum: true, alarms: [] });
  t.equal(body.members.length, 3);
  t.strictSame(body.members[0], {
    address: 'db-1:3306',
    id: '00000000-0000-0000-0000-000000013306',
    role: 'PRIMARY',
    state: 'ONLINE',
    dial: { host: '127.0.0.1', port: 3306 },
    x: { dial: { host: '127.0.0.1', port: 33060 }, greets: true },
    acceptsWrites: true,
    acceptsReads: true,
    primarySessions: 'keep',
    secondarySessions: 'keep',
    version: '9.7.0',
    reason: '',
    metadata: null,
    lastProbeSeconds: 0.0012,
    lag: null,
  });
  t.equal(body.members[1].lastProbeSeconds, null);
});

t.test('the status tells version, threads, routes and their sessions', async (t) => {
  const sources = facts({ threadsAlive: () => 1 });
  const cells = threadCells(sources.counters, 1);
  cells[routeOffset(1) + ROUTE.sessionsOpen] = 12;
  cells[routeOffset(1) + ROUTE.refused] = 2;
  const server = await start(t, sources);
  const body = JSON.parse((await ask(server, '/api/v1/status')).body);
  t.match(body, {
    version: '0.1.0',
    isReady: true,
    readiness: '2 of 2 routes can route',
    isDraining: false,
    topologyVersion: 7,
    threads: { configured: 2, alive: 1 },
    routes: [
      { name: 'rw', port: 6446, isListening: true, candidates: 1, sessions: { open: 0 } },
      { name: 'ro', port: 6447, isListening: true, candidates: 3, sessions: { open: 12, refused: 2 } },
    ],
  });
  t.ok(body.uptimeSeconds > 0);
});

t.test('events come newest first, at most `limit`, only those after `after`', async (t) => {
  const events = eventLog();
  for (let index = 1; index <= 5; index++) events.record('info', 'tested', `event ${index}`, { index });
  const server = await start(t, facts(), events);
  const sequences = async (query: string): Promise<readonly number[]> =>
    JSON.parse((await ask(server, `/api/v1/events${query}`)).body).events.map(
      (event: { sequence: number }) => event.sequence,
    );
  t.strictSame(await sequences(''), [5, 4, 3, 2, 1]);
  t.strictSame(await sequences('?limit=2'), [5, 4]);
  t.strictSame(await sequences('?after=3'), [5, 4]);
  t.strictSame(await sequences('?limit=1&after=4'), [5]);
  t.strictSame(await sequences('?after=5'), []);
});

t.test('a bad parameter is refused with its name and its rule', async (t) => {
  const server = await start(t, facts());
  const bad = [
    ['/api/v1/sessions?limit=0', 'limit must be a whole number from 1 to 1000'],
    ['/api/v1/sessions?limit=1001', 'limit must be a whole number from 1 to 1000'],
    ['/api/v1/sessions?limit=', 'limit must be a whole number from 1 to 1000'],
    ['/api/v1/events?limit=1e2', 'limit must be a whole number from 1 to 1000'],
    ['/api/v1/events?limit=-1', 'limit must be a whole number from 1 to 1000'],
    ['/api/v1/events?after=x', /^after must be a whole number from 0 to /],
  ] as const;
  for (const [path, message] of bad) {
    const answer = await ask(server, path);
    t.equal(answer.status, 400, path);
    t.match(JSON.parse(answer.body).error, { code: 'bad_parameter', message });
  }
});

t.test('sessions are listed up to the limit, whatever the data threads send', async (t) => {
  const sources = facts({
    listSessions: (limit) => Promise.resolve(Array.from({ length: limit + 5 }, (_, id) => session(`s${id}`))),
  });
  threadCells(sources.counters, 0)[routeOffset(0) + ROUTE.sessionsOpen] = 5000;
  const server = await start(t, sources);
  const body = JSON.parse((await ask(server, '/api/v1/sessions?limit=3')).body);
  t.equal(body.open, 5000);
  t.equal(body.limit, 3);
  t.strictSame(body.sessions, [session('s0'), session('s1'), session('s2')]);
});

t.test('data threads that never answer cost half a second, and nothing else waits', async (t) => {
  const server = await start(t, facts({ listSessions: () => new Promise(() => undefined) }));
  const tookMs = await quickestOfThree(async () => {
    const startMs = performance.now();
    let isAnswered = false;
    const slow = ask(server, '/api/v1/sessions').then((answer) => {
      isAnswered = true;
      return { answer, at: performance.now() };
    });
    t.equal((await ask(server, '/livez')).status, 200);
    t.equal(isAnswered, false, 'liveness does not wait for the sessions');
    const { answer, at } = await slow;
    t.equal(answer.status, 503);
    t.equal(JSON.parse(answer.body).error.code, 'sessions_timeout');
    return at - startMs;
  });
  t.ok(tookMs < 1000, `the answer comes within a second: ${tookMs.toFixed(0)} ms`);
});

t.test('a defect becomes a 500 and a log line, never a stack trace for the client', async (t) => {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const sources = facts({
    listSessions: () => Promise.reject(new Error('secret detail')),
    topology: () => {
      throw new TypeError('secret detail');
    },
  });
  const server = await createAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    log: pino({}, sink),
    events: eventLog(),
    sources,
  });
  t.teardown(() => server.close());
  for (const path of ['/', '/readyz', '/metrics', '/api/v1/topology', '/api/v1/sessions', '/api/v1/status']) {
    const answer = await ask(server, path);
    t.equal(answer.status, 500, path);
    t.notMatch(answer.body, /secret|at |node:|TypeError/);
  }
  t.equal(lines.length, 6);
  t.match(lines[0], /secret detail/);
  t.equal((await ask(server, '/livez')).status, 200);
});

t.test('requests that are too large, malformed or not HTTP are refused and counted', async (t) => {
  const server = await start(t, facts());
  t.match(
    await askRaw(server, `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(10_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  );
  t.match(await askRaw(server, `GET /${'a'.repeat(10_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 431 /);
  t.match(await askRaw(server, '\x05\x00\x00\x00\x0a hello\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.match(await askRaw(server, 'GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /, 'HTTP/1.1 needs a Host');
  const { body } = await ask(server, '/metrics');
  const answers = parseExposition(body, 'prometheus').get('fairlead_admin_answers_total')?.samples ?? [];
  const byCode = new Map(answers.map(({ labels, value }) => [labels.get('code'), value]));
  t.equal(byCode.get('431'), 2);
});

t.test('a request body is not read: the connection ends after the answer', async (t) => {
  const server = await start(t, facts());
  const answer = await askRaw(
    server,
    'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\npartial',
  );
  t.match(answer, /^HTTP\/1\.1 405 /);
  t.match(answer, /connection: close/i);
});

t.test('a whole URL as request target is understood', async (t) => {
  const server = await start(t, facts());
  const close = 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  t.match(await askRaw(server, `GET http://x:8404/livez ${close}`), /^HTTP\/1\.1 200 /);
  t.match(await askRaw(server, `GET http://x:8404/nothing?a=b ${close}`), /^HTTP\/1\.1 404 /);
});

t.test('a probe is answered at once, whatever others hold open or do not read', async (t) => {
  const server = await start(t, facts());
  const { host, port } = server.address();
  const held: Socket[] = [];
  t.teardown(() => {
    for (const socket of held) socket.destroy();
  });
  const hold = async (text: string) => {
    const socket = connect({ host, port });
    held.push(socket);
    socket.on('error', (error: NodeJS.ErrnoException) => t.match(error.code, /^(ECONNRESET|EPIPE)$/));
    await once(socket, 'connect');
    socket.write(text);
  };
  // Half a header; one answer after the other, of which none is read; a connection that is kept for later.
  const texts = [
    'GET /livez HT',
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100),
    'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  for (let index = 0; index < 70; index++) await hold(texts[index % texts.length] ?? '');
  for (let turn = 0; turn < 5; turn++) {
    t.equal((await ask(server, '/livez')).status, 200);
    t.equal((await ask(server, '/readyz')).status, 200);
    await hold(texts[0] ?? '');
  }
});

t.test('clients that send nothing are cut before they keep others out', async (t) => {
  const server = await start(t, facts());
  const { host, port } = server.address();
  const silent = new Set<Socket>();
  const closed: Promise<void>[] = [];
  for (let index = 0; index < 80; index++) {
    const socket = connect({ host, port });
    silent.add(socket);
    socket.on('error', (error: NodeJS.ErrnoException) => t.equal(error.code, 'ECONNRESET'));
    socket.resume();
    closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
  }
  t.teardown(() => {
    for (const socket of silent) socket.destroy();
  });
  await Promise.all(closed);
  t.equal((await ask(server, '/livez')).status, 200);
  const { body } = await ask(server, '/metrics');
  const dropped = parseExposition(body, 'prometheus').get('fairlead_admin_dropped_connections_total');
  const closedForOthers = dropped?.samples[0]?.value ?? 0;
  t.ok(closedForOthers >= 16, `64 at once, others are closed for them and counted: ${closedForOthers}`);
});

t.test('a port in use is an error for the caller', async (t) => {
  const server = await start(t, facts());
  await t.rejects(
    createAdminServer({ listen: server.address(), log: silentLog, events: eventLog(), sources: facts() }),
    { code: 'EADDRINUSE' },
  );
});

t.test('close ends idle connections at once and lets go of the port', async (t) => {
  const tookMs = await quickestOfThree(async () => {
    const server = await startAdmin(facts());
    const { host, port } = server.address();
    const socket = connect({ host, port });
    const received = new Promise((resolve) => socket.once('data', resolve));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await received;
    const startMs = performance.now();
    await server.close();
    await ended;
    const closedMs = performance.now() - startMs;
    await t.rejects(ask(server, '/livez'), { code: 'ECONNREFUSED' });
    return closedMs;
  });
  t.ok(tookMs < 900, `without the grace that an answer under way gets: ${tookMs.toFixed(0)} ms`);
});

t.test('the answers in docs/api.md have the fields real ones have', async (t) => {
  const events = eventLog();
  events.record('info', 'primary_changed', 'db-1:3306 is primary', { primary: 'db-1:3306', version: 7 });
  const source = {
    name: 'srv://db',
    kind: 'dns',
    destinations: [{ address: 'db-1:3306', dialHost: null, zone: '', hint: 'none', labels: {} }],
    lastSuccessAtMs: 1,
    failure: { code: 'ESERVFAIL', message: 'the name db does not resolve: ESERVFAIL' },
    successes: 1,
    failures: 1,
  };
  const listSessions = () => Promise.resolve([session('s1')]);
  const server = await start(t, facts({ listSessions, discovery: () => [source] }), events);
  const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const examples = [
    ...page.matchAll(/\$ curl -s '?http:\/\/127\.0\.0\.1:8404(\S+?)'?(?: \| jq)?\n(\{.*?\})\n```/gs),
  ];
  t.equal(examples.length, 5, 'one example for each endpoint under /api, and one error');
  for (const [, path = '', text = ''] of examples) {
    const shown = JSON.parse(text.replace(/,\s*…/g, ''));
    const real = JSON.parse((await ask(server, path)).body);
    t.strictSame(fieldsOf(shown), fieldsOf(real), path);
  }
});

/** The names of all fields, arrays by their first item. */
function fieldsOf(value: unknown, prefix = ''): readonly string[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : fieldsOf(value[0], `${prefix}[]`);
  if (typeof value !== 'object' || value === null) return [prefix];
  return Object.entries(value).flatMap(([name, inner]) => fieldsOf(inner, `${prefix}.${name}`));
}

/** What the machine adds to a measurement it does not add three times. */
async function quickestOfThree(measure: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  while (times.length < 3 && !times.some((tookMs) => tookMs < 700)) times.push(await measure());
  return Math.min(...times);
}
