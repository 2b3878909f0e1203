/**
 * What a server with Group Replication is asked, and how its rows are read.
 *
 * One round trip of up to three statements, in this order: the view id before the rows, so that rows are never older than
 * the id they go by; super_read_only last, so that a demotion in between is seen.
 */
import type { GroupAnswer, Lag, ViewRow } from '../../../routing/observations.ts';
import type { MemberRole, MemberState } from '../../../routing/topology.ts';
import { lagOf } from './channels.ts';
import type { ServerTraits } from './detection.ts';
import type { Probe } from './probe.ts';
import { isOn, numberIn, type Row, tablesIn, textIn } from './rows.ts';
import { selfColumns, selfIn } from './self.ts';

/** The member of the group that answers must not wait until it has caught up. */
export const GROUP_SESSION_SETUP = "SET @@session.group_replication_consistency = 'EVENTUAL'";

const STATS_QUERY =
  'SELECT member_id AS id, view_id AS viewId, count_transactions_in_queue AS toCertify,' +
  ' count_transactions_remote_in_applier_queue AS toApply' +
  ' FROM performance_schema.replication_group_member_stats' +
  " WHERE channel_name = 'group_replication_applier'";
const MEMBERS_QUERY =
  'SELECT member_id AS id, member_host AS host, member_port AS port, member_state AS state, member_role AS role' +
  ' FROM performance_schema.replication_group_members' +
  " WHERE channel_name = 'group_replication_applier'";
const GROUP_COLUMNS =
  '@@global.group_replication_group_name AS groupName, @@global.group_replication_single_primary_mode AS isSinglePrimary';

/** @param readsStats false where the account may not read replication_group_member_stats: see views.ts for what is lost */
export function createGroupProbe(traits: ServerTraits, readsStats: boolean): Probe {
  const self = `SELECT ${GROUP_COLUMNS}, ${selfColumns(traits)}`;
  return {
    text: `${readsStats ? `${STATS_QUERY}; ` : ''}${MEMBERS_QUERY}; ${self}`,
    read(results, times, { channels, gtids }) {
      const tables = tablesIn(results);
      const [row] = tables.at(-1) ?? [];
      const facts = selfIn(row, traits);
      const own = (readsStats ? tables.at(-3) : undefined)?.find(
        (stats) => textIn(stats, 'id') === facts.serverUuid,
      );
      const group = row === undefined ? null : groupIn(row, tables.at(-2) ?? [], own);
      const lag = group === null ? lagOf(channels) : lagIn(own);
      return { ...times, ...facts, group, galera: null, aurora: null, channels, gtids, lag };
    },
  };
}

function groupIn(self: Row, members: readonly Row[], stats: Row | undefined): GroupAnswer | null {
  const groupName = textIn(self, 'groupName');
  if (groupName === '') return null;
  const viewId = stats === undefined ? '' : textIn(stats, 'viewId');
  return {
    groupName,
    isSinglePrimary: isOn(textIn(self, 'isSinglePrimary')),
    viewId: viewId === '' ? null : viewId,
    // A member that has never joined lists itself without an id.
    rows: members.map(viewRowIn).filter((row) => row.id !== ''),
  };
}

function lagIn(stats: Row | undefined): Lag {
  if (stats === undefined) return { seconds: null, transactions: null };
  const toCertify = numberIn(stats, 'toCertify');
  const toApply = numberIn(stats, 'toApply');
  const isKnown = toCertify !== null || toApply !== null;
  return { seconds: null, transactions: isKnown ? (toCertify ?? 0) + (toApply ?? 0) : null };
}

function viewRowIn(row: Row): ViewRow {
  return {
    id: textIn(row, 'id'),
    host: textIn(row, 'host'),
    port: Number(textIn(row, 'port')),
    state: STATES.find((state) => state === textIn(row, 'state')) ?? 'UNKNOWN',
    role: ROLES.find((role) => role === textIn(row, 'role')) ?? 'UNKNOWN',
  };
}

const STATES = [
  'ONLINE',
  'RECOVERING',
  'OFFLINE',
  'ERROR',
  'UNREACHABLE',
] as const satisfies readonly MemberState[];
const ROLES = ['PRIMARY', 'SECONDARY'] as const satisfies readonly MemberRole[];
