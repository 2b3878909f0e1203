/**
 * What a member is asked, and how its rows are read.
 *
 * One probe is one round trip of up to three statements, in this order: the view id before the rows, so that rows are
 * never older than the id they go by; super_read_only last, so that a demotion in between is seen.
 */
import type { GroupAnswer, MemberAnswer, ViewRow } from '../../routing/observations.ts';
import type { MemberRole, MemberState } from '../../routing/topology.ts';
import { ControlFailure } from './control-failure.ts';

/** What a member can be asked: what it has, and what the account may read. */
export type ProbeScope =
  /** Group Replication with view ids. */
  | 'group-with-stats'
  /** Group Replication; the account may not read replication_group_member_stats. */
  | 'group'
  /** No Group Replication plugin. */
  | 'plain';

/** Asked once a session, and again now and then of a server without the plugin. */
export const VARIABLES_QUERY =
  'SELECT variable_name AS name, variable_value AS value FROM performance_schema.global_variables' +
  " WHERE variable_name IN ('group_replication_group_name', 'mysqlx_port')";

/** The member of the group that answers must not wait until it has caught up. */
export const GROUP_SESSION_SETUP = "SET @@session.group_replication_consistency = 'EVENTUAL'";

const STATS_QUERY =
  'SELECT member_id AS id, view_id AS viewId FROM performance_schema.replication_group_member_stats' +
  " WHERE channel_name = 'group_replication_applier'";
const MEMBERS_QUERY =
  'SELECT member_id AS id, member_host AS host, member_port AS port, member_state AS state, member_role AS role' +
  ' FROM performance_schema.replication_group_members' +
  " WHERE channel_name = 'group_replication_applier'";
const SELF_COLUMNS =
  '@@server_uuid AS serverUuid, @@version AS version, @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly';
const PLAIN_QUERY = `SELECT ${SELF_COLUMNS}`;
const GROUP_QUERY = `SELECT @@global.group_replication_group_name AS groupName, @@global.group_replication_single_primary_mode AS isSinglePrimary, ${SELF_COLUMNS}`;

/** The statements of one probe, as one text. */
export const PROBE_QUERIES = {
  'group-with-stats': `${STATS_QUERY}; ${MEMBERS_QUERY}; ${GROUP_QUERY}`,
  group: `${MEMBERS_QUERY}; ${GROUP_QUERY}`,
  plain: PLAIN_QUERY,
} as const satisfies Record<ProbeScope, string>;

/** Whether the plugin is there, and where the X protocol listens. */
export function readVariables(rows: unknown): {
  readonly hasGroup: boolean;
  readonly mysqlxPort: number | null;
} {
  const values = new Map(
    rowsIn(rows).map((row) => [textIn(row, 'name').toLowerCase(), textIn(row, 'value')]),
  );
  const mysqlxPort = Number(values.get('mysqlx_port') ?? '');
  return {
    hasGroup: values.has('group_replication_group_name'),
    mysqlxPort: mysqlxPort > 0 ? mysqlxPort : null,
  };
}

export type AnswerTimes = Pick<MemberAnswer, 'askedAtMs' | 'answeredAtMs'>;

/** @throws ControlFailure when the server answers something else than it was asked */
export function readAnswer(
  scope: ProbeScope,
  results: unknown,
  times: AnswerTimes,
  mysqlxPort: number | null,
): MemberAnswer {
  const tables = scope === 'plain' ? [rowsIn(results)] : tablesIn(results);
  const [self] = tables.at(-1) ?? [];
  if (self === undefined) throw unexpected('no row about the server itself');
  const serverUuid = textIn(self, 'serverUuid');
  if (serverUuid === '') throw unexpected('no server_uuid');
  const members = tables.at(-2) ?? [];
  const stats = scope === 'group-with-stats' ? (tables.at(-3) ?? []) : [];
  return {
    ...times,
    serverUuid,
    version: textIn(self, 'version'),
    readOnly: flagIn(self, 'readOnly'),
    superReadOnly: flagIn(self, 'superReadOnly'),
    mysqlxPort,
    group: scope === 'plain' ? null : groupIn(self, members, stats, serverUuid),
  };
}

function groupIn(
  self: Row,
  members: readonly Row[],
  stats: readonly Row[],
  serverUuid: string,
): GroupAnswer | null {
  const groupName = textIn(self, 'groupName');
  if (groupName === '') return null;
  const own = stats.find((row) => textIn(row, 'id') === serverUuid);
  const viewId = own === undefined ? '' : textIn(own, 'viewId');
  return {
    groupName,
    isSinglePrimary: flagIn(self, 'isSinglePrimary'),
    viewId: viewId === '' ? null : viewId,
    // A member that has never joined lists itself without an id.
    rows: members.map(viewRowIn).filter((row) => row.id !== ''),
  };
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

type Row = Readonly<Record<string, unknown>>;

function tablesIn(results: unknown): readonly (readonly Row[])[] {
  if (!Array.isArray(results)) throw unexpected('no result sets');
  return results.map(rowsIn);
}

function rowsIn(rows: unknown): readonly Row[] {
  if (!Array.isArray(rows) || !rows.every(isRow)) throw unexpected('no rows');
  return rows;
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as text; empty for NULL and for a column that is missing. */
function textIn(row: Row, column: string): string {
  const value = row[column];
  return value === null || value === undefined ? '' : String(value);
}

function flagIn(row: Row, column: string): boolean {
  const text = textIn(row, column).toUpperCase();
  return text === '1' || text === 'ON';
}

function unexpected(what: string): ControlFailure {
  return new ControlFailure('error', `unexpected answer: ${what}`, { isFatal: false });
}

const STATES = [
  'ONLINE',
  'RECOVERING',
  'OFFLINE',
  'ERROR',
  'UNREACHABLE',
] as const satisfies readonly MemberState[];
const ROLES = ['PRIMARY', 'SECONDARY'] as const satisfies readonly MemberRole[];
