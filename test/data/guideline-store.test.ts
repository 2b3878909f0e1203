/** Where a routing guideline comes from, and what is not put in force. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import t, { type Test } from 'tap';
import { effectiveOptions, NO_OPTIONS } from '../../routing/metadata/facts.ts';
import type { ClusterFacts, Topology } from '../../routing/topology.ts';
import { checkGuideline, GuidelineError, GuidelineStore } from '../../src/data/guidelines/guideline-store.ts';
import { createEventLog } from '../../src/shared/events.ts';
import { configOf } from '../config/sources.ts';
import { topologyOf } from '../routing/members.ts';

const BY_PORT = route('rw', '$.session.targetPort = $.router.port.rw');
const BY_USER = route('mine', "$.session.user = 'me'");

t.test('a guideline that cannot be used is refused at the start, with the reason', async (t) => {
  const table: readonly (readonly [text: string | null, keys: string, message: RegExp])[] = [
    [null, '', /^guidelines\.file = ".*missing\.json": ENOENT/],
    ['{', '', /is no JSON/],
    ['{"name": "g"}', '', /destinations: is missing; routes: is missing/],
    [guideline(BY_USER), '', /route mine of guideline g goes by user.*clientSslMode of routes\[0\] \(rw\)/],
    [guideline(BY_PORT, BY_USER), '', /clientSslMode of routes\[1\] \(ro\)/],
  ];
  for (const [text, keys, message] of table) {
    const file = text === null ? join(t.testdirName, 'missing.json') : await fileOf(t, text);
    await t.rejects(checkGuideline(config(`file: ${file}`, keys)), { name: 'GuidelineError', message });
  }
  const file = await fileOf(t, guideline(BY_PORT, BY_USER));
  await checkGuideline(config(`file: ${file}`, 'clientSslMode: preferred'));
  await checkGuideline(config('fromMetadata: false'));
});

t.test('a file is read again; what is none changes nothing and is said once', async (t) => {
  const file = await fileOf(t, guideline(BY_PORT));
  const { store, told, kinds } = await open(t, `file: ${file}`);
  t.equal(store.facts().source, file);
  t.equal(store.inForce?.guideline.routes[0]?.name, 'rw');
  await writeFile(file, 'nothing');
  await store.look();
  await store.look();
  t.match(store.facts(), { problem: /is no JSON/, inForce: { guideline: { name: 'g' } } });
  await writeFile(file, guideline(BY_PORT, route('all', 'TRUE')));
  await store.look();
  t.match(store.facts(), { problem: '', slotNames: ['rw', 'all'] });
  t.strictSame(told, [2], 'threads hear of what has changed');
  t.strictSame(kinds(), ['guideline_in_force', 'guideline_refused', 'guideline_in_force']);
  store.useRoutes(config('').routes.map((one) => ({ ...one, listen: { ...one.listen, port: 7000 } })));
  t.equal(store.inForce?.router.ports.rw, 7000, 'ports that the system has chosen are known later');
});

t.test('the metadata gives one, changes it and takes it back', async (t) => {
  const { store, told, kinds } = await open(t, 'fromMetadata: true');
  t.match(store.facts(), { source: 'metadata', inForce: null });
  store.consider(withMetadata(JSON.parse(guideline(BY_PORT)), { site: 'a' }));
  t.match(store.inForce, { guideline: { name: 'g' }, router: { tags: { site: 'a' } } });
  store.consider(withMetadata(JSON.parse(guideline(BY_USER))));
  t.match(store.facts(), {
    problem: /the guideline of the metadata: route mine/,
    inForce: { guideline: {} },
  });
  store.consider(topologyOf([]));
  t.ok(store.inForce, 'no metadata is no news');
  store.consider(withMetadata(null));
  t.equal(store.inForce, null);
  t.equal(told.at(-1), null);
  t.strictSame(kinds(), ['guideline_in_force', 'guideline_refused', 'guideline_in_force']);
});

t.test('a reload that the guideline in force does not go with is refused', async (t) => {
  const { store } = await open(t, 'fromMetadata: true', 'clientSslMode: preferred');
  store.consider(withMetadata(JSON.parse(guideline(BY_USER))));
  await t.rejects(store.prepare(config('fromMetadata: true')), GuidelineError);
  const without = config('fromMetadata: false');
  store.adopt(without, await store.prepare(without));
  t.equal(store.inForce, null);
});

async function open(t: Test, guidelines: string, routeKeys = '') {
  const events = createEventLog(pino({ level: 'silent' }), 100);
  /** How many routes each had. */
  const told: (number | null)[] = [];
  const store = await GuidelineStore.open(config(guidelines, routeKeys), events, (inForce) =>
    told.push(inForce?.guideline.routes.length ?? null),
  );
  t.teardown(() => store.close());
  const kinds = () =>
    events
      .recent(100)
      .map(({ kind }) => kind)
      .reverse();
  return { store, told, kinds };
}

function config(guidelines: string, routeKeys = '') {
  return configOf({
    file: `
cluster: { seeds: [db], user: router }
guidelines: { ${guidelines} }
routes:
  - { name: rw, listen: "127.0.0.1:0", role: primary, ${routeKeys} }
  - { name: ro, listen: "127.0.0.1:0", role: secondary, ${routeKeys} }
  - { name: x, listen: "127.0.0.1:0", role: primary, protocol: x }
`,
  });
}

async function fileOf(t: Test, text: string): Promise<string> {
  const file = join(t.testdir({ 'guideline.json': '' }), 'guideline.json');
  await writeFile(file, text);
  return file;
}

function guideline(...routes: readonly object[]): string {
  const destinations = [{ name: 'Primary', match: '$.server.memberRole = PRIMARY' }];
  return JSON.stringify({ name: 'g', destinations, routes });
}

function route(name: string, match: string): object {
  return { name, match, destinations: [{ classes: ['Primary'], strategy: 'round-robin' }] };
}

function withMetadata(document: unknown, routerTags: Readonly<Record<string, unknown>> = {}): Topology {
  const cluster: ClusterFacts = {
    kind: 'cluster',
    state: 'ok',
    detail: '',
    id: 'c',
    name: 'c',
    schemaVersion: '2.4.0',
    viewId: null,
    clusters: [],
    options: effectiveOptions(undefined, NO_OPTIONS),
    routerTags,
    guideline: document,
    unknownOptions: [],
  };
  return topologyOf([], { cluster });
}
