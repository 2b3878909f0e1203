/** InnoDB Cluster on real servers: a group of one, read replicas beside it, and metadata that changes. */
import t, { type Test } from 'tap';
import {
  ACCOUNTS,
  createAccount,
  createSandbox,
  type Group,
  METADATA_SCHEMA,
  METADATA_VERSIONS,
  missingParts,
  recordInstance,
  type Sandbox,
  type Server,
  setRouterOptions,
  setTags,
} from '../../../src/sandbox/index.ts';
import { type PlaneFacts, type PlaneUnderTest, startPlane } from '../peers.ts';

const noMysql = await missingParts('mysql');

t.test('an InnoDB Cluster', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 1 });
  const primary = await group.primary();

  await t.test('a group without metadata is a group', (t) => withoutMetadata(t, primary));
  for (const version of METADATA_VERSIONS) {
    await t.test(`metadata ${version} is read`, async (t) => {
      await group.installMetadata({ version, clusterName: 'mycluster' });
      const { topology } = await startOn(t, primary);
      t.match(topology.cluster, {
        kind: 'cluster',
        state: 'ok',
        name: 'mycluster',
        schemaVersion: `${version}.0`,
      });
      t.match(topology.members[0]?.metadata, {
        label: primary.address,
        kind: 'member',
        xEndpoint: `${primary.host}:${primary.xPort}`,
      });
    });
  }
  await t.test('the endpoint of the metadata is dialled, not the name the group reports', (t) =>
    endpoints(t, group, primary),
  );
  await t.test('tags and options count within an interval', (t) => tagsAndOptions(t, primary));
  await t.test('a schema that is being upgraded, gone, or not to be read', (t) => states(t, group, primary));
  await t.test('a read replica serves reads where it is asked for', (t) => readReplica(t, sandbox, primary));
});

type Started = PlaneUnderTest & { readonly topology: Awaited<ReturnType<PlaneUnderTest['until']>> };

async function startOn(t: Test, seed: Server, facts: Partial<PlaneFacts> = {}): Promise<Started> {
  const started = startPlane({
    seeds: [[seed.host, seed.port]],
    topology: 'innodb-cluster',
    metadata: { intervalMs: 500 },
    ...facts,
  });
  t.teardown(() => started.plane.close());
  return { ...started, topology: await started.until('a primary', ({ primary }) => primary !== null) };
}

async function withoutMetadata(t: Test, primary: Server): Promise<void> {
  const automatic = await startOn(t, primary, { topology: 'auto' });
  t.equal(automatic.topology.cluster, undefined, 'nobody expects metadata of a group');
  t.strictSame(automatic.topology.alarms, []);
  const asked = await startOn(t, primary);
  t.match(asked.topology.cluster, { state: 'none', detail: 'there is no metadata schema' });
  t.match(asked.topology.alarms, [/metadata does not count .*Group Replication alone/]);
  const { topology } = await startOn(t, primary, { topology: 'group-replication' });
  t.equal(topology.cluster, undefined);
}

async function endpoints(t: Test, group: Group, primary: Server): Promise<void> {
  await group.installMetadata({ version: '2.4' });
  const other = `127.0.0.2:${primary.port}`;
  const { until, untilEvent, topology } = await startOn(t, primary);
  t.equal(topology.members.length, 1);
  // A second member that cannot be reached where the metadata says is looked for there and nowhere else.
  await primary.query(
    `INSERT INTO ${METADATA_SCHEMA}.instances (cluster_id, instance_name, mysql_server_uuid, address, addresses, attributes)
      SELECT cluster_id, 'second', '11111111-1111-1111-1111-111111111111', ?, JSON_OBJECT('mysqlClassic', ?), '{}'
      FROM ${METADATA_SCHEMA}.clusters`,
    [other, other],
  );
  const two = await until('the second', ({ members }) => members.length === 2);
  t.match(two.members[1], { address: other, acceptsReads: false, acceptsWrites: false });
  await primary.query(`DELETE FROM ${METADATA_SCHEMA}.instances WHERE instance_name = 'second'`);
  await until('it gone', ({ members }) => members.length === 1);
  await untilEvent('member_left', /127.0.0.2/);
}

async function tagsAndOptions(t: Test, primary: Server): Promise<void> {
  const { until, untilEvent } = await startOn(t, primary);
  await setTags(primary, primary, { zone: 'x', _hidden: true });
  const changedAtMs = performance.now();
  const hidden = await until('it hidden', (topology) => topology.primary === null);
  t.comment(
    `hidden ${(performance.now() - changedAtMs).toFixed(0)} ms after the tag, at an interval of 500 ms`,
  );
  t.match(hidden.members[0], {
    acceptsWrites: false,
    acceptsReads: false,
    primarySessions: 'drain',
    reason: 'hidden by its tag',
    metadata: { isHidden: true, tags: { zone: 'x' } },
  });
  await setTags(primary, primary, { _hidden: true, _disconnect_existing_sessions_when_hidden: false });
  await until('its sessions kept', ({ members }) => members[0]?.primarySessions === 'keep');
  await setTags(primary, primary, {});
  await until('it back', (topology) => topology.primary === primary.address);
  await setRouterOptions(primary, { read_only_targets: 'all', no_such_option: 1, target_cluster: 7 });
  const options = await until('the option', ({ cluster }) => cluster?.options.readOnlyTargets === 'all');
  t.strictSame(options.cluster?.unknownOptions, ['target_cluster = 7']);
  await untilEvent('router_options_changed');
  await setRouterOptions(primary, {});
  await until('the default', ({ cluster }) => cluster?.options.readOnlyTargets === 'secondaries');
}

async function states(t: Test, group: Group, primary: Server): Promise<void> {
  const { until, untilEvent } = await startOn(t, primary);
  const version = (numbers: string) =>
    primary.query(
      `CREATE OR REPLACE VIEW ${METADATA_SCHEMA}.schema_version (major, minor, patch) AS SELECT ${numbers}`,
    );
  await setTags(primary, primary, { kept: true });
  await until('the tag', ({ members }) => members[0]?.metadata?.tags['kept'] === true);
  await version('0, 0, 0');
  const upgrading = await until('the upgrade', ({ cluster }) => cluster?.state === 'upgrading');
  t.equal(upgrading.primary, primary.address, 'routing goes on');
  t.equal(upgrading.members[0]?.metadata?.tags['kept'], true, 'with what was known');
  await untilEvent('metadata_state_changed', /being upgraded/);
  await version('1, 0, 1');
  const old = await until('the old schema', ({ cluster }) => cluster?.state === 'unsupported');
  t.match(old.cluster?.detail, /1\.0\.1/);
  t.match(old, { primary: primary.address, alarms: [/does not count/] });
  await version('2, 4, 0');
  await until('the schema', ({ cluster, alarms }) => cluster?.state === 'ok' && alarms.length === 0);
  await untilEvent('metadata_state_changed', /can be read/);
  await primary.query(`DELETE FROM ${METADATA_SCHEMA}.instances`);
  const unlisted = await until('nobody listed', ({ cluster }) => cluster?.state === 'not-listed');
  t.equal(unlisted.primary, primary.address, 'routing goes on by the group');
  await group.installMetadata({ version: '2.4' });
  await until('listed', ({ cluster }) => cluster?.state === 'ok');
  await createAccount(primary, {
    user: 'poor',
    password: 'poor-secret',
    grants: [
      'SELECT ON performance_schema.replication_group_members',
      'SELECT ON performance_schema.replication_group_member_stats',
    ],
  });
  const poor = await startOn(t, primary, { user: 'poor', password: 'poor-secret' });
  t.match(poor.topology, { primary: primary.address, cluster: { state: 'missing-grant' } });
  t.match(poor.topology.alarms, [/SELECT ON mysql_innodb_cluster_metadata/]);
}

async function readReplica(t: Test, sandbox: Sandbox, primary: Server): Promise<void> {
  const replica = await sandbox.startReadReplica(primary);
  const [cluster] = await primary.query(`SELECT cluster_id AS id FROM ${METADATA_SCHEMA}.clusters`);
  await recordInstance(primary, String(cluster?.['id']), replica, 'read-replica');
  const { until, topology } = await startOn(t, primary);
  t.equal(topology.primary, primary.address);
  const found = await until('the replica', ({ members }) => members[1]?.state === 'ONLINE');
  t.match(found.members[1], {
    address: replica.address,
    id: replica.uuid,
    role: 'SECONDARY',
    acceptsReads: false,
    metadata: { kind: 'read-replica' },
  });
  await setRouterOptions(primary, { read_only_targets: 'read_replicas' });
  await until('it offered', ({ members }) => members[1]?.acceptsReads === true);
  await replica.kill();
  await until('it gone', ({ members }) => members[1]?.acceptsReads === false);
  await replica.start();
  await until('it back', ({ members }) => members[1]?.acceptsReads === true);
  t.same(ACCOUNTS.router.user, 'router');
}
