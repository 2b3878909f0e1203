/** A part of the matrix and of the clients' own tests; all of it is `npm run compatibility` and `npm run suites`. */
import t from 'tap';
import { createSandbox, missingParts } from '../../src/sandbox/index.ts';
import { createMatrixAccounts } from './accounts.ts';
import { createClients } from './clients/clients.ts';
import { createSite } from './lab.ts';
import { runMatrix, verdictOf } from './matrix.ts';
import { modeNamed, PASSTHROUGH } from './modes.ts';
import { missingCompiler } from './suites/build-dbd-mysql.ts';
import { DBD_MYSQL_WITH_LIBMARIADB, DBD_MYSQL_WITH_LIBMYSQLCLIENT } from './suites/dbd-mysql.ts';
import { PYMYSQL } from './suites/pymysql.ts';
import { compareResults, countResults } from './suites/suite.ts';
import { faults } from './tables.ts';

const TERMINATED = modeNamed('preferred-as-client');
const MODES = [PASSTHROUGH, TERMINATED, modeNamed('required-disabled'), modeNamed('disabled-required')];
const SUITES = [
  { suite: PYMYSQL, only: ['pymysql/tests/test_load_local.py', 'pymysql/tests/test_nextset.py'] },
  { suite: DBD_MYSQL_WITH_LIBMARIADB, only: ['41blobs_prepare.t', '88async-multi-stmts.t'] },
  { suite: DBD_MYSQL_WITH_LIBMYSQLCLIENT, only: ['40server_prepare.t', '76multi_statement.t', '80procs.t'] },
];

const parts = ['mysql', 'mariadb', 'php', 'python', 'perl', 'mysql-headers', 'client-sources'] as const;
const skip = (await missingParts(...parts)) || missingCompiler();
t.test('clients', { skip }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const clients = await createClients(sandbox);
  t.teardown(() => {
    for (const client of clients) client.close();
  });

  // What is about the client's side of the wire is tried with one of the servers.
  for (const { kind, compressions, suiteModes } of [
    { kind: 'mysql', compressions: ['none', 'zlib'], suiteModes: [PASSTHROUGH, TERMINATED] },
    { kind: 'mariadb', compressions: ['none'], suiteModes: [TERMINATED] },
  ] as const) {
    const site = await createSite(t, sandbox, kind, MODES);
    const { server, certificates, portOf } = site;

    await t.test(`log in to ${kind} in every TLS mode as they do without the router`, async (t) => {
      const accounts = await createMatrixAccounts(server);
      const cases = await runMatrix({ server, clients, accounts, modes: MODES, compressions, portOf });
      t.same(faults(cases), []);
      const counts = { same: 0, better: 0, other: 0 };
      for (const one of cases) counts[verdictOf(one)] += 1;
      t.comment(`${cases.length} logins: ${JSON.stringify(counts)}`);
      t.ok(counts.same > counts.other);
    });

    await t.test(`have the same results in their own tests on ${kind}`, async (t) => {
      for (const { suite, only } of SUITES) {
        await suite.prepare(server);
        const target = (port: number) => ({
          ...{ host: server.host, port, server, tls: false },
          certificateAuthority: certificates.ca,
        });
        const direct = await suite.run(sandbox, target(server.port), only);
        t.ok(countResults(direct).passed > 3, `${suite.name}: ${JSON.stringify(countResults(direct))}`);
        for (const mode of suiteModes) {
          const routed = await suite.run(sandbox, target(portOf(mode)), only);
          t.same(compareResults(direct, routed), [], `${suite.name}, ${mode.name}`);
        }
      }
    });
    await site.router.stop();
    await server.stop();
  }
});
