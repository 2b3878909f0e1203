/** What is done to a group of three and its router, one after the other. */
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { createConnection } from 'mysql2';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { ACCOUNTS, type Server, waitFor } from '../../src/sandbox/index.ts';
import { codeOf } from '../../src/sandbox/outcome.ts';
import { messageOf } from '../../src/shared/message-of.ts';
import { connectTo } from '../support/clients.ts';
import type { NetworkGroup } from '../support/network-group.ts';
import type { Fault } from './stage.ts';

export const GROUP_FAULTS: Readonly<Record<string, Fault>> = {
  'offline-secondary': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('SET GLOBAL offline_mode = ON');
    await pause(5000);
    await tellTopology(stage, note);
    await secondary.query('SET GLOBAL offline_mode = OFF');
  },
  'offline-primary': async (stage, note) => {
    const primary = await stage.group.primary();
    await primary.query('SET GLOBAL offline_mode = ON');
    await pause(8000);
    await tellTopology(stage, note);
    await primary.query('SET GLOBAL offline_mode = OFF');
  },
  'super-read-only-primary': async (stage, note) => {
    await through(stage, 'rw', async (client) => {
      await client.query('SET GLOBAL super_read_only = ON');
    });
    await pause(4000);
    await tellTopology(stage, note);
    const primary = await stage.group.primary();
    await primary.query('SET GLOBAL super_read_only = OFF');
    await primary.query('SET GLOBAL read_only = OFF');
  },
  'client-shutdown': async (stage, note) => {
    const primary = await stage.group.primary();
    await through(stage, 'rw', async (client) => {
      note(`SHUTDOWN: ${await said(client.query('SHUTDOWN'))}`);
    });
    await stage.group.waitForNewPrimary(primary);
    await hasEnded(primary);
    await stage.group.rejoin(primary);
  },
  'client-restart': async (stage, note) => {
    const primary = await stage.group.primary();
    const { pid } = primary;
    await through(stage, 'rw', async (client) => {
      note(`RESTART: ${await said(client.query('RESTART'))}`);
    });
    await stage.group.waitForNewPrimary(primary);
    await pause(2000);
    await waitFor({ what: 'the restart', timeoutMs: 90_000 }, async () =>
      primary.pid === pid || primary.pid === undefined ? undefined : true,
    );
    await stage.group.rejoin(primary);
  },
  'client-statements': async (stage, note) => {
    await through(stage, 'rw', async (client) => {
      for (const sql of [
        'RESET BINARY LOGS AND GTIDS',
        'RESET REPLICA ALL',
        "CLONE INSTANCE FROM 'a'@'127.0.0.1':1 IDENTIFIED BY 'x'",
        'FLUSH TABLES WITH READ LOCK',
        'UNLOCK TABLES',
        'KILL QUERY CONNECTION_ID()',
        'SELECT 1',
      ])
        note(`${sql}: ${await said(client.query(sql))}`);
      note(`KILL own: ${await said(client.query('KILL CONNECTION_ID()'))}`);
    });
    await through(stage, 'rw', async (client) => {
      const [rows] = await client.query<RowDataPacket[]>(
        "SELECT id FROM information_schema.processlist WHERE user IN ('app', 'router')",
      );
      for (const { id } of rows) await said(client.query(`KILL ${id}`));
    });
  },
  'client-stops-group-replication': async (stage, note) => {
    const primary = await stage.group.primary();
    await through(stage, 'rw', async (client) => {
      note(`STOP GROUP_REPLICATION: ${await said(client.query('STOP GROUP_REPLICATION'))}`);
    });
    await stage.group.waitForNewPrimary(primary);
    await pause(2000);
    await stage.group.rejoin(primary);
  },
  'secondary-stops-group-replication': async (stage) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('STOP GROUP_REPLICATION');
    await pause(3000);
    await stage.group.rejoin(secondary);
  },
  'kill-in-large-result': async (stage, note) => {
    const primary = await stage.group.primary();
    const results = await Promise.all([1, 2].map(() => readLarge(stage, async () => primary.kill())));
    for (const result of results) note(`large result: ${result}`);
    await stage.group.rejoin(primary);
  },
  'kill-in-load-data': async (stage, note) => {
    const primary = await stage.group.primary();
    note(`LOAD DATA: ${await loadData(stage, async () => primary.kill())}`);
    await stage.group.rejoin(primary);
  },
  'freeze-primary-2s': (stage) => freeze([stage.group.primary()], 2000),
  'freeze-primary-12s': async (stage) => {
    const primary = await stage.group.primary();
    await freeze([primary], 12_000);
    await stage.group.rejoin(primary);
  },
  'freeze-secondary-4s': (stage) => freeze([secondaryOf(stage)], 4000),
  'freeze-all-4s': async (stage) => {
    await freeze(stage.group.members, 4000);
    await stage.group.waitUntilOnline();
  },
  'freeze-all-10s': async (stage) => {
    await freeze(stage.group.members, 10_000);
    await stage.group.waitUntilOnline();
  },
  'freeze-router-10s': async ({ router }) => {
    process.kill(router.pid, 'SIGSTOP');
    await pause(10_000);
    process.kill(router.pid, 'SIGCONT');
  },
  'freeze-router-over-failover': async ({ router, group }) => {
    const primary = await group.primary();
    process.kill(router.pid, 'SIGSTOP');
    const next = (await group.secondaries())[0];
    if (next !== undefined) await group.setPrimary(next);
    await pause(3000);
    process.kill(router.pid, 'SIGCONT');
    await pause(2000);
    await group.setPrimary(primary);
  },
  'one-way-to-router': async ({ group, network, routerPod }) => {
    const primary = await group.primary();
    await network.drop(primary.host, routerPod.host);
    await pause(8000);
    await network.heal();
  },
  'one-way-from-router': async ({ group, network, routerPod }) => {
    const primary = await group.primary();
    await network.drop(routerPod.host, primary.host);
    await pause(8000);
    await network.heal();
  },
  'one-way-secondary': async (stage) => {
    const secondary = await secondaryOf(stage);
    await stage.network.drop(secondary.host, stage.routerPod.host);
    await pause(8000);
    await stage.network.heal();
  },
  'split-1-1-1': async ({ group, network }) => {
    const [a, b, c] = group.members.map(({ host }) => host);
    if (a === undefined || b === undefined || c === undefined) return;
    await network.partition([a], [b, c]);
    await network.partition([b], [c]);
    await pause(9000);
    await network.heal();
    await group.waitUntilOnline();
  },
  'switch-every-second': async ({ group }, note) => {
    for (let round = 0; round < 15; round += 1) {
      const next = group.members[round % 3];
      if (next === undefined) continue;
      const sent = next.query('SELECT group_replication_set_as_primary(?)', [next.uuid]);
      await sent.catch((error: unknown) => note(`switch: ${String(error)}`));
      await pause(1000);
    }
  },
  'secondary-dies-in-switchover': async (stage) => {
    const [next, other] = await stage.group.secondaries();
    if (next === undefined || other === undefined) return;
    const switching = stage.group.setPrimary(next);
    await other.kill();
    await switching;
    await stage.group.rejoin(other);
  },
  'next-dies-in-switchover': async (stage, note) => {
    const [next] = await stage.group.secondaries();
    if (next === undefined) return;
    const switching = said(next.query('SELECT group_replication_set_as_primary(?)', [next.uuid]));
    await next.kill();
    note(await switching);
    await stage.group.rejoin(next);
  },
  'full-secondary': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('SET GLOBAL max_connections = 1');
    await pause(5000);
    await tellTopology(stage, note);
    await admin(secondary, 'SET GLOBAL max_connections = 300');
  },
  'full-all': async (stage, note) => {
    const { members } = stage.group;
    await Promise.all(members.map((member) => member.query('SET GLOBAL max_connections = 1')));
    await pause(5000);
    await tellTopology(stage, note);
    await Promise.all(members.map((member) => admin(member, 'SET GLOBAL max_connections = 300')));
  },
  'max-user-connections': async (stage) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('SET GLOBAL max_user_connections = 1');
    await pause(4000);
    await secondary.query('SET GLOBAL max_user_connections = 0');
  },
  'monitor-expired': (stage, note) =>
    account(
      stage,
      note,
      "ALTER USER router@'%' PASSWORD EXPIRE",
      "ALTER USER router@'%' IDENTIFIED BY 'router-secret'",
    ),
  'monitor-password-changed': (stage, note) =>
    account(
      stage,
      note,
      "ALTER USER router@'%' IDENTIFIED BY 'another-word'",
      "ALTER USER router@'%' IDENTIFIED BY 'router-secret'",
    ),
  'monitor-revoked': (stage, note) =>
    account(
      stage,
      note,
      "REVOKE SELECT ON performance_schema.replication_group_members FROM router@'%'",
      "GRANT SELECT ON performance_schema.replication_group_members TO router@'%'",
    ),
};

export async function secondaryOf({ group }: NetworkGroup): Promise<Server> {
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  return secondary;
}

async function hasEnded(server: Server): Promise<void> {
  const what = `the end of ${server.name}`;
  await waitFor({ what, timeoutMs: 90_000 }, async () => (server.isRunning ? undefined : true));
}

async function freeze(servers: readonly (Server | Promise<Server>)[], forMs: number): Promise<void> {
  const all = await Promise.all(servers);
  for (const server of all) server.freeze();
  await pause(forMs);
  for (const server of all) server.thaw();
}

/** As root, through the router. */
async function through(
  { router }: NetworkGroup,
  route: 'rw' | 'ro',
  use: (client: Connection) => Promise<void>,
): Promise<void> {
  const client = await connectTo(router.ports[route], { host: router.host, ...ACCOUNTS.root });
  client.on('error', () => undefined);
  try {
    await use(client);
  } finally {
    client.destroy();
  }
}

export async function said(answer: Promise<unknown>): Promise<string> {
  const patience = pause(20_000, 'HUNG', { ref: false });
  return Promise.race([
    patience,
    answer.then(
      () => 'done',
      (error: unknown) => `${codeOf(error) ?? ''} ${messageOf(error)}`.trimStart(),
    ),
  ]);
}

export async function tellTopology(
  { router }: Pick<NetworkGroup, 'router'>,
  note: (text: string) => void,
): Promise<void> {
  const { primary, members, alarms } = await router.topology();
  note(`primary ${primary}; alarms ${JSON.stringify(alarms)}`);
  for (const { address, role, state, acceptsReads, acceptsWrites, reason } of members)
    note(`${address} ${role} ${state} reads=${acceptsReads} writes=${acceptsWrites} ${reason}`);
  note(`ready: ${(await router.get('/readyz?verbose')).body.trim().replaceAll('\n', '; ')}`);
}

async function readLarge(stage: NetworkGroup, inTheMiddle: () => Promise<void>): Promise<string> {
  const { router } = stage;
  const client = createConnection({ host: router.host, port: router.ports.rw, ...ACCOUNTS.app });
  let rows = 0;
  // 400 MB in rows of 100 kB.
  const sql =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) SELECT /*+ SET_VAR(cte_max_recursion_depth = 5000) */ i, REPEAT('x', 100000) AS text FROM n";
  const stream = client.query(sql).stream({ highWaterMark: 4 });
  return new Promise((resolve) => {
    const patience = setTimeout(() => resolve(`HUNG after ${rows} rows`), 40_000);
    const settle = (text: string): void => {
      clearTimeout(patience);
      client.destroy();
      resolve(`${text} after ${rows} rows`);
    };
    // What ends the connection is told to the connection alone, where a statement has no callback.
    client.on('error', (error) => settle(`failed: ${error.message}`));
    stream.on('data', () => {
      rows += 1;
      if (rows === 500) void inTheMiddle();
    });
    stream.on('end', () => settle('ended as if complete'));
    stream.on('error', (error) => settle(`failed: ${error.message}`));
  });
}

async function loadData(stage: NetworkGroup, inTheMiddle: () => Promise<void>): Promise<string> {
  const { router, group } = stage;
  await (await group.primary()).query(
    'CREATE TABLE IF NOT EXISTS app.loaded (id BIGINT PRIMARY KEY, text VARCHAR(200))',
  );
  const client = await connectTo(router.ports.rw, { host: router.host });
  client.on('error', () => undefined);
  let sent = 0;
  async function* lines(): AsyncGenerator<Buffer> {
    for (let block = 0; block < 400; block += 1) {
      if (block === 100) await inTheMiddle();
      sent = block;
      const rows = Array.from({ length: 500 }, (_, row) => `${block * 500 + row}\t${'y'.repeat(100)}\n`);
      yield Buffer.from(rows.join(''));
    }
  }
  const query = client.query({
    sql: "LOAD DATA LOCAL INFILE 'lines' INTO TABLE app.loaded",
    infileStreamFactory: () => Readable.from(lines()),
  });
  const outcome = await said(query);
  client.destroy();
  return `${outcome} (${sent} blocks sent)`;
}

/** Over the port for administrators, which has a connection left when the others have none. */
async function admin(member: Server, sql: string): Promise<void> {
  const connection = await member.connect({ port: member.adminPort });
  await connection.query(sql);
  await connection.end();
}

async function account(
  stage: NetworkGroup,
  note: (text: string) => void,
  harm: string,
  mend: string,
): Promise<void> {
  const primary = await stage.group.primary();
  await primary.query(harm);
  for (const member of stage.group.members) {
    const rows = await member.query("SELECT id FROM information_schema.processlist WHERE user = 'router'");
    for (const { id } of rows) await said(member.query(`KILL ${id}`));
  }
  await pause(9000);
  await tellTopology(stage, note);
  await (await stage.group.primary()).query(mend);
}
