import t from 'tap';
import { guidelineOf } from '../../routing/guidelines/document.ts';
import type { ClusterFacts, MemberMetadata } from '../../routing/topology.ts';
import { formatCount, formatDuration } from '../../src/admin/page/format.ts';
import { html } from '../../src/admin/page/html.ts';
import { createStatusPage } from '../../src/admin/page/status-page.ts';
import type { AdminSources } from '../../src/admin/sources.ts';
import { ROUTE, routeOffset, threadCells } from '../../src/shared/counters.ts';
import { eventLog, facts, healthyTopology, member, noTopology, route } from './fixture.ts';

function render(sources: AdminSources, events = eventLog()): string {
  return createStatusPage(sources, events)();
}

t.test('a healthy group: the primary stands out and nothing is red', async (t) => {
  const sources = facts();
  threadCells(sources.counters, 0)[routeOffset(0) + ROUTE.sessionsOpen] = 1234;
  const page = render(sources);
  t.match(page, '<title>db-1:3306 · Fairlead</title>');
  t.match(page, /<div class="figure good"><span>Primary<\/span><strong>db-1:3306<\/strong>/);
  t.match(page, '1,234');
  t.match(page, '127.0.0.1:6447');
  t.match(page, 'Nothing has happened yet.');
  t.notMatch(page, 'Alarms');
  t.notMatch(page, /class="badge bad"/);
});

t.test(
  'trouble stands on top, in words: alarms, routes without candidates, dead threads, draining',
  async (t) => {
    const topology = {
      ...healthyTopology(),
      primary: null,
      hasQuorum: false,
      alarms: ['The group has lost its quorum.'],
      members: [
        member('db-2:3306', { state: 'UNREACHABLE', acceptsReads: false, reason: 'no answer for 3 s' }),
      ],
    };
    const sources = facts({
      topology: () => topology,
      threadsAlive: () => 0,
      threadPulses: () => ['silent', 'absent'],
      isDraining: () => true,
    });
    threadCells(sources.counters, 0)[routeOffset(0) + ROUTE.sessionsHeld] = 4;
    const page = render(sources);
    t.match(page, '<title>NOT READY · Fairlead</title>');
    const alarms = page.slice(page.indexOf('Alarms'), page.indexOf('</ul>'));
    t.match(alarms, 'The group has lost its quorum.');
    t.match(alarms, 'Not ready: the router is stopping.');
    t.match(alarms, 'Route rw: no member takes writes (db-2:3306: no answer for 3 s)');
    t.match(alarms, '1 of 2 data threads hang.');
    t.match(alarms, '2 of 2 data threads are not running.');
    t.ok(page.indexOf('Alarms') < page.indexOf('Primary'), 'before everything else');
    t.match(page, /<div class="figure bad"><span>Primary<\/span><strong>none<\/strong>/);
    t.match(page, /<div class="figure doubt"><span>Held<\/span><strong>4<\/strong>/);
  },
);

t.test('before anything is known the page says so', async (t) => {
  const page = render(facts({ topology: noTopology, routes: () => [] }));
  t.match(page, 'No member is known.');
  t.match(page, 'no route is configured');
});

t.test('a route that could not be bound shows its address and the reason', async (t) => {
  const broken = route('rw', {
    listen: { host: '::', port: 6446 },
    port: null,
    isListening: false,
    problem: 'EADDRINUSE: the address is in use',
  });
  const page = render(facts({ routes: () => [broken] }));
  t.match(page, 'not listening on [::]:6446');
  t.match(page, 'Route rw: not listening: EADDRINUSE: the address is in use');
});

t.test('nothing that comes from outside becomes markup', async (t) => {
  const hostile = `"><script>alert('x')</script>&lt;`;
  const escaped = '&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;lt;';
  const events = eventLog();
  events.record('error', hostile, hostile, { hostile });
  const topology = {
    ...healthyTopology(),
    primary: hostile,
    groupName: hostile,
    alarms: [hostile],
    members: [member(hostile, { id: hostile, version: hostile, reason: hostile })],
  };
  const routes = [
    route(hostile, { listen: { host: hostile, port: 1 }, isListening: false, port: null, problem: hostile }),
  ];
  const page = render(facts({ version: hostile, topology: () => topology, routes: () => routes }), events);
  t.notMatch(page, hostile);
  t.equal(page.match(/<script/g)?.length, 1, 'the one script is ours');
  t.ok(page.split(escaped).length > 10);
});

t.test('the page needs no other server and no inline script or style', async (t) => {
  const page = render(facts());
  t.notMatch(page, /(src|href)="(https?:)?\/\//);
  t.notMatch(page, /<style|style="|<script>|\son\w+="/);
  t.match(page, '<noscript><meta http-equiv="refresh"', 'without a script it renews itself too');
});

t.test('html`` escapes values and keeps markup that is already Html', async (t) => {
  t.equal(
    html`<b title="${'"'}">${'<'}${1}${html`<i>${'&'}</i>`}${[html`a`, html`b`]}</b>`.markup,
    '<b title="&quot;">&lt;1<i>&amp;</i>ab</b>',
  );
  t.equal(html`\n`.markup, '\n', 'escapes in a template mean what they mean elsewhere');
});

t.test('times and counts are for people', async (t) => {
  const durations = [
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [3599, '59 min'],
    [3600, '1 h'],
    [12_000, '3 h 20 min'],
    [86_400, '1 d'],
    [700_000, '8 d 2 h'],
    [-5, '0 s'],
  ] as const;
  for (const [seconds, text] of durations) t.equal(formatDuration(seconds), text);
  t.equal(formatCount(1234567), '1,234,567');
});

t.test('a routing guideline shows its routes and who is in its classes, escaped', async (t) => {
  const parsed = guidelineOf({
    name: 'night <b>',
    destinations: [{ name: 'Primary', match: '$.server.memberRole = PRIMARY' }],
    routes: [
      {
        name: 'all',
        match: '$.session.sourceIP <> "10.0.0.1"',
        destinations: [{ classes: ['Primary'], strategy: 'round-robin' }],
      },
    ],
  });
  if (!parsed.ok) throw new Error('it is one');
  const router = { name: '', hostname: '', localCluster: '', tags: {}, ports: { rw: 1, ro: 2, rwSplit: 0 } };
  const inForce = { guideline: parsed.guideline, router, slots: [0] };
  const page = render(
    facts({
      guideline: () => ({
        source: 'metadata',
        inForce,
        problem: 'a newer one is broken',
        slotNames: ['all'],
      }),
    }),
  );
  t.match(page, /Routing guideline night &lt;b&gt;/);
  t.match(page, /\$\.session\.sourceIP &lt;&gt; &quot;10\.0\.0\.1&quot;/);
  t.match(page, /Members now">db-1:3306</);
  t.match(page, /not the newest one: a newer one is broken/);
  t.match(
    render(facts({ guideline: () => ({ source: 'metadata', inForce: null, problem: '', slotNames: [] }) })),
    /None is active/,
  );
  t.notMatch(render(facts({})), /Routing guideline/);
});

t.test(
  'a cluster with metadata shows its clusters, its options and what is attached to its members',
  async (t) => {
    const metadata: MemberMetadata = {
      label: 'db-1',
      kind: 'member',
      clusterId: 'id',
      clusterName: 'south',
      clusterRole: 'REPLICA',
      xEndpoint: null,
      tags: { zone: 'eu', long: 'x'.repeat(100) },
      isHidden: false,
    };
    const cluster: ClusterFacts = {
      kind: 'clusterset',
      state: 'upgrading',
      detail: 'the metadata schema is being upgraded',
      id: 'set',
      name: 'world',
      schemaVersion: '2.2.0',
      viewId: 5,
      clusters: [
        {
          id: 'n',
          name: 'north',
          groupName: 'group-n',
          role: 'PRIMARY',
          isInvalidated: false,
          isTarget: true,
        },
        { id: 's', name: 'south', groupName: 'group-s', role: null, isInvalidated: true, isTarget: false },
      ],
      options: {
        readOnlyTargets: 'all',
        targetCluster: 'primary',
        invalidatedClusterPolicy: 'drop-all',
        quorumLoss: 'none',
        statsUpdatesFrequencyS: null,
        useReplicaPrimaryAsRw: false,
      },
      unknownOptions: ['target_cluster = 7'],
    };
    const topology = { ...facts().topology(), cluster };
    const members = topology.members.map((member) => ({ ...member, metadata }));
    const page = render(facts({ topology: () => ({ ...topology, members }) }));
    t.match(page, 'ClusterSet world');
    t.match(
      page,
      /schema 2\.2\.0 · view 5 · target primary · reads from all · not understood: target_cluster = 7/,
    );
    t.match(page, 'metadata upgrading: the metadata schema is being upgraded');
    t.match(page, 'INVALIDATED');
    t.match(page, /in replica cluster south, zone=eu, long=x{40}…/);
  },
);
