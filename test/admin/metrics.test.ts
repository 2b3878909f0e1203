import { readFile } from 'node:fs/promises';
import t from 'tap';
import type { ClusterFacts, MemberMetadata } from '../../routing/topology.ts';
import { createExposition } from '../../src/admin/metrics/exposition.ts';
import { commandLabel } from '../../src/admin/metrics/route-families.ts';
import type { AdminSources } from '../../src/admin/sources.ts';
import {
  DIAL_RESULTS,
  END_REASONS,
  MAX_MEMBER_SLOTS,
  MAX_ROUTES,
  MEMBER,
  memberOffset,
  observeSeconds,
  REFUSAL_REASONS,
  ROUTE,
  routeOffset,
  THREAD,
  threadCells,
} from '../../src/shared/counters.ts';
import { type ParsedFamily, parseExposition } from './exposition-parser.ts';
import { facts, healthyTopology, member, noTopology, route, START_MS } from './fixture.ts';

const noCounts = () => ({ answersByStatus: new Map<number, number>(), droppedConnections: 0 });

async function scrape(sources: AdminSources): Promise<ReadonlyMap<string, ParsedFamily>> {
  const { body } = await createExposition(sources, noCounts).render('text/plain');
  return parseExposition(body, 'prometheus');
}

/** The value of the one sample with these labels, or undefined. */
function sampleOf(
  families: ReadonlyMap<string, ParsedFamily>,
  family: string,
  labels: Readonly<Record<string, string>> = {},
  suffix = '',
): number | undefined {
  return families
    .get(family)
    ?.samples.find(
      (sample) =>
        sample.name === `${family}${suffix}` &&
        Object.entries(labels).every(([name, value]) => sample.labels.get(name) === value),
    )?.value;
}

t.test('a scrape of a router that has seen nothing is well-formed in both formats', async (t) => {
  for (const sources of [facts(), facts({ topology: noTopology, routes: () => [] })]) {
    const exposition = createExposition(sources, noCounts);
    const plain = await exposition.render('text/plain');
    t.equal(plain.contentType, 'text/plain; version=0.0.4; charset=utf-8');
    const families = parseExposition(plain.body, 'prometheus');
    for (const family of exposition.families) {
      t.equal(families.get(family.name)?.type, family.kind, family.name);
    }

    const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2';
    const open = await exposition.render(accept);
    t.equal(open.contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    const twins = parseExposition(open.body, 'openmetrics');
    t.equal(twins.size, families.size, 'both formats show the same families');
    t.ok(twins.has('fairlead_sessions_accepted'));

    const again = parseExposition((await exposition.render('*/*')).body, 'prometheus');
    t.ok(again.has('fairlead_sessions_accepted_total'), 'one format does not spoil the other');
    t.ok(again.has('process_cpu_user_seconds_total'), 'not even for metrics that are not ours');
  }
});

t.test(
  'names follow the conventions: prefix, base units, _total on counters and on nothing else',
  async (t) => {
    for (const family of createExposition(facts(), noCounts).families) {
      t.match(family.name, /^fairlead_[a-z]+(_[a-z]+)*$/);
      t.equal(family.name.endsWith('_total'), family.kind === 'counter', family.name);
      t.notMatch(family.name, /_(ms|milliseconds|minutes|kb|mb|percent)(_|$)/);
      t.match(family.help, /\.$/, `${family.name} is explained in a sentence`);
    }
  },
);

t.test("counters are the sum of all threads' cells", async (t) => {
  const sources = facts({ threads: 3 });
  for (let index = 0; index < 3; index++) {
    const cells = threadCells(sources.counters, index);
    const rw = routeOffset(0);
    cells[rw + ROUTE.sessionsAccepted] = 10 ** index;
    cells[rw + ROUTE.sessionsHeld] = 2;
    cells[rw + ROUTE.ended + END_REASONS.indexOf('member_demoted')] = 4;
    cells[rw + ROUTE.bytesToClient] = 2 ** 40;
    cells[rw + ROUTE.commands + 0x03] = 5;
    cells[rw + ROUTE.commands + 33] = 1;
    cells[rw + ROUTE.holdsExpired] = index;
    cells[memberOffset(1) + MEMBER.dials + DIAL_RESULTS.indexOf('timeout')] = 7;
    cells[memberOffset(1) + MEMBER.isQuarantined] = index === 0 ? 0 : 1;
    cells[THREAD.starts] = index + 1;
    observeSeconds(cells, rw + ROUTE.commandSeconds, 0.0003);
    observeSeconds(cells, rw + ROUTE.commandSeconds, 500);
  }
  const families = await scrape(sources);
  const rw = { route: 'rw' };
  t.equal(sampleOf(families, 'fairlead_sessions_accepted_total', rw), 111);
  t.equal(sampleOf(families, 'fairlead_sessions_accepted_total', { route: 'ro' }), 0);
  t.equal(sampleOf(families, 'fairlead_sessions_held', rw), 6);
  t.equal(sampleOf(families, 'fairlead_sessions_ended_total', { ...rw, reason: 'member_demoted' }), 12);
  t.equal(
    sampleOf(families, 'fairlead_sessions_ended_total', { ...rw, reason: 'limit' }),
    0,
    'reasons start at 0, so that the first is an increase',
  );
  t.equal(sampleOf(families, 'fairlead_relayed_bytes_total', { ...rw, direction: 'to_client' }), 3 * 2 ** 40);
  t.equal(sampleOf(families, 'fairlead_commands_total', { ...rw, command: 'COM_QUERY' }), 15);
  t.equal(sampleOf(families, 'fairlead_commands_total', { ...rw, command: 'other' }), 3);
  t.equal(sampleOf(families, 'fairlead_commands_total', { ...rw, command: 'COM_PING' }), undefined);
  t.equal(sampleOf(families, 'fairlead_holds_ended_total', { ...rw, result: 'expired' }), 3);
  t.equal(sampleOf(families, 'fairlead_dials_total', { member: 'db-2:3306', result: 'timeout' }), 21);
  t.equal(sampleOf(families, 'fairlead_member_quarantined_threads', { member: 'db-2:3306' }), 2);
  t.equal(sampleOf(families, 'fairlead_data_thread_starts_total', { thread: '2' }), 3);

  const seconds = 'fairlead_command_seconds';
  t.equal(sampleOf(families, seconds, { ...rw, le: '0.0002' }, '_bucket'), 0);
  t.equal(sampleOf(families, seconds, { ...rw, le: '0.0005' }, '_bucket'), 3);
  t.equal(sampleOf(families, seconds, { ...rw, le: '60' }, '_bucket'), 3);
  t.equal(sampleOf(families, seconds, { ...rw, le: '+Inf' }, '_bucket'), 6);
  t.equal(sampleOf(families, seconds, rw, '_count'), 6);
  t.equal(Math.round(sampleOf(families, seconds, rw, '_sum') ?? 0), 1500);
});

t.test('a scrape follows the topology: members that left are gone from every series', async (t) => {
  let topology = healthyTopology();
  const exposition = createExposition(facts({ topology: () => topology }), noCounts);
  const before = await exposition.render('');
  t.match(before.body, 'member="db-3:3306"');
  t.equal(
    sampleOf(parseExposition(before.body, 'prometheus'), 'fairlead_member_role', {
      member: 'db-1:3306',
      role: 'PRIMARY',
    }),
    1,
  );

  topology = {
    ...topology,
    version: 8,
    primary: null,
    hasQuorum: false,
    alarms: ['two members claim to be primary'],
    isContested: true,
    members: [
      member('db-1:3306', { role: 'PRIMARY', state: 'ERROR', acceptsReads: false }),
      member('db-2:3306', { role: 'PRIMARY', slot: 1 }),
    ],
  };
  const after = await exposition.render('');
  t.notMatch(after.body, 'db-3:3306');
  const families = parseExposition(after.body, 'prometheus');
  t.equal(sampleOf(families, 'fairlead_topology_version'), 8);
  t.equal(sampleOf(families, 'fairlead_topology_has_primary'), 0);
  t.equal(sampleOf(families, 'fairlead_topology_has_quorum'), 0);
  t.equal(sampleOf(families, 'fairlead_topology_conflicting_primaries'), 1);
  t.equal(sampleOf(families, 'fairlead_topology_alarms'), 1);
  t.equal(sampleOf(families, 'fairlead_member_state', { member: 'db-1:3306', state: 'ERROR' }), 1);
  t.equal(sampleOf(families, 'fairlead_member_state', { member: 'db-1:3306', state: 'ONLINE' }), 0);
  t.equal(sampleOf(families, 'fairlead_route_candidates', { route: 'rw' }), 0);
});

t.test('a route of X Protocol is no route without members where nobody speaks X', async (t) => {
  const routes = () => [route('rw'), route('x-rw', { protocol: 'x', index: 1 })];
  const withoutX = healthyTopology().members.map(({ x: _, ...one }) => one);
  const silent = await scrape(
    facts({ routes, topology: () => ({ ...healthyTopology(), members: withoutX }) }),
  );
  t.equal(sampleOf(silent, 'fairlead_route_candidates', { route: 'rw' }), 1);
  t.equal(
    sampleOf(silent, 'fairlead_route_candidates', { route: 'x-rw' }),
    undefined,
    'an alarm on 0 stays quiet',
  );
  const fluent = await scrape(facts({ routes }));
  t.equal(sampleOf(fluent, 'fairlead_route_candidates', { route: 'x-rw' }), 1);
});

t.test('the clusters of a ClusterSet each have a primary, and their metadata is told', async (t) => {
  const inCluster = (clusterId: string): { readonly metadata: MemberMetadata } => ({
    metadata: {
      label: '',
      kind: 'member',
      clusterId,
      clusterName: clusterId,
      clusterRole: null,
      xEndpoint: null,
      tags: {},
      isHidden: false,
    },
  });
  const cluster: ClusterFacts = {
    kind: 'clusterset',
    state: 'upgrading',
    detail: '',
    id: 'set',
    name: 'world',
    schemaVersion: '2.2.0',
    viewId: 5,
    clusters: [],
    options: {
      readOnlyTargets: 'all',
      targetCluster: 'primary',
      invalidatedClusterPolicy: 'drop-all',
      quorumLoss: 'none',
      statsUpdatesFrequencyS: null,
      useReplicaPrimaryAsRw: false,
    },
    unknownOptions: [],
  };
  const members = [
    member('n:3306', { role: 'PRIMARY', ...inCluster('north') }),
    member('s:3306', { role: 'PRIMARY', ...inCluster('south') }),
  ];
  const sources = facts({ topology: () => ({ ...healthyTopology(), members, cluster }) });
  const families = parseExposition((await createExposition(sources, noCounts).render('')).body, 'prometheus');
  t.equal(sampleOf(families, 'fairlead_topology_conflicting_primaries'), 0);
  t.equal(sampleOf(families, 'fairlead_metadata_readable', { kind: 'clusterset', name: 'world' }), 0);
  t.equal(sampleOf(families, 'fairlead_metadata_view'), 5);
});

t.test('members without a block of their own are counted together as `other`', async (t) => {
  const members = [
    member('early:3306', { slot: 0 }),
    member('late-1:3306', { slot: -1 }),
    member('late-2:3306', { slot: MAX_MEMBER_SLOTS - 1 }),
  ];
  const sources = facts({ topology: () => ({ ...healthyTopology(), members }) });
  threadCells(sources.counters, 0)[memberOffset(-1) + MEMBER.sessionsTotal] = 9;
  const families = await scrape(sources);
  const total = families.get('fairlead_member_sessions_total')?.samples ?? [];
  t.strictSame(
    total.map(({ labels, value }) => [labels.get('member'), value]),
    [
      ['early:3306', 0],
      ['other', 9],
    ],
  );
  t.equal(families.get('fairlead_member_accepts_reads')?.samples.length, 3, 'what is known of each is shown');
});

t.test('error numbers are few, added up over threads, and never go back', async (t) => {
  const sources = facts({ threads: 4 });
  const exposition = createExposition(sources, noCounts);
  const errorsOf = async () => {
    const { body } = await exposition.render('');
    const samples = parseExposition(body, 'prometheus').get('fairlead_server_errors_total')?.samples ?? [];
    return new Map(samples.map(({ labels, value }) => [labels.get('number') ?? '', value]));
  };
  const count = (thread: number, cell: number, number: number, times: number): void => {
    const cells = threadCells(sources.counters, thread);
    cells[THREAD.errorNumbers + cell] = number;
    cells[THREAD.errorCounts + cell] = times;
  };

  count(0, 0, 1062, 3);
  count(1, 5, 1062, 4);
  threadCells(sources.counters, 2)[THREAD.errorsOther] = 2;
  t.strictSame(
    await errorsOf(),
    new Map([
      ['1062', 7],
      ['other', 2],
    ]),
  );

  for (let thread = 0; thread < 4; thread++) {
    for (let cell = 8; cell < 64; cell++) count(thread, cell, 3000 + thread * 64 + cell, 1);
  }
  const flooded = await errorsOf();
  t.equal(flooded.get('1062'), 7, 'a number that has been shown keeps its series');
  t.equal(flooded.size, 129, '128 numbers and `other`');
  const total = [...flooded.values()].reduce((sum, value) => sum + value, 0);
  t.equal(total, 7 + 2 + 4 * 56, 'no error is lost');
  t.strictSame(await errorsOf(), flooded);
});

t.test('hostile names stay within their label', async (t) => {
  const name = 'db"} 1\nfairlead_ready 1\\';
  const sources = facts({ topology: () => ({ ...healthyTopology(), members: [member(name)] }) });
  const families = await scrape(sources);
  t.equal(families.get('fairlead_member_info')?.samples[0]?.labels.get('member'), name);
});

t.test('facts of the program are shown: probes, events, reloads, limits, build', async (t) => {
  const sources = facts({
    threadsAlive: () => 1,
    isDraining: () => true,
    limits: () => ({ maxConnections: 500, maxConnectionsPerClient: 20, maxHeldSessions: 30 }),
    configReloads: () => ({ accepted: 2, rejected: 1, lastAcceptedAtMs: START_MS + 1500 }),
    eventsByLevel: () => ({ debug: 9, info: 8, warn: 7, error: 6 }),
    memberProbes: () =>
      new Map([
        [
          'db-1:3306',
          { lastProbeSeconds: 0.002, lastAnswerAtMs: START_MS, errorsByKind: new Map([['timeout', 3]]) },
        ],
        ['db-2:3306', { lastProbeSeconds: null, lastAnswerAtMs: null, errorsByKind: new Map() }],
        ['gone:3306', { lastProbeSeconds: 1, lastAnswerAtMs: START_MS, errorsByKind: new Map() }],
      ]),
  });
  const families = await scrape(sources);
  t.equal(sampleOf(families, 'fairlead_build_info', { version: '0.1.0', node_version: process.version }), 1);
  t.equal(sampleOf(families, 'fairlead_start_time_seconds'), START_MS / 1000);
  t.equal(sampleOf(families, 'fairlead_ready'), 0);
  t.equal(sampleOf(families, 'fairlead_draining'), 1);
  t.equal(sampleOf(families, 'fairlead_data_threads'), 2);
  t.equal(sampleOf(families, 'fairlead_data_threads_alive'), 1);
  t.equal(sampleOf(families, 'fairlead_sessions_limit'), 500);
  t.equal(sampleOf(families, 'fairlead_client_sessions_limit'), 20);
  t.equal(sampleOf(families, 'fairlead_held_sessions_limit'), 30);
  t.equal(sampleOf(families, 'fairlead_config_reloads_total', { result: 'rejected' }), 1);
  t.equal(sampleOf(families, 'fairlead_config_last_accepted_timestamp_seconds'), START_MS / 1000 + 1.5);
  t.equal(sampleOf(families, 'fairlead_events_total', { level: 'warn' }), 7);
  t.equal(sampleOf(families, 'fairlead_member_probe_seconds', { member: 'db-1:3306' }), 0.002);
  t.equal(
    sampleOf(families, 'fairlead_member_probe_errors_total', { member: 'db-1:3306', kind: 'timeout' }),
    3,
  );
  t.equal(families.get('fairlead_member_probe_seconds')?.samples.length, 1, 'unanswered and gone: no value');
});

t.test('each command has a label of its own, and unknown ones share one', async (t) => {
  t.equal(commandLabel(0x03), 'COM_QUERY');
  t.equal(commandLabel(0x20), 'COM_CLONE');
  t.equal(commandLabel(33), 'other');
});

t.test('a scrape at the limit of routes and members does not stall the main thread', async (t) => {
  const routes = Array.from({ length: MAX_ROUTES }, (_, index) => route(`r${index}`, { index }));
  const members = Array.from({ length: MAX_MEMBER_SLOTS }, (_, slot) => member(`db-${slot}:3306`, { slot }));
  const topology = { ...healthyTopology(), members };
  const exposition = createExposition(facts({ routes: () => routes, topology: () => topology }), noCounts);
  await exposition.render('');
  const times: number[] = [];
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    await exposition.render('');
    times.push(performance.now() - start);
  }
  const fastest = Math.min(...times);
  t.comment(`fastest of 10 scrapes: ${fastest.toFixed(1)} ms`);
  // 10 ms where nothing else runs; the bound leaves room for a loaded machine and still catches a quadratic mistake.
  t.ok(fastest < 500);
});

t.test('no cell of the data threads is counted in vain: each shows in a scrape', async (t) => {
  const guideline = { source: 'metadata', inForce: null, problem: '', slotNames: ['reports'] };
  const sources = facts({ threads: 1, guideline: () => guideline });
  const exposition = createExposition(sources, noCounts);
  const cells = threadCells(sources.counters, 0);
  // What prom-client measures itself changes from scrape to scrape.
  const scrapeOurs = async (): Promise<string> =>
    (await exposition.render('')).body
      .split('\n')
      .filter((line) => line.startsWith('fairlead_'))
      .join('\n');
  cells[THREAD.errorNumbers] = 1062;
  cells[THREAD.errorCounts] = 1;
  let before = await scrapeOurs();
  const offsets = [
    ...Object.entries(ROUTE).map(([name, offset]) => ({
      name: `route ${name}`,
      offset: routeOffset(1) + offset,
    })),
    ...Object.entries(MEMBER).map(([name, offset]) => ({
      name: `member ${name}`,
      offset: memberOffset(2) + offset,
    })),
    ...Object.entries(THREAD)
      .filter(([name]) => !ONLY_FOR_THE_MAIN_THREAD.has(name))
      .map(([name, offset]) => ({ name: `thread ${name}`, offset })),
  ];
  for (const { name, offset } of offsets) {
    cells[offset] = (cells[offset] ?? 0) + 1;
    const after = await scrapeOurs();
    t.not(after, before, name);
    before = after;
  }
});

t.test('docs/metrics.md lists exactly the metrics there are, with type and labels', async (t) => {
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = page.matchAll(/^\| `(fairlead_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$/gm);
  const listed = [...rows].map(([, name, kind, labels = '', help]) => ({
    name,
    kind,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
    help,
  }));
  const registered = createExposition(facts(), noCounts).families.map((family) => ({
    name: family.name,
    kind: family.kind,
    labels: [...family.labelNames],
    help: family.help,
  }));
  const byName = (a: { name: string | undefined }, b: { name: string | undefined }): number =>
    (a.name ?? '') < (b.name ?? '') ? -1 : 1;
  t.strictSame(listed.toSorted(byName), registered.toSorted(byName));
  for (const value of [...END_REASONS, ...REFUSAL_REASONS, ...DIAL_RESULTS]) {
    t.ok(page.includes(`\`${value}\``), `${value} is explained`);
  }
});

/** What the watch over threads that hang goes by. */
const ONLY_FOR_THE_MAIN_THREAD: ReadonlySet<string> = new Set(['beats', 'kernelThread']);
