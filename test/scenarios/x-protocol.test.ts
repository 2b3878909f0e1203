/** X Protocol through a Service's ports: MySQL's own X client, a real group, one router. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { createSandbox, type Group, missingParts, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { connectTo } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noX = await missingParts('mysql', 'x-client');

t.test('a group behind X Protocol', { skip: noX }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });
  const router = await RouterProcess.start(t, sandbox, {
    seeds: group.members.map(({ address }) => address),
    flags: ['--hold-timeout=30s', ...ROUTES.map((route) => `--route=${route},protocol=x,listen=127.0.0.1:0`)],
  });
  await router.untilServing(2);
  const primary = await group.primary();
  await primary.query('CREATE DATABASE app');
  await primary.query('CREATE TABLE app.x (id BIGINT AUTO_INCREMENT PRIMARY KEY)');
  const lab = { sandbox, group, router };

  await t.test('writes go to the primary, in TLS and without', (t) => writer(t, lab));
  await t.test('reads go to the secondaries in turn, which refuse writes themselves', (t) => readers(t, lab));
  await t.test('collections and large, compressed results come through', (t) => documents(t, lab));
  await t.test('a login the server refuses gets the server’s own refusal', (t) => refusedLogin(t, lab));
  await t.test('a client beyond the limit of its route hears it from the router', (t) => limited(t, lab));
  await t.test('a client lives through a switchover and the death of the primary', (t) => failover(t, lab));
  await t.test('the stop of the router ends an idle session in order', (t) => drained(t, lab));
});

type Lab = { readonly sandbox: Sandbox; readonly group: Group; readonly router: RouterProcess };

const ROUTES = [
  'name=x-rw,role=primary',
  'name=x-ro,role=secondary',
  'name=x-one,role=primary,maxConnections=1',
] as const;

async function writer(t: Test, lab: Lab): Promise<void> {
  const primary = await lab.group.primary();
  const ask = 'SELECT @@port, @@mysqlx_port, (SELECT variable_value FROM performance_schema.session_status';
  // In TLS first: without, the server takes caching_sha2_password only from who has lately shown the password in it.
  for (const ssl of ['required', 'disabled']) {
    const [facts] = await once(lab, 'x-rw', ssl, `${ask} WHERE variable_name = 'Mysqlx_ssl_cipher')`);
    const [port, xPort, cipher] = facts?.rows?.[0] ?? [];
    t.strictSame([port, xPort], [primary.port, primary.xPort]);
    t.equal(cipher !== '', ssl === 'required', `${ssl}: cipher ${JSON.stringify(cipher)}`);
  }
  const { members } = await lab.router.topology();
  t.equal(members.length, 3);
  const [, written] = await once(
    lab,
    'x-rw',
    'required',
    'INSERT INTO app.x VALUES ()',
    'SELECT COUNT(*) FROM app.x',
  );
  t.strictSame(written?.rows, [[1]]);
  await lab.group.waitUntilApplied();
}

async function readers(t: Test, lab: Lab): Promise<void> {
  const secondaries = (await lab.group.secondaries()).map(({ port }) => port);
  const seen = new Set<unknown>();
  for (let round = 0; round < 4; round++) {
    const [own, refusal] = await once(
      lab,
      'x-ro',
      'required',
      'SELECT @@port',
      'INSERT INTO app.x VALUES ()',
    );
    seen.add(own?.rows?.[0]?.[0]);
    t.match(refusal, { errno: 1290, message: /super-read-only/ });
  }
  t.strictSame(seen, new Set(secondaries));
}

async function documents(t: Test, lab: Lab): Promise<void> {
  t.match(await run(lab, 'documents', String(portOf(lab.router, 'x-rw'))), [
    { found: ['Grace'], sent: 5_000_000 },
  ]);
  const [sent] = await once(lab, 'x-rw', 'disabled', "SELECT REPEAT('y', 9000000)");
  t.equal(String(sent?.rows?.[0]?.[0]).length, 9_000_000);
}

async function refusedLogin(t: Test, lab: Lab): Promise<void> {
  const port = String(portOf(lab.router, 'x-rw'));
  const [answer] = await run(lab, 'once', port, 'required', { X_PASSWORD: 'wrong' });
  t.match(answer, { message: /Access denied for user 'root'/ });
}

async function limited(t: Test, lab: Lab): Promise<void> {
  const port = portOf(lab.router, 'x-one');
  const first = idleClient(lab, port);
  await waitFor({ what: 'the first to be in', timeoutMs: 20_000 }, async () =>
    (await lab.router.metric('fairlead_sessions_opaque', { route: 'x-one' })) === 1 ? true : undefined,
  );
  const [second] = await run(lab, 'once', String(port), 'required', 'SELECT 1');
  t.match(second, { message: /Too many connections/ });
  t.equal(
    await lab.router.metric('fairlead_sessions_refused_total', { route: 'x-one', reason: 'route_limit' }),
    1,
  );
  await first.go();
  t.match(await first.lines, [{ rows: [[1]] }, { rows: [[2]] }]);
}

async function failover(t: Test, lab: Lab): Promise<void> {
  const { group, router } = lab;
  const stopFile = join(lab.sandbox.directory, 'stop-work');
  const working = run(lab, 'work', String(portOf(router, 'x-rw')), stopFile);
  const former = await group.primary();
  const [next] = await group.secondaries();
  if (next === undefined) throw new Error('the group has no secondary');
  await atWork(lab);
  await group.setPrimary(next);
  await router.untilTopology('the new primary', ({ primary }) => primary === next.address);
  await atWork(lab);
  await next.kill();
  const last = await group.waitForNewPrimary(next);
  await router.untilTopology('the last primary', ({ primary }) => primary === last.address);
  await atWork(lab);
  await writeFile(stopFile, '');
  const lines = await working;

  const servers = lines.flatMap(({ server }) => server ?? []);
  t.strictSame(new Set(servers), new Set([former.port, next.port, last.port]), 'each primary in its turn');
  const failures = lines.flatMap(({ message }) => message ?? []);
  for (const message of failures) t.comment(message);
  // Without boundaries a busy session stays where it is until it is quiet or its grace is over; the server refuses writes.
  const lost = failures.filter((message) => !message.includes('1290'));
  t.ok(lost.length <= 2, 'one lost session for each change, and no refusal of the router');
  t.notOk(failures.some((message) => /Too many|2003/.test(message)));
  const waits = lines.flatMap(({ ms }) => ms ?? []);
  t.comment(
    `${lines.length} rounds, longest ${Math.max(...waits).toFixed(0)} ms (the group's own election included)`,
  );
  const [row] = await last.query('SELECT COUNT(*) AS writes FROM app.x');
  t.ok(Number(row?.['writes']) >= servers.length, 'everything that was confirmed is there');
}

async function drained(t: Test, lab: Lab): Promise<void> {
  const { router } = lab;
  const client = idleClient(lab, portOf(router, 'x-ro'));
  await waitFor({ what: 'the client to be in', timeoutMs: 20_000 }, async () =>
    (await router.metric('fairlead_sessions_opaque', { route: 'x-ro' })) === 1 ? true : undefined,
  );
  const classic = await connectTo(router.ports.ro);
  classic.on('error', () => t.pass('the classic session ends as well'));
  t.equal(await router.stop(), 0);
  await client.go();
  t.match(await client.lines, [{ rows: [[1]] }, { lost: /./ }]);
  classic.destroy();
}

const lineSchema = z.object({
  rows: z.array(z.array(z.unknown())).optional(),
  found: z.array(z.string()).optional(),
  sent: z.number().optional(),
  server: z.number().optional(),
  ms: z.number().optional(),
  errno: z.number().nullish(),
  message: z.string().optional(),
  lost: z.string().optional(),
});
type Line = z.output<typeof lineSchema>;

function once(
  lab: Lab,
  route: string,
  ssl: string,
  ...statements: readonly string[]
): Promise<readonly Line[]> {
  return run(lab, 'once', String(portOf(lab.router, route)), ssl, ...statements);
}

/** Runs client.py to its end; an object among the arguments is more environment. */
async function run(
  lab: Lab,
  ...args: readonly (string | Readonly<Record<string, string>>)[]
): Promise<readonly Line[]> {
  const words = args.filter((arg) => typeof arg === 'string');
  const environment = args.filter((arg) => typeof arg !== 'string');
  const program = [
    'import os, sys',
    ...environment.map((more) => `os.environ.update(${JSON.stringify(more)})`),
  ];
  const source = await readFile(CLIENT, 'utf8');
  const { stdout } = await lab.sandbox.run(
    'x-client',
    'python3',
    ['-c', `${program.join('\n')}\n${source}`, ...words],
    { timeoutMs: 120_000 },
  );
  return linesIn(stdout);
}

/** A client that is logged in and waits to be told to go on. */
function idleClient(lab: Lab, port: number) {
  const goFile = join(lab.sandbox.directory, `go-${port}`);
  return { lines: run(lab, 'idle', String(port), goFile), go: () => writeFile(goFile, '') };
}

function linesIn(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

/** Returns when the client has written something new through the router. */
async function atWork({ group, router }: Lab): Promise<void> {
  const count = async () => {
    const primary = await group.primary();
    const [row] = await primary.query('SELECT COUNT(*) AS writes FROM app.x');
    return Number(row?.['writes']);
  };
  const before = await count();
  await waitFor({ what: 'the client to work', timeoutMs: 40_000 }, async () =>
    (await count()) > before ? true : undefined,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; the router said\n${router.output}`);
  });
}

function portOf(router: RouterProcess, route: string): number {
  const line = router.events('route_listening').find((logged) => logged.route === route);
  if (line?.port === undefined) throw new Error(`route ${route} does not listen`);
  return line.port;
}

const CLIENT = join(import.meta.dirname, 'x', 'client.py');
