/** A hundred members: what they cost is counted in decisions, since times say more of the machine than of the router. */
import t from 'tap';
import { waitFor } from '../../src/sandbox/index.ts';
import { ScriptedMember } from '../support/scripted-member.ts';
import { startPlane } from './peers.ts';

t.test('a hundred members that have nothing new to say are decided hardly ever', async (t) => {
  const members = await Promise.all(
    Array.from({ length: 100 }, (_, index) => ScriptedMember.start(index, index > 0)),
  );
  t.teardown(() => Promise.all(members.map((member) => member.close())));
  const { plane, until, published, decisions, confirmations } = startPlane({
    seeds: members.map(({ port }) => ['127.0.0.1', port]),
    // A machine that is busy is no news of a member.
    probe: { timeoutMs: 30_000, confirmationTtlMs: 120_000 },
    metadata: { intervalMs: 600_000 },
  });
  t.teardown(() => plane.close());
  const answers = () => [...plane.memberProbes().values()].map(({ lastAnswerAtMs }) => lastAnswerAtMs ?? 0);
  await until('all of them', (topology) => topology.members.every(({ acceptsReads }) => acceptsReads));
  const settled = published.length;

  await t.test('while nothing happens', async (t) => {
    // What they tell beside who they are comes a moment later, and is news once.
    const made = await waitFor({ what: 'a second without decisions', timeoutMs: 60_000 }, async () => {
      const first = decisions();
      const before = Math.max(...answers());
      await waitFor({ what: 'answers of all for a second', timeoutMs: 30_000 }, async () =>
        answers().every((atMs) => atMs > before + 1000) ? true : undefined,
      );
      return decisions() - first <= 1 ? decisions() - first : undefined;
    });
    t.comment(`${made} decisions in a second`);
    t.equal(published.length, settled, 'and nothing is published');
    const before = confirmations() - decisions();
    await waitFor(
      { what: 'a word that all still stands, without a decision', timeoutMs: 60_000 },
      async () => (confirmations() - decisions() > before ? true : undefined),
    );
  });

  await t.test('when one of them changes', async (t) => {
    const [primary, heir] = members;
    if (primary === undefined || heir === undefined) throw new Error('there are a hundred');
    const [address, next] = [primary, heir].map(({ port }) => `127.0.0.1:${port}`);
    const first = decisions();
    const sinceMs = performance.now();
    primary.isReadOnly = true;
    plane.signal({ kind: 'server-error', address: address ?? '', memberId: '', errorNumber: 1290 });
    await until('no primary', (topology) => topology.primary === null);
    heir.isReadOnly = false;
    await until('the heir', (topology) => topology.primary === next);
    // In doubt what is only repeated counts, too: in batches of 10 ms.
    const most = (performance.now() - sinceMs) / 10;
    t.comment(`${decisions() - first} decisions in ${(10 * most).toFixed(0)} ms`);
    t.ok(decisions() - first <= most + 10);
    t.equal(published.length, settled + 2, 'each change is published once');
  });

  await t.test('all of them at once', async (t) => {
    const first = decisions();
    for (const member of members.slice(2)) member.isReadOnly = false;
    await until('as many alarms', ({ alarms }) =>
      alarms.some((alarm) => /99 servers are writable/.test(alarm)),
    );
    t.comment(`${decisions() - first} decisions for 98 changes`);
    t.ok(
      plane.topology().members.every(({ acceptsWrites }) => !acceptsWrites),
      'and none takes writes',
    );
  });
});
