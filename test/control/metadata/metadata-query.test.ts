/** Reading the metadata's rows: what drivers hand over, what a broken schema may hold, and what comes of failures. */
import t from 'tap';
import { parseRouterOptions } from '../../../routing/metadata/router-options.ts';
import { ControlFailure } from '../../../src/control/control-failure.ts';
import { queryMetadata, type RunQuery } from '../../../src/control/metadata/metadata-query.ts';
import { MetadataReader } from '../../../src/control/metadata/metadata-reader.ts';

const V2_2 = { major: 2, minor: 2, patch: 0 };
const WANTED = { routerLabel: 'host-1::', readsGuideline: false };

/** Answers by the view that is asked, the longest name that fits first; remembers the statements. */
function serverWith(rows: Readonly<Record<string, unknown>>): { query: RunQuery; asked: string[] } {
  const asked: string[] = [];
  const names = Object.keys(rows).sort((a, b) => b.length - a.length);
  return {
    asked,
    query: async (sql) => {
      asked.push(sql);
      const from = sql.slice(sql.indexOf(' FROM '));
      const name = names.find((view) => from.startsWith(` FROM mysql_innodb_cluster_metadata.${view}`));
      const found = name === undefined ? [] : rows[name];
      if (found instanceof Error) throw found;
      return found;
    },
  };
}

const CLUSTER = {
  schema_version: [{ major: 2, minor: 2, patch: 0 }],
  v2_this_instance: [{ clusterId: 'c1', clusterType: 'gr' }],
  v2_gr_clusters: [
    {
      clusterId: 'c1',
      clusterName: 'one',
      groupName: 'g1',
      clusterOptions: '{"read_only_targets": "all"}',
      clusterSetId: null,
    },
    { clusterId: 'c2', clusterName: 'left over', groupName: 'g2', clusterOptions: null, clusterSetId: null },
  ],
  v2_instances: [
    {
      id: 'u1',
      clusterId: 'c1',
      endpoint: 'db-1:3306',
      xEndpoint: null,
      label: 'db-1',
      attributes: '{"tags": {"zone": "x"}}',
    },
    {
      id: 'u2',
      clusterId: 'c1',
      endpoint: '[::1]:3306',
      xEndpoint: '[::1]:33060',
      label: 'db-2',
      attributes: { instance_type: 'read-replica', tags: 'none' },
    },
    { id: 'u3', clusterId: 'c1', endpoint: 'no port', label: 'db-3', attributes: 'no json' },
    { id: 'u4', clusterId: 'c2', endpoint: 'db-4:3306', label: 'db-4', attributes: null },
  ],
};

t.test('a cluster: only its own rows, JSON as text or parsed, nobody who cannot be dialled', async (t) => {
  const outcome = await queryMetadata(serverWith(CLUSTER).query, V2_2, WANTED);
  if (outcome.kind !== 'facts') throw new Error(outcome.detail);
  const { facts } = outcome;
  t.strictSame(facts.clusters, [
    { id: 'c1', name: 'one', groupName: 'g1', role: 'PRIMARY', isInvalidated: false },
  ]);
  t.strictSame(
    facts.instances.map(({ id, endpoint, kind, tags }) => [id, endpoint, kind, tags]),
    [
      ['u1', 'db-1:3306', 'member', { zone: 'x' }],
      ['u2', '[::1]:3306', 'read-replica', {}],
    ],
  );
  t.equal(facts.options.readOnlyTargets, 'all');
  t.equal(facts.clusterSet, null);
});

t.test('the routing guideline that the options name is read where it is wanted', async (t) => {
  const named = {
    ...CLUSTER,
    v2_gr_clusters: [{ clusterId: 'c1', groupName: 'g1', clusterOptions: '{"guideline": "g-1"}' }],
    routing_guidelines: [{ guideline: '{"name": "one"}' }],
  };
  const read = async (
    minor: number,
    readsGuideline: boolean,
    rows: Readonly<Record<string, unknown>> = named,
  ) => {
    const wanted = { ...WANTED, readsGuideline };
    const outcome = await queryMetadata(serverWith(rows).query, { major: 2, minor, patch: 0 }, wanted);
    return outcome.kind === 'facts' ? outcome.facts.guideline : outcome;
  };
  t.same(await read(3, true), { name: 'one' });
  t.equal(await read(3, false), null);
  t.equal(await read(2, true), null, 'an older schema has none');
  t.equal(await read(3, true, { ...named, routing_guidelines: [] }), null, 'it was removed');
  t.equal(await read(3, true, CLUSTER), null, 'none is named');
});

t.test('schema 2.0 is not asked for what it does not have', async (t) => {
  const { query, asked } = serverWith(CLUSTER);
  await queryMetadata(query, { major: 2, minor: 0, patch: 0 }, WANTED);
  t.notMatch(asked.join('\n'), /v2_cs_|v2_router_options/);
  for (const statement of asked) t.match(statement, /MAX_EXECUTION_TIME\(500\).* LIMIT \d+$/, 'bounded');
});

t.test(
  'of several option documents the most particular counts, and what is not understood is told',
  async (t) => {
    const options = parseRouterOptions([
      { read_only_targets: 'all', target_cluster: 'primary' },
      'no document',
      { read_only_targets: 'READ_REPLICAS', stats_updates_frequency: -1, invalidated_cluster_policy: ['x'] },
      { target_cluster: null, tags: [] },
    ]);
    t.match(options, {
      readOnlyTargets: 'read-replicas',
      targetCluster: null,
      statsUpdatesFrequencyS: null,
      tags: {},
    });
    t.strictSame(options.unknown, [
      'invalidated_cluster_policy = ["x"]',
      'stats_updates_frequency = -1',
      'tags = []',
    ]);
  },
);

t.test('a copy that is answered as before is not read again', async (t) => {
  const reader = new MetadataReader({ intervalMs: 1000, absentIntervalMs: 60_000, ...WANTED }, () => 0);
  const together: string[] = [];
  const read = async (rows: Readonly<Record<string, unknown>>, answers: object | ControlFailure) => {
    const { query, asked } = serverWith({ ...CLUSTER, ...rows });
    await reader.read({
      query,
      async together(statements) {
        together.push(statements.map(({ sql }) => sql).join('; '));
        if (answers instanceof ControlFailure) throw answers;
        return answers;
      },
    });
    return { asked: asked.length, facts: reader.reading?.facts };
  };
  const [before, after] = [{}, {}];
  const first = await read({}, before);
  t.ok(first.asked >= 4);
  t.strictSame(together, [], 'what to ask is not known yet');
  const second = await read({}, before);
  t.equal(second.asked, first.asked, 'it might have changed between the first reading and the first answers');
  t.match(together[0], /schema_version.*; .*v2_this_instance.*; .*v2_instances/);
  t.strictSame(
    await read({}, before),
    { asked: 0, facts: second.facts },
    'one round trip, and the same facts',
  );
  const changed = await read({ v2_instances: [] }, after);
  t.equal(changed.asked, first.asked);
  t.strictSame(changed.facts?.instances, []);
  t.equal((await read({ v2_instances: [] }, after)).asked, 0);
  const denied = new ControlFailure('error', 'no view', { errorNumber: 1146, isFatal: false });
  await read({ v2_instances: denied }, denied);
  t.equal(reader.reading?.state, 'upgrading', 'each by itself tells what is wrong');
  t.ok((await read({}, after)).asked > 0, 'and all is forgotten');
});

t.test('what comes of a failure', async (t) => {
  let nowMs = 0;
  const reader = new MetadataReader({ intervalMs: 1000, absentIntervalMs: 60_000, ...WANTED }, () => nowMs);
  const read = (rows: Readonly<Record<string, unknown>>) =>
    reader.read({ query: serverWith({ ...CLUSTER, ...rows }).query, together: async () => ({}) });
  const failure = (errorNumber: number, isFatal = false) =>
    new ControlFailure('error', `error ${errorNumber}`, { errorNumber, isFatal });
  t.ok(reader.isDue());
  await read({});
  t.match(reader.reading, { state: 'ok', facts: { clusterId: 'c1' } });
  t.notOk(reader.isDue());
  nowMs += 1000;
  t.ok(reader.isDue(), 'once an interval');

  const cases: readonly (readonly [string, Readonly<Record<string, unknown>>, string, boolean])[] = [
    ['a view is missing', { v2_instances: failure(1146) }, 'upgrading', true],
    ['version 0.0.0', { schema_version: [{ major: 0, minor: 0, patch: 0 }] }, 'upgrading', true],
    ['it took too long', { v2_gr_clusters: failure(3024) }, 'error', true],
    ['the server is not listed', { v2_this_instance: [] }, 'not-listed', false],
    ['version 3', { schema_version: [{ major: 3, minor: 0, patch: 0 }] }, 'unsupported', false],
    ['no schema', { schema_version: failure(1049) }, 'none', false],
    ['a Galera node outside of its cluster', { schema_version: failure(1047) }, 'none', false],
  ];
  for (const [name, rows, state, isKept] of cases) {
    await read({});
    t.equal(await read(rows), null, name);
    t.equal(reader.reading?.state, state, name);
    t.equal(reader.reading?.facts !== null, isKept, `${name}: what was known ${isKept ? 'stays' : 'goes'}`);
    t.not(reader.reading?.detail, '', name);
  }
  nowMs += 59_000;
  t.notOk(reader.isDue(), 'a server without metadata is asked seldom');
  nowMs += 1000;
  t.ok(reader.isDue());

  await read({});
  const lost = await read({ v2_instances: failure(0, true) });
  t.equal(lost?.isFatal, true, 'a lost connection is no news about the metadata');
  t.equal(reader.reading?.state, 'ok');
  const shutdown = new ControlFailure('closed', 'Server shutdown in progress', {
    errorNumber: 1053,
    isFatal: false,
  });
  t.equal(await read({ schema_version: shutdown }), shutdown);
  t.equal(reader.reading?.state, 'ok', 'nor is a server that is on its way down');
});
