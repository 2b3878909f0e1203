/** `npm run suites`: the tests of clients' authors, direct and through the router, into docs/compatibility.md. */
import { createSandbox, type Server } from '../../../src/sandbox/index.ts';
import { markdownTable, writePart } from '../document.ts';
import { createSite } from '../lab.ts';
import { type Mode, modeNamed, PASSTHROUGH } from '../modes.ts';
import { DBD_MYSQL_WITH_LIBMARIADB, DBD_MYSQL_WITH_LIBMYSQLCLIENT } from './dbd-mysql.ts';
import { PYMYSQL } from './pymysql.ts';
import { compareResults, countResults, type Suite, type SuiteTarget } from './suite.ts';

const SUITES: readonly Suite[] = [DBD_MYSQL_WITH_LIBMYSQLCLIENT, DBD_MYSQL_WITH_LIBMARIADB, PYMYSQL];
const MODES: readonly Mode[] = [
  PASSTHROUGH,
  modeNamed('required-required'),
  modeNamed('preferred-as-client'),
];
/** What is started here ends with the sandbox. */
const SCOPE = { teardown: () => {}, comment: console.log };
const NAMES = { mysql: 'MySQL 9.7', mariadb: 'MariaDB 11.8' } as const satisfies Record<
  Server['kind'],
  string
>;

const sandbox = await createSandbox({ log: console.log });
const counts: (string | number)[][] = [];
const differences: string[][] = [];
const failures = new Map<string, string>();
try {
  for (const kind of ['mysql', 'mariadb'] as const) {
    const site = await createSite(SCOPE, sandbox, kind, MODES);
    const { server, certificates } = site;
    const target = (port: number): SuiteTarget => ({
      host: server.host,
      port,
      server,
      certificateAuthority: certificates.ca,
    });
    for (const suite of SUITES) {
      await suite.prepare(server);
      const direct = await suite.run(sandbox, target(server.port));
      counts.push([NAMES[kind], suite.name, 'direct', ...Object.values(countResults(direct)), '']);
      for (const [test, result] of direct)
        if (result.startsWith('failed')) failures.set(`${suite.name}, ${NAMES[kind]}: ${test}`, result);
      for (const mode of MODES) {
        const routed = await suite.run(sandbox, target(site.portOf(mode)));
        const found = compareResults(direct, routed);
        counts.push([
          ...[NAMES[kind], suite.name, `${mode.client} / ${mode.server}`],
          ...[...Object.values(countResults(routed)), found.length],
        ]);
        for (const { test, direct, routed } of found) {
          differences.push([
            NAMES[kind],
            suite.name,
            `${mode.client} / ${mode.server}`,
            test,
            direct,
            routed,
          ]);
        }
        console.log(counts.at(-1)?.join(', '));
      }
    }
    await site.router.stop();
    await server.stop();
  }
} finally {
  await sandbox.close();
}

for (const difference of differences) console.log('different:', difference.join(' | '));
for (const [test, result] of failures) console.log('fails without the router too:', test, result);
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
  ].join('\n\n'),
);
