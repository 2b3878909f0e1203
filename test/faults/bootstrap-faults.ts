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
    const [leader, ...rest] = [...others, primary];
    if (leader === undefined) return;
    const had = await hadBy(leader);
    for (const member of rest) {
      const gap = missingTransactions(await hadBy(member), had) ?? 0;
      note(
        `${member === primary ? 'the former primary' : member.name} has ${gap} that the new leader never had`,
      );
      if (gap === 0) continue;
      const rows = await member.query('SELECT id FROM app.writes');
      if (member === primary) forgo({ ids: new Set(rows.map(({ id }) => Number(id))), transactions: gap });
      // The new leader gives their numbers away again: as it is, the member would be let in and keep its other data.
      await member.query('RESET BINARY LOGS AND GTIDS');
      await member.query('SET GLOBAL group_replication_clone_threshold = 1');
    }
    await group.bootstrap([leader]);
    // A donor copies itself to one at a time, and refuses others meanwhile.
    for (const member of rest) await group.waitUntilOnline([member]);
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
