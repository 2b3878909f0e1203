/** The control plane on a real group. Times are printed, and judged loosely: the machine may be busy. */
import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import t, { type Test } from 'tap';
import type { Topology } from '../../routing/topology.ts';
import {
  ACCOUNTS,
  createAccount,
  createSandbox,
  type Group,
  missingParts,
  type Sandbox,
  type Server,
} from '../../src/sandbox/index.ts';
import { controlConfig, startPlane } from './peers.ts';

const noMysql = await missingParts('mysql');

t.test('a group of three', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });

  await t.test('one seed is enough to find the others', (t) => oneSeed(t, group));
  await t.test('a switchover is published', (t) => switchover(t, group));
  await t.test('a group goes multi-primary and back', (t) => multiPrimary(t, group));
  await t.test('a wrong password is told once, without the password, and a reload mends it', (t) =>
    wrongPassword(t, group),
  );
  await t.test('a reload that begins to ask members', (t) => staticAndBack(t, group));
  await t.test('accounts with less than the usual rights', (t) => weakAccounts(t, group));
  await t.test('a member of another group is not used', (t) => foreignMember(t, sandbox, group));
  await t.test('the primary is found behind an address that leads to all of them', (t) => balancer(t, group));
  await t.test('a secondary that hangs for a while loses nothing', (t) => frozenSecondary(t, group));
  await t.test('a killed primary is replaced, and a group without quorum offers nothing', (t) =>
    killedPrimary(t, group),
  );
});

t.test('a server without a group', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer();
  await server.query("INSTALL PLUGIN group_replication SONAME 'group_replication.so'");
  const { plane, until, untilEvent } = startPlane({ seeds: [[server.host, server.port]] });
  t.teardown(() => plane.close());
  const topology = await until('writes', ({ primary }) => primary === server.address);
  // A server that has lost a plugin is asked anew what it is, on the session that is open.
  await server.query('UNINSTALL PLUGIN group_replication');
  await untilEvent('member_does_not_answer', /group_replication/);
  await untilEvent('member_answers');
  t.match(topology.members, [{ id: server.uuid, state: 'ONLINE', role: 'PRIMARY', acceptsReads: true }]);
  t.equal(topology.groupName, null);
  await server.query('SET GLOBAL super_read_only = ON');
  const readOnly = await until('no writes', ({ primary }) => primary === null);
  t.match(readOnly.members, [{ role: 'SECONDARY', acceptsReads: true, primarySessions: 'drain' }]);
  await server.query('SET GLOBAL super_read_only = OFF');
  await server.query('SET GLOBAL read_only = OFF');
  await until('writes again', ({ primary }) => primary === server.address);
  await server.restart();
  await until(
    'writes after a restart',
    ({ primary, members }) => primary !== null && members[0]?.reason === '',
  );
});

async function oneSeed(t: Test, group: Group): Promise<void> {
  const seed = await oneSecondary(group);
  const { plane, until, published } = startPlane({ seeds: [[seed.host, seed.port]] });
  t.teardown(() => plane.close());
  const primary = await group.primary();
  const topology = await until('all three', isWhole);
  t.equal(topology.primary, primary.address);
  t.equal(topology.groupName, group.name);
  t.equal(topology.mode, 'single-primary');
  t.equal(topology.members[0]?.address, seed.address, 'seeds come first');
  t.strictSame(new Set(topology.members.map(({ id }) => id)), new Set(group.members.map(({ uuid }) => uuid)));
  t.equal(new Set(topology.members.map(({ slot }) => slot)).size, 3, 'each has a slot of its own');
  t.match(topology.members[0]?.version, /^\d+\.\d+\.\d+/);
  t.strictSame(
    published.map(({ version }) => version),
    published.map((_, index) => index + 1),
  );
  // A settled group is published once; probes go on.
  const versions = published.length;
  const answeredAtMs = plane.memberProbes().get(seed.address)?.lastAnswerAtMs ?? 0;
  await until(
    'more answers',
    () => (plane.memberProbes().get(seed.address)?.lastAnswerAtMs ?? 0) > answeredAtMs + 600,
  );
  t.equal(published.length, versions);
}

async function switchover(t: Test, group: Group): Promise<void> {
  const { plane, until, published, publishedAtMs } = startPlane({ seeds: seedsOf(group) });
  t.teardown(() => plane.close());
  await until('all three', isWhole);
  for (const how of ['without a signal', 'with a signal'] as const) {
    for (let round = 0; round < 3; round++) {
      await until('the usual pace', () => performance.now() > publishedAtMs() + 400);
      const target = await oneSecondary(group);
      const first = published.length;
      await target.query('SELECT group_replication_set_as_primary(?)', [target.uuid]);
      const completedAtMs = performance.now();
      if (how === 'with a signal') {
        plane.signal({ kind: 'server-error', address: '', memberId: '', errorNumber: 1290 });
      }
      await until(`writes on ${target.name}`, ({ primary }) => primary === target.address);
      const delayMs = publishedAtMs() - completedAtMs;
      t.comment(`${how}: published ${delayMs.toFixed(1)} ms after set_as_primary returned`);
      t.ok(delayMs < 5000);
      t.ok(published.slice(first).every(offersAtMostOne), 'never two at once');
      await until('the group at rest', isWhole);
    }
  }
}

async function multiPrimary(t: Test, group: Group): Promise<void> {
  const { plane, until } = startPlane({ seeds: seedsOf(group) });
  t.teardown(() => plane.close());
  const { primary } = await until('all three', isWhole);
  await group.switchToMultiPrimary();
  const multi = await until('three primaries', ({ members }) =>
    members.every((member) => member.acceptsWrites),
  );
  t.equal(multi.mode, 'multi-primary');
  t.equal(multi.primary, primary, 'writers stay where they are');
  const [, target] = group.members;
  if (target === undefined) throw new Error('the group has three members');
  await group.switchToSinglePrimary(target);
  const single = await until(
    'one primary',
    (topology) => topology.mode === 'single-primary' && isWhole(topology),
  );
  t.equal(single.primary, target.address);
  t.ok(offersAtMostOne(single));
}

async function wrongPassword(t: Test, group: Group): Promise<void> {
  const password = 'not-the-password';
  const { plane, lines, until, untilEvent } = startPlane({ seeds: seedsOf(group), password });
  t.teardown(() => plane.close());
  const [member] = group.members;
  const event = await untilEvent(
    'member_does_not_answer',
    new RegExp(`${member?.address}: .*'router'.*denied`, 'i'),
  );
  t.match(event.fields, { member: member?.address, failure: 'access-denied', error_number: 1045 });
  const topology = await until('everyone heard', ({ alarms }) =>
    alarms.some((alarm) => alarm.startsWith('no member can be asked: the monitoring account')),
  );
  t.equal(topology.primary, null);
  plane.reload(controlConfig({ seeds: seedsOf(group) }));
  await until('all three', isWhole);
  await untilEvent('member_answers');
  t.equal(
    lines.filter((line) => /member_does_not_answer.*access-denied/.test(line)).length,
    3,
    'one line for each member',
  );
  t.notMatch(lines.join(''), password);
  t.notMatch(lines.join(''), ACCOUNTS.router.password);
}

async function staticAndBack(t: Test, group: Group): Promise<void> {
  const { plane, until } = startPlane({ seeds: seedsOf(group), topology: 'static' });
  t.teardown(() => plane.close());
  const fixed = await until('a static topology', ({ primary }) => primary !== null);
  t.ok(
    fixed.members.every(({ id }) => id === ''),
    'nobody is asked',
  );
  plane.reload(controlConfig({ seeds: seedsOf(group) }));
  t.ok(offersAtMostOne(await until('all three, who are asked now', isWhole)));
}

async function weakAccounts(t: Test, group: Group): Promise<void> {
  const primary = await group.primary();
  const members = 'SELECT ON performance_schema.replication_group_members';
  const stats = 'SELECT ON performance_schema.replication_group_member_stats';
  await createAccount(primary, { user: 'no_grants', password: 'pw' });
  await createAccount(primary, { user: 'no_stats', password: 'pw', grants: [members] });
  await createAccount(primary, {
    user: 'tls_only',
    password: 'pw',
    grants: [members, stats],
    requireTls: true,
  });
  const start = (user: string) => {
    const started = startPlane({ seeds: seedsOf(group), user, password: 'pw' });
    t.teardown(() => started.plane.close());
    return started;
  };

  const none = start('no_grants');
  const event = await none.untilEvent(
    'member_does_not_answer',
    /GRANT SELECT ON .*replication_group_members TO 'no_grants'/,
  );
  t.match(event.fields, { failure: 'missing-grant', error_number: 1142 });
  t.equal(none.plane.topology().primary, null);
  await primary.query(`GRANT ${members} TO 'no_grants'@'%'`);
  await none.until('all three', isWhole);

  const withoutStats = start('no_stats');
  await withoutStats.until('all three', isWhole);
  await withoutStats.untilEvent('monitoring_grant_missing', /replication_group_member_stats TO 'no_stats'/);

  await start('tls_only').until('all three', isWhole);
}

async function foreignMember(t: Test, sandbox: Sandbox, group: Group): Promise<void> {
  const other = await sandbox.startGroup({ size: 1 });
  const [stranger] = other.members;
  if (stranger === undefined) throw new Error('a group has a member');
  t.teardown(() => stranger.kill());
  const { plane, until, untilEvent, published } = startPlane({
    seeds: [[stranger.host, stranger.port], ['nobody.invalid', 3306], ...seedsOf(group)],
  });
  t.teardown(() => plane.close());
  const topology = await until('all heard', ({ primary, alarms }) => primary !== null && alarms.length > 0);
  t.equal(topology.primary, (await group.primary()).address);
  t.match(topology.alarms.join(), `${stranger.address} belongs to group ${other.name}`);
  t.match(topology.members[0], { address: stranger.address, acceptsReads: false, acceptsWrites: false });
  await untilEvent('alarm_raised', /belongs to group/);
  await untilEvent('member_does_not_answer', /nobody\.invalid does not resolve/);

  // Other seeds are another cluster, though those of before are still there and more.
  plane.reload(controlConfig({ seeds: [['127.0.0.1', 1]] }));
  await untilEvent('member_does_not_answer', /127\.0\.0\.1:1\b/);
  t.equal(plane.topology().groupName, group.name, 'seeds that do not answer change nothing');
  plane.reload(controlConfig({ seeds: [[stranger.host, stranger.port]] }));
  const moved = await until(
    'the other group',
    ({ groupName, primary }) => groupName === other.name && primary !== null,
  );
  t.equal(moved.primary, stranger.address);
  const first = published.length;
  plane.reload(
    controlConfig({
      seeds: [
        [stranger.host, stranger.port],
        ['localhost', stranger.port],
      ],
    }),
  );
  const alias = `localhost:${stranger.port}`;
  await until('its answer', () => plane.memberProbes().get(alias)?.lastAnswerAtMs != null);
  t.ok(
    published.slice(first).every(({ primary }) => primary === stranger.address),
    'a further name for the same is no interruption',
  );
  plane.close();
  await copiedMember(t, stranger, group);
}

/** Its data directory was copied, auto.cnf included, as with a snapshot of a volume: it cannot join, and does not end. */
async function copiedMember(t: Test, copy: Server, group: Group): Promise<void> {
  const primary = await group.primary();
  await copy.stop();
  await copyFile(`${primary.dataDirectory}/auto.cnf`, `${copy.dataDirectory}/auto.cnf`);
  await copy.start();
  await copy.query(`SET GLOBAL group_replication_group_name = '${group.name}'`);
  const { plane, until, published } = startPlane({
    seeds: [[copy.host, copy.port], ...seedsOf(group)],
  });
  t.teardown(() => plane.close());
  const topology = await until('the double', ({ alarms, primary }) => primary !== null && alarms.length > 0);
  t.equal(topology.primary, primary.address);
  t.match(topology.alarms, [/two servers with the same server_uuid/]);
  const first = published.length;
  const answers = new Set<number | null | undefined>();
  await until('more of its answers', () => {
    answers.add(plane.memberProbes().get(copy.address)?.lastAnswerAtMs);
    return answers.size > 10;
  });
  const { members } = plane.topology();
  t.match(
    members.find(({ address }) => address === copy.address),
    { acceptsWrites: false, acceptsReads: false },
  );
  t.ok(
    published.slice(first).every((later) => later.primary === primary.address),
    'the primary stays, whoever of the two has spoken last',
  );
}

/** A name that leads elsewhere with every connection, which is no seed to have. */
async function balancer(t: Test, group: Group): Promise<void> {
  let turn = 0;
  const primary = await group.primary();
  const members = [primary, ...group.members.filter((member) => member !== primary)];
  const front = createServer((client) => {
    const { host = '', port = 0 } = members[turn++ % members.length] ?? {};
    const server = connect(port, host);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.teardown(() => void front.close());
  const at = front.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  const { plane, until, untilEvent } = startPlane({ seeds: [['127.0.0.1', at.port]] });
  t.teardown(() => plane.close());
  const address = `127.0.0.1:${at.port}`;
  const first = await until('a primary', (topology) => topology.primary !== null && isWhole(topology));
  t.equal(first.primary, address, 'the first connection led to the primary');
  plane.signal({ kind: 'server-error', address, memberId: primary.uuid, errorNumber: 1290 });
  await until('the primary at its own address', (topology) => topology.primary === primary.address);
  await untilEvent('second_look');
}

async function frozenSecondary(t: Test, group: Group): Promise<void> {
  const { plane, until, untilEvent, published } = startPlane({
    seeds: seedsOf(group),
    probe: { timeoutMs: 300 },
  });
  t.teardown(() => plane.close());
  await until('all three', isWhole);
  const first = published.length;
  const secondary = await oneSecondary(group);
  secondary.freeze();
  try {
    await untilEvent('member_does_not_answer', new RegExp(`${secondary.port}: no answer within 300 ms`));
  } finally {
    secondary.thaw();
  }
  await untilEvent('member_answers', new RegExp(`${secondary.port}`));
  const after = published.slice(first);
  t.ok(
    after.every(({ primary }) => primary === published[first - 1]?.primary),
    'the primary stayed',
  );
  t.ok(after.every(isWhole), 'nobody was taken out');
  t.ok(after.every(({ members }) => members.every((member) => member.secondarySessions === 'keep')));
}

async function killedPrimary(t: Test, group: Group): Promise<void> {
  const { plane, until, publishedAtMs, published } = startPlane({ seeds: seedsOf(group) });
  t.teardown(() => plane.close());
  await until('all three', isWhole);
  const former = await group.primary();
  await former.kill();
  const killedAtMs = performance.now();
  plane.signal({ kind: 'server-closed', address: former.address, memberId: former.uuid, errorNumber: 0 });
  await until('no write to a dead server', ({ primary }) => primary === null);
  t.comment(`no longer offered ${(publishedAtMs() - killedAtMs).toFixed(1)} ms after the kill`);
  const heir = await group.waitForNewPrimary(former);
  const writableAtMs = performance.now();
  await until('writes on the heir', ({ primary }) => primary === heir.address);
  t.comment(
    `published ${(publishedAtMs() - writableAtMs).toFixed(1)} ms after its super_read_only was seen off`,
  );
  const topology = await until('the dead one cut off', ({ members }) =>
    members.some((member) => member.id === former.uuid && member.primarySessions === 'cut'),
  );
  t.match(
    topology.members.find((member) => member.id === former.uuid),
    { secondarySessions: 'cut', acceptsReads: false },
  );
  t.ok(published.every(offersAtMostOne));

  await heir.kill();
  const lost = await until('quorum lost', ({ alarms }) => /lost its quorum/.test(alarms.join()), 30_000);
  t.equal(lost.primary, null);
  t.notOk(lost.members.some((member) => member.acceptsReads || member.acceptsWrites));
}

function seedsOf(group: Group): readonly (readonly [string, number])[] {
  return group.members.map(({ host, port }) => [host, port] as const);
}

async function oneSecondary(group: Group): Promise<Server> {
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  return secondary;
}

function isWhole({ primary, members }: Topology): boolean {
  return primary !== null && members.filter((member) => member.acceptsReads).length === 3;
}

function offersAtMostOne({ members }: Topology): boolean {
  return members.filter((member) => member.acceptsWrites).length <= 1;
}
