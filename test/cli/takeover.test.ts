/** `fairlead run --takeover`: an upgrade in place, under load, and what becomes of one that fails. */
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { reservePorts } from '../../src/sandbox/ports.ts';
import { ConnectLoad } from '../support/connect-load.ts';
import { RawClient } from '../support/raw-client.ts';
import { ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';
import { Program } from './program.ts';

t.test('two takeovers in a row under 200 connects a second fail no connect and end no session', async (t) => {
  const lab = await openLab(t);
  const first = await lab.start();
  const idle = await RawClient.logIn(lab.port);
  const load = new ConnectLoad(lab.port, CONNECTS_PER_SECOND);
  t.teardown(() => load.stop());
  await until('some connects', () => load.succeeded > 100, DEADLINE_MS);

  const second = await lab.start('--takeover');
  t.match(second.events('took_over'), [new RegExp(`"predecessor":${first.pid},`)]);
  t.ok(await idle.command(COM_PING), 'a session of the first router goes on there');
  t.match(await lab.status(), { process: { pid: second.pid } }, 'the admin port is the new one’s');
  await comesAfter(load, 200);

  const third = await lab.start('--takeover');
  t.match(third.events('took_over'), [new RegExp(`"predecessor":${second.pid},`)]);
  await comesAfter(load, 200);
  t.equal(await first.exit(), 0);
  t.equal(await second.exit(), 0);
  t.equal(await idle.readPacket(), null, 'it ended at a boundary, within drain.timeout');
  await load.stop();
  t.same(load.failures, []);
  t.comment(`${load.succeeded} connects`);
  for (const gone of [first, second]) {
    t.equal(gone.events('handing_over').length, 1);
    t.match(gone.events('draining'), [/"signal":"SIGUSR2"/]);
    t.equal(gone.events('stopped').length, 1);
  }
});

t.test('a takeover that fails leaves the router it was for as it is', async (t) => {
  const lab = await openLab(t);
  const router = await lab.start();
  const idle = await RawClient.logIn(lab.port);
  const load = new ConnectLoad(lab.port, CONNECTS_PER_SECOND);
  t.teardown(() => load.stop());

  const wrong = lab.program('--takeover', '--hold-timeout=soon');
  t.equal(await wrong.exit(), 2, 'a wrong configuration');

  const other = createServer();
  t.teardown(() => void other.close());
  await new Promise<void>((resolve) => other.listen(lab.sparePort, '127.0.0.1', resolve));
  const taken = lab.program('--takeover', `--route=name=ro,listen=127.0.0.1:${lab.sparePort},role=secondary`);
  t.equal(await taken.exit(), 1, 'a port that something else has');
  t.match(taken.out, `route ro cannot listen on 127.0.0.1:${lab.sparePort}: listen EADDRINUSE`);

  const stopped = lab.program(
    '--takeover',
    '--cluster-seeds=127.0.0.1:1',
    '--cluster-topology=auto',
    '--cluster-user=x',
  );
  await stopped.untilWritten(/"event":"taking_over"/);
  stopped.signal('SIGTERM');
  t.equal(await stopped.exit(), 1, 'one that does not become able to route, and is not waited for');
  t.match(stopped.out, 'stopped before it could take over');

  const accidental = lab.program();
  t.equal(await accidental.exit(), 1, 'a second start without --takeover');
  t.match(accidental.out, /cannot listen on .*EADDRINUSE.*--takeover/);

  await comesAfter(load, 50);
  await load.stop();
  t.same(load.failures, []);
  t.ok(await idle.command(COM_PING));
  idle.close();
  const status = await lab.status();
  t.match(status, { isReady: true, isDraining: false, drain: null, process: { pid: router.pid } });
});

t.test(
  'where no router answers, --takeover is a start like any other; where something else does, none',
  async (t) => {
    const lab = await openLab(t);
    const router = await lab.start('--takeover');
    t.equal(router.events('taking_over').length, 0);
    await (await RawClient.logIn(lab.port)).command(COM_PING);

    const other = createServer((socket) => socket.end('no HTTP\n'));
    t.teardown(() => void other.close());
    await new Promise<void>((resolve) => other.listen(lab.sparePort, '127.0.0.1', resolve));
    const lost = lab.program(`--takeover=127.0.0.1:${lab.sparePort}`);
    t.equal(await lost.exit(), 1);
    t.match(lost.out, 'no place to take over');
  },
);

t.test(
  'a router that is killed: its clients hear so at once, and connects are refused until it runs again',
  async (t) => {
    const lab = await openLab(t);
    const router = await lab.start();
    const idle = await RawClient.logIn(lab.port);
    const load = new ConnectLoad(lab.port, CONNECTS_PER_SECOND);
    t.teardown(() => load.stop());
    await comesAfter(load, 50);
    router.signal('SIGKILL');
    t.equal(await idle.readPacket(), null);
    await until('connects to be refused', () =>
      load.failures.some((failure) => failure.includes('ECONNREFUSED')),
    );
    await lab.start();
    const failuresUntilNow = load.failures.length;
    await comesAfter(load, 100);
    await load.stop();
    t.equal(load.failures.length, failuresUntilNow, 'from then on nobody is refused');
    const others = load.failures.filter((failure) => !failure.includes('ECONNREFUSED'));
    t.ok(others.length < 50, `who was on the way in has lost the connection: ${others.length}`);
    t.ok(
      others.every((failure) => /ECONNRESET|ended|fin|reset|closed/.test(failure)),
      others.join('\n'),
    );
    t.comment(`${failuresUntilNow} of those who came meanwhile were refused`);
  },
);

async function openLab(t: Test) {
  const server = await ScriptedServer.start(serveOk);
  t.teardown(() => server.close());
  const [port = 0, adminPort = 0, sparePort = 0] = await reservePorts(3, t.testdir());
  const program = (...flags: readonly string[]) =>
    new Program(t, [
      'run',
      `--cluster-seeds=127.0.0.1:${server.port}`,
      '--cluster-topology=static',
      `--route=name=rw,listen=127.0.0.1:${port},role=primary`,
      `--admin-listen=127.0.0.1:${adminPort}`,
      '--threads=2',
      '--drain-timeout=6s',
      '--drain-delay=0',
      ...flags,
    ]);
  return {
    port,
    sparePort,
    program,
    /** Returns when it serves. */
    async start(...flags: readonly string[]): Promise<Program> {
      const started = program(...flags);
      await started.untilWritten(/"event":"admin_listening"/);
      await until(
        'it to be ready',
        async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok,
        DEADLINE_MS,
      );
      return started;
    },
    status: async () => (await fetch(`http://127.0.0.1:${adminPort}/api/v1/status`)).json(),
  };
}

/** So many more clients have been served. */
async function comesAfter(load: ConnectLoad, count: number): Promise<void> {
  const before = load.succeeded;
  await until(`${count} more connects`, () => load.succeeded >= before + count, DEADLINE_MS);
}

const CONNECTS_PER_SECOND = 200;
const DEADLINE_MS = 30_000;
const COM_PING = 14;
