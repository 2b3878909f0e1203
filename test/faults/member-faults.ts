/** Members that are misconfigured, renewed or hard to reach. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand, type Server, waitFor } from '../../src/sandbox/index.ts';
import { codeOf } from '../../src/sandbox/outcome.ts';
import { connectTo } from '../support/clients.ts';
import type { NetworkGroup } from '../support/network-group.ts';
import { secondaryOf, tellTopology } from './group-faults.ts';
import type { Fault } from './stage.ts';

export const MEMBER_FAULTS: Readonly<Record<string, Fault>> = {
  'port-rejected-primary': (stage, note) =>
    underRule(stage, note, { of: 'primary', rule: 'tcp dport 3306 reject with tcp reset', forMs: 5000 }),
  'new-connects-rejected-secondary': (stage, note) =>
    underRule(stage, note, {
      of: 'secondary',
      rule: 'tcp dport 3306 ct state new reject with tcp reset',
      forMs: 4000,
    }),
  'new-connects-dropped-primary': (stage, note) =>
    underRule(stage, note, { of: 'primary', rule: 'tcp dport 3306 ct state new drop', forMs: 5000 }),
  'large-packets-lost': (stage, note) =>
    underRule(stage, note, {
      of: 'primary',
      rule: 'tcp sport 3306 ip length > 600 drop',
      hook: 'output',
      forMs: 6000,
    }),
  'secondary-blocks-the-router': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('SET GLOBAL max_connect_errors = 1');
    // A handshake that is broken off, from the router's own host.
    const probe = `exec 3<>/dev/tcp/${secondary.host}/3306; head -c 5 <&3 >/dev/null; exec 3>&-`;
    const { file, args } = stage.routerPod.within({ file: 'bash', args: ['-c', probe], env: {} });
    for (let round = 0; round < 4; round += 1)
      await runCommand({ file, args, env: { PATH: '/usr/bin:/bin:/usr/sbin' } });
    await pause(4000);
    await tellTopology(stage, note);
    await secondary.query('SET GLOBAL max_connect_errors = 1000');
    await secondary.query('TRUNCATE TABLE performance_schema.host_cache');
  },
  'renewed-uuid': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.stop();
    await pause(1000);
    await writeFile(`${secondary.dataDirectory}/auto.cnf`, `[auto]\nserver-uuid=${randomUUID()}\n`);
    await stage.group.waitUntilGivenUp(secondary);
    await secondary.start();
    await untilOnline(stage, secondary);
    await pause(2000);
    await tellTopology(stage, note);
    await secondary.stop();
    await writeFile(`${secondary.dataDirectory}/auto.cnf`, `[auto]\nserver-uuid=${secondary.uuid}\n`);
    await stage.group.rejoin(secondary);
  },
  'performance-schema-off': async (stage, note) =>
    startedWith(stage, note, await secondaryOf(stage), { option: '--performance-schema=OFF', joins: false }),
  'wrong-report-host': async (stage, note) =>
    startedWith(stage, note, await secondaryOf(stage), {
      option: '--report-host=nowhere.invalid',
      joins: true,
    }),
  'two-at-one-address': async (stage, note) => {
    const [one, two] = await stage.group.secondaries();
    if (one === undefined || two === undefined) return;
    await startedWith(stage, note, one, { option: `--report-host=${two.host}`, joins: true });
  },
  'long-recovery': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('STOP GROUP_REPLICATION');
    await secondary.query("START GROUP_REPLICATION USER = 'recovery', PASSWORD = 'wrong'");
    await pause(6000);
    await tellTopology(stage, note);
    await secondary.query('STOP GROUP_REPLICATION');
    await secondary.query('SET GLOBAL offline_mode = OFF');
    await stage.group.rejoin(secondary);
  },
  'rejoined-in-offline-mode': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('STOP GROUP_REPLICATION');
    await secondary.query('SET PERSIST_ONLY offline_mode = ON');
    await secondary.restart();
    await stage.group.rejoin(secondary);
    await pause(2000);
    await tellTopology(stage, note);
    await secondary.query('RESET PERSIST offline_mode');
    await secondary.query('SET GLOBAL offline_mode = OFF');
  },
  'prepared-xa': async (stage, note) => {
    const { router, group } = stage;
    const former = await group.primary();
    const client = await connectTo(router.ports.rw, { host: router.host });
    client.on('error', () => undefined);
    await client.query("XA START 'a'");
    await client.query('INSERT INTO app.writes VALUES (1, 1)');
    await client.query("XA END 'a'");
    await client.query("XA PREPARE 'a'");
    const open = await connectTo(router.ports.rw, { host: router.host });
    open.on('error', () => undefined);
    await open.query('BEGIN');
    await open.query('INSERT INTO app.writes VALUES (2, 1)');
    // A planned switchover would wait for both.
    await former.kill();
    note(`COMMIT that was open: ${await answered(open.query('COMMIT'))}`);
    const heir = await connectTo(router.ports.rw, { host: router.host });
    heir.on('error', () => undefined);
    note(`XA COMMIT on the new primary: ${await answered(heir.query("XA COMMIT 'a'"))}`);
    for (const each of [client, open, heir]) each.destroy();
    await group.rejoin(former);
  },
  'consistent-reads': async (stage, note) => {
    const { router, group } = stage;
    const reader = await connectTo(router.ports.ro, { host: router.host });
    reader.on('error', () => undefined);
    await reader.query("SET SESSION group_replication_consistency = 'BEFORE'");
    const [next] = await group.secondaries();
    const switching = next === undefined ? Promise.resolve() : group.setPrimary(next);
    const outcomes: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      outcomes.push(await answered(reader.query('SELECT COUNT(*) FROM app.writes')));
      await pause(25);
    }
    await switching;
    note(`consistent reads: ${[...new Set(outcomes)].join(', ')}`);
    reader.destroy();
  },
};

type Rule = {
  readonly of: 'primary' | 'secondary';
  readonly rule: string;
  readonly hook?: 'input' | 'output';
  readonly forMs: number;
};

async function underRule(
  stage: NetworkGroup,
  note: (text: string) => void,
  { of, rule, hook, forMs }: Rule,
): Promise<void> {
  const member = of === 'primary' ? await stage.group.primary() : await secondaryOf(stage);
  await firewall(stage, member, rule, hook);
  await pause(forMs);
  await tellTopology(stage, note);
  await firewall(stage, member, '');
}

/** A member that is stopped, and started once with an option that does it no good; `joins` unless it cannot. */
async function startedWith(
  stage: NetworkGroup,
  note: (text: string) => void,
  member: Server,
  { option, joins }: { readonly option: string; readonly joins: boolean },
): Promise<void> {
  await member.stop();
  await stage.group.waitUntilGivenUp(member);
  await member.start([option]);
  if (joins) await untilOnline(stage, member);
  await pause(3000);
  await tellTopology(stage, note);
  await member.stop();
  await stage.group.rejoin(member);
}

/** One rule in the member's own host, or none. */
async function firewall(
  stage: NetworkGroup,
  server: Server,
  rule: string,
  hook: 'input' | 'output' = 'input',
): Promise<void> {
  const tools = await stage.sandbox.part('network');
  const { host } = stage.routerPod;
  const peer = hook === 'input' ? `ip saddr ${host}` : `ip daddr ${host}`;
  const table = `table inet faults { chain c { type filter hook ${hook} priority 0; ${rule === '' ? '' : `${peer} ${rule};`} }; }`;
  const text = `table inet faults\ndelete table inet faults\n${table}\n`;
  const command = tools.command('nft', ['-f', '/dev/stdin']);
  const inside = stage.podOf(server).within(command);
  execFileSync(inside.file, [...inside.args], { env: { ...inside.env }, input: text });
}

async function untilOnline(stage: NetworkGroup, server: Server): Promise<void> {
  await server.query("START GROUP_REPLICATION USER = 'recovery', PASSWORD = 'recovery-secret'");
  await waitFor({ what: `${server.name} to be ONLINE`, timeoutMs: 60_000 }, async () => {
    const rows = await stage.group.view(server);
    return rows.length > 2 && rows.every(({ state }) => state === 'ONLINE') ? true : undefined;
  });
}

async function answered(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'done',
    (error: unknown) => codeOf(error) ?? String(error),
  );
}
