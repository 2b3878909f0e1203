/**
 * What a node of a Galera cluster is asked: SHOW only, for a node without its cluster refuses everything else (error 1047).
 */
import type { GaleraAnswer } from '../../../routing/observations.ts';
import type { ServerTraits } from './detection.ts';
import type { Probe } from './probe.ts';
import { isOn, tablesIn, unexpected, valuesIn } from './rows.ts';
import type { SelfFacts } from './self.ts';

const STATUS_QUERY =
  'SHOW GLOBAL STATUS WHERE Variable_name IN' +
  " ('wsrep_cluster_state_uuid', 'wsrep_cluster_status', 'wsrep_cluster_conf_id', 'wsrep_ready', 'wsrep_connected'," +
  " 'wsrep_local_state', 'wsrep_local_index', 'wsrep_local_recv_queue', 'wsrep_gcomm_uuid', 'wsrep_incoming_addresses'," +
  " 'Uptime')";
const VARIABLES_QUERY =
  'SHOW GLOBAL VARIABLES WHERE Variable_name IN' +
  " ('server_uuid', 'server_uid', 'server_id', 'hostname', 'port', 'version', 'read_only', 'super_read_only'," +
  " 'innodb_read_only', 'mysqlx_enable_hello_notice', 'wsrep_desync', 'wsrep_reject_queries', 'pxc_maint_mode')";

export function createGaleraProbe(traits: ServerTraits): Probe {
  return {
    text: `${STATUS_QUERY}; ${VARIABLES_QUERY}`,
    read(results, times) {
      const [statusRows, variableRows] = tablesIn(results);
      const status = valuesIn(statusRows ?? []);
      const variables = valuesIn(variableRows ?? []);
      const queue = Number(status.get('wsrep_local_recv_queue') ?? 'NaN');
      return {
        ...times,
        ...selfOf(variables, traits),
        group: null,
        galera: galeraOf(status, variables),
        aurora: null,
        channels: null,
        lag: { seconds: null, transactions: Number.isFinite(queue) ? queue : null },
      };
    },
  };
}

type Values = ReadonlyMap<string, string>;

/** As self.ts has it, without a SELECT. */
function selfOf(variables: Values, traits: ServerTraits): SelfFacts {
  const text = (name: string) => variables.get(name) ?? '';
  const uid = traits.hasServerUid ? `#${text('server_uid')}` : '';
  const instance = `${text('hostname')}:${text('port')}#${text('server_id')}`;
  const serverUuid = text('server_uuid') || `${instance}${uid}`;
  if (text('version') === '') throw unexpected('no version');
  return {
    serverUuid,
    serverId: Number(text('server_id')),
    instance,
    version: text('version'),
    readOnly: isOn(text('read_only')) || isOn(text('innodb_read_only')),
    superReadOnly: isOn(text('super_read_only')),
    mysqlxPort: traits.mysqlxPort,
    mysqlxGreets: isOn(text('mysqlx_enable_hello_notice')),
  };
}

function galeraOf(status: Values, variables: Values): GaleraAnswer {
  const text = (name: string) => status.get(name) ?? '';
  const clusterUuid = text('wsrep_cluster_state_uuid');
  const configuration = Number(text('wsrep_cluster_conf_id') || 'NaN');
  return {
    clusterUuid: NO_UUID.test(clusterUuid) ? '' : clusterUuid,
    isPrimaryComponent: text('wsrep_cluster_status') === 'Primary',
    isReady: isOn(text('wsrep_ready')) && isOn(text('wsrep_connected')),
    localState: Number(text('wsrep_local_state') || '0'),
    setAside: setAsideBy(variables),
    // Outside of a primary component it is -1, or that as an unsigned number.
    configuration: Number.isSafeInteger(configuration) && configuration >= 0 ? configuration : null,
    nodeUuid: text('wsrep_gcomm_uuid'),
    uptimeSeconds: Number(text('uptime') || '0'),
    localIndex: Number(text('wsrep_local_index') || '-1'),
    members: text('wsrep_incoming_addresses').split(',').map(addressIn),
  };
}

function setAsideBy(variables: Values): string {
  if (isOn(variables.get('wsrep_desync') ?? '')) return 'wsrep_desync is ON';
  const rejects = variables.get('wsrep_reject_queries') ?? 'NONE';
  if (rejects.toUpperCase() !== 'NONE') return `wsrep_reject_queries is ${rejects}`;
  const maintenance = variables.get('pxc_maint_mode') ?? 'DISABLED';
  return maintenance.toUpperCase() === 'DISABLED' ? '' : `pxc_maint_mode is ${maintenance}`;
}

/** "host:port", or empty for what nobody can dial, such as AUTO. */
function addressIn(text: string): string {
  const address = text.trim();
  return /^(?:\[[^\]]+\]|[^:\s]+):[1-9]\d*$/.test(address) ? address : '';
}

const NO_UUID = /^[0-]*$/;
