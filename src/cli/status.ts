/**
 * `fairlead status`: asks a running router's admin server and prints what it says, for people or as JSON.
 */
import { z } from 'zod';
import { describeFailure, fetchText } from './admin-client.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export type StatusOptions = { readonly admin: URL; readonly asJson: boolean };

export async function status(options: StatusOptions, terminal: Terminal): Promise<ExitCode> {
  const asked = await ask(options.admin);
  if (asked.kind === 'failed') {
    terminal.writeError(`fairlead: ${asked.message}\n`);
    return EXIT.failure;
  }
  const { answers } = asked;
  terminal.writeOut(
    options.asJson ? `${JSON.stringify(answers, null, 2)}\n` : describe(options.admin, answers),
  );
  return answers.isReady ? EXIT.ok : EXIT.notReady;
}

type Answers = {
  readonly isReady: boolean;
  /** The first line of `/readyz`. */
  readonly readiness: string;
  readonly topology: z.output<typeof topologySchema>;
  readonly routes: z.output<typeof statusSchema>['routes'];
};

type Asked =
  | { readonly kind: 'answered'; readonly answers: Answers }
  | { readonly kind: 'failed'; readonly message: string };

async function ask(admin: URL): Promise<Asked> {
  try {
    const [readyz, topology, routes] = await Promise.all([
      fetchText(new URL('/readyz', admin)),
      fetchText(new URL('/api/v1/topology', admin)),
      fetchText(new URL('/api/v1/status', admin)),
    ]);
    const answers = {
      isReady: readyz.status === 200,
      readiness: readyz.body.split('\n')[0] ?? '',
      topology: topologySchema.parse(JSON.parse(topology.body)),
      routes: statusSchema.parse(JSON.parse(routes.body)).routes,
    };
    return { kind: 'answered', answers };
  } catch (error) {
    return { kind: 'failed', message: describeFailure(admin, error) };
  }
}

function describe(admin: URL, { readiness, topology, routes }: Answers): string {
  const facts = [
    topology.mode,
    clusterFact(topology.cluster),
    topology.groupName === null ? '' : `group ${topology.groupName}`,
    topology.hasQuorum ? '' : 'no quorum',
    `version ${topology.version}`,
  ].filter((fact) => fact !== '');
  const members = topology.members.map((member) => [
    member.address,
    member.role,
    member.state,
    member.acceptsWrites ? 'yes' : 'no',
    member.acceptsReads ? 'yes' : 'no',
    member.version,
    member.reason,
  ]);
  const routeRows = routes.map((route) => [
    route.name,
    listening(route),
    route.role,
    route.strategy,
    String(route.candidates),
    String(route.sessions.open),
    String(route.sessions.held),
    route.reason,
  ]);
  const blocks = [
    `${readiness}\nprimary: ${topology.primary ?? 'none'} (${facts.join(', ')})`,
    topology.alarms.map((alarm) => `alarm: ${alarm}`).join('\n'),
    members.length === 0 ? 'no member is known' : table(MEMBER_COLUMNS, members),
    routeRows.length === 0 ? '' : table(ROUTE_COLUMNS, routeRows),
  ];
  const text = blocks.filter((block) => block !== '').join('\n\n');
  return `${withoutControls(`${admin.host}: ${text}`)}\n`;
}

function listening(route: Answers['routes'][number]): string {
  const host = route.listen.host.includes(':') ? `[${route.listen.host}]` : route.listen.host;
  return `${host}:${route.port ?? route.listen.port}${route.isListening ? '' : ' (not listening)'}`;
}

function clusterFact(cluster: Answers['topology']['cluster']): string {
  if (cluster === null || cluster === undefined) return '';
  const name = cluster.kind === 'unknown' ? '' : `${cluster.kind} ${cluster.name}`;
  const state = cluster.state === 'ok' ? '' : `metadata ${cluster.state}`;
  return [name, state].filter((text) => text !== '').join(', ');
}

/** Reasons may quote what a server said: it must not steer the terminal. */
function withoutControls(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, '?');
}

const MEMBER_COLUMNS = ['MEMBER', 'ROLE', 'STATE', 'WRITES', 'READS', 'VERSION', 'REASON'];
const ROUTE_COLUMNS = ['ROUTE', 'LISTEN', 'ROLE', 'STRATEGY', 'CANDIDATES', 'OPEN', 'HELD', 'REASON'];

const topologySchema = z.looseObject({
  version: z.number(),
  primary: z.string().nullable(),
  groupName: z.string().nullable(),
  mode: z.string(),
  hasQuorum: z.boolean(),
  alarms: z.array(z.string()),
  cluster: z.looseObject({ kind: z.string(), name: z.string(), state: z.string() }).nullish(),
  members: z.array(
    z.looseObject({
      address: z.string(),
      role: z.string(),
      state: z.string(),
      acceptsWrites: z.boolean(),
      acceptsReads: z.boolean(),
      version: z.string(),
      reason: z.string(),
    }),
  ),
});

const statusSchema = z.looseObject({
  routes: z.array(
    z.looseObject({
      name: z.string(),
      listen: z.object({ host: z.string(), port: z.number() }),
      port: z.number().nullable(),
      isListening: z.boolean(),
      role: z.string(),
      strategy: z.string(),
      candidates: z.number(),
      reason: z.string(),
      sessions: z.looseObject({ open: z.number(), held: z.number() }),
    }),
  ),
});
