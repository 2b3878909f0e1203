/** The time of day of the router's machine is set while it works. Whatever it decides by goes on evenly. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createSandbox, missingParts, waitFor } from '../../src/sandbox/index.ts';
import { libraryDirectory } from '../../src/sandbox/part-definition.ts';
import { requirePart } from '../../src/sandbox/parts.ts';
import { memberBehind } from '../support/clients.ts';
import { failuresOf, Visitors } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { ScriptedMember } from '../support/scripted-member.ts';

const missing = await missingParts('faketime');
const HOUR_MS = 3_600_000;

t.test('a router whose clock jumps', { skip: missing }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const [primary, ...secondaries] = await Promise.all(
    [0, 1, 2].map((index) => ScriptedMember.start(index, index > 0)),
  );
  const [, silent] = secondaries;
  if (primary === undefined || silent === undefined) throw new Error('there are three');
  const members = [primary, ...secondaries];
  t.teardown(() => Promise.all(members.map((member) => member.close())));
  const offset = join(sandbox.directory, 'offset');
  await writeFile(offset, '+0\n');
  const { root } = await requirePart('faketime', () => undefined);
  const library = join(libraryDirectory(root), 'faketime', 'libfaketimeMT.so.1');
  t.ok(existsSync(library), 'the library is where it is looked for');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: members.map(({ port }) => `127.0.0.1:${port}`),
    flags: [
      ...['--threads=1', '--hold-timeout=60s'],
      // A machine that is busy is no news of a member.
      ...['--probe-timeout=20s', '--probe-confirmation-ttl=60s'],
    ],
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_NO_CACHE: '1',
      // As the kernel has it: who sets the time of day does not touch the monotonic clock.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  });
  /** Returns when the router's own page shows the time of day that is an hour times `hours` away from the right one. */
  const setClock = async (hours: -1 | 0 | 1) => {
    await writeFile(offset, hours === 0 ? '+0\n' : hours > 0 ? '+1h\n' : '-1h\n');
    await waitFor({ what: `a clock ${hours} h away`, timeoutMs: 20_000 }, async () => {
      const [, shown = ''] = /<time datetime="([^"]+)"/.exec((await router.get('/')).body) ?? [];
      return Math.abs(Date.parse(shown) - Date.now() - hours * HOUR_MS) < HOUR_MS / 4 ? true : undefined;
    });
  };
  const settled = await router.untilServing(2);

  await t.test('keeps routing, and decides nothing for it', async (t) => {
    const visitors = [router.ports.rw, router.ports.ro].map((port) => Visitors.start(t, port, 50));
    for (const hours of [1, -1, 0] as const) {
      await setClock(hours);
      await untilVisitedAgain(visitors);
    }
    for (const each of visitors) t.same(failuresOf(await each.stop()), []);
    t.equal((await router.topology()).version, settled.version, 'nothing was published');
  });

  await t.test('holds clients for as long as it should', async (t) => {
    primary.isReadOnly = true;
    await router.untilTopology('no primary', (topology) => topology.primary === null);
    const outcomes: string[] = [];
    const waiting = memberBehind(router.ports.rw).then(
      (port) => outcomes.push(port === primary.port ? 'served' : 'elsewhere'),
      (error: unknown) => outcomes.push(String(error)),
    );
    await waitFor({ what: 'a held client', timeoutMs: 10_000 }, async () =>
      (await router.metric('fairlead_sessions_held')) > 0 ? true : undefined,
    );
    for (const hours of [1, -1] as const) await setClock(hours);
    t.same(outcomes, [], 'it still waits');
    primary.isReadOnly = false;
    await waiting;
    t.same(outcomes, ['served']);
  });

  await t.test('lets a member out of quarantine when it is well again', (t) =>
    readmit(t, router, silent, setClock),
  );
});

async function readmit(
  t: Test,
  router: RouterProcess,
  silent: ScriptedMember,
  setClock: (hours: -1 | 0 | 1) => Promise<void>,
): Promise<void> {
  await setClock(1);
  const countOf = (kind: string) =>
    router.events(kind).filter(({ member }) => member === `127.0.0.1:${silent.port}`).length;
  const before = countOf('member_quarantined');
  silent.greets = false;
  const visitors = Visitors.start(t, router.ports.ro, 50);
  await waitFor({ what: 'a quarantine', timeoutMs: 30_000 }, async () =>
    countOf('member_quarantined') > before ? true : undefined,
  );
  await setClock(-1);
  silent.greets = true;
  await waitFor({ what: 'its end', timeoutMs: 30_000 }, async () =>
    countOf('member_readmitted') === countOf('member_quarantined') ? true : undefined,
  );
  t.same(failuresOf(await visitors.stop()), [], 'no client noticed');
}

async function untilVisitedAgain(visitors: readonly Visitors[]): Promise<void> {
  const before = visitors.map(({ visits }) => visits.length);
  await waitFor({ what: 'visitors', timeoutMs: 20_000 }, async () =>
    visitors.every(({ visits }, index) => visits.length > (before[index] ?? 0) + 5) ? true : undefined,
  );
}
