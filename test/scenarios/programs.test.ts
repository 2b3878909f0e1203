/** Programs that know nothing of the router: sysbench and mysqldump, through both ports. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createSandbox, type Group, missingParts, type Sandbox } from '../../src/sandbox/index.ts';
import { loginFlags } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';
import { prepareTables, runSysbench, type SysbenchRun } from '../support/sysbench.ts';

const noMysql = await missingParts('mysql');
const noSysbench = await missingParts('mysql', 'sysbench');

t.test('a group of three behind one router', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  // Statistics are part of a dump of everything; they must not change between two.
  const group = await sandbox.startGroup({ size: 3, variables: { innodb_stats_auto_recalc: 'OFF' } });
  await (await group.primary()).query('CREATE DATABASE sbtest');
  const router = await RouterProcess.start(t, sandbox, {
    seeds: group.members.map(({ address }) => address),
  });
  await router.untilServing(2);

  await t.test('sysbench runs without an error', { skip: noSysbench }, (t) =>
    sysbench(t, sandbox, group, router),
  );
  await t.test('mysqldump writes the same bytes as from the member itself', (t) =>
    mysqldump(t, sandbox, group, router),
  );
});

async function sysbench(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  const { rw, ro } = router.ports;
  await prepareTables(sandbox, rw);
  await group.waitUntilApplied();
  const runs: readonly SysbenchRun[] = [
    { script: 'oltp_read_write', port: rw, statements: 'text', events: 200 },
    { script: 'oltp_read_write', port: rw, statements: 'prepared', events: 200 },
    { script: 'oltp_point_select', port: rw, statements: 'text', events: 3000 },
    { script: 'oltp_point_select', port: rw, statements: 'prepared', events: 3000 },
    { script: 'oltp_point_select', port: ro, statements: 'text', events: 3000 },
    { script: 'oltp_point_select', port: ro, statements: 'prepared', events: 3000 },
    { script: 'oltp_read_only', port: ro, statements: 'prepared', events: 200 },
  ];
  for (const run of runs) {
    const name = `${run.script}, ${run.statements}, ${run.port === rw ? 'RW' : 'RO'}`;
    const report = await runSysbench(sandbox, run);
    t.match(report, { events: run.events, reconnects: 0 }, name);
    // Two threads that want the same row: the server has one of them try again, behind a router or not.
    t.ok(report.ignoredErrors <= run.events / 20, `${name}: ${report.ignoredErrors} conflicts`);
  }
  const executed = await router.metric('fairlead_commands_total', { command: 'COM_STMT_EXECUTE' });
  t.ok(executed > 6000, `${executed} executions of prepared statements were seen`);
  t.equal(await router.metric('fairlead_tracker_gave_up_total'), 0, 'every command was understood');
  t.equal(await router.metric('fairlead_sessions_refused_total'), 0);
  const open = await router.metric('fairlead_sessions_open');
  t.equal(open, 0, 'no session is left');

  await group.waitUntilApplied();
  const sums = await Promise.all(
    group.members.map((member) => member.query('CHECKSUM TABLE sbtest.sbtest1, sbtest.sbtest2')),
  );
  for (const sum of sums) t.same(sum, sums[0], 'every member holds the same rows');
}

async function mysqldump(t: Test, sandbox: Sandbox, group: Group, router: RouterProcess): Promise<void> {
  await fill(group);
  const direct = new Map<number, string>();
  for (const member of group.members) {
    direct.set(member.port, await dump(sandbox, member.port, `direct-${member.port}`, []));
  }
  const primary = await group.primary();
  const plaintext = ['--ssl-mode=DISABLED', '--get-server-public-key'];
  for (const [name, flags] of [['TLS', []] as const, ['plaintext', plaintext] as const]) {
    const throughRw = await dump(sandbox, router.ports.rw, `rw-${name}`, flags);
    t.ok(throughRw.length > 17_000_000, `${throughRw.length} bytes`);
    same(t, throughRw, direct.get(primary.port), `through RW over ${name}: the primary's`);
    for (let round = 1; round <= 2; round += 1) {
      const before = await sessionsByMember(router);
      const throughRo = await dump(sandbox, router.ports.ro, `ro-${name}-${round}`, flags);
      const after = await sessionsByMember(router);
      const member = group.members.find(
        ({ address }) => (after.get(address) ?? 0) > (before.get(address) ?? 0),
      );
      t.not(member?.port, primary.port, 'the RO port takes it to a secondary');
      same(t, throughRo, direct.get(member?.port ?? 0), `through RO over ${name}: the secondary's`);
    }
  }
}

/** Rows that are awkward to carry: every byte, one larger than a packet can be, NULLs, other alphabets. */
async function fill(group: Group): Promise<void> {
  const primary = await group.primary();
  await primary.query('CREATE DATABASE app');
  await primary.query(
    'CREATE TABLE app.awkward (id INT PRIMARY KEY, b LONGBLOB, t TEXT CHARACTER SET utf8mb4, n DECIMAL(30, 10))',
  );
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const insert = 'INSERT INTO app.awkward VALUES (?, ?, ?, ?)';
  await primary.query(insert, [1, everyByte, 'voilà Ωμέγα 漢字 🛥', '1234567890.0123456789']);
  await primary.query(insert, [2, null, null, null]);
  await primary.query(insert, [3, Buffer.alloc(0), '', '0']);
  // 16 MiB - 1 is the most one packet can carry.
  await primary.query("INSERT INTO app.awkward VALUES (4, REPEAT('fairlead', 2200000), 'long', 4)");
  await group.waitUntilApplied();
}

/** A dump of everything, one character for each byte, without the lines that say when it was made. */
async function dump(sandbox: Sandbox, port: number, name: string, flags: readonly string[]): Promise<string> {
  const path = join(sandbox.directory, `${name}.sql`);
  const what = [
    '--all-databases',
    '--single-transaction',
    '--routines',
    '--events',
    '--max-allowed-packet=64M',
  ];
  await sandbox.run('mysql', 'mysqldump', [...loginFlags(port), ...flags, ...what, `--result-file=${path}`]);
  const text = await readFile(path, 'latin1');
  return text.replace(/^-- Dump completed on .*$/m, '-- Dump completed');
}

function same(t: Test, actual: string, expected: string | undefined, what: string): void {
  if (actual === expected) {
    t.pass(what);
    return;
  }
  let at = 0;
  while (actual[at] === expected?.[at]) at += 1;
  const [here, there] = [actual, expected].map((text) => text?.slice(Math.max(0, at - 80), at + 80));
  t.fail(`${what}; they differ from byte ${at}`, { found: here ?? '', wanted: there ?? '' });
}

async function sessionsByMember(router: RouterProcess): Promise<ReadonlyMap<string, number>> {
  const samples = await router.samples('fairlead_member_sessions_total');
  return new Map(samples.map(({ labels, value }) => [labels.get('member') ?? '', value]));
}
