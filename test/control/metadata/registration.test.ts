/** Registering as a router: on one real server whose metadata says what it is told to. */
import { hostname } from 'node:os';
import { pino } from 'pino';
import t from 'tap';
import { effectiveOptions, NO_OPTIONS } from '../../../routing/metadata/facts.ts';
import type { ClusterFacts, Member } from '../../../routing/topology.ts';
import { RouterRegistration } from '../../../src/control/metadata/registration.ts';
import {
  createAccount,
  createSandbox,
  METADATA_SCHEMA,
  missingParts,
  type Server,
  setRouterOptions,
  waitFor,
} from '../../../src/sandbox/index.ts';
import { createEventLog } from '../../../src/shared/events.ts';
import { memberNamed, primaryNamed, topologyOf } from '../../routing/members.ts';
import { MEMBER_CAPABILITIES, sendRows } from '../../support/scripted-member.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { controlConfig, type PlaneFacts, startPlane } from '../peers.ts';

const noMysql = await missingParts('mysql');
const READS = [
  'SELECT ON performance_schema.replication_group_members',
  'SELECT ON performance_schema.replication_group_member_stats',
  `SELECT, EXECUTE ON ${METADATA_SCHEMA}.*`,
];
const WRITER = { user: 'registrar', password: 'registrar-secret' };

t.test('a router that registers', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 1 });
  const primary = await group.primary();
  await group.installMetadata({ version: '2.4' });
  await createAccount(primary, { ...WRITER, grants: READS });
  const facts: PlaneFacts = {
    seeds: [[primary.host, primary.port]],
    ...WRITER,
    metadata: { register: true, intervalMs: 500 },
  };
  const start = (more: Partial<PlaneFacts> = {}) => {
    const started = startPlane({ ...facts, ...more });
    t.teardown(() => started.plane.close());
    return started;
  };

  await t.test('says which grant it lacks, and routes', async (t) => {
    const { plane, until, untilEvent } = start();
    await until('a primary', ({ primary }) => primary !== null);
    const event = await untilEvent('registration_failed');
    t.match(event.message, /GRANT INSERT, UPDATE ON .*routers.*'registrar' is missing/);
    plane.close();
    t.equal((await rowsOf(primary)).length, 0);
  });

  for (const table of ['routers', 'v2_routers', 'router_stats']) {
    await primary.query(`GRANT INSERT, UPDATE, DELETE ON ${METADATA_SCHEMA}.${table} TO 'registrar'@'%'`);
  }

  await t.test('enters itself as MySQL Router does, under its host name', async (t) => {
    const { plane, untilEvent } = start();
    await untilEvent('router_registered');
    const [row, ...others] = await rowsOf(primary);
    t.equal(others.length, 0);
    t.match(row, {
      router_name: '',
      product_name: 'Fairlead',
      address: hostname(),
      attributes: { MetadataUser: 'registrar', RWEndpoint: '6446', bootstrapTargetType: 'cluster' },
    });
    t.type(row?.['cluster_id'], 'string');
    const [stats] = await primary.query(`SELECT * FROM ${METADATA_SCHEMA}.router_stats`);
    t.equal(stats?.['router_id'], row?.['router_id']);
    t.ok(stats?.['last_check_in']);
    plane.close();
  });

  await t.test('uses its row again, and writes nothing that is there already', async (t) => {
    const before = await transactionsOn(primary);
    const { plane, untilEvent } = start();
    const event = await untilEvent('router_registered');
    t.match(event.message, /in the row that was there/);
    t.ok((await transactionsOn(primary)) - before <= 1, 'nothing but the check-in');
    plane.close();
    t.equal((await rowsOf(primary)).length, 1);
  });

  await t.test('checks in as often as the metadata says, with small writes', async () => {
    await setRouterOptions(primary, { stats_updates_frequency: 1 });
    const { plane, until, untilEvent } = start();
    await untilEvent('router_registered');
    await until('the option', ({ cluster }) => cluster?.options.statsUpdatesFrequencyS === 1);
    const before = await lastCheckIn(primary);
    await waitFor({ what: 'another check-in', timeoutMs: 10_000 }, async () =>
      (await lastCheckIn(primary)) > before ? true : undefined,
    );
    plane.close();
    await setRouterOptions(primary, {});
  });

  await t.test('options for this router alone count, above those of the cluster', async (t) => {
    await setRouterOptions(primary, { read_only_targets: 'all' });
    await primary.query(
      `UPDATE ${METADATA_SCHEMA}.routers SET options = '{"read_only_targets": "read_replicas"}'`,
    );
    const { plane, until } = start();
    const topology = await until('a primary', ({ primary }) => primary !== null);
    t.equal(topology.cluster?.options.readOnlyTargets, 'read-replicas');
    plane.close();
  });

  await t.test('leaves the row of another program alone', async (t) => {
    await primary.query(`UPDATE ${METADATA_SCHEMA}.routers SET product_name = 'MySQL Router'`);
    const { plane, untilEvent } = start();
    const event = await untilEvent('registration_failed');
    t.match(event.message, /is registered for MySQL Router: .*metadata.routerName/);
    // Another name is another row.
    plane.reload(controlConfig({ ...facts, metadata: { ...facts.metadata, routerName: 'second' } }));
    await untilEvent('router_registered', /::second/);
    t.equal((await rowsOf(primary)).length, 2);
    plane.close();
  });

  await t.test('does nothing of the kind unasked', async (t) => {
    await primary.query(`DELETE FROM ${METADATA_SCHEMA}.routers`);
    const { plane, until } = start({ metadata: { intervalMs: 500 } });
    await until('a primary', ({ primary }) => primary !== null);
    await until('metadata', ({ cluster }) => cluster?.state === 'ok');
    plane.close();
    t.equal((await rowsOf(primary)).length, 0);
  });
});

t.test('a member that comes or goes sends no router to its row again', async (t) => {
  const server = await ScriptedServer.start(async (peer) => {
    if (!(await peer.logIn(MEMBER_CAPABILITIES))) return;
    await peer.answerCommands(({ payload }) => {
      if (payload.includes('SELECT router_id')) sendRows(peer, [OWN_ROW]);
      else peer.ok(1);
    });
  });
  t.teardown(() => server.close());
  let visits = 0;
  const events = createEventLog(pino({ level: 'silent' }), 10);
  const registration = new RouterRegistration({
    settings: {
      account: { user: 'router', password: 'secret', tls: controlConfig({ seeds: [] }).cluster.tls },
      identity() {
        visits++;
        return { address: 'host', name: '', version: '1', attributes: {} };
      },
    },
    events,
    now: () => performance.now(),
    random: Math.random,
  });
  t.teardown(() => registration.close());
  const topology = (members: readonly Member[], schemaVersion = '2.4.0') =>
    topologyOf([primaryNamed('a', { dial: { host: server.host, port: server.port } }), ...members], {
      cluster: clusterFactsOf(schemaVersion),
    });
  registration.consider(topology([]));
  await waitFor({ what: 'its row', timeoutMs: 20_000 }, async () =>
    events.recent(10).find(({ kind }) => kind === 'router_registered'),
  );
  registration.consider(topology([memberNamed('b')]));
  registration.consider(topology([memberNamed('b', { state: 'RECOVERING', acceptsReads: false })]));
  t.equal(visits, 1);
  registration.consider(topology([memberNamed('b')], '2.4.1'));
  t.equal(visits, 2, 'what is kept of the cluster itself does');
});

function clusterFactsOf(schemaVersion: string): ClusterFacts {
  return {
    ...{
      kind: 'cluster',
      state: 'ok',
      detail: '',
      id: 'home',
      name: 'mycluster',
      schemaVersion,
      viewId: null,
    },
    ...{ clusters: [], options: effectiveOptions(undefined, NO_OPTIONS), unknownOptions: [] },
  };
}

/** Nothing in it is to be changed. */
const OWN_ROW = { id: '1', productName: 'Fairlead', version: '1', homeId: 'home', attributes: '{}' };

async function rowsOf(server: Server) {
  return await server.query(`SELECT * FROM ${METADATA_SCHEMA}.v2_routers ORDER BY router_id`);
}

async function lastCheckIn(server: Server): Promise<number> {
  const [row] = await server.query(`SELECT MAX(last_check_in) AS at FROM ${METADATA_SCHEMA}.router_stats`);
  return row?.['at'] instanceof Date ? row['at'].getTime() : 0;
}

async function transactionsOn(server: Server): Promise<number> {
  const [row] = await server.query('SELECT @@global.gtid_executed AS gtids');
  const ranges = [...String(row?.['gtids']).matchAll(/:(\d+)(?:-(\d+))?/g)];
  return ranges.reduce((sum, [, first, last = first]) => sum + Number(last) - Number(first) + 1, 0);
}
