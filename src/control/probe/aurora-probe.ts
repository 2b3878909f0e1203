/**
 * What an instance of Aurora is asked. It has neither read_only to go by nor replication channels: one instance of the
 * cluster writes to the storage all share, and says so by innodb_read_only.
 */
import type { AuroraRow, Lag } from '../../../routing/observations.ts';
import type { ServerTraits } from './detection.ts';
import type { Probe } from './probe.ts';
import { isOn, numberIn, type Row, tablesIn, textIn, unexpected } from './rows.ts';
import { selfColumns, selfIn } from './self.ts';

/** An instance that was deleted stays in the table for a while and is not updated any more. */
const MEMBERS_QUERY =
  "SELECT server_id AS serverId, session_id = 'MASTER_SESSION_ID' AS isWriter, replica_lag_in_milliseconds AS lagMs" +
  ' FROM information_schema.replica_host_status' +
  " WHERE session_id = 'MASTER_SESSION_ID' OR last_update_timestamp > NOW() - INTERVAL 3 MINUTE";

export function createAuroraProbe(traits: ServerTraits): Probe {
  return {
    // Its own word last, so that a demotion in between is seen.
    text: `${MEMBERS_QUERY}; SELECT @@aurora_server_id AS auroraServerId, ${selfColumns(traits)}`,
    read(results, times) {
      const tables = tablesIn(results);
      const [row] = tables.at(-1) ?? [];
      const serverId = row === undefined ? '' : textIn(row, 'auroraServerId');
      if (serverId === '') throw unexpected('no aurora_server_id');
      const rows = (tables.at(-2) ?? []).map(auroraRowIn).filter((member) => member.serverId !== '');
      return {
        ...times,
        ...selfIn(row, traits),
        // Instances of one cluster are told apart by name; it is the name that stays when one is restored or moved.
        serverUuid: serverId,
        instance: '',
        group: null,
        galera: null,
        aurora: { serverId, rows },
        channels: null,
        lag: lagOf(rows.find((member) => member.serverId === serverId)),
      };
    },
  };
}

function auroraRowIn(row: Row): AuroraRow {
  return {
    serverId: textIn(row, 'serverId'),
    isWriter: isOn(textIn(row, 'isWriter')),
    lagMs: numberIn(row, 'lagMs'),
  };
}

function lagOf(row: AuroraRow | undefined): Lag {
  const isKnown = row !== undefined && !row.isWriter && row.lagMs !== null;
  return { seconds: isKnown ? (row.lagMs ?? 0) / 1000 : null, transactions: null };
}
