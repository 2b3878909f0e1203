/** Threads of a router that hang: what an operator, a kubelet and clients see of it. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { until as untilWithin } from '../support/until.ts';
import { Program } from './program.ts';

t.test('data threads that hang are ended and started again, and the probes tell the truth', async (t) => {
  const router = await startRouter(t);
  // One of them in a call that nothing interrupts.
  router.hang('0', router.pipe);
  router.hang('1', 'loop');
  await until('readiness to notice', async () => (await router.ask('/readyz')).status === 503);
  t.match((await router.ask('/readyz')).body, 'no data thread serves');
  t.equal((await router.ask('/livez')).status, 200, 'nobody has to restart it for that');
  await until('both to be found', () => router.program.events('data_thread_hung').length === 2);
  const [looping = ''] = router.program
    .events('data_thread_hung')
    .filter((line) => line.includes('"thread":1'));
  t.match(looping, '"doing":"computing"');
  t.match(looping, /Data thread 1 hangs: nothing was heard of it for \d+ s/);
  const [stuck = ''] = router.program
    .events('data_thread_hung')
    .filter((line) => line.includes('"thread":0'));
  t.match(stuck, '"doing":"waiting"');

  await until('the other to serve again', async () => (await router.ask('/readyz')).status === 200);
  await until('clients to be served', () => router.isServing());
  t.match((await router.ask('/metrics')).body, /data_thread_hangs_total\{thread="1"\} 1\n/);
  await until('help to be asked for', async () => (await router.ask('/livez')).status === 503);
  t.match((await router.ask('/livez')).body, 'data thread 0 hangs and cannot be ended');
  t.equal(router.program.events('data_thread_stuck').length, 1);
  const stoppedAtMs = performance.now();
  router.program.signal('SIGTERM');
  t.equal(await router.program.exit(), null, 'it is killed');
  t.ok(performance.now() - stoppedAtMs < DEADLINE_MS, 'and does not wait for the thread');
  t.equal(router.program.events('stopped').length, 1);
});

t.test('a process that was stopped, or whose main thread hung, takes no thread for hung', async (t) => {
  const router = await startRouter(t);
  router.program.signal('SIGSTOP');
  await pass(STOPPED_MS);
  router.program.signal('SIGCONT');
  t.equal((await router.ask('/readyz')).status, 200);
  await until('clients to be served', () => router.isServing());
  router.hang('main', router.pipe);
  await until('it to hang', () => router.isGone('main'));
  await until('readers to be served meanwhile', () => router.isServing());
  await pass(STOPPED_MS);
  writeFileSync(router.pipe, '');
  await until('the end of it', async () => (await router.ask('/readyz')).status === 200);
  t.equal(router.program.events('data_thread_hung').length, 0);
  t.equal(router.program.events('data_thread_restarted').length, 0);
  router.program.signal('SIGTERM');
  t.equal(await router.program.exit(), 0);
});

async function startRouter(t: Test) {
  const folder = t.testdir();
  const server = await ScriptedServer.start(serveOk);
  t.teardown(() => server.close());
  const flags = [
    `--cluster-seeds=127.0.0.1:${server.port}`,
    '--cluster-user=router',
    '--cluster-topology=static',
    // Writers would wait once the last decision has lapsed.
    '--route=name=rw,listen=127.0.0.1:0,role=primary-and-secondary,strategy=round-robin',
    '--admin-listen=127.0.0.1:0',
    '--threads=2',
    '--limits-hung-thread-timeout=4s',
    '--drain-delay=0',
  ];
  const program = new Program(t, ['run', ...flags], {
    environment: { NODE_OPTIONS: `--import=${HANG_THREAD}`, HANG_FOLDER: folder },
  });
  const [, port] = await program.untilWritten(/"event":"route_listening","route":"rw".*?"port":(\d+)/);
  const [, admin] = await program.untilWritten(/"event":"admin_listening".*?"port":(\d+)/);
  await until('the member to be used', async () => (await ask('/readyz')).status === 200);

  async function ask(path: string) {
    const response = await fetch(`http://127.0.0.1:${admin}${path}`);
    return { status: response.status, body: await response.text() };
  }
  const pipe = join(folder, 'pipe');
  spawnSync('mkfifo', [pipe]);
  return {
    program,
    /** Whoever is made to read from it hangs until somebody writes. */
    pipe,
    ask,
    hang(thread: string, how: string): void {
      writeFileSync(join(folder, `${thread}.new`), how);
      renameSync(join(folder, `${thread}.new`), join(folder, thread));
    },
    isGone: (thread: string) => !existsSync(join(folder, thread)),
    /** A new client gets an answer; not so when the kernel gives it to a thread that hangs. */
    isServing: () => isGreeted(Number(port)),
  };
}

async function isGreeted(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const greeting = once(socket, 'data', { signal: AbortSignal.timeout(1000) });
  const isGreeting = await greeting.then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isGreeting;
}

/** Asked gently: the router is not to be kept busy with it. */
function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return untilWithin(
    what,
    async () => {
      await pass(100);
      return await holds();
    },
    DEADLINE_MS,
  );
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const HANG_THREAD = join(import.meta.dirname, '..', 'support', 'hang-thread.ts');
const DEADLINE_MS = 60_000;
/** More than limits.hungThreadTimeout. */
const STOPPED_MS = 5000;
