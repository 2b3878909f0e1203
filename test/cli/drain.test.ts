/** `fairlead drain`: whom it tells, what it shows, and how its exit code says how it went. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { identityOf, isRouter } from '../../src/cli/process-identity.ts';
import { facts, startAdmin } from '../admin/fixture.ts';
import { RawClient } from '../support/raw-client.ts';
import { ScriptedServer, type ServerScript, serveOk } from '../support/scripted-server.ts';
import { Program } from './program.ts';
import { runCommand } from './terminal.ts';

t.test(
  'it shows the sessions that are left, returns when the router has stopped, and exits with 0',
  async (t) => {
    const { router, port, admin } = await startRouter(t, serveOk, [
      '--drain-delay=1s',
      '--drain-timeout=20s',
    ]);
    const clients = await Promise.all([RawClient.logIn(port), RawClient.logIn(port)]);
    const command = new Program(t, ['drain', '--admin', admin]);
    await command.untilWritten(/2 sessions left/);
    t.equal((await fetch(`${admin}/readyz`)).status, 503, 'not ready, as after SIGTERM');
    t.match(await (await fetch(`${admin}/metrics`)).text(), /^fairlead_draining 1$/m);
    t.match(await (await fetch(`${admin}/api/v1/status`)).json(), {
      isDraining: true,
      drain: { endsAtMs: Number },
    });
    const second = await runCommand(['drain', '--no-wait', '--admin', admin]);
    t.equal(second.code, 0, 'told again, it does not stop at once');
    for (const client of clients) {
      t.equal(await client.readPacket(), null);
      client.close();
    }
    t.equal(await command.exit(), 0);
    t.equal(await router.exit(), 0);
    t.match(command.out, /stopped, all sessions have ended$/);
    t.match(router.events('draining'), [/"signal":"SIGTERM"/]);
    t.equal(router.events('stopped_at_once').length, 0);
  },
);

t.test('what does not end in time is closed, told, and its exit code is 4', async (t) => {
  const { router, port, admin } = await startRouter(t, neverAnswer, [
    '--drain-delay=0',
    '--drain-timeout=1500ms',
  ]);
  const client = await RawClient.logIn(port);
  client.send(0, Buffer.of(COM_QUERY));
  const command = new Program(t, ['drain', '--admin', admin]);
  t.equal(await command.exit(), 4);
  t.match(command.out, /1 session left\n(?:.*\n)*.*1 session had not ended at drain\.timeout/);
  t.equal(await router.exit(), 0);
  client.close();
});

t.test('it signals only a router, only of this machine, and says what to do instead', async (t) => {
  const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
  t.teardown(() => sleeper.kill());
  await once(sleeper, 'spawn');
  const pid = sleeper.pid ?? 0;
  const cases = [
    ['of another machine', 'f'.repeat(32)],
    ['without an identity', null],
    ['that is no router', identityOf(pid)],
  ] as const;
  for (const [what, identity] of cases) {
    const admin = await startAdmin(facts({ process: { pid, identity, handOverSignal: 'SIGUSR2' } }));
    t.teardown(() => admin.close());
    const result = await runCommand(['drain', '--admin', `127.0.0.1:${admin.address().port}`]);
    t.equal(result.code, 1, what);
    t.match(result.error, `is process ${pid}, but not of this machine or container`);
  }
  t.equal(sleeper.exitCode ?? sleeper.signalCode, null, 'it has got no signal');
  const nobody = await runCommand(['drain', '--admin', '127.0.0.1:1']);
  t.equal(nobody.code, 1);
  t.match(nobody.error, 'nothing answers at http://127.0.0.1:1');
});

t.test('a process is told from every other', async (t) => {
  t.equal(identityOf('self'), identityOf(process.pid));
  t.not(identityOf('self'), identityOf(process.ppid));
  t.equal(identityOf(4_194_304), null, 'an id beyond the highest');
  t.notOk(isRouter(process.pid));
  t.notOk(isRouter(4_194_304));
});

async function startRouter(t: Test, script: ServerScript, flags: readonly string[]) {
  const server = await ScriptedServer.start(script);
  t.teardown(() => server.close());
  const router = new Program(t, [
    'run',
    `--cluster-seeds=127.0.0.1:${server.port}`,
    '--cluster-topology=static',
    '--route=name=rw,listen=127.0.0.1:0,role=primary',
    '--admin-listen=127.0.0.1:0',
    '--threads=1',
    ...flags,
  ]);
  const [, port] = await router.untilWritten(/"event":"route_listening".*?"port":(\d+)/);
  const [, adminPort] = await router.untilWritten(/"event":"admin_listening".*?"port":(\d+)/);
  return { router, port: Number(port), admin: `http://127.0.0.1:${adminPort}` };
}

const neverAnswer: ServerScript = async (peer) => {
  if (await peer.logIn()) await peer.answerCommands(() => undefined);
};

const COM_QUERY = 3;
