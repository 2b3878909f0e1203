/** Writing goes on while members lag, die, return, and all become primaries. */
import t, { type Test } from 'tap';
import { ACCOUNTS, type Group, missingParts, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { ask, connectTo, memberBehind, mysqlClient } from '../support/clients.ts';
import { countedByName, failuresOf, membersOf, Visitors, Writers } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { startServingGroup } from '../support/serving-group.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three behind one router', { skip: noMysql }, async (t) => {
  const { sandbox, group, router } = await startServingGroup(t);

  await t.test('members catch up with steady writing', (t) => steadyWriting(t, group, router));
  await t.test('a read sees what was committed before it, where its route says so', (t) =>
    consistentReads(t, sandbox, group),
  );
  await t.test('a killed primary is survived by the same address', (t) => byHand(t, sandbox, group, router));
  await t.test('a group becomes multi-primary and single-primary again', (t) =>
    multiPrimary(t, group, router),
  );
});

async function steadyWriting(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const writers = Writers.start(t, router.ports.rw, 2);
  const counts = new Map<number, number[]>();
  await waitFor({ what: '200 rows', timeoutMs: 20_000, intervalMs: 20 }, async () => {
    const [row] = await ask(router.ports.ro, 'SELECT @@port, COUNT(*) FROM app.writes');
    const [member, count] = (row ?? []).map(Number);
    if (member !== undefined && count !== undefined)
      counts.set(member, [...(counts.get(member) ?? []), count]);
    return writers.acknowledged.length >= 200 ? true : undefined;
  });
  await writers.stop();
  t.same(writers.clients.errors, [], 'no write failed');
  t.equal(counts.size, 2, 'both secondaries were watched');
  for (const [member, seen] of counts) {
    t.same(
      seen,
      seen.toSorted((a, b) => a - b),
      `${member} only ever catches up`,
    );
    t.ok((seen.at(-1) ?? 0) > (seen[0] ?? 0), `${member} has followed: ${seen[0]} to ${seen.at(-1)}`);
  }
  await group.waitUntilApplied();
  for (let round = 0; round < 2; round += 1) {
    t.same(await ask(router.ports.ro, 'SELECT COUNT(*) FROM app.writes'), [[writers.acknowledged.length]]);
  }
}

async function consistentReads(t: Test, sandbox: Sandbox, group: Group): Promise<void> {
  const router = await RouterProcess.start(t, sandbox, {
    seeds: group.members.map(({ address }) => address),
    flags: [
      '--tls-client-ssl-mode=preferred',
      '--route=name=fresh,listen=127.0.0.1:0,role=secondary,consistency=before',
    ],
  });
  await router.untilServing(2);
  const fresh = router.events('route_listening').find(({ route }) => route === 'fresh')?.port ?? 0;
  await ask(router.ports.rw, 'CREATE TABLE app.seen (id INT PRIMARY KEY)');
  for (const ssl of [undefined, { rejectUnauthorized: false }]) {
    const options = ssl === undefined ? {} : { ssl };
    const [writer, reader] = await Promise.all([
      connectTo(router.ports.rw, options),
      connectTo(fresh, options),
    ]);
    const consistency = async () => (await reader.query(CONSISTENCY))[0];
    t.same(await consistency(), [{ consistency: 'BEFORE' }]);
    for (let id = 0; id < 20; id++) {
      await writer.query('REPLACE INTO app.seen VALUES (?)', [id]);
      const [rows] = await reader.query('SELECT COUNT(*) AS count FROM app.seen WHERE id = ?', [id]);
      t.same(rows, [{ count: 1 }]);
    }
    await reader.changeUser({ ...ACCOUNTS.app });
    t.same(await consistency(), [{ consistency: 'BEFORE' }], 'also as another user');
    await reader.reset();
    t.same(await consistency(), [{ consistency: 'BEFORE' }], 'and after a reset');
    await Promise.all([writer.end(), reader.end()]);
  }
  t.equal(await router.metric('fairlead_tracker_gave_up_total'), 0);
  await ask(router.ports.rw, 'DROP TABLE app.seen');
  t.equal(await router.stop(), 0);
}

async function byHand(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  const run = (sql: string) => mysqlClient(sandbox, router.ports.rw, sql);
  await run('CREATE DATABASE test; CREATE TABLE test.test (id INT PRIMARY KEY)');
  for (const id of [1, 2, 3]) await run(`INSERT INTO test.test VALUES (${id})`);
  const former = await group.primary();
  await former.kill();
  const killedAtMs = performance.now();
  for (const id of [4, 5, 6]) {
    await run(`INSERT INTO test.test VALUES (${id})`);
    t.comment(
      `${id} inserted ${(performance.now() - killedAtMs).toFixed(0)} ms after the primary was killed`,
    );
  }
  t.equal(await router.metric('fairlead_sessions_refused_total'), 0, 'no client was refused');
  t.ok((await router.metric('fairlead_holds_ended_total', { route: 'rw', result: 'served' })) >= 1);
  const { primary, members } = await router.topology();
  t.not(primary, former.address);
  t.equal(members.find(({ address }) => address === former.address)?.acceptsReads ?? false, false);

  await group.rejoin(former);
  await router.untilServing(2);
  const back = (await router.topology()).members.find(({ address }) => address === former.address);
  t.match(back, { role: 'SECONDARY', state: 'ONLINE', id: former.uuid });
  await group.waitUntilApplied();
  const rows = await former.query('SELECT id FROM test.test ORDER BY id');
  t.same(
    rows,
    [1, 2, 3, 4, 5, 6].map((id) => ({ id })),
    'the old primary holds all six',
  );
  const readers = new Set<number>();
  for (let round = 0; round < 4; round += 1) readers.add(await memberBehind(router.ports.ro));
  t.ok(readers.has(former.port), 'and serves reads');
}

async function multiPrimary(t: Test, group: Group, router: RouterProcess): Promise<void> {
  const before = await group.primary();
  const { pid } = router;
  const writers = Writers.start(t, router.ports.rw, 2);
  const visitors = Visitors.start(t, router.ports.rw, 50);
  const writtenBefore = writers.acknowledged.length;
  await group.switchToMultiPrimary();
  const all = await router.untilTopology(
    'three primaries',
    ({ mode, members }) => mode === 'multi-primary' && members.every(({ acceptsWrites }) => acceptsWrites),
  );
  t.same(
    all.members.map(({ role }) => role),
    ['PRIMARY', 'PRIMARY', 'PRIMARY'],
  );
  t.equal(all.primary, before.address, 'writes stay where they were');
  await waitFor({ what: 'more writes', timeoutMs: 20_000 }, async () =>
    writers.acknowledged.length > writtenBefore + 50 ? true : undefined,
  );
  t.same(membersOf(await visitors.stop()), new Set([before.port]), 'and every client reaches the one');
  t.same(failuresOf(visitors.visits), []);

  const next = group.members.find((member) => member !== before) ?? before;
  await group.switchToSinglePrimary(next);
  const single = await router.untilTopology(
    `${next.address} as the only primary`,
    ({ mode, primary }) => mode === 'single-primary' && primary === next.address,
  );
  t.same(
    single.members.filter(({ acceptsWrites }) => acceptsWrites).map(({ address }) => address),
    [next.address],
  );
  await waitFor({ what: 'writes on the new one', timeoutMs: 20_000 }, async () => {
    const last = writers.acknowledged.at(-1);
    return last !== undefined && last.atMs > performance.now() - 100 ? true : undefined;
  });
  await writers.stop();
  t.comment(`errors of two writers: ${countedByName(writers.clients.errorNames)}`);
  t.ok(writers.clients.mostErrorsOfOne <= 2, 'a writer had at most two errors');
  await router.untilServing(2);
  t.equal(await memberBehind(router.ports.rw), next.port);
  t.ok(router.isRunning);
  t.equal(router.pid, pid, 'the router has not been restarted');
}

const CONSISTENCY = 'SELECT @@session.group_replication_consistency AS consistency';
