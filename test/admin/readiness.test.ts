import t from 'tap';
import type { Topology } from '../../routing/topology.ts';
import { judgeReadiness } from '../../src/admin/readiness.ts';
import type { AdminSources, RouteFacts } from '../../src/admin/sources.ts';
import { facts, healthyTopology, member, noTopology, route, rwAndRo } from './fixture.ts';

const [rw, ro] = [route('rw'), route('ro', { role: 'secondary', strategy: 'round-robin', index: 1 })];

const onlySecondaries: Topology = {
  ...healthyTopology(),
  primary: null,
  members: [member('db-2:3306', { slot: 1 })],
};

const onlyPrimary: Topology = {
  ...healthyTopology(),
  members: [member('db-1:3306', { role: 'PRIMARY', acceptsWrites: true })],
};

const unresolved: Topology = {
  ...healthyTopology(),
  members: healthyTopology().members.map((one) => ({
    ...one,
    dial: null,
    reason: 'the name does not resolve',
  })),
};

const withoutX: Topology = {
  ...healthyTopology(),
  members: healthyTopology().members.map(({ x: _, ...one }) => one),
};

const withXOnSecondaries: Topology = {
  ...healthyTopology(),
  members: healthyTopology().members.map(({ x, ...one }) =>
    one.acceptsWrites || x === undefined ? one : { ...one, x },
  ),
};

const xrw = route('x-rw', { protocol: 'x', index: 2 });

type Case = {
  readonly name: string;
  readonly topology: Topology;
  readonly routes: readonly RouteFacts[];
  readonly isReady: Readonly<Record<AdminSources['readinessRule'], boolean>>;
};

const CASES: readonly Case[] = [
  {
    name: 'a healthy group',
    topology: healthyTopology(),
    routes: [rw, ro],
    isReady: { any: true, all: true, primary: true },
  },
  {
    name: 'X routes where no member speaks X Protocol',
    topology: withoutX,
    routes: [rw, ro, xrw],
    isReady: { any: true, all: true, primary: true },
  },
  {
    name: 'an X route whose member does not speak it, though others do',
    topology: withXOnSecondaries,
    routes: [rw, ro, xrw],
    isReady: { any: true, all: false, primary: true },
  },
  {
    name: 'no member known',
    topology: noTopology(),
    routes: [rw, ro],
    isReady: { any: false, all: false, primary: false },
  },
  {
    name: 'no primary, reads possible',
    topology: onlySecondaries,
    routes: [rw, ro],
    isReady: { any: true, all: false, primary: false },
  },
  {
    name: 'a primary alone, no fallback for reads',
    topology: onlyPrimary,
    routes: [rw, ro],
    isReady: { any: true, all: false, primary: true },
  },
  {
    name: 'a primary alone, reads fall back to it',
    topology: onlyPrimary,
    routes: rwAndRo(),
    isReady: { any: true, all: true, primary: true },
  },
  {
    name: 'members whose names do not resolve',
    topology: unresolved,
    routes: [rw, ro],
    isReady: { any: false, all: false, primary: false },
  },
  {
    name: 'the primary route could not be bound',
    topology: healthyTopology(),
    routes: [{ ...rw, isListening: false, port: null, problem: 'EADDRINUSE' }, ro],
    isReady: { any: true, all: false, primary: false },
  },
  {
    name: 'a route only for reads',
    topology: healthyTopology(),
    routes: [ro],
    isReady: { any: true, all: true, primary: false },
  },
  {
    name: 'one of two primary routes listens',
    topology: healthyTopology(),
    routes: [{ ...rw, isListening: false }, route('rw2', { index: 2 })],
    isReady: { any: true, all: false, primary: true },
  },
  {
    name: 'no routes at all',
    topology: healthyTopology(),
    routes: [],
    isReady: { any: false, all: false, primary: false },
  },
];

for (const { name, topology, routes, isReady } of CASES) {
  for (const rule of ['any', 'all', 'primary'] as const) {
    t.test(`${name}, rule ${rule}: ${isReady[rule] ? 'ready' : 'not ready'}`, async (t) => {
      const sources = facts({ topology: () => topology, routes: () => routes, readinessRule: rule });
      t.equal(judgeReadiness(sources).isReady, isReady[rule]);
      t.equal(judgeReadiness({ ...sources, isDraining: () => true }).isReady, false, 'never while draining');
    });
  }
}

t.test('a route is not ready whose candidates are all out of reach from here', async (t) => {
  const primaryOnly = facts({ isOutOfReach: ({ acceptsWrites }) => acceptsWrites, readinessRule: 'all' });
  const { isReady, routes } = judgeReadiness(primaryOnly);
  t.equal(isReady, false);
  t.match(routes[0], { name: 'rw', candidates: 1, canRoute: false, reason: /quarantine/ });
  t.match(routes[1], { name: 'ro', canRoute: true });
  t.equal(judgeReadiness({ ...primaryOnly, readinessRule: 'any' }).isReady, true);
});

t.test('a route that cannot route says why, naming the members', async (t) => {
  const topology: Topology = {
    ...healthyTopology(),
    members: [member('db-1:3306', { acceptsReads: false, reason: 'connection refused' })],
  };
  const { routes } = judgeReadiness(facts({ topology: () => topology }));
  t.match(routes[0]?.reason, /no member takes writes.*db-1:3306: connection refused/);
  t.match(routes[1]?.reason, /no member takes reads/);
});

t.test('the reason stays short in a large cluster', async (t) => {
  const members = Array.from({ length: 200 }, (_, index) =>
    member(`db-${index}:3306`, { acceptsReads: false, reason: 'connection refused' }),
  );
  const { routes } = judgeReadiness(facts({ topology: () => ({ ...healthyTopology(), members }) }));
  t.ok((routes[0]?.reason.length ?? 0) < 500);
});
