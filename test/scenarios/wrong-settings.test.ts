/** Settings that are wrong, or not right yet, beside a server that is real. */
import { once } from 'node:events';
import { rename, symlink, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  ACCOUNTS,
  createSandbox,
  missingParts,
  type Sandbox,
  type Server,
  waitFor,
} from '../../src/sandbox/index.ts';
import { errorName, memberBehind } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');
const flags = ['--hold-timeout=300ms', '--threads=1'];

t.test('beside a server that is real', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer();

  await t.test('a wrong monitoring password', (t) => wrongPassword(t, sandbox, server));
  await t.test('seeds of which one does not resolve', (t) => unknownName(t, sandbox, server));
  await t.test('no seed that resolves', (t) => onlyUnknownNames(t, sandbox));
  await t.test('a seed that is a web server', (t) => webServer(t, sandbox, server));
  await t.test('a port that is taken', (t) => takenPort(t, sandbox, server));
});

async function wrongPassword(t: Test, sandbox: Sandbox, server: Server): Promise<void> {
  const secret = 'not-the-right-one';
  // As in a pod: the file is a link, and a renewed Secret swaps it.
  const file = join(sandbox.directory, 'password');
  const [before, after] = [`${file}-1`, `${file}-2`];
  await writeFile(before, `${secret}\n`);
  await writeFile(after, ACCOUNTS.router.password);
  await symlink(before, file);
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [server.address],
    password: { file },
    flags,
  });
  // Several tries, so that a second line had the time to appear.
  await waitFor({ what: 'a second failed login', timeoutMs: 15_000 }, async () => {
    const failed = await router.metric('fairlead_member_probe_errors_total', { kind: 'access_denied' });
    return failed >= 2 ? true : undefined;
  });
  const lines = router.events('member_does_not_answer');
  t.equal(lines.length, 1, 'it is told once');
  t.match(lines[0], {
    level: 'warn',
    member: server.address,
    msg: /monitoring account 'router' may not log in/,
  });
  t.equal(await memberBehind(router.ports.rw).catch(errorName), '2003', 'clients are told');
  t.ok(router.isRunning);
  t.match(await router.get('/livez'), { status: 200 });
  t.match(await router.get('/readyz'), { status: 503 });
  for (const path of [
    '/',
    '/readyz?verbose',
    '/metrics',
    '/api/v1/topology',
    '/api/v1/status',
    '/api/v1/events',
  ]) {
    t.notMatch((await router.get(path)).body, secret, `${path} keeps the password to itself`);
  }
  t.notMatch(router.output, secret, 'and so does the log');

  await symlink(after, `${file}-new`);
  await rename(`${file}-new`, file);
  await router.untilTopology('a primary', ({ primary }) => primary === server.address);
  t.equal(await memberBehind(router.ports.rw), server.port, 'the right one is found without a signal');
  t.match(router.events('password_reloaded'), [{ level: 'info' }]);
  t.notMatch(router.output, ACCOUNTS.router.password);
}

async function unknownName(t: Test, sandbox: Sandbox, server: Server): Promise<void> {
  const seeds = ['nowhere.invalid:3306', server.address];
  const router = await RouterProcess.start(t, sandbox, { seeds, flags });
  await router.untilTopology('a primary', ({ primary }) => primary === server.address);
  t.equal(await memberBehind(router.ports.rw), server.port);
  t.equal(await memberBehind(router.ports.ro), server.port);
  await waitFor({ what: 'a line about the name', timeoutMs: 10_000 }, async () =>
    router.events('member_does_not_answer').length > 0 ? true : undefined,
  );
  t.match(router.events('member_does_not_answer'), [
    { member: 'nowhere.invalid:3306', msg: /does not resolve/ },
  ]);
  t.equal(await router.metric('fairlead_member_resolved', { member: 'nowhere.invalid:3306' }), 0);
}

async function onlyUnknownNames(t: Test, sandbox: Sandbox): Promise<void> {
  const router = await RouterProcess.start(t, sandbox, { seeds: ['nowhere.invalid'], flags });
  t.match(await router.get('/livez'), { status: 200 });
  t.match(await router.get('/readyz'), { status: 503 });
  for (const port of [router.ports.rw, router.ports.ro]) {
    t.equal(await memberBehind(port).catch(errorName), '2003', 'a client is held and then told');
  }
  t.ok(router.isRunning);
  t.equal(await router.stop(), 0);
}

async function webServer(t: Test, sandbox: Sandbox, server: Server): Promise<void> {
  const web = createHttpServer((_, response) => response.end('no database here')).listen(0, '127.0.0.1');
  await once(web, 'listening');
  t.teardown(() => {
    web.closeAllConnections();
    web.close();
  });
  const address = web.address();
  const seed = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const router = await RouterProcess.start(t, sandbox, { seeds: [seed, server.address], flags });
  await router.untilTopology('a primary', ({ primary }) => primary === server.address);
  await waitFor({ what: 'a line about it', timeoutMs: 10_000 }, async () =>
    router.events('member_does_not_answer').length > 0 ? true : undefined,
  );
  for (let round = 0; round < 4; round += 1) t.equal(await memberBehind(router.ports.ro), server.port);
  t.equal(await memberBehind(router.ports.rw), server.port);
  const { members } = await router.topology();
  t.match(
    members.find((member) => member.address === seed),
    { acceptsReads: false, acceptsWrites: false },
  );
  t.equal(await router.metric('fairlead_member_sessions_total', { member: seed }), 0);
  t.match(router.events('member_does_not_answer')[0], { member: seed });
  t.comment(router.events('member_does_not_answer')[0]?.msg);
}

async function takenPort(t: Test, sandbox: Sandbox, server: Server): Promise<void> {
  const [port = 0, other = 0] = await sandbox.reservePorts(2);
  const holder = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const start = RouterProcess.start(t, sandbox, {
    seeds: [server.address],
    flags,
    ports: { rw: port, ro: other },
  });
  await t.rejects(start, {
    message: new RegExp(`${port}.*(EADDRINUSE|in use)|(EADDRINUSE|in use).*${port}`),
  });
}
