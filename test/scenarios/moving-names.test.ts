/** Names that do not resolve yet, move to another server, and name servers that fail: two single servers, one router. */
import t, { type Test } from 'tap';
import { createSandbox, missingParts, type Server, waitFor } from '../../src/sandbox/index.ts';
import { connectTo, memberBehind } from '../support/clients.ts';
import { Knot } from '../support/knot.ts';
import { relayAt } from '../support/relay.ts';
import { RouterProcess } from '../support/router-process.ts';

const missing = await missingParts('mysql', 'knot');

t.test('a database behind a name', { skip: missing }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const [first, second] = await Promise.all([sandbox.startServer(), sandbox.startServer()]);
  const [port = 0] = await sandbox.reservePorts(1);
  const relays = [
    await relayAt('127.0.0.21', port, first.port),
    await relayAt('127.0.0.22', port, second.port),
  ] as const;
  t.teardown(() => {
    for (const relay of relays) relay.close();
  });
  const knot = await Knot.create(sandbox, 'db.example');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [`app.db.example:${port}`],
    flags: [`--dns-servers=${knot.server}`, '--dns-timeout=200ms', '--hold-timeout=30s', '--threads=1'],
  });
  const lab: Lab = { knot, router, first, second, port };

  await t.test('the router starts before the name exists, and clients wait for it', (t) =>
    resolvesLater(t, lab),
  );
  await t.test('the name moves to another server, and the router follows it', (t) => moves(t, lab));
  await t.test('the name server hangs, fails and dies, and nothing changes', (t) => fails(t, lab));
  await t.test('a name becomes several, and one of them another cluster', (t) => becomesSeveral(t, lab));
});

type Lab = {
  readonly knot: Knot;
  readonly router: RouterProcess;
  readonly first: Server;
  readonly second: Server;
  readonly port: number;
};

async function resolvesLater(t: Test, { knot, router, first, port }: Lab): Promise<void> {
  await router.untilTopology(
    'the name as a member',
    ({ members }) =>
      members[0]?.address === `app.db.example:${port}` && members[0].reason !== 'not heard of yet',
  );
  t.match(await router.get('/livez'), { status: 200 });
  t.match(await router.get('/readyz'), { status: 503 });
  const waiting = [1, 2, 3].map(() => memberBehind(router.ports.rw, { connectTimeout: 30_000 }));
  await waitFor({ what: 'clients to wait', timeoutMs: 10_000 }, async () =>
    (await router.metric('fairlead_sessions_held')) === 3 ? true : undefined,
  );
  await knot.setRecords('app 1 A 127.0.0.21');
  t.same(await Promise.all(waiting), [first.port, first.port, first.port]);
  t.match(await router.get('/readyz'), { status: 200 });
}

async function moves(t: Test, { knot, router, first, second }: Lab): Promise<void> {
  const before = await connectTo(router.ports.rw);
  const ended = new Promise((resolve) => before.once('error', resolve));
  // As in a cloud: the name is an alias, and the alias changes.
  await knot.setRecords('app 1 CNAME instance-2', 'instance-2 1 A 127.0.0.22');
  const movedAtMs = performance.now();
  await waitFor({ what: 'a client on the second server', timeoutMs: 15_000, intervalMs: 50 }, async () =>
    (await memberBehind(router.ports.rw)) === second.port ? true : undefined,
  );
  t.comment(`followed after ${(performance.now() - movedAtMs).toFixed(0)} ms, of a time to live of 1 s`);
  await ended;
  t.pass('a session that was open on the former server ends');
  t.ok(first.isRunning, 'though that one still runs, and would still take writes');
  t.equal((await router.topology()).members[0]?.id, second.uuid);
  t.ok(router.events('member_moved').length > 0);
}

async function fails(t: Test, { knot, router, second }: Lab): Promise<void> {
  const before = await router.topology();
  const steady = await connectTo(router.ports.rw);
  const isServed = async (what: string) => t.equal(await memberBehind(router.ports.rw), second.port, what);
  const failures = () => router.metric('fairlead_discovery_failures_total');
  const untilFailure = async (known: number) =>
    waitFor({ what: 'a question that fails', timeoutMs: 15_000 }, async () =>
      (await failures()) > known ? true : undefined,
    );
  let known = await failures();
  knot.signal('SIGSTOP');
  await untilFailure(known);
  await isServed('the name server hangs');
  knot.signal('SIGCONT');
  await knot.setRecords();
  known = await failures();
  await untilFailure(known);
  await isServed('the name does not exist');
  await knot.stop();
  known = await failures();
  await untilFailure(known);
  await isServed('there is no name server');
  t.same(await router.topology(), before, 'no new topology');
  const [rows] = await steady.query({ sql: 'SELECT @@port', rowsAsArray: true });
  t.same(rows, [[second.port]], 'a session that was open goes on');
  await steady.end();
  await knot.start();
}

/** Two servers that do not know each other and are both writable: neither may be written to. */
async function becomesSeveral(t: Test, { knot, router, first, second, port }: Lab): Promise<void> {
  await first.query('SET GLOBAL super_read_only = 1');
  await knot.setRecords('app 1 A 127.0.0.22', 'app 1 A 127.0.0.21');
  const both = await router.untilTopology(
    'two members',
    ({ members, primary }) =>
      members.length === 2 && primary !== null && members.every((m) => m.acceptsReads),
  );
  t.equal(both.primary, `127.0.0.22:${port}`);
  t.same(
    new Set(both.members.map(({ id }) => id)),
    new Set([first.uuid, second.uuid]),
    'the member that had the name is one of them',
  );
  await knot.setRecords('app 1 A 127.0.0.21');
  await router.untilTopology(
    'the other to be given up',
    ({ primary, members }) => primary === null && members.some(({ reason }) => /no source/.test(reason)),
  );
  await first.query('SET GLOBAL super_read_only = 0');
  await first.query('SET GLOBAL read_only = 0');
  await router.untilTopology('the one that is left', ({ primary }) => primary === `127.0.0.21:${port}`);
  t.equal(await memberBehind(router.ports.rw), first.port);
}
