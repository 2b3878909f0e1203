/** The whole group is lost, and an operator forms it again from a member of his choice. */
import { setTimeout as pause } from 'node:timers/promises';
import { missingTransactions } from '../../routing/gtid-sets.ts';
import type { Group, Server } from '../../src/sandbox/index.ts';
import type { Fault } from './stage.ts';

export const BOOTSTRAP_FAULTS: Readonly<Record<string, Fault>> = {
  'all-killed-other-leads': async ({ group }, note, forgo) => {
    const primary = await group.primary();
    const others = group.members.filter((member) => member !== primary);
    // The two others are a majority, and go on without the one that is to lead.
    await others[0]?.kill();
    await pause(100);
    await Promise.all(group.members.map((member) => member.kill()));
    await pause(1500);
    await Promise.all(group.members.map((member) => member.start()));
    const former = await executedBy(primary);
    const sets = await Promise.all(others.map(hadBy));
    const gaps = sets.map((set) => missingTransactions(former, set) ?? 0);
    note(
      `what the former primary alone has: ${gaps.map((gap, index) => `${gap} missing on ${others[index]?.name}`).join(', ')}`,
    );
    const [gap = 0] = gaps;
    if (gap > 0) {
      const rows = await primary.query('SELECT id FROM app.writes');
      forgo({ ids: new Set(rows.map(({ id }) => Number(id))), transactions: gap });
      // The new leader will give their numbers away again: as it is, the former primary would come back with other data.
      await primary.query('RESET BINARY LOGS AND GTIDS');
      await primary.query('SET GLOBAL group_replication_clone_threshold = 1');
    }
    await group.bootstrap([...others, primary]);
    note(`rows differ on ${await differing(group)} of ${group.members.length} members`);
  },
  'all-killed-most-advanced-leads': async ({ group }, note) => {
    const primary = await group.primary();
    await Promise.all(group.members.map((member) => member.kill()));
    await Promise.all(group.members.map((member) => member.start()));
    const sets = await Promise.all(group.members.map(hadBy));
    const ahead = group.members.map((_, index) =>
      sets.reduce((sum, set) => sum + (missingTransactions(sets[index] ?? '', set) ?? 0), 0),
    );
    const leader = group.members[ahead.indexOf(Math.max(...ahead))] ?? primary;
    note(
      `${leader === primary ? 'the former primary' : leader.name} leads, ${Math.max(...ahead)} ahead of the others in all`,
    );
    await group.bootstrap([leader, ...group.members.filter((member) => member !== leader)]);
    note(`rows differ on ${await differing(group)} of ${group.members.length} members`);
  },
};

async function executedBy(server: Server): Promise<string> {
  const [row] = await server.query('SELECT @@global.gtid_executed AS gtids');
  const { gtids } = row ?? {};
  return String(gtids).replaceAll('\n', '');
}

/** With what it has received and will execute before it leads. */
async function hadBy(server: Server): Promise<string> {
  const [row] = await server.query(
    "SELECT received_transaction_set AS gtids FROM performance_schema.replication_connection_status WHERE channel_name = 'group_replication_applier'",
  );
  const { gtids } = row ?? {};
  const received = String(gtids ?? '').replaceAll('\n', '');
  const [union] = await server.query("SELECT GTID_SUBTRACT(CONCAT(?, ',', ?), '') AS gtids", [
    await executedBy(server),
    received,
  ]);
  const { gtids: both } = union ?? {};
  return String(both).replaceAll('\n', '');
}

/** How many have other rows than the first of them, but for those that are being written. */
async function differing(group: Group): Promise<number> {
  const [row] = await (await group.primary()).query('SELECT MAX(id) AS last FROM app.writes');
  const { last } = row ?? {};
  await group.waitUntilApplied();
  const digests = await Promise.all(
    group.members.map(async (server) => {
      const [digest] = await server.query(
        'SELECT COUNT(*) AS n, SUM(CRC32(CONCAT(id, member))) AS crc FROM app.writes WHERE id < ?',
        [Number(last) - WRITES_UNDER_WAY],
      );
      return JSON.stringify(digest);
    }),
  );
  return digests.filter((each) => each !== digests[0]).length;
}

const WRITES_UNDER_WAY = 500;
