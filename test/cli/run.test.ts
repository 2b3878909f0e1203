/** What a supervisor sees of `fairlead run`: how it starts, what it says when it cannot, and how it ends. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import t, { type Test } from 'tap';
import { reservePorts } from '../../src/sandbox/ports.ts';
import { errorName } from '../support/clients.ts';
import { ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { until as untilWithin } from '../support/until.ts';
import { Program, type ProgramOptions } from './program.ts';

/** The machine may be busy with whole clusters. */
const DEADLINE_MS = 30_000;

t.test(
  'a port that another program has is told with the route and the address, and ends the start',
  async (t) => {
    const { port } = await otherProgram(t);
    const router = new Program(t, [
      'run',
      ...flags({ routes: [`name=rw,listen=127.0.0.1:${port},role=primary`] }),
    ]);
    t.equal(await router.exit(), 1);
    t.equal(router.events('start_failed').length, 1);
    t.match(router.out, `route rw cannot listen on 127.0.0.1:${port}: listen EADDRINUSE`);
    t.equal(router.events('route_listening').length, 0);
  },
);

t.test('a port that another router has is taken too, although routers could share it', async (t) => {
  const first = await startRouter(t);
  const route = `name=rw,listen=127.0.0.1:${first.port},role=primary`;
  const second = new Program(t, ['run', ...flags({ routes: [route] })]);
  t.equal(await second.exit(), 1);
  t.match(second.out, `route rw cannot listen on 127.0.0.1:${first.port}: listen EADDRINUSE`);
  t.equal((await fetch(`${first.admin}/livez`)).status, 200);
});

t.test("an admin port that is taken ends the start and frees the routes' ports", async (t) => {
  const { port } = await otherProgram(t);
  const router = new Program(t, ['run', ...flags({ admin: `127.0.0.1:${port}` })]);
  t.equal(await router.exit(), 1);
  t.equal(router.events('start_failed').length, 1);
  t.match(router.out, new RegExp(`the admin server cannot listen: .*EADDRINUSE.* 127\\.0\\.0\\.1:${port}`));
});

t.test(
  'a wrong configuration ends the start with 2, the key and the rule, and listens nowhere',
  async (t) => {
    const folder = t.testdir({ 'f.yaml': 'cluster: { seeds: [db], user: router }\nhold: { timeuot: 9s }\n' });
    const file = join(folder, 'f.yaml');
    const router = new Program(t, ['run', '--config', file, '--threads', '0']);
    t.equal(await router.exit(), 2);
    t.equal(router.out, '');
    t.match(router.error, /^fairlead: 2 problems in the configuration:\n/);
    t.match(router.error, `${file}:2:9: hold.timeuot`);
    t.match(router.error, 'flag --threads: threads = 0');
  },
);

t.test('a secret or a file that cannot be read is named, with its key', async (t) => {
  const folder = t.testdir({ directory: {} });
  const secret = join(folder, 'absent');
  const router = new Program(t, [
    'run',
    '--cluster-seeds=db',
    '--cluster-user=router',
    `--cluster-password-file=${secret}`,
  ]);
  t.equal(await router.exit(), 2);
  t.match(router.error, 'cluster.passwordFile');
  t.match(router.error, secret);
  const withoutFile = new Program(t, ['run', '--config', join(folder, 'absent.yaml')]);
  t.equal(await withoutFile.exit(), 2);
  t.match(withoutFile.error, 'absent.yaml');
  const withDirectory = new Program(t, ['run', '--config', join(folder, 'directory')]);
  t.equal(await withDirectory.exit(), 2);
  t.match(withDirectory.error, 'directory');
});

t.test(
  'with no member to be reached it starts, stays up, is alive and not ready, and holds clients',
  async (t) => {
    const closed = await closedPort();
    const router = await startRouter(t, {
      seeds: `127.0.0.1:${closed},nowhere.invalid:3306`,
      more: ['--hold-timeout=300ms', '--drain-delay=0'],
    });
    await until(
      'both seeds to be judged',
      () => router.program.events('member_does_not_answer').length === 2,
    );
    t.equal((await fetch(`${router.admin}/livez`)).status, 200);
    t.equal((await fetch(`${router.admin}/readyz`)).status, 503);
    const refused = createConnection({ host: '127.0.0.1', port: router.port, user: 'app' }).catch(errorName);
    t.equal(await refused, '2003');
    t.ok(router.program.isRunning);
    router.program.signal('SIGTERM');
    t.equal(await router.program.exit(), 0);
    t.equal(router.program.events('stopped').length, 1);
  },
);

t.test(
  'SIGTERM: not ready, still accepting for drain.delay, sessions end between commands, exit code 0',
  async (t) => {
    const server = await ScriptedServer.start(serveOk);
    t.teardown(() => server.close());
    const router = await startRouter(t, {
      seeds: `127.0.0.1:${server.port}`,
      more: ['--cluster-topology=static', '--drain-delay=3s', '--drain-timeout=20s'],
    });
    const connect = () =>
      createConnection({ host: '127.0.0.1', port: router.port, user: 'app', password: '' });
    const before = await connect();
    await before.query('DO 1');
    const stoppedAtMs = performance.now();
    router.program.signal('SIGTERM');
    await until('not ready', async () => (await fetch(`${router.admin}/readyz`)).status === 503);
    const late = await connect();
    await late.query('DO 1');
    t.equal((await fetch(`${router.admin}/livez`)).status, 200);
    const ended = [before, late].map(
      (connection) => new Promise((resolve) => connection.on('error', resolve)),
    );
    await Promise.all(ended);
    t.equal(await router.program.exit(), 0);
    const tookMs = performance.now() - stoppedAtMs;
    t.ok(
      tookMs >= 3000 && tookMs < 19_000,
      `idle sessions do not wait for drain.timeout: ${Math.round(tookMs)} ms`,
    );
  },
);

t.test('a log on a disk that is full stops neither the router nor its end', async (t) => {
  const [admin = 0] = await reservePorts(1, t.testdir());
  const given = flags({ admin: `127.0.0.1:${admin}`, more: ['--drain-delay=0'] });
  const under = ['sh', '-c', 'exec "$@" > /dev/full', 'sh'];
  const router = new Program(t, ['run', ...given], { under });
  const isAlive = () =>
    fetch(`http://127.0.0.1:${admin}/livez`).then(
      (answer) => answer.ok,
      () => false,
    );
  await until('it is alive', isAlive);
  router.signal('SIGTERM');
  t.equal(await router.exit(), 0);
});

t.test('who reads no more than the first line of the help sees no error', async (t) => {
  const help = new Program(t, ['run', '--help'], { under: ['sh', '-c', '"$@" | head -1', 'sh'] });
  await help.exit();
  t.match(help.out, /^Usage: fairlead run/);
  t.equal(help.error, '');
});

t.test('a second SIGTERM ends a drain at once', async (t) => {
  const router = await startRouter(t, { more: ['--drain-delay=1m', '--drain-timeout=2m'] });
  router.program.signal('SIGTERM');
  await router.program.untilWritten(/"event":"draining"/);
  router.program.signal('SIGTERM');
  t.equal(await router.program.exit(), 0);
  t.equal(router.program.events('stopped_at_once').length, 1);
});

t.test('SIGTERM while it starts stops it in order', async (t) => {
  const router = new Program(t, ['run', ...flags({ more: ['--drain-delay=0'] })]);
  await router.untilWritten(/"event":"starting"/);
  router.signal('SIGTERM');
  t.equal(await router.exit(), 0);
  t.equal(router.events('stopped').length, 1);
});

t.test('SIGHUP with a broken file changes nothing and says so; with a good one it counts', async (t) => {
  const file = join(t.testdir({ 'f.yaml': CONFIG_FILE }), 'f.yaml');
  const router = await startRouter(t, { more: ['--config', file] });
  writeFileSync(file, CONFIG_FILE.replace('timeout: 3s', 'timeout: 3'));
  router.program.signal('SIGHUP');
  await router.program.untilWritten(/"event":"reload_failed"/);
  const [failed = ''] = router.program.events('reload_failed');
  t.match(failed, 'The configuration in force stays');
  t.match(failed, 'hold.timeout');
  t.match(failed, `${file}:1:`);
  writeFileSync(file, 'routes: [');
  router.program.signal('SIGHUP');
  await until('the second refusal', () => router.program.events('reload_failed').length === 2);
  t.equal((await fetch(`${router.admin}/livez`)).status, 200);
  t.match(
    await (await fetch(`${router.admin}/metrics`)).text(),
    /config_reloads_total\{result="rejected"\} 2/,
  );

  writeFileSync(file, CONFIG_FILE.replace('timeout: 3s', 'timeout: 4s'));
  router.program.signal('SIGHUP');
  await router.program.untilWritten(/"event":"reloaded"/);
  t.match(router.program.events('reloaded'), [/"changed":"hold"/]);

  // Asked for while it reads: what was written since counts too.
  for (const timeout of ['5s', '6s', '7']) {
    writeFileSync(file, CONFIG_FILE.replace('timeout: 3s', `timeout: ${timeout}`));
    router.program.signal('SIGHUP');
  }
  await until('the last one', () => router.program.events('reload_failed').length >= 3);
});

t.test('SIGHUP while it still reads its configuration is a reload, and not its end', async (t) => {
  const script =
    'exec "$@" --config <(until [ -e "$0" ]; do sleep 0.05; done; printf "hold: { timeout: 3s }")';
  const gate = join(t.testdir(), 'gate');
  const router = new Program(t, ['run', ...flags({ more: ['--drain-delay=0'] })], {
    under: ['bash', '-c', script, gate],
  });
  await until('it listens for signals', () => catches(router.pid, SIGUSR2_NUMBER));
  router.signal('SIGHUP');
  writeFileSync(gate, '');
  // The pipe was read to its end by then: the second reading says so.
  await router.untilWritten(/"event":"(?:reloaded|reload_failed)"/);
  router.signal('SIGTERM');
  t.equal(await router.exit(), 0);
});

t.test('a storm of reloads, good and broken, by a ConfigMap that is swapped, loses no session', async (t) => {
  const server = await ScriptedServer.start(serveOk);
  t.teardown(() => server.close());
  // As the kubelet keeps it: a link to a link, of which the second is replaced.
  const folder = t.testdir({ '..1': { 'f.yaml': CONFIG_FILE } });
  const file = join(folder, 'f.yaml');
  symlinkSync('..1', join(folder, '..data'));
  symlinkSync(join('..data', 'f.yaml'), file);
  const swap = (version: number, text: string) => {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, 'f.yaml'), text);
    symlinkSync(`..${version}`, join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
  };
  const router = await startRouter(t, {
    seeds: `127.0.0.1:${server.port}`,
    more: ['--cluster-topology=static', '--drain-delay=0', '--config', file],
  });
  const connectNew = () =>
    createConnection({ host: '127.0.0.1', port: router.port, user: 'app', password: '' });
  const kept = await Promise.all(Array.from({ length: 10 }, connectNew));
  for (let version = 2; version < 52; version++) {
    const text =
      ['limits: { idleTimeout: 1h }', 'routes: [', `hold: { timeout: ${version}s }`][version % 3] ?? '';
    swap(version, text);
    router.program.signal('SIGHUP');
    await kept[version % kept.length]?.query('DO 1');
    if (version % 10 === 0) await (await connectNew()).end();
  }
  swap(200, 'hold: { timeout: 77s }');
  router.program.signal('SIGHUP');
  const reloaded = () => router.program.events('reloaded');
  await until('the last one', () => reloaded().at(-1)?.includes('"changed":"hold') === true);
  t.comment(`${reloaded().length} were read, ${router.program.events('reload_failed').length} refused`);
  for (const connection of kept) await connection.query('DO 1');
  t.equal((await fetch(`${router.admin}/readyz`)).status, 200);
  t.equal(router.program.events('data_thread_failed').length, 0);
  // In the middle of another one it stops as ever.
  for (const signal of ['SIGHUP', 'SIGTERM', 'SIGHUP'] as const) router.program.signal(signal);
  for (const connection of kept) connection.on('error', () => undefined);
  t.equal(await router.program.exit(), 0);
});

const noUnshare = cannotUnshare();
t.test('as process 1 of its own namespace it ends on SIGTERM', { skip: noUnshare }, async (t) => {
  // With --fork the signal has to be sent to the child, whose number outside is that of unshare's only child.
  const router = await startRouter(
    t,
    { more: ['--drain-delay=0'] },
    { under: ['unshare', '--pid', '--fork', '--kill-child'] },
  );
  t.match(router.program.events('starting'), [/"pid":1,/]);
  const { pid } = router.program;
  const child = /^\d+/.exec(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))?.[0];
  if (child === undefined) throw new Error('unshare has no child');
  process.kill(Number(child), 'SIGTERM');
  t.equal(await router.program.exit(), 0);
  t.equal(router.program.events('stopped').length, 1);
});

function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return untilWithin(what, holds, DEADLINE_MS);
}

type RunFlags = {
  readonly seeds?: string;
  readonly routes?: readonly string[];
  readonly admin?: string;
  readonly more?: readonly string[];
};

/** Flags of a router with one route on free ports and nobody behind it. */
function flags({
  seeds = '127.0.0.1:1',
  routes = [ANY_PORT],
  admin = '127.0.0.1:0',
  more = [],
}: RunFlags): string[] {
  return [
    `--cluster-seeds=${seeds}`,
    '--cluster-user=router',
    ...routes.map((route) => `--route=${route}`),
    `--admin-listen=${admin}`,
    '--threads=2',
    ...more,
  ];
}

/** Returns when it listens. */
async function startRouter(t: Test, given: RunFlags = {}, options: ProgramOptions = {}) {
  const program = new Program(t, ['run', ...flags(given)], options);
  const [, port] = await program.untilWritten(/"event":"route_listening","route":"rw".*?"port":(\d+)/);
  const [, adminPort] = await program.untilWritten(/"event":"admin_listening".*?"port":(\d+)/);
  return { program, port: Number(port), admin: `http://127.0.0.1:${adminPort}` };
}

/** A listener that is no router's, until the end of `t`. */
async function otherProgram(t: Test): Promise<{ readonly port: number }> {
  const server = createServer();
  t.teardown(() => void server.close());
  return { port: await listen(server) };
}

/** A port nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

/** Whether the process, once it is the router, has a handler of its own for the signal. Source: proc_pid_status(5). */
function catches(pid: number, signal: number): boolean {
  const [program = '', script = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  const isRouter = program === process.execPath && script.endsWith('main.ts');
  return isRouter && ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** The reason, or false. */
function cannotUnshare(): string | false {
  const { status, stderr, error } = spawnSync('unshare', ['--pid', '--fork', 'true'], { encoding: 'utf8' });
  return status === 0 ? false : `no namespaces here: ${error?.message ?? stderr.trim()}`;
}

/** Node has handlers for others before the program begins. */
const SIGUSR2_NUMBER = 12;
const ANY_PORT = 'name=rw,listen=127.0.0.1:0,role=primary';
const CONFIG_FILE = 'hold: { timeout: 3s }\n';
