/** Members that only DNS knows: servers without a group, as SRV records of a name come and go. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createSandbox, missingParts, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { memberBehind } from '../support/clients.ts';
import { Knot } from '../support/knot.ts';
import { countedByName, failuresOf, membersOf, Visitors } from '../support/load.ts';
import { RouterProcess } from '../support/router-process.ts';
import { ScriptedMember } from '../support/scripted-member.ts';

const missing = await missingParts('knot');

t.test('members that only DNS knows', { skip: missing }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const knot = await Knot.create(sandbox, 'db.example');
  const members = await Promise.all([0, 1, 2, 3, 4].map((index) => ScriptedMember.start(index, index > 0)));
  t.teardown(() => Promise.all(members.map((member) => member.close())));
  const publish = (count: number, ...more: readonly string[]) =>
    knot.setRecords(...recordsOf(members.slice(0, count)), ...more);
  await publish(3);
  const stateFile = join(sandbox.directory, 'members.json');
  const start = () =>
    RouterProcess.start(t, sandbox, {
      seeds: ['srv://db.example.?targetPrefix=m'],
      flags: [
        ...[`--dns-servers=${knot.server}`, '--dns-srv-interval=200ms', '--dns-timeout=200ms', '--threads=1'],
        ...[`--cluster-state-file=${stateFile}`, '--hold-timeout=20s'],
      ],
    });
  const router = await start();
  await router.untilServing(2);

  await t.test('three become five and three again under load', async (t) => {
    const readers = Visitors.start(t, router.ports.ro, 40);
    const writers = Visitors.start(t, router.ports.rw, 40);
    await publish(5);
    const grownAtMs = performance.now();
    await router.untilServing(4);
    await untilVisited(readers, members.map(({ port }) => port).slice(1));
    t.comment(`new members serve ${(performance.now() - grownAtMs).toFixed(0)} ms after their records`);
    await publish(3);
    const shrunkAtMs = performance.now();
    await router.untilServing(2);
    const givenUpAtMs = performance.now();
    t.comment(`former ones get nobody new ${(givenUpAtMs - shrunkAtMs).toFixed(0)} ms after`);
    await untilVisited(readers, [members[1]?.port ?? 0, members[2]?.port ?? 0]);
    const visits = [...(await readers.stop()), ...(await writers.stop())];
    t.equal(countedByName(failuresOf(visits)), 'none', 'nobody noticed');
    const later = membersOf(visits.filter(({ atMs }) => atMs > givenUpAtMs));
    t.notOk(
      later.has(members[3]?.port ?? 0) || later.has(members[4]?.port ?? 0),
      'those who left serve nobody new',
    );
    t.equal((await router.topology()).primary, `m0.db.example:${members[0]?.port}`);
  });

  await t.test('a record of somebody else, by the prefix of its target, is none', async (t) => {
    const [stranger] = members.slice(4);
    await publish(3, `_mysql._tcp 1 SRV 0 0 ${stranger?.port} other`, 'other 1 A 127.0.0.1');
    const asked = await router.metric('fairlead_discovery_answers_total');
    await waitFor({ what: 'another answer', timeoutMs: 10_000 }, async () =>
      (await router.metric('fairlead_discovery_answers_total')) > asked + 1 ? true : undefined,
    );
    t.equal((await router.topology()).members.filter(({ acceptsReads }) => acceptsReads).length, 3);
  });

  await t.test('a router that starts without DNS goes by what was kept', (t) =>
    startsWithoutDns(t, { sandbox, knot, members, stateFile, router, start }),
  );
});

type Lab = {
  readonly sandbox: Sandbox;
  readonly knot: Knot;
  readonly members: readonly ScriptedMember[];
  readonly stateFile: string;
  readonly router: RouterProcess;
  start(): Promise<RouterProcess>;
};

async function startsWithoutDns(t: Test, { knot, members, stateFile, router, start }: Lab): Promise<void> {
  await router.stop();
  t.ok(existsSync(stateFile));
  t.notMatch(readFileSync(stateFile, 'utf8'), /router-secret|password/);
  await knot.stop();
  const cold = await start();
  await cold.untilServing(2);
  t.equal(await memberBehind(cold.ports.rw), members[0]?.port);
  t.match(await cold.get('/api/v1/topology'), { body: /"kind":"state-file"/ });
  await knot.start();
  await waitFor({ what: 'DNS to be asked instead', timeoutMs: 20_000 }, async () =>
    /"kind":"state-file"/.test((await cold.get('/api/v1/topology')).body) ? undefined : true,
  );
  await cold.untilServing(2);
  t.equal(await memberBehind(cold.ports.rw), members[0]?.port);
}

function recordsOf(members: readonly ScriptedMember[]): readonly string[] {
  return members.flatMap(({ port }, index) => [
    `_mysql._tcp 1 SRV 0 0 ${port} m${index}`,
    `m${index} 1 A 127.0.0.1`,
  ]);
}

async function untilVisited(visitors: Visitors, ports: readonly number[]): Promise<void> {
  const sinceMs = performance.now();
  await waitFor({ what: `visitors on ${ports.join()}`, timeoutMs: 15_000 }, async () => {
    const seen = membersOf(visitors.visits.filter(({ atMs }) => atMs > sinceMs));
    return ports.every((port) => seen.has(port)) ? true : undefined;
  });
}
