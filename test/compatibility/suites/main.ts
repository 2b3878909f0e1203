/** `npm run suites`: the tests of clients' authors, direct and through the router, into docs/compatibility.md. */
import { createSandbox, type Server } from '../../../src/sandbox/index.ts';
import { markdownTable, writePart } from '../document.ts';
import { createSite } from '../lab.ts';
import { type Mode, modeNamed, PASSTHROUGH } from '../modes.ts';
import { C_API } from './c-api.ts';
import { DBD_MYSQL_WITH_LIBMARIADB, DBD_MYSQL_WITH_LIBMYSQLCLIENT } from './dbd-mysql.ts';
import { PYMYSQL } from './pymysql.ts';
import { compareResults, countResults, type Suite, type SuiteTarget } from './suite.ts';

const SUITES: readonly Suite[] = [DBD_MYSQL_WITH_LIBMYSQLCLIENT, DBD_MYSQL_WITH_LIBMARIADB, PYMYSQL];
/** Without TLS, and with TLS that the router ends. Some tests go without TLS by themselves, so it is not required. */
const RUNS: readonly {
  readonly tls: boolean;
  readonly suites: readonly Suite[];
  readonly modes: readonly Mode[];
}[] = [
  { tls: false, suites: SUITES, modes: [PASSTHROUGH, modeNamed('preferred-as-client')] },
  {
    tls: true,
    suites: [DBD_MYSQL_WITH_LIBMYSQLCLIENT, PYMYSQL],
    modes: [modeNamed('preferred-required'), modeNamed('preferred-disabled')],
  },
  { tls: true, suites: [C_API], modes: [PASSTHROUGH, modeNamed('preferred-as-client')] },
];
const MODES = [...new Set(RUNS.flatMap(({ modes }) => modes))];
/** What is started here ends with the sandbox. */
const SCOPE = { teardown: () => {}, comment: console.log };
const NAMES = { mysql: 'MySQL 9.7', mariadb: 'MariaDB 11.8' } as const satisfies Record<
  Server['kind'],
  string
>;

const sandbox = await createSandbox({ log: console.log });
const counts: (string | number)[][] = [];
const differences: string[][] = [];
const failures: string[][] = [];
try {
  for (const kind of ['mysql', 'mariadb'] as const) {
    const site = await createSite(SCOPE, sandbox, kind, MODES);
    const { server, certificates } = site;
    for (const { tls, suites, modes } of RUNS) {
      const target = (port: number): SuiteTarget => ({
        ...{ host: server.host, port, server, tls },
        certificateAuthority: certificates.ca,
      });
      for (const suite of suites) {
        await suite.prepare(server);
        const direct = await suite.run(sandbox, target(server.port));
        const names = [NAMES[kind], `${suite.name}${tls ? ', with TLS' : ''}`];
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
          console.log(counts.at(-1)?.join(', '));
        }
      }
    }
    await site.router.stop();
    await server.stop();
  }
} finally {
  await sandbox.close();
}

await writePart(
  'suites',
  [
    markdownTable(
      ['server', 'suite', 'client TLS / server TLS', 'passed', 'skipped', 'failed', 'different'],
      counts,
    ),
    differences.length === 0
      ? 'No test has another result through the router than without it.'
      : markdownTable(['server', 'suite', 'mode', 'test', 'direct', 'through the router'], differences),
    'These fail without the router too:',
    markdownTable(['server', 'suite', 'test', 'what it says'], failures),
  ].join('\n\n'),
);
