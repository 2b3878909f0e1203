import t from 'tap';
import { guidelineOf, parseGuideline } from '../../../routing/guidelines/document.ts';
import { type Guideline, type GuidelineRoute, problemText } from '../../../routing/guidelines/guideline.ts';
import { classify, guidedCandidates, isDestination } from '../../../routing/guidelines/members.ts';
import {
  type LoginFacts,
  matchSession,
  type RouterFacts,
  routeNeedingLogin,
  type SessionOrigin,
} from '../../../routing/guidelines/sessions.ts';
import type { Member, MemberMetadata } from '../../../routing/topology.ts';
import { memberNamed, primaryNamed, topologyOf } from '../members.ts';

/** As `createRoutingGuideline` makes it for a cluster. */
const DEFAULT = {
  destinations: [
    { match: '$.server.memberRole = PRIMARY', name: 'Primary' },
    { match: '$.server.memberRole = SECONDARY', name: 'Secondary' },
    { match: '$.server.memberRole = READ_REPLICA', name: 'ReadReplica' },
  ],
  name: 'default',
  routes: [
    {
      connectionSharingAllowed: true,
      destinations: [{ classes: ['Primary'], priority: 0, strategy: 'round-robin' }],
      enabled: true,
      match: '$.session.targetPort = $.router.port.rw',
      name: 'rw',
    },
    {
      connectionSharingAllowed: true,
      destinations: [
        { classes: ['Primary'], priority: 1, strategy: 'round-robin' },
        { classes: ['Secondary'], priority: 0, strategy: 'round-robin' },
      ],
      enabled: true,
      match: '$.session.targetPort = $.router.port.ro',
      name: 'ro',
    },
  ],
  version: '1.1',
};

const ROUTER: RouterFacts = {
  name: 'system',
  hostname: 'router-1',
  localCluster: 'north',
  tags: { site: 'a', level: 3 },
  ports: { rw: 6446, ro: 6447, rwSplit: 0 },
};
const ORIGIN: SessionOrigin = {
  routeName: 'ro',
  bindAddress: '0.0.0.0',
  targetIP: '10.0.0.1',
  targetPort: 6447,
  sourceIP: '10.1.2.3',
  randomValue: 0.5,
};
const [a, b, c] = [primaryNamed('a'), memberNamed('b'), memberNamed('c')];

t.test('the document MySQL Shell makes is understood', async (t) => {
  const { name, routes, destinations } = loaded(DEFAULT);
  t.equal(name, 'default');
  t.strictSame(
    destinations.map((destination) => destination.name),
    ['Primary', 'Secondary', 'ReadReplica'],
  );
  t.strictSame(
    routes.map((route) => [route.name, route.groups.flatMap(({ classes }) => classes)]),
    [
      ['rw', ['Primary']],
      ['ro', ['Secondary', 'Primary']],
    ],
  );
});

t.test('everything that is wrong with a document is said, with its place', async (t) => {
  const parsed = guidelineOf({
    version: '2.0',
    name: '',
    color: 'blue',
    destinations: [
      { name: 'p', match: '$.server.role = PRIMARY' },
      { name: 'q', match: '$.session.user = me', klass: 1 },
      { name: 'q', match: '$.router.routeName = rw' },
      { name: 'q', match: '$.server.port' },
      { name: 'z', match: 'TRUE' },
      { name: 'z', match: 'TRUE' },
      7,
    ],
    routes: [
      { name: 'r', match: '$.server.port = 1', destinations: [] },
      {
        name: 's',
        match: 'TRUE',
        enabled: 'yes',
        destinations: [{ classes: ['nobody'], strategy: 'round-robin' }],
      },
      { name: 't', match: 'TRUE', destinations: [{ classes: [], strategy: 'random' }] },
      { name: 'u', match: 'TRUE', destinations: [{ classes: ['z'], strategy: 'round-robin', priority: -1 }] },
    ],
  });
  t.strictSame(parsed.ok ? [] : parsed.problems.map(problemText), [
    'color: is not a known field; known here: version, name, destinations, routes',
    'version: must be one of 1.0, 1.1, and is "2.0"',
    'name: must be text of 1 to 8192 characters',
    'destinations[6]: must be an object',
    'destinations[0].match: $.server.role is not a known variable (character 1 of "$.server.role = PRIMARY")',
    'destinations[1].klass: is not a known field; known here: name, match',
    'destinations[1].match: $.session.user cannot be used in destinations (character 1 of "$.session.user = me")',
    'destinations[2].match: $.router.routeName is not supported in destinations: servers are grouped once for all routes (character 1 of "$.router.routeName = rw")',
    'destinations[3].match: must be true or false, and is a NUMBER (character 1 of "$.server.port")',
    'routes[0].match: $.server.port cannot be used in routes (character 1 of "$.server.port = 1")',
    'routes[0].destinations: must be a list with at least one item',
    'routes[1].enabled: must be true or false',
    'routes[2].destinations[0].classes: must be a list of names of destination classes',
    'routes[2].destinations[0].strategy: must be round-robin or first-available, and is "random"',
    'routes[3].destinations[0].priority: must be a whole number from 0 on',
    'destinations[1].name: "z" is there already',
    'routes[0].destinations: there is no destination class "nobody"',
  ]);
  t.match(parseGuideline('{"name": '), { ok: false, problems: [{ message: /is no JSON/ }] });
  t.match(parseGuideline('[]'), { ok: false, problems: [{ message: /must be an object/ }] });
  t.match(parseGuideline(' '.repeat(1_000_001)), {
    ok: false,
    problems: [{ message: /1000000 characters/ }],
  });
});

t.test('the first route that matches counts, a disabled one never', async (t) => {
  const guideline = loaded({
    ...DEFAULT,
    routes: [
      route('off', 'TRUE', { enabled: false }),
      route('broken', 'NUMBER($.router.tags.site) = 5'),
      route('reports', "$.session.user = 'reports' AND $.session.targetPort = $.router.port.ro"),
      route('by-tag', "$.router.tags.level = 3 AND $.session.schema = 'shop'"),
      route('ro', '$.session.targetPort = $.router.port.ro'),
    ],
  });
  const problems: string[] = [];
  const matched = (origin: Partial<SessionOrigin>, login: Partial<LoginFacts> | null) => {
    const facts = login === null ? null : { user: '', schema: '', connectAttrs: new Map(), ...login };
    const match = matchSession(guideline, ROUTER, { ...ORIGIN, ...origin }, facts, (text) =>
      problems.push(text),
    );
    return match.kind === 'route' ? match.route.name : match.kind;
  };
  t.equal(matched({}, null), 'login-needed');
  t.equal(matched({}, { user: 'Reports' }), 'reports');
  t.equal(matched({}, { schema: 'shop' }), 'by-tag');
  t.equal(matched({}, {}), 'ro');
  t.equal(matched({ targetPort: 1 }, {}), 'none');
  t.match(problems, [/route broken of guideline default: NUMBER: "a" is no number/]);
});

t.test('a login is needed on those ports only whose sessions it tells apart', async (t) => {
  const guideline = loaded({
    ...DEFAULT,
    routes: [
      route('reports', "$.session.user = 'reports' AND $.session.targetPort = $.router.port.ro"),
      route('near', "$.session.sourceIP = '10.0.0.1'"),
      route('rw', '$.session.targetPort = $.router.port.rw'),
      route('rest', "$.session.schema = 'x'"),
    ],
  });
  const needing = (targetPort: number) =>
    routeNeedingLogin(guideline, ROUTER, { routeName: 'r', bindAddress: '', targetPort })?.name ?? null;
  t.equal(needing(6446), null);
  t.equal(needing(6447), 'reports');
  t.equal(needing(6448), 'rest');
});

t.test('members are grouped by what is known of them', async (t) => {
  const metadata = (facts: Partial<MemberMetadata>): MemberMetadata => ({
    label: '',
    kind: 'member',
    clusterId: 'id',
    clusterName: 'north',
    clusterRole: 'PRIMARY',
    xEndpoint: null,
    tags: {},
    isHidden: false,
    ...facts,
  });
  const members = [
    primaryNamed('a', { version: '8.4.7' }),
    memberNamed('b', { metadata: metadata({ label: 'beta', tags: { site: 'a', big: true, n: 5 } }) }),
    memberNamed('r', { metadata: metadata({ kind: 'read-replica', clusterName: 'south' }) }),
    memberNamed('u', { role: 'UNKNOWN', address: '[fe80::1]:3310' }),
  ];
  const table: readonly (readonly [match: string, names: string])[] = [
    ['$.server.memberRole = PRIMARY', 'a'],
    ['$.server.memberRole IN (SECONDARY, READ_REPLICA)', 'br'],
    ['$.server.memberRole = UNDEFINED', 'u'],
    ["$.server.label = 'beta' OR $.server.label = 'a:3306'", 'ab'],
    ['$.server.tags.site = $.router.tags.site', 'b'],
    ['$.server.tags.big = TRUE AND $.server.tags.n = 5', 'b'],
    ['$.server.version < 90000', 'a'],
    ['$.server.clusterName = $.router.localCluster', 'b'],
    ['$.server.clusterRole = UNDEFINED AND NOT $.server.isClusterInvalidated', 'abru'],
    ["$.server.address = 'fe80::1' AND $.server.port = 3310", 'u'],
    ["$.server.uuid = 'UUID-A'", 'a'],
  ];
  for (const [match, names] of table) {
    const guideline = loaded({ ...DEFAULT, destinations: [...DEFAULT.destinations, { name: 'x', match }] });
    const classes = classify(guideline, ROUTER, topologyOf(members), (problem) => t.fail(problem));
    const found = (classes.get('x') ?? []).map(({ id }) => id.replace('uuid-', ''));
    t.equal(found.join(''), names, match);
  }
});

t.test('candidates come group by group, those of one group in turn', async (t) => {
  const guideline = loaded(DEFAULT);
  const [rw, ro] = guideline.routes;
  if (rw === undefined || ro === undefined) throw new Error('there are two');
  const names = (route: GuidelineRoute, members: readonly Member[], position = 0, quarantined = '') => {
    const classes = classify(guideline, ROUTER, topologyOf(members), () => undefined);
    const isQuarantined = ({ address }: Member) => quarantined.includes(address.charAt(0));
    return guidedCandidates(route, classes, position, isQuarantined)
      .map(({ address }) => address.charAt(0))
      .join('');
  };
  t.equal(names(rw, [a, b, c]), 'a');
  t.equal(names(ro, [a, b, c]), 'bca');
  t.equal(names(ro, [a, b, c], 1), 'cba');
  t.equal(names(ro, [a]), 'a');
  t.equal(names(ro, [a, b, c], 0, 'b'), 'ca');
  t.equal(names(ro, [a, b, c], 0, 'abc'), 'bca', 'a quarantine of all is none');
  t.equal(
    names(rw, [primaryNamed('a', { acceptsWrites: false }), b]),
    '',
    'an unconfirmed primary is not offered',
  );
  t.equal(names(ro, [memberNamed('b', { acceptsReads: false }), c]), 'c');
  t.equal(names(ro, [memberNamed('b', { dial: null }), c]), 'c');
});

t.test('a session may stay where its route still leads, also while the member is in doubt', async (t) => {
  const guideline = loaded(DEFAULT);
  const [rw] = guideline.routes;
  if (rw === undefined) throw new Error('there are two');
  const doubted = primaryNamed('a', { acceptsWrites: false });
  const classes = classify(guideline, ROUTER, topologyOf([doubted, b]), () => undefined);
  t.ok(isDestination(rw, classes, doubted));
  t.notOk(isDestination(rw, classes, b));
});

function loaded(document: unknown): Guideline {
  const parsed = parseGuideline(JSON.stringify(document));
  if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join('\n'));
  return parsed.guideline;
}

function route(name: string, match: string, more: object = {}): object {
  return { name, match, destinations: [{ classes: ['Secondary'], strategy: 'first-available' }], ...more };
}
