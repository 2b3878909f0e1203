/** Routing guidelines in front of a ReplicaSet whose first member is the primary. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionOptions } from 'mysql2/promise';
import type { Test } from 'tap';
import { type Sandbox, type Server, setRouterOptions, setTags, waitFor } from '../../src/sandbox/index.ts';
import { METADATA_SCHEMA } from '../../src/sandbox/metadata-schema.ts';
import { connectTo, errorName, memberBehind, mysqlClient, untilAllMeet } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

type Members = readonly [primary: Server, reporting: Server, batch: Server];

/** The router greets clients itself, chooses by what they say, and the server they get asks for their password. */
export async function guidedByLogin(t: Test, sandbox: Sandbox, members: Members): Promise<void> {
  const [a, b, c] = members;
  await createReporters(a);
  await setTags(a, b, { use: 'reports' });
  const file = join(sandbox.directory, 'guideline.json');
  await writeFile(file, JSON.stringify(guideline('by-login', BY_LOGIN)));
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [a.address],
    flags: [...GUIDED_FLAGS, `--guidelines-file=${file}`, '--guidelines-watch-interval=100ms'],
  });
  await router.untilServing(2);
  const { rw, ro } = router.ports;
  await untilAllMeet(b, ro, REPORTER);

  const tls: ConnectionOptions = { ssl: { rejectUnauthorized: false } };
  const table: readonly (readonly [
    port: number,
    options: ConnectionOptions,
    expected: Server,
    why: string,
  ])[] = [
    [rw, {}, a, 'nothing said: by the port'],
    [rw, { ...tls }, a, 'the same over TLS'],
    [rw, REPORTER, b, 'by the user'],
    [rw, { ...REPORTER, ...tls }, b, 'by the user, over TLS'],
    [rw, SHA256_REPORTER, b, 'by the user, whose password goes encrypted'],
    [rw, { ...SHA256_REPORTER, ...tls }, b, 'by the user, whose password goes through TLS'],
    [ro, BATCH, c, 'by a connection attribute'],
    [rw, { database: 'app' }, c, 'by the schema'],
  ];
  for (const [port, options, expected, why] of table)
    t.equal(await memberBehind(port, options), expected.port, why);
  t.strictSame(
    await mysqlClient(sandbox, rw, 'SELECT @@port', REPORTER),
    [`${b.port}`],
    "MySQL's own client",
  );
  for (const [options, number] of [
    [{ ...REPORTER, password: 'wrong' }, '1045'],
    [{ ...REPORTER, database: 'nowhere' }, '1044'],
  ] as const)
    t.equal(await memberBehind(rw, options).catch(errorName), number, "the server's own refusal");

  const status = JSON.parse((await router.get('/api/v1/status')).body);
  t.match(status.guideline, {
    name: 'by-login',
    source: file,
    destinations: [
      { name: 'Primary', members: [a.address] },
      {},
      { name: 'Reports', members: [b.address] },
      {},
    ],
  });
  t.ok(await router.metric('fairlead_guideline_sessions_total', { guideline_route: 'reports' }));

  const staying = await connectTo(rw);
  const leaving = await connectTo(rw, REPORTER);
  const left = new Promise((resolve) => leaving.once('error', resolve));
  t.match(await router.get('/api/v1/sessions'), { body: /"guidelineRoute":"reports"/ });
  await writeFile(file, '{"name": "broken"');
  await waitFor({ what: 'the refusal of what is no guideline', timeoutMs: 20_000 }, async () =>
    router.events('guideline_refused').length > 0 ? true : undefined,
  );
  t.equal(await memberBehind(rw, REPORTER), b.port, 'what was in force stays');
  await writeFile(file, JSON.stringify(guideline('without-reports', BY_LOGIN.slice(1))));
  await left;
  t.pass('a session whose route is gone ends');
  await untilAllMeet(a, rw, REPORTER);
  await staying.query('SELECT 1');
  await staying.end();
  t.equal(await router.stop(), 0);
}

/** TLS is passed through: what is known when a client is accepted decides. */
export async function guidedByMetadata(t: Test, sandbox: Sandbox, members: Members): Promise<void> {
  const [a, b, c] = members;
  await setTags(a, b, { use: 'reports' });
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [a.address],
    flags: ['--metadata-interval=500ms', '--guidelines-from-metadata=true', '--threads=1'],
  });
  await router.untilServing(2);
  const { rw, ro } = router.ports;
  t.equal(await memberBehind(rw), a.port, 'no guideline: by the roles of routes');
  await activate(a, guideline('by-port', BY_PORT));
  await untilAllMeet(b, ro);
  t.equal(await memberBehind(rw, { ssl: { rejectUnauthorized: false } }), a.port);
  await activate(a, guideline('by-login', BY_LOGIN));
  await waitFor({ what: 'the refusal of what needs logins', timeoutMs: 20_000 }, async () =>
    router.events('guideline_refused').length > 0 ? true : undefined,
  );
  t.match(router.events('guideline_refused')[0]?.msg, /clientSslMode of routes\[0\] \(rw\)/);
  t.equal(await memberBehind(ro), b.port, 'what was in force stays');
  await setRouterOptions(a, {});
  await waitFor({ what: 'no guideline', timeoutMs: 20_000 }, async () =>
    (await memberBehind(ro)) === c.port ? true : undefined,
  );
  await setTags(a, b, {});
  t.equal(await router.stop(), 0);
}

async function createReporters(primary: Server): Promise<void> {
  for (const [{ user, password }, plugin] of [
    [REPORTER, 'caching_sha2_password'],
    [SHA256_REPORTER, 'sha256_password'],
  ] as const) {
    await primary.query(`CREATE USER IF NOT EXISTS ${user} IDENTIFIED WITH ${plugin} BY '${password}'`);
    await primary.query(`GRANT SELECT ON mysql.* TO ${user}`);
  }
}

async function activate(primary: Server, document: { readonly name: string }): Promise<void> {
  await primary.query(
    `REPLACE INTO ${METADATA_SCHEMA}.routing_guidelines (guideline_id, guideline) VALUES (?, ?)`,
    [document.name, JSON.stringify(document)],
  );
  await setRouterOptions(primary, { guideline: document.name });
}

function guideline(name: string, routes: readonly object[]) {
  return {
    version: '1.1',
    name,
    destinations: [
      { name: 'Primary', match: '$.server.memberRole = PRIMARY' },
      { name: 'Secondary', match: '$.server.memberRole = SECONDARY' },
      { name: 'Reports', match: "$.server.tags.use = 'reports'" },
      { name: 'Batch', match: '$.server.memberRole = SECONDARY AND $.server.tags.use = NULL' },
    ],
    routes,
  };
}

function route(name: string, match: string, ...classes: readonly string[]) {
  return {
    name,
    match,
    enabled: true,
    connectionSharingAllowed: true,
    destinations: classes.map((one, priority) => ({ classes: [one], strategy: 'round-robin', priority })),
  };
}

const BY_LOGIN = [
  route('reports', "$.session.user LIKE 'reports%'", 'Reports', 'Primary'),
  route('batch', "$.session.connectAttrs.program_name = 'nightly'", 'Batch'),
  route('schema', "$.session.schema = 'app'", 'Batch'),
  route('rw', '$.session.targetPort = $.router.port.rw', 'Primary'),
  route('ro', '$.session.targetPort = $.router.port.ro', 'Secondary', 'Primary'),
];
const BY_PORT = [
  route(
    'ro',
    "$.session.targetPort = $.router.port.ro AND NETWORK($.session.sourceIP, 8) = '127.0.0.0'",
    'Reports',
  ),
  route('rw', '$.session.targetPort = $.router.port.rw', 'Primary'),
];
const REPORTER = { user: 'reports', password: 'reports-secret' };
const SHA256_REPORTER = { user: 'reports_old', password: 'reports-old-secret' };
const BATCH = { connectAttributes: { program_name: 'nightly' } };
const GUIDED_FLAGS = [
  '--tls-client-ssl-mode=preferred',
  '--tls-server-ssl-mode=preferred',
  '--metadata-interval=500ms',
  '--threads=1',
];
