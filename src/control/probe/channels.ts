/**
 * Asynchronous replication as a replica shows it. The columns were renamed in MySQL 8.0.22 and never in MariaDB.
 */
import { addressOf } from '../../../routing/address.ts';
import type { Channel, Lag } from '../../../routing/observations.ts';
import type { ServerTraits } from './detection.ts';
import { numberIn, type Row, rowsIn, textIn } from './rows.ts';

/** Statements to try in order: the second where the server does not know the first. */
export function channelQueries(traits: ServerTraits): readonly string[] {
  return traits.isMariadb ? ['SHOW ALL SLAVES STATUS'] : ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS'];
}

/** Asked for what a server has executed; every account may. */
export function gtidQuery(traits: ServerTraits): string {
  return `SELECT ${traits.isMariadb ? '@@global.gtid_current_pos' : '@@global.gtid_executed'} AS gtids`;
}

/** @throws ControlFailure */
export function readGtids(rows: unknown): string {
  const [row] = rowsIn(rows);
  return row === undefined ? '' : textIn(row, 'gtids');
}

/** @throws ControlFailure */
export function readChannels(rows: unknown): readonly Channel[] {
  // A group's own channels are no asynchronous replication, and come without a source.
  const isOwn = (row: Row) => !named(row, 'Channel_Name', 'Connection_name').startsWith('group_replication_');
  return rowsIn(rows).filter(isOwn).map(channelIn);
}

/** The slowest channel counts, and one that stands still is behind by any measure. */
export function lagOf(channels: readonly Channel[] | null): Lag {
  if (channels === null || channels.length === 0) return { seconds: null, transactions: null };
  const seconds = channels.map((channel) =>
    channel.isApplying ? channel.secondsBehind : Number.POSITIVE_INFINITY,
  );
  const known = seconds.filter((value) => value !== null);
  return { seconds: known.length === 0 ? null : Math.max(...known), transactions: null };
}

function channelIn(row: Row): Channel {
  const host = named(row, 'Source_Host', 'Master_Host');
  const port = named(row, 'Source_Port', 'Master_Port');
  return {
    sourceUuid: named(row, 'Source_UUID', 'Master_UUID'),
    sourceServerId: numberIn(row, 'Source_Server_Id') ?? numberIn(row, 'Master_Server_Id') ?? 0,
    sourceAddress: host === '' ? '' : addressOf(host, Number(port)),
    isReceiving: named(row, 'Replica_IO_Running', 'Slave_IO_Running') === 'Yes',
    isApplying: named(row, 'Replica_SQL_Running', 'Slave_SQL_Running') === 'Yes',
    secondsBehind: numberIn(row, 'Seconds_Behind_Source') ?? numberIn(row, 'Seconds_Behind_Master'),
  };
}

function named(row: Row, name: string, formerName: string): string {
  return textIn(row, name) || textIn(row, formerName);
}
