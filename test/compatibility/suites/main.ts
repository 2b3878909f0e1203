/** `npm run suites`: the tests of clients' authors, direct and through the router, into docs/compatibility.md. */
import { parseArgs } from 'node:util';
import { createSandbox, type Server } from '../../../src/sandbox/index.ts';
import { markdownTable, readPart, readTable, writePart } from '../document.ts';
import { createSite } from '../lab.ts';
import { type Mode, modeNamed, PASSTHROUGH } from '../modes.ts';
import { C_API } from './c-api.ts';
import { CONNECTOR_J } from './connector-j.ts';
import { DBD_MARIADB } from './dbd-mariadb.ts';
import { DBD_MYSQL_WITH_LIBMARIADB, DBD_MYSQL_WITH_LIBMYSQLCLIENT } from './dbd-mysql.ts';
import { DJANGO } from './django.ts';
import { MYSQLCLIENT } from './mysqlclient.ts';
import { PHP } from './php.ts';
import { PYMYSQL } from './pymysql.ts';
import { SQLALCHEMY_WITH_MYSQLCLIENT, SQLALCHEMY_WITH_PYMYSQL } from './sqlalchemy.ts';
import { compareResults, countResults, type Suite, type SuiteTarget } from './suite.ts';

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

/** `--only "mysqlclient,Django"` runs these suites, and leaves the rows of others as they are. */
const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
const wanted = only?.split(',').map((name) => name.trim());

const sandbox = await createSandbox({ log: console.log });
const counts: (string | number)[][] = [];
const differences: string[][] = [];
const failures: string[][] = [];
try {
  for (const kind of ['mysql', 'mariadb'] as const) {
    const site = await createSite(SCOPE, sandbox, kind, MODES);
    const { server, certificates } = site;
    for (const { tls, compress = false, suites, modes } of RUNS) {
      const target = (port: number): SuiteTarget => ({
        ...{ host: server.host, port, server, tls, compress },
        certificateAuthority: certificates.ca,
      });
      for (const suite of suites) {
        if (wanted !== undefined && !wanted.includes(suite.name)) continue;
        await suite.prepare(server);
        const direct = await suite.run(sandbox, target(server.port));
        const how = [...(tls ? ['with TLS'] : []), ...(compress ? ['compressed'] : [])];
        const names = [NAMES[kind], [suite.name, ...how].join(', ')];
        counts.push([...names, 'direct', ...Object.values(countResults(direct)), '']);
        for (const [test, result] of direct) {
          if (result.startsWith('failed'))
            failures.push([...names, test, result.replace(/^failed:? *-? */, '')]);
        }
        for (const mode of modes) {
          const how = `${mode.client} / ${mode.server}`;
          const routed = await suite.run(sandbox, target(site.portOf(mode)));
          const found = compareResults(direct, routed);
          counts.push([...names, how, ...Object.values(countResults(routed)), found.length]);
          for (const { test, direct, routed } of found)
            differences.push([...names, how, test, direct, routed]);
          console.log([...(counts.at(-1) ?? []), ...found.map(({ test }) => test)].join(', '));
        }
      }
    }
    await site.router.stop();
    await server.stop();
  }
} finally {
  await sandbox.close();
}

const HEADS = {
  counts: ['server', 'suite', 'client TLS / server TLS', 'passed', 'skipped', 'failed', 'different'],
  differences: ['server', 'suite', 'mode', 'test', 'direct', 'through the router'],
  failures: ['server', 'suite', 'test', 'what it says'],
};
const before = await readPart('suites');
const allDifferences = merged(HEADS.differences, differences);
await writePart(
  'suites',
  [
    markdownTable(HEADS.counts, merged(HEADS.counts, counts)),
    allDifferences.length === 0
      ? 'No test has another result through the router than without it.'
      : markdownTable(HEADS.differences, allDifferences),
    'These fail without the router too:',
    markdownTable(HEADS.failures, merged(HEADS.failures, failures)),
  ].join('\n\n'),
);

type Row = readonly (string | number)[];

/** With the rows of suites that were not run now, MySQL's first. */
function merged(head: readonly string[], rows: readonly Row[]): readonly Row[] {
  const others = readTable(before, head).filter(
    ([, suite = '']) => wanted !== undefined && !wanted.includes(suite.split(', ')[0] ?? ''),
  );
  return [...others, ...rows].toSorted((a, b) => serverRank(a) - serverRank(b));
}

function serverRank([server]: Row): number {
  return Object.values<unknown>(NAMES).indexOf(server);
}
