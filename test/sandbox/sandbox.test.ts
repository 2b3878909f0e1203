import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import {
  ACCOUNTS,
  createAccount,
  createSandbox,
  findPart,
  type Group,
  METADATA_VERSIONS,
  missingParts,
  type Sandbox,
  type Server,
  waitFor,
} from '../../src/sandbox/index.ts';

const noMysql = await missingParts('mysql');

t.test('a part that cannot be had says why', async (t) => {
  t.intercept(process, 'env', { value: { ...process.env, FAIRLEAD_MYSQLD: '/nowhere/mysqld' } });
  t.match(await findPart('mysql', () => {}), { kind: 'unavailable', reason: /\/nowhere\/mysqld/ });
  t.match(await missingParts('mysql'), /\/nowhere\/mysqld/);
});

t.test('two sandboxes never reserve the same port', async (t) => {
  const sandboxes = await Promise.all([createSandbox(), createSandbox()]);
  const [first = [], second = []] = await Promise.all(sandboxes.map((sandbox) => sandbox.reservePorts(50)));
  t.equal(new Set([...first, ...second]).size, 100);
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
  t.notOk(
    sandboxes.some((sandbox) => existsSync(sandbox.directory)),
    'both run directories are gone',
  );
});

t.test('a group of three', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });

  await t.test('forms with one primary and two secondaries, all ONLINE', async (t) => {
    const primary = await group.primary();
    const states = (await group.view(primary)).map((row) => `${row.state} ${row.role}`);
    t.same(states.toSorted(), ['ONLINE PRIMARY', 'ONLINE SECONDARY', 'ONLINE SECONDARY']);
    t.equal((await group.secondaries()).length, 2);
    await primary.query('CREATE DATABASE app');
    await primary.query('CREATE TABLE app.notes (id INT PRIMARY KEY)');
    await primary.query('INSERT INTO app.notes VALUES (1), (2), (3)');
  });

  await t.test('has accounts that may do what they are for and no more', async (t) => {
    const primary = await group.primary();
    const router = await primary.connect(ACCOUNTS.router);
    await router.query('SELECT * FROM performance_schema.replication_group_members');
    await router.query("SELECT * FROM performance_schema.global_variables WHERE variable_name = 'read_only'");
    await t.rejects(router.query('SELECT * FROM app.notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });
    await router.end();
    const app = await primary.connect({ ...ACCOUNTS.app, database: 'app' });
    await app.query('INSERT INTO notes VALUES (4)');
    await t.rejects(app.query('SELECT * FROM mysql.user'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });
    await app.end();
  });

  await t.test('takes further accounts, of any plugin, with or without TLS', async (t) => {
    const primary = await group.primary();
    const account = { user: 'walrus', password: 'tusk', plugin: 'sha256_password', requireTls: true };
    await createAccount(primary, { ...account, grants: ['SELECT ON app.*'] });
    await t.rejects(primary.connect({ user: 'walrus', password: 'tusk' }), {
      code: 'ER_ACCESS_DENIED_ERROR',
    });
    const overTls = { user: 'walrus', password: 'tusk', ssl: { rejectUnauthorized: false } };
    const connection = await primary.connect(overTls);
    const [rows] = await connection.query('SELECT COUNT(*) AS count FROM app.notes');
    t.same(rows, [{ count: 4 }]);
    await connection.end();
  });

  await t.test('lets a secondary refuse writes', async (t) => {
    const secondary = await anySecondary(group);
    const insert = secondary.query('INSERT INTO app.notes VALUES (9)').then(() => undefined);
    await t.rejects(insert, { code: 'ER_OPTION_PREVENTS_STATEMENT' });
  });

  await t.test('moves its primary on request', async (t) => {
    const secondary = await anySecondary(group);
    await group.setPrimary(secondary);
    t.equal((await group.primary()).name, secondary.name);
    await secondary.query('INSERT INTO app.notes VALUES (5)');
  });

  await t.test('chooses another primary when one is killed, and takes it back', async (t) => {
    const killed = await group.primary();
    await killed.kill();
    t.equal(killed.pid, undefined);
    const next = await group.waitForNewPrimary(killed);
    await next.query('INSERT INTO app.notes VALUES (6)');
    await group.rejoin(killed);
    t.same(await killed.query('SELECT COUNT(*) AS count FROM app.notes'), [{ count: 6 }]);
    t.equal((await group.secondaries()).length, 2);
  });

  await t.test('gives up a frozen member, which comes back when it thaws', async (t) => {
    const frozen = await anySecondary(group);
    frozen.freeze();
    await group.waitUntilGivenUp(frozen);
    t.equal((await group.view(await group.primary())).length, 2);
    frozen.thaw();
    await group.rejoin(frozen);
    t.equal((await group.secondaries()).length, 2);
  });

  await t.test('switches between one primary and many', async (t) => {
    const primary = await group.primary();
    await group.switchToMultiPrimary();
    t.equal((await group.primaries()).length, 3);
    await group.switchToSinglePrimary(primary);
    t.equal((await group.primaries()).length, 1);
  });

  await t.test('can be spoken to with the mysql client and mysqldump', async (t) => {
    const primary = await group.primary();
    const login = ['-uroot', '-psakila', '-h127.0.0.1', `-P${primary.port}`];
    const answer = await sandbox.run('mysql', 'mysql', [...login, '-NBe', 'SELECT @@port']);
    t.equal(answer.stdout.trim(), String(primary.port));
    const dump = await sandbox.run('mysql', 'mysqldump', [...login, '--single-transaction', 'app']);
    t.match(dump.stdout, 'INSERT INTO `notes` VALUES (1),(2),(3),(4),(5),(6)');
    await t.rejects(sandbox.run('mysql', 'mysql', [...login, '-e', 'SELEKT']), { message: /SQL syntax/ });
  });

  const noHaproxy = await missingParts('haproxy');
  await t.test('can stand behind HAProxy', { skip: noHaproxy }, async (t) => {
    const primary = await group.primary();
    const secondaries = (await group.secondaries()).map((server) => server.address);
    const haproxy = await sandbox.startHaproxy({ primary: primary.address, secondaries });
    t.equal(await portBehind(primary, haproxy.ports.rw), primary.port);
    const seen = [await portBehind(primary, haproxy.ports.ro), await portBehind(primary, haproxy.ports.ro)];
    t.same(new Set(seen.map((port) => `127.0.0.1:${port}`)), new Set(secondaries));
    await haproxy.stop();
    await t.rejects(portBehind(primary, haproxy.ports.rw), { code: 'ECONNREFUSED' });
  });

  const noRouter = await missingParts('mysql-router');
  await t.test('can stand behind MySQL Router in PASSTHROUGH', { skip: noRouter }, async (t) => {
    const primary = await group.primary();
    const secondaries = (await group.secondaries()).map((server) => server.address);
    const router = await sandbox.startPassthroughRouter({ primary: primary.address, secondaries });
    t.equal(await portBehind(primary, router.ports.rw), primary.port);
    t.ok(secondaries.includes(`127.0.0.1:${await portBehind(primary, router.ports.ro)}`));
    await router.stop();
  });

  for (const version of METADATA_VERSIONS) {
    await t.test(`lets MySQL Router bootstrap on metadata ${version}`, { skip: noRouter }, async (t) => {
      const primary = await group.primary();
      await group.installMetadata({ version });
      const router = await sandbox.startBootstrappedRouter({ member: primary.address });
      t.equal(await portBehind(primary, router.ports.rw), primary.port);
      t.not(await portBehind(primary, router.ports.ro), primary.port);
      await router.stop();
    });
  }

  const noSysbench = await missingParts('sysbench');
  await t.test('can be put under load by sysbench', { skip: noSysbench }, async (t) => {
    const primary = await group.primary();
    await primary.query('CREATE DATABASE sbtest');
    const { user, password } = ACCOUNTS.app;
    const target = [`--mysql-port=${primary.port}`, `--mysql-user=${user}`, `--mysql-password=${password}`];
    const size = ['--mysql-host=127.0.0.1', '--tables=1', '--table-size=100', '--events=200', '--time=60'];
    await sandbox.run('sysbench', 'sysbench', ['oltp_read_write', ...target, ...size, 'prepare']);
    const { stdout } = await sandbox.run('sysbench', 'sysbench', [
      'oltp_read_write',
      ...target,
      ...size,
      'run',
    ]);
    t.match(stdout, /total number of events: +200\b/);
  });

  await t.test('grows by a copy of a member and shrinks again', async (t) => {
    const added = await group.addMember({ recovery: 'clone' });
    t.equal((await group.view(await group.primary())).length, 4);
    t.same(await added.query('SELECT COUNT(*) AS count FROM app.notes'), [{ count: 6 }]);
    await group.removeMember(added);
    t.equal((await group.view(await group.primary())).length, 3);
  });

  await t.test('is gone when the sandbox is closed', async (t) => {
    const pids = group.members.flatMap((member) => member.pid ?? []);
    t.equal(pids.length, 3);
    await sandbox.close();
    t.same(await markedProcesses(sandbox), []);
    for (const pid of pids) t.notOk(await isAlive(pid), `process ${pid} is gone`);
    t.notOk(existsSync(sandbox.directory));
  });
});

const endings = [
  { name: 'is killed with SIGKILL', argument: 'wait', signal: 'SIGKILL' },
  { name: 'gets a Ctrl-C', argument: 'wait', signal: 'SIGINT' },
  { name: 'dies of an uncaught exception', argument: 'throw', signal: undefined },
  { name: 'is simply over', argument: 'end', signal: undefined },
] as const;

for (const ending of endings) {
  t.test(
    `nothing is left when the process that made a sandbox ${ending.name}`,
    { skip: noMysql },
    async (t) => {
      const script = join(import.meta.dirname, 'fixtures', 'hold-a-server.ts');
      const child = spawn(process.execPath, [script, ending.argument], {
        stdio: ['ignore', 'pipe', 'ignore'],
        // A group of its own, so that the signal reaches all of it, as a terminal's Ctrl-C would.
        detached: true,
      });
      t.teardown(() => void child.kill('SIGKILL'));
      const exited = once(child, 'exit');
      const [line] = await once(createInterface(child.stdout), 'line');
      const told = parseHeldServer(String(line));
      if (ending.signal !== undefined && child.pid !== undefined) process.kill(-child.pid, ending.signal);
      await exited;
      await waitFor({ what: 'the server and its files to go', timeoutMs: 10_000 }, async () =>
        (await isAlive(told.pid)) || existsSync(told.directory) ? undefined : true,
      );
      t.pass('server and run directory are gone');
    },
  );
}

/** Which server answers behind a peer's port. */
async function portBehind(server: Server, port: number): Promise<unknown> {
  const connection = await server.connect({ port, ssl: { rejectUnauthorized: false } });
  try {
    const [rows] = await connection.query({ sql: 'SELECT @@port', rowsAsArray: true });
    return Array.isArray(rows) ? rows.flat()[0] : undefined;
  } finally {
    await connection.end();
  }
}

async function isAlive(pid: number): Promise<boolean> {
  const status = await readIfThere(`/proc/${pid}/status`);
  // A zombie is gone: whoever inherited it has not looked yet.
  return status !== undefined && !/^State:\tZ/m.test(status);
}

async function markedProcesses(sandbox: Sandbox): Promise<readonly string[]> {
  const marked: string[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await readIfThere(`/proc/${name}/environ`);
    if (environment?.includes(`FAIRLEAD_SANDBOX=${sandbox.directory}`)) marked.push(name);
  }
  return marked;
}

/** A process may end between being listed and being looked at; another user's is none of ours. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const isNotOurs =
      error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES'].includes(String(error.code));
    if (isNotOurs) return undefined;
    throw error;
  }
}

async function anySecondary(group: Group): Promise<Server> {
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  return secondary;
}

function parseHeldServer(line: string): { readonly directory: string; readonly pid: number } {
  const told: unknown = JSON.parse(line);
  if (typeof told === 'object' && told !== null && 'directory' in told && 'pid' in told) {
    const { directory, pid } = told;
    if (typeof directory === 'string' && typeof pid === 'number') return { directory, pid };
  }
  throw new TypeError(`the child said something else: ${line}`);
}
