/** `npm run suites`: the tests of clients' authors, direct and through the router, into docs/compatibility.md. */
import { parseArgs } from 'node:util';
import { createSandbox, type Server } from '../../../src/sandbox/index.ts';
import { createSite, type Site } from '../lab.ts';
import { type Mode, modeNamed, PASSTHROUGH } from '../modes.ts';
import { C_API } from './c-api.ts';
import { CONNECTOR_J } from './connector-j.ts';
import { DBD_MARIADB } from './dbd-mariadb.ts';
import { DBD_MYSQL_WITH_LIBMARIADB, DBD_MYSQL_WITH_LIBMYSQLCLIENT } from './dbd-mysql.ts';
import { DJANGO } from './django.ts';
import { MYSQLCLIENT } from './mysqlclient.ts';
import { PHP } from './php.ts';
import { PYMYSQL } from './pymysql.ts';
import { recordRun } from './report.ts';
import { SQLALCHEMY_WITH_MYSQLCLIENT, SQLALCHEMY_WITH_PYMYSQL } from './sqlalchemy.ts';
import { compareResults, countResults, type Suite, type SuiteResults, type SuiteTarget } from './suite.ts';

type Run = {
  readonly tls: boolean;
  readonly compress?: boolean;
  readonly suites: readonly Suite[];
  readonly modes: readonly Mode[];
};

/** Without TLS, with TLS that the router ends, compressed. Some tests go without TLS by themselves, so it is not required. */
const RUNS: readonly Run[] = [
  {
    tls: false,
    suites: [DBD_MYSQL_WITH_LIBMYSQLCLIENT, DBD_MYSQL_WITH_LIBMARIADB, PYMYSQL, PHP],
    modes: [PASSTHROUGH, modeNamed('preferred-as-client')],
  },
  {
    tls: false,
    suites: [DBD_MARIADB, MYSQLCLIENT, SQLALCHEMY_WITH_MYSQLCLIENT, DJANGO, CONNECTOR_J],
    modes: [modeNamed('disabled-required')],
  },
  {
    tls: true,
    suites: [
      DBD_MYSQL_WITH_LIBMYSQLCLIENT,
      DBD_MARIADB,
      PYMYSQL,
      MYSQLCLIENT,
      SQLALCHEMY_WITH_PYMYSQL,
      CONNECTOR_J,
    ],
    modes: [modeNamed('preferred-required'), modeNamed('preferred-disabled')],
  },
  { tls: true, suites: [C_API, DJANGO], modes: [PASSTHROUGH, modeNamed('preferred-as-client')] },
  {
    tls: false,
    compress: true,
    suites: [DBD_MARIADB, MYSQLCLIENT],
    modes: [PASSTHROUGH, modeNamed('disabled-required')],
  },
];
const MODES = [...new Set(RUNS.flatMap(({ modes }) => modes))];
/** What is started here ends with the sandbox. */
const SCOPE = { teardown: () => {}, comment: console.log };
const NAMES = { mysql: 'MySQL 9.7', mariadb: 'MariaDB 11.8' } as const satisfies Record<
  Server['kind'],
  string
>;

/**
 * `--only "mysqlclient,Django"` runs these suites and `--server mariadb` those on that server; the rows of others stay as they
 * are. `--tests "a,b"` runs these tests of the suite alone, and writes nothing down.
 */
const { values: options } = parseArgs({
  options: { only: { type: 'string' }, server: { type: 'string' }, tests: { type: 'string' } },
});
const wanted = listOf(options.only);
const tests = listOf(options.tests);
const order = {
  servers: Object.values(NAMES),
  suites: RUNS.flatMap((run) => run.suites.map((suite) => nameOf(suite, run))),
};

const sandbox = await createSandbox({ log: console.log });
try {
  for (const kind of ['mysql', 'mariadb'] as const) {
    if (options.server !== undefined && options.server !== kind) continue;
    const site = await createSite(SCOPE, sandbox, kind, MODES);
    for (const run of RUNS) {
      for (const suite of run.suites) {
        if (wanted === undefined || wanted.includes(suite.name)) await runDirectAndRouted(suite, run, site);
      }
    }
    await site.router.stop();
    await site.server.stop();
  }
} finally {
  await sandbox.close();
}

async function runDirectAndRouted(suite: Suite, run: Run, site: Site): Promise<void> {
  const { server, certificates } = site;
  const runAt = async (how: string, port: number): Promise<SuiteResults> => {
    const { tls, compress = false } = run;
    const began = Date.now();
    const target: SuiteTarget = {
      ...{ host: server.host, port, server, tls, compress },
      certificateAuthority: certificates.ca,
    };
    const results = await suite.run(sandbox, target, tests);
    const seconds = Math.round((Date.now() - began) / 1000);
    console.log(`${names.join(', ')}, ${how}: ${JSON.stringify(countResults(results))} in ${seconds} s`);
    return results;
  };
  const names = [NAMES[server.kind], nameOf(suite, run)] as const;
  await suite.prepare(server);
  const direct = await runAt('direct', server.port);
  if (tests !== undefined) console.log(Object.fromEntries(direct));
  const routed: { mode: string; results: SuiteResults }[] = [];
  for (const mode of run.modes) {
    const how = `${mode.client} / ${mode.server}`;
    const results = await runAt(how, site.portOf(mode));
    for (const difference of compareResults(direct, results)) console.log(difference);
    routed.push({ mode: how, results });
  }
  if (tests === undefined) await recordRun({ server: names[0], suite: names[1], direct, routed }, order);
}

function nameOf({ name }: Suite, { tls, compress = false }: Run): string {
  return [name, ...(tls ? ['with TLS'] : []), ...(compress ? ['compressed'] : [])].join(', ');
}

function listOf(names: string | undefined): readonly string[] | undefined {
  return names?.split(',').map((name) => name.trim());
}
