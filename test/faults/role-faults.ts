/** Roles and rights that are changed by hand, at bad moments, or again and again. */
import { setTimeout as pause } from 'node:timers/promises';
import { ACCOUNTS, type Server } from '../../src/sandbox/index.ts';
import { connectTo } from '../support/clients.ts';
import { said, secondaryOf, tellTopology } from './group-faults.ts';
import type { Fault } from './stage.ts';

export const ROLE_FAULTS: Readonly<Record<string, Fault>> = {
  'weights-decide': async ({ group, router }, note) => {
    const primary = await group.primary();
    const [first, second] = await group.secondaries();
    if (first === undefined || second === undefined) return;
    for (const [index, server] of [primary, first, second].entries())
      await server.query('SET GLOBAL group_replication_member_weight = ?', [10 + 40 * index]);
    await primary.kill();
    const next = await group.waitForNewPrimary(primary);
    note(`${next === second ? 'the heaviest' : 'not the heaviest'} leads`);
    await tellTopology({ router }, note);
    await group.rejoin(primary);
    for (const server of group.members) await server.query('SET GLOBAL group_replication_member_weight = 50');
  },
  'switch-behind-an-open-transaction': async (stage, note) => {
    const { router, group } = stage;
    const primary = await group.primary();
    const [next] = await group.secondaries();
    if (next === undefined) return;
    const client = await connectTo(router.ports.rw, { host: router.host });
    client.on('error', () => undefined);
    await client.query('BEGIN');
    await client.query('INSERT INTO app.writes VALUES (3, 1)');
    const switching = said(
      primary.query('SELECT group_replication_set_as_primary(?, 4)', [next.uuid]).then(() => undefined),
    );
    await pause(2000);
    await tellTopology({ router }, note);
    note(`switch: ${await switching}`);
    note(`COMMIT of the transaction that was open: ${await said(client.query('COMMIT'))}`);
    client.destroy();
    await group.waitUntilWritable(next);
  },
  'secondary-made-writable-by-hand': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await secondary.query('SET GLOBAL super_read_only = OFF');
    await secondary.query('SET GLOBAL read_only = OFF');
    await pause(3000);
    await tellTopology(stage, note);
    await secondary.query('SET GLOBAL super_read_only = ON');
  },
  'read-only-to-and-fro': async ({ group }) => {
    const primary = await group.primary();
    for (let round = 0; round < 12; round += 1) {
      await primary.query('SET GLOBAL read_only = ON');
      await pause(700);
      await primary.query('SET GLOBAL read_only = OFF');
      await pause(700);
    }
  },
  'super-read-only-unclear': async ({ group, router }, note) => {
    // read_only alone lets those with CONNECTION_ADMIN write, and nobody else.
    const primary = await group.primary();
    await primary.query('SET GLOBAL read_only = ON');
    await pause(3000);
    await tellTopology({ router }, note);
    await primary.query('SET GLOBAL read_only = OFF');
  },
  'full-primary': async (stage, note) => {
    const primary = await stage.group.primary();
    const others = await occupy(primary);
    await pause(6000);
    await tellTopology(stage, note);
    for (const each of others) each.destroy();
  },
  'killed-in-commit': async ({ group }) => {
    for (let round = 0; round < 3; round += 1) {
      const primary = await group.primary();
      const others = await group.secondaries();
      // Commits wait for the others to certify them, and are under way when the primary dies.
      for (const server of others) server.freeze();
      await pause(400);
      await primary.kill();
      for (const server of others) server.thaw();
      await group.waitForNewPrimary(primary);
      await group.rejoin(primary);
    }
  },
  'failover-every-5s': async ({ group }, note) => {
    let refused = 0;
    for (let round = 0; round < FAILOVERS; round += 1) {
      const dueAtMs = performance.now() + 5000;
      const next = group.members[round % group.members.length];
      if (next !== undefined)
        await group.setPrimary(next).catch((error: unknown) => {
          refused += 1;
          note(`switch: ${String(error)}`);
        });
      await pause(Math.max(0, dueAtMs - performance.now()));
    }
    note(`${FAILOVERS} changes asked for, ${refused} refused`);
  },
  'kill-every-30s': async ({ group }) => {
    for (let round = 0; round < 4; round += 1) {
      const dueAtMs = performance.now() + 30_000;
      const primary = await group.primary();
      await primary.kill();
      await group.waitForNewPrimary(primary);
      await group.rejoin(primary);
      await pause(Math.max(0, dueAtMs - performance.now()));
    }
  },
};

/** Takes all connections that are left, as another application may. */
async function occupy(server: Server) {
  const connections = [];
  for (;;) {
    try {
      const connection = await connectTo(server.port, { host: server.host, ...ACCOUNTS.app });
      connection.on('error', () => undefined);
      connections.push(connection);
    } catch (error) {
      if (error instanceof Error && 'errno' in error && error.errno === ER_CON_COUNT_ERROR)
        return connections;
      throw error;
    }
  }
}

/** Five minutes of them. */
const FAILOVERS = 60;
const ER_CON_COUNT_ERROR = 1040;
