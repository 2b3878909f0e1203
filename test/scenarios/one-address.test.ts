/** One address for writes, one for reads, and what an operator sees of it. */
import t, { type Test } from 'tap';
import {
  ACCOUNTS,
  createAccount,
  createSandbox,
  type Group,
  missingParts,
  type Sandbox,
} from '../../src/sandbox/index.ts';
import { ask, connectTo, memberBehind, mysqlClient } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three behind one router', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });
  await (await group.primary()).query('CREATE DATABASE app');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: group.members.map(({ address }) => address),
  });
  await router.untilServing(2);

  await t.test('the RW port reaches the primary every time', (t) => oneWriter(t, sandbox, group, router));
  await t.test('the RO port reaches the secondaries in turn', (t) =>
    readersInTurn(t, sandbox, group, router),
  );
  await t.test('the facts of the server are the server’s', (t) => sameFacts(t, sandbox, group, router));
  await t.test('a write on a secondary gets the secondary’s own refusal', (t) =>
    refusedWrite(t, group, router),
  );
  await t.test('a login the server refuses gets the server’s own refusal', (t) =>
    refusedLogin(t, group, router),
  );
  await t.test('a secondary in offline mode gets no reader, and a primary in it no writer', (t) =>
    offlineMode(t, group, router),
  );
  await t.test('every session is accounted for', (t) => accounted(t, group, router));
  await t.test('the topology follows a switchover in under a second', (t) => followed(t, group, router));
  await t.test('health answers with three, one and no member', (t) => health(t, group, router));
  await t.test('SIGTERM ends it in order', async (t) => {
    t.equal(await router.stop(), 0);
    t.equal(router.events('stopped').length, 1);
  });
});

async function oneWriter(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  const primary = await group.primary();
  for (let round = 0; round < 5; round += 1) {
    t.same(await mysqlClient(sandbox, router.ports.rw, 'SELECT @@port'), [String(primary.port)]);
  }
  t.equal((await router.topology()).primary, primary.address);
}

async function readersInTurn(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  const secondaries = (await group.secondaries()).map(({ port }) => String(port));
  const seen: string[] = [];
  for (let round = 0; round < 6; round += 1) {
    seen.push(...(await mysqlClient(sandbox, router.ports.ro, 'SELECT @@port')));
  }
  t.same(new Set(seen), new Set(secondaries));
  for (const [index, port] of seen.entries()) t.not(port, seen[index - 1], 'the next one answers');
}

async function sameFacts(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  const primary = await group.primary();
  const plain = { user: 'sailor', password: 'cutter' };
  const demanding = { user: 'captain', password: 'clipper' };
  await createAccount(primary, { ...plain, plugin: 'caching_sha2_password' });
  await createAccount(primary, { ...demanding, requireTls: true });
  await group.waitUntilApplied();
  const [expected] = await primary.query("SHOW VARIABLES LIKE 'max_connections'");
  const { Value: value } = expected ?? {};
  t.equal(value, '300', 'as the sandbox sets it');
  for (const port of [router.ports.rw, router.ports.ro]) {
    for (const account of [plain, demanding]) {
      const rows = await mysqlClient(sandbox, port, "SHOW VARIABLES LIKE 'max_connections'", account);
      t.same(rows, ['max_connections\t300'], `${account.user} with the mysql client`);
      const ssl = account === demanding ? { ssl: { rejectUnauthorized: false } } : {};
      const facts = await ask(port, "SHOW VARIABLES LIKE 'max_connections'", { ...account, ...ssl });
      t.same(facts, [['max_connections', '300']], `${account.user} with mysql2`);
    }
  }
}

async function refusedWrite(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  const statement = 'CREATE TABLE app.refused (id INT PRIMARY KEY)';
  const direct = await refusalOf(secondary.port, statement);
  t.match(direct, { errno: 1290, sqlState: 'HY000' });
  const connection = await connectTo(router.ports.ro);
  t.same(await refusalOf(router.ports.ro, statement), direct, 'number, state and words are the same');
  await connection.query('SELECT 1');
  await connection.end();
}

async function refusedLogin(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const wrong = { user: 'app', password: 'wrong' };
  const direct = await refusalOf((await group.primary()).port, 'SELECT 1', wrong);
  t.match(direct, { errno: 1045, sqlState: '28000' });
  t.same(await refusalOf(router.ports.rw, 'SELECT 1', wrong), direct);
}

/** Its group says that such a member is well, and who connects is sent away. */
async function offlineMode(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const [away, other] = await group.secondaries();
  if (away === undefined || other === undefined) throw new Error('the group has no two secondaries');
  await away.query('SET GLOBAL offline_mode = ON');
  const { members } = await router.untilTopology(`${away.address} out of use`, (topology) =>
    topology.members.some(({ address, acceptsReads }) => address === away.address && !acceptsReads),
  );
  const shown = members.find(({ address }) => address === away.address);
  t.match(shown, { state: 'ONLINE', reason: 'is in offline mode' });
  for (let visit = 0; visit < 4; visit += 1) t.equal(await memberBehind(router.ports.ro), other.port);
  await away.query('SET GLOBAL offline_mode = OFF');
  await router.untilServing(2);

  const primary = await group.primary();
  await primary.query('SET GLOBAL offline_mode = ON');
  await router.untilTopology('no primary', (topology) => topology.primary === null);
  const waiting = memberBehind(router.ports.rw);
  await primary.query('SET GLOBAL offline_mode = OFF');
  t.equal(await waiting, primary.port, 'who comes meanwhile waits');
  await router.untilServing(2);
}

async function accounted(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const before = await router.metric('fairlead_sessions_accepted_total', { route: 'rw' });
  const connections = await Promise.all(Array.from({ length: 5 }, () => connectTo(router.ports.rw)));
  await Promise.all(connections.map((connection) => connection.query('SELECT 1')));
  t.equal(await router.metric('fairlead_sessions_accepted_total', { route: 'rw' }), before + 5);
  t.equal(await router.metric('fairlead_sessions_open', { route: 'rw' }), 5);
  const { address } = await group.primary();
  t.equal(await router.metric('fairlead_member_sessions_open', { member: address }), 5);
  await Promise.all(connections.map((connection) => connection.end()));
  await router.untilTopology('nothing new', () => true);
  const ended = await router.metric('fairlead_sessions_ended_total', {
    route: 'rw',
    reason: 'server_refused',
  });
  t.equal(ended, 1, 'the login that was refused');
  t.equal(await router.metric('fairlead_server_errors_total', { number: '1290' }), 1);
  t.equal(await router.metric('fairlead_sessions_refused_total'), 0, 'the router itself refused nobody');
}

async function followed(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const [next] = await group.secondaries();
  if (next === undefined) throw new Error('the group has no secondary');
  await group.setPrimary(next);
  const startedAtMs = performance.now();
  await router.untilTopology(`${next.address} as primary`, ({ primary }) => primary === next.address, 1000);
  t.comment(`followed ${(performance.now() - startedAtMs).toFixed(0)} ms after the group had switched`);
  t.equal(await memberBehind(router.ports.rw), next.port);
  t.match(router.events('primary_changed').at(-1), { primary: next.address });
  const { members } = await router.topology();
  const roles = members.map(({ role }) => role).toSorted();
  t.same(roles, ['PRIMARY', 'SECONDARY', 'SECONDARY']);
}

async function health(t: Test, group: Group, router: RouterProcess): Promise<void> {
  t.match(await router.get('/livez'), { status: 200, body: /ok/ });
  t.match(await router.get('/readyz'), { status: 200 });
  t.match(await router.get('/readyz?verbose'), {
    body: /route rw: ok, candidates: 1\nroute ro: ok, candidates: 3/,
  });

  // In good order: the last one is a group of its own, with a quorum of one.
  const secondaries = await group.secondaries();
  await Promise.all(secondaries.map((server) => server.query('STOP GROUP_REPLICATION')));
  await Promise.all(secondaries.map((server) => server.kill()));
  const primary = await group.primary();
  await router.untilTopology('one member', ({ members }) => members.filter(isUsed).length === 1);
  t.match(await router.get('/livez'), { status: 200 });
  t.match(await router.get('/readyz'), { status: 200 });
  t.equal(await memberBehind(router.ports.rw), primary.port);
  t.equal(await memberBehind(router.ports.ro), primary.port, 'without a secondary, reads go to the primary');

  await primary.kill();
  await router.untilTopology(
    'no member',
    ({ primary, members }) => primary === null && !members.some(isUsed),
  );
  t.match(await router.get('/livez'), { status: 200 }, 'it lives');
  t.match(await router.get('/readyz'), { status: 503, body: /not ready/ });
  t.equal(await router.metric('fairlead_topology_has_primary'), 0);
  t.equal(await router.metric('fairlead_route_listening'), 2, 'and still listens');
}

function isUsed(member: { readonly acceptsReads: boolean; readonly acceptsWrites: boolean }): boolean {
  return member.acceptsReads || member.acceptsWrites;
}

/** The error a statement gets, as the client sees it. */
async function refusalOf(
  port: number,
  sql: string,
  account: { readonly user: string; readonly password: string } = ACCOUNTS.app,
): Promise<unknown> {
  try {
    await ask(port, sql, account);
  } catch (error) {
    if (error instanceof Error && 'errno' in error && 'sqlState' in error) {
      return { errno: error.errno, sqlState: error.sqlState, message: error.message };
    }
    throw error;
  }
  throw new Error(`no refusal of ${sql}`);
}
