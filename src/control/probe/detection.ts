/**
 * What kind of server a member is, by the variables it has: asked once a session, and again now and then.
 *
 * SHOW needs no privilege, and is answered where a SELECT is not: without a performance schema (MariaDB), and on a Galera
 * node that has lost its cluster.
 */
import { isOn, rowsIn, valuesIn } from './rows.ts';

export type ServerKind =
  /** With the Group Replication plugin. */
  | 'group'
  /** With a wsrep provider: MariaDB Galera Cluster, Percona XtraDB Cluster. */
  | 'galera'
  /** An instance of Amazon Aurora. */
  | 'aurora'
  /** None of the others: alone, or under asynchronous replication. */
  | 'plain';

export type ServerTraits = {
  readonly kind: ServerKind;
  /** False for MariaDB and servers before MySQL 5.7. */
  readonly hasServerUuid: boolean;
  readonly hasSuperReadOnly: boolean;
  /** MariaDB's hash over network card and port, from 10.5.26 on. */
  readonly hasServerUid: boolean;
  /** SHOW ALL SLAVES STATUS. */
  readonly isMariadb: boolean;
  /** Where the X protocol listens, or null without it. */
  readonly mysqlxPort: number | null;
  /** Whether it says so itself that it speaks first in X Protocol: `mysqlx_enable_hello_notice`. */
  readonly hasMysqlxHello: boolean;
  /** From MySQL 5.7.5 on. */
  readonly hasOfflineMode: boolean;
};

export const DETECTION_QUERY =
  'SHOW GLOBAL VARIABLES WHERE Variable_name IN' +
  " ('group_replication_group_name', 'mysqlx_port', 'mysqlx_enable_hello_notice', 'server_uuid', 'server_uid', 'super_read_only', 'offline_mode', 'version'," +
  " 'wsrep_on', 'wsrep_provider', 'aurora_server_id')";

/** @throws ControlFailure */
export function readTraits(rows: unknown): ServerTraits {
  const values = valuesIn(rowsIn(rows));
  const mysqlxPort = Number(values.get('mysqlx_port') ?? '');
  return {
    kind: kindOf(values),
    hasServerUuid: values.has('server_uuid'),
    hasSuperReadOnly: values.has('super_read_only'),
    hasServerUid: values.has('server_uid'),
    isMariadb: /mariadb/i.test(values.get('version') ?? ''),
    mysqlxPort: mysqlxPort > 0 ? mysqlxPort : null,
    hasMysqlxHello: values.has('mysqlx_enable_hello_notice'),
    hasOfflineMode: values.has('offline_mode'),
  };
}

function kindOf(values: ReadonlyMap<string, string>): ServerKind {
  if (values.has('group_replication_group_name')) return 'group';
  if ((values.get('aurora_server_id') ?? '') !== '') return 'aurora';
  const provider = (values.get('wsrep_provider') ?? 'none').toLowerCase();
  return isOn(values.get('wsrep_on') ?? '') && provider !== '' && provider !== 'none' ? 'galera' : 'plain';
}
