/** Sessions that may live only so long (routes[].maxSessionAge): when they end, and when they do not. */
import t, { type Test } from 'tap';
import { judgeAge } from '../../routing/session-age.ts';
import { DataLab, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { type ScriptedServer, serveTransactions } from '../support/scripted-server.ts';
import { pause } from '../support/until.ts';

t.test(
  'sessions that were opened together end spread over the second half of the time they may live',
  async (t) => {
    const ids = Array.from({ length: 1000 }, (_, index) => 3e12 + index);
    const endingBy = (ageMs: number) => ids.filter((id) => judgeAge(ageMs, 60_000, id) !== 'young').length;
    t.equal(endingBy(29_999), 0);
    for (const [ageMs, count] of [
      [33_000, 100],
      [45_000, 500],
      [57_000, 900],
    ] as const)
      t.ok(Math.abs(endingBy(ageMs) - count) < 10, `${endingBy(ageMs)} by ${ageMs} ms`);
    t.ok(ids.every((id) => judgeAge(59_000, 60_000, id) !== 'overdue'));
    t.ok(ids.every((id) => judgeAge(60_000, 60_000, id) === 'overdue'));
    t.ok(
      ids.every((id) => judgeAge(1e12, 0, id) === 'young'),
      'without a limit for ever',
    );
  },
);

t.test(
  'an unused session ends in order; a busy one behind an answer; a transaction and a command go on',
  async (t) => {
    const { lab, server } = await openLab(t);
    lab.publish(secondaryAt(server));
    const [unused, busy, working, waiting] = await Promise.all(
      [1, 2, 3, 4].map(() => RawClient.logIn(lab.port('ro'))),
    );
    if (!unused || !busy || !working || !waiting) throw new Error('four have logged in');
    await working.command(COM_QUERY, 'BEGIN');
    waiting.send(0, Buffer.from('\x03SLEEP'));
    const startedAtMs = performance.now();
    let answers = 0;
    const keepsBusy = (async () => {
      while ((await busy.command(COM_PING)) !== null) {
        answers++;
        await pause(20);
      }
    })();
    t.equal(await unused.readPacket(), null);
    t.equal(unused.end, 'fin');
    t.ok(performance.now() - startedAtMs > MAX_AGE_MS / 2 - 50);
    await keepsBusy;
    t.ok(performance.now() - startedAtMs > MAX_AGE_MS - 50, 'it got all the time there was');
    t.ok(answers > 2, `${answers} commands meanwhile`);
    t.equal(lab.ended('max_session_age', 'ro'), 2);
    await pause(1200);
    t.ok(await working.command(COM_QUERY, 'INSERT'), 'longer than any sweep later');
    t.equal(working.end ?? waiting.end, null);
    t.ok(await working.command(COM_QUERY, 'COMMIT'), 'the OK of the COMMIT arrives');
    t.equal(await working.readPacket(), null, 'and then the end');
    t.equal(lab.ended('max_session_age', 'ro'), 3);
    for (const client of [unused, busy, working, waiting]) client.close();
    await lab.settled();
  },
);

t.test('a session that is overdue is still bounded by drain.grace when its member is demoted', async (t) => {
  const { lab, server } = await openLab(t, 'drain: { grace: 300ms }');
  const client = await RawClient.logIn(lab.port('rw'));
  await client.command(COM_QUERY, 'BEGIN');
  await pause(MAX_AGE_MS + 1200);
  t.ok(await client.command(COM_QUERY, 'INSERT'));
  lab.publish(secondaryAt(server, { primarySessions: 'drain' }));
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('member_demoted'), 1);
  client.close();
  await lab.settled();
});

async function openLab(t: Test, config = ''): Promise<{ lab: DataLab; server: ScriptedServer }> {
  const lab = await DataLab.start(t, { config, routeKeys: `maxSessionAge: ${MAX_AGE_MS}ms` });
  const server = await lab.server(t, serveTransactions);
  lab.publish(primaryAt(server));
  return { lab, server };
}

const MAX_AGE_MS = 1500;
const COM_QUERY = 3;
const COM_PING = 14;
