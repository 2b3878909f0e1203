/** The demo end to end, with the very commands it offers to copy and paste. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import t from 'tap';
import { choosePorts } from '../../src/cli/demo-router.ts';
import { createSandbox, missingParts } from '../../src/sandbox/index.ts';
import { until } from '../support/until.ts';
import { Program } from './program.ts';

const START_DEADLINE_MS = 90_000;
/** An election takes ten seconds, and the machine may be busy. */
const COMMAND_TIMEOUT_MS = 30_000;

const noMysql = await missingParts('mysql');

t.test(
  'the demo: write, read in turn, kill the primary, go on working, Ctrl-C',
  { skip: noMysql },
  async (t) => {
    const demo = new Program(t, ['demo', '--any-ports']);
    await demo.untilWritten(/From here on/, START_DEADLINE_MS);
    const [, folder = ''] = await demo.untilWritten(/(\/\S+\/fairlead-\w+)\/bin\/mysql/);
    const [, members = ''] = await demo.untilWritten(/members +(127[\s\S]*?)\n {2}the router/);
    const [, statusPage = ''] = await demo.untilWritten(/status page +(http\S+)/);
    const ports = [...members.matchAll(/127\.0\.0\.1:(\d+) /g)].map(([, port]) => port);
    const primary = /127\.0\.0\.1:(\d+) \(primary/.exec(members)?.[1] ?? '';
    t.equal(ports.length, 3);

    const [create = '', read = '', keepWriting = '', kill = '', status = ''] = offeredCommands(demo.out);
    t.match(await shell(create), new RegExp(`^1\\t\\S+\\t${primary}$`, 'm'), 'a write reaches the primary');
    await until('the row to be on all members', async () => !/\t0$/m.test(await shell(read)));
    const readers = (await shell(read)).split('\n').flatMap((line) => line.split('\t')[0] || []);
    t.same(readers.slice(0, 2), readers.slice(2, 4), 'reads alternate');
    t.strictSame(new Set(readers), new Set(ports.filter((port) => port !== primary)));
    t.match(await shell(status), /^127\.0\.0\.1:\d+: ready: 2 of 2 routes can route\n/);
    t.match(await (await fetch(statusPage)).text(), '<html');

    const writeOnce = keepWriting.replace(/^while sleep 1; do (.*); done$/, '$1');
    t.not(writeOnce, keepWriting);
    await shell(kill);
    const written = await shell(writeOnce);
    t.match(written, /^\d+\t\S+\t\d+\n$/);
    t.notMatch(written, `\t${primary}\n`, 'the write waited for another primary');
    t.match(
      demo.out,
      new RegExp(`writes go to 127\\.0\\.0\\.1:\\d+, no longer to 127\\.0\\.0\\.1:${primary}`),
    );
    await demo.untilWritten(
      new RegExp(`127\\.0\\.0\\.1:${primary} is back in the group, with pid \\d+`),
      60_000,
    );

    demo.signal('SIGINT');
    t.equal(await demo.exit(), 0);
    t.equal(demo.error, '');
    t.notOk(existsSync(folder), 'nothing stays');
  },
);

t.test('the demo ends by itself after --seconds', { skip: noMysql }, async (t) => {
  const demo = new Program(t, ['demo', '--any-ports', '--size=1', '--seconds=1']);
  t.equal(await demo.exit(), 0);
  t.match(demo.out, 'Time is up');
});

t.test('nothing is left of a demo that is killed, router included', { skip: noMysql }, async (t) => {
  const demo = new Program(t, ['demo', '--any-ports', '--size=1']);
  await demo.untilWritten(/From here on/, START_DEADLINE_MS);
  const [, folder = ''] = await demo.untilWritten(/(\/\S+\/fairlead-\w+)\/bin\/mysql/);
  const [, statusPage = ''] = await demo.untilWritten(/status page +(http\S+)/);
  t.equal((await fetch(statusPage)).status, 200);
  demo.signal('SIGKILL');
  await demo.exit();
  await until('the folder to go', () => !existsSync(folder), 20_000);
  await t.rejects(fetch(statusPage));
});

t.test('a demo that is stopped while it starts leaves nothing either', { skip: noMysql }, async (t) => {
  const demo = new Program(t, ['demo', '--any-ports', '--size=2']);
  await demo.untilWritten(/starting a group/, START_DEADLINE_MS);
  demo.signal('SIGTERM');
  t.equal(await demo.exit(), 0);
  t.equal(demo.error, '');
});

t.test('without a MySQL to be had the demo says what to set', async (t) => {
  const demo = new Program(t, ['demo', '--any-ports'], {
    environment: { FAIRLEAD_MYSQLD: '/nowhere/mysqld' },
  });
  t.equal(await demo.exit(), 1);
  t.match(demo.error, '/nowhere/mysqld, which does not exist');
  t.match(demo.error, 'FAIRLEAD_MYSQLD=/path/to/mysqld');
});

t.test('a usual port that is taken is told, and another one is used', async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const other = createServer();
  t.teardown(() => void other.close());
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const taken = address === null || typeof address === 'string' ? 0 : address.port;
  const [ro = 0, admin = 0] = await sandbox.reservePorts(2);
  const told: string[] = [];
  const terminal = { writeOut: (text: string) => void told.push(text), writeError: t.fail, environment: {} };
  const ports = await choosePorts(sandbox, { rw: taken, ro, admin }, terminal);
  t.strictSame(ports, { rw: ports.rw, ro, admin });
  t.not(ports.rw, taken);
  t.match(told.join(''), `port ${taken} is taken by another program: the demo uses ${ports.rw} instead`);
});

/** The lines a person would copy: indented by two under a numbered step. */
function offeredCommands(text: string): readonly string[] {
  const steps = text.slice(text.indexOf('\n1. '), text.indexOf('From here on'));
  return [...steps.matchAll(/^ {2}(\S.*)$/gm)].map(([, command = '']) => command);
}

async function shell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { timeout: COMMAND_TIMEOUT_MS });
  return stdout;
}
