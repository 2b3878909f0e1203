/** How the rows of each kind of server are read, odd ones included. */
import t from 'tap';
import { toControlFailure } from '../../src/control/control-failure.ts';
import { createAuroraProbe } from '../../src/control/probe/aurora-probe.ts';
import { lagOf, readChannels } from '../../src/control/probe/channels.ts';
import { readTraits, type ServerTraits } from '../../src/control/probe/detection.ts';
import { createGaleraProbe } from '../../src/control/probe/galera-probe.ts';
import { createGroupProbe } from '../../src/control/probe/group-probe.ts';
import { createPlainProbe } from '../../src/control/probe/probe.ts';

const TIMES = { askedAtMs: 1, answeredAtMs: 2 };
const UNKNOWN = { channels: null, gtids: '' };
const named = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => ({ Variable_name: name, Value: value }));
const traitsOf = (values: Readonly<Record<string, string>>): ServerTraits => readTraits(named(values));

const MYSQL = { version: '9.7.0', server_uuid: 'uuid', super_read_only: 'OFF' };
const MARIADB = { version: '11.8.9-MariaDB-4 from Debian-log', server_uid: 'uid' };
const SELF = {
  serverUuid: 'uuid',
  serverId: '7',
  version: '9.7.0',
  readOnly: '0',
  innodbReadOnly: '0',
  superReadOnly: '0',
};

t.test('a server is what its variables say', async (t) => {
  const table: readonly (readonly [Readonly<Record<string, string>>, ServerTraits['kind']])[] = [
    [MYSQL, 'plain'],
    [{ ...MYSQL, group_replication_group_name: '' }, 'group'],
    [{ ...MARIADB, wsrep_on: 'ON', wsrep_provider: '/usr/lib/galera/libgalera_smm.so' }, 'galera'],
    [{ ...MARIADB, wsrep_on: 'OFF', wsrep_provider: '/usr/lib/galera/libgalera_smm.so' }, 'plain'],
    [{ ...MARIADB, wsrep_on: 'ON', wsrep_provider: 'none' }, 'plain'],
    [{ ...MYSQL, wsrep_on: 'ON', wsrep_provider: '/usr/lib/galera4/libgalera_smm.so' }, 'galera'],
    [{ ...MYSQL, aurora_server_id: 'db-1' }, 'aurora'],
  ];
  for (const [variables, kind] of table) t.equal(traitsOf(variables).kind, kind, JSON.stringify(variables));
  t.throws(() => readTraits('nothing'), /no rows/);
});

t.test('a server without a server_uuid is named by what it has', async (t) => {
  t.match(createPlainProbe(traitsOf(MYSQL)).text, /@@server_uuid AS serverUuid.*@@global\.super_read_only/);
  const { text } = createPlainProbe(traitsOf(MARIADB));
  t.match(text, /CONCAT\(@@hostname.*@@server_id.*@@server_uid\) AS serverUuid/);
  t.notMatch(text, /@@server_uuid|@@global\.super_read_only/);
});

t.test('read-only is everything but OFF, whichever switch it is', async (t) => {
  const probe = createPlainProbe(traitsOf(MYSQL));
  const table: readonly (readonly [Readonly<Record<string, unknown>>, readOnly: boolean])[] = [
    [SELF, false],
    [{ ...SELF, readOnly: '1' }, true],
    [{ ...SELF, readOnly: 'NO_LOCK_NO_ADMIN' }, true],
    [{ ...SELF, readOnly: 'OFF', innodbReadOnly: 'ON' }, true],
    [{ ...SELF, readOnly: 0 }, false],
  ];
  for (const [row, readOnly] of table) t.equal(probe.read([[row]], TIMES, UNKNOWN).readOnly, readOnly);
  t.throws(() => probe.read([[{ ...SELF, serverUuid: null }]], TIMES, UNKNOWN), /no identity/);
  t.throws(() => probe.read([], TIMES, UNKNOWN), /no row/);
});

t.test('offline mode is an answer that serves nobody, where the server has such a mode', async (t) => {
  const probe = createPlainProbe(traitsOf({ ...MYSQL, offline_mode: 'OFF' }));
  t.match(probe.text, /@@global\.offline_mode/);
  t.match(probe.read([[{ ...SELF, offlineMode: '0' }]], TIMES, UNKNOWN), { serverUuid: 'uuid' });
  const asked = () => probe.read([[{ ...SELF, offlineMode: '1' }]], TIMES, UNKNOWN);
  t.throws(asked, { name: 'ControlFailure', message: /offline_mode is ON/ });
  t.notMatch(createPlainProbe(traitsOf(MARIADB)).text, /offline_mode/);
});

t.test(
  'a failure is known by its number or code, and the router’s own troubles are not the member’s',
  async (t) => {
    const kindOf = (facts: object) => toControlFailure(Object.assign(new Error('it failed'), facts)).kind;
    for (const errno of [3032, 6400, 6401]) t.equal(kindOf({ errno }), 'offline-mode', String(errno));
    t.equal(kindOf({ errno: 1045 }), 'access-denied');
    t.equal(kindOf({ errno: -111, code: 'ECONNREFUSED' }), 'refused');
    for (const code of ['EMFILE', 'EADDRNOTAVAIL'])
      t.equal(kindOf({ errno: -24, code }), 'router-exhausted', code);
    t.equal(kindOf({ errno: 1064 }), 'error');
  },
);

t.test('a group tells its queue; a server with the plugin and no group tells its channels', async (t) => {
  const probe = createGroupProbe(traitsOf({ ...MYSQL, group_replication_group_name: '' }), true);
  const stats = [
    { id: 'uuid', viewId: '1:2', toCertify: '3', toApply: '4' },
    { id: 'other', toCertify: '99', toApply: '0' },
  ];
  const members = [{ id: 'uuid', host: 'db-1', port: '3306', state: 'ONLINE', role: 'PRIMARY' }];
  const inGroup = probe.read(
    [stats, members, [{ ...SELF, groupName: 'group', isSinglePrimary: '1' }]],
    TIMES,
    UNKNOWN,
  );
  t.match(inGroup, { lag: { transactions: 7, seconds: null }, group: { groupName: 'group', viewId: '1:2' } });
  const channels = readChannels([
    { Source_Host: 'db-0', Source_Port: 3306, Replica_SQL_Running: 'Yes', Seconds_Behind_Source: 12 },
  ]);
  const alone = probe.read([[], [], [{ ...SELF, groupName: '' }]], TIMES, { channels, gtids: '0-1-1' });
  t.match(alone, { group: null, lag: { seconds: 12 }, gtids: '0-1-1' });
});

t.test('channels are read under both names of their columns, and the slowest counts', async (t) => {
  const channels = readChannels([
    {
      Channel_Name: '',
      Source_Host: 'db-1',
      Source_Port: '3306',
      Source_UUID: 'u1',
      Source_Server_Id: 1,
      Replica_IO_Running: 'Yes',
      Replica_SQL_Running: 'Yes',
      Seconds_Behind_Source: 3,
    },
    {
      Connection_name: 'two',
      Master_Host: '::1',
      Master_Port: '3307',
      Master_Server_Id: 2,
      Slave_IO_Running: 'Connecting',
      Slave_SQL_Running: 'Yes',
      Seconds_Behind_Master: null,
    },
    { Channel_Name: 'group_replication_applier', Source_Host: '<NULL>' },
  ]);
  t.strictSame(channels, [
    {
      sourceUuid: 'u1',
      sourceServerId: 1,
      sourceAddress: 'db-1:3306',
      isReceiving: true,
      isApplying: true,
      secondsBehind: 3,
    },
    {
      sourceUuid: '',
      sourceServerId: 2,
      sourceAddress: '[::1]:3307',
      isReceiving: false,
      isApplying: true,
      secondsBehind: null,
    },
  ]);
  t.equal(lagOf(channels).seconds, 3);
  const [first] = channels;
  t.equal(
    lagOf(first === undefined ? [] : [{ ...first, isApplying: false }]).seconds,
    Number.POSITIVE_INFINITY,
  );
  t.equal(lagOf([]).seconds, null);
  t.equal(lagOf(null).seconds, null);
});

t.test('a Galera node with its cluster, and one that has lost it', async (t) => {
  const probe = createGaleraProbe(traitsOf({ ...MARIADB, wsrep_on: 'ON', wsrep_provider: 'x' }));
  const variables = named({
    hostname: 'db',
    port: '3306',
    server_id: '1',
    server_uid: 'uid',
    version: '11.8.9-MariaDB',
    read_only: 'OFF',
    wsrep_desync: 'OFF',
    wsrep_reject_queries: 'NONE',
  });
  const status = {
    wsrep_cluster_state_uuid: 'cf6c4c06-e587-11f1-a7e5-1eba0ddd18ed',
    wsrep_cluster_status: 'Primary',
    wsrep_cluster_conf_id: '3',
    wsrep_ready: 'ON',
    wsrep_connected: 'ON',
    wsrep_local_state: '4',
    wsrep_local_index: '1',
    wsrep_local_recv_queue: '5',
    wsrep_gcomm_uuid: 'd01eed8d-e587-11f1-8b82-77711a6c73c6',
    wsrep_incoming_addresses: '10.0.0.1:3306,[fd00::2]:3306,,AUTO',
    Uptime: '1234',
  };
  t.match(probe.read([named(status), variables], TIMES, UNKNOWN), {
    serverUuid: 'db:3306#1#uid',
    readOnly: false,
    lag: { transactions: 5 },
    galera: {
      isPrimaryComponent: true,
      isReady: true,
      localState: 4,
      configuration: 3,
      uptimeSeconds: 1234,
      setAside: '',
      members: ['10.0.0.1:3306', '[fd00::2]:3306', '', ''],
    },
  });
  for (const conf of ['-1', '18446744073709551615']) {
    const lost = {
      ...status,
      wsrep_cluster_status: 'non-Primary',
      wsrep_ready: 'OFF',
      wsrep_cluster_conf_id: conf,
      wsrep_local_state: '0',
    };
    t.match(probe.read([named(lost), variables], TIMES, UNKNOWN).galera, {
      isPrimaryComponent: false,
      isReady: false,
      configuration: null,
    });
  }
  const joining = { ...status, wsrep_cluster_state_uuid: '00000000-0000-0000-0000-000000000000' };
  t.equal(probe.read([named(joining), variables], TIMES, UNKNOWN).galera?.clusterUuid, '');
  const aside = [
    ...variables.filter(({ Variable_name }) => Variable_name !== 'wsrep_reject_queries'),
    ...named({ wsrep_reject_queries: 'ALL' }),
  ];
  t.equal(probe.read([named(status), aside], TIMES, UNKNOWN).galera?.setAside, 'wsrep_reject_queries is ALL');
  t.throws(() => probe.read([named(status), []], TIMES, UNKNOWN), /no version/);
});

t.test('an Aurora instance is its name, and tells its own lag', async (t) => {
  const probe = createAuroraProbe(traitsOf({ ...MYSQL, aurora_server_id: 'db-2' }));
  const rows = [
    { serverId: 'db-1', isWriter: 1, lagMs: null },
    { serverId: 'db-2', isWriter: 0, lagMs: '2500.5' },
  ];
  const answer = probe.read(
    [rows, [{ ...SELF, auroraServerId: 'db-2', innodbReadOnly: '1' }]],
    TIMES,
    UNKNOWN,
  );
  t.match(answer, { serverUuid: 'db-2', readOnly: true, lag: { seconds: 2.5005 } });
  t.equal(answer.aurora?.rows[0]?.isWriter, true);
  t.throws(() => probe.read([rows, [SELF]], TIMES, UNKNOWN), /no aurora_server_id/);
});
