import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { defaultAdminUrl, parseAdminUrl } from '../../src/cli/admin-url.ts';
import { listKeys } from '../../src/config/key-list.ts';
import { runCommand } from './terminal.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** The program as a person starts it. */
async function spawnProgram(argv: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, out, error };
}

t.test('fairlead check prints what is in force, where it came from, and no secret', async (t) => {
  const folder = t.testdir({
    'f.yaml': 'cluster: { seeds: [db], user: router, password: hunter2 }\nthreads: 1\n',
  });
  const file = join(folder, 'f.yaml');
  const result = await spawnProgram(['check', '--config', file, '--hold-timeout', '3s'], {
    FAIRLEAD_LOG_LEVEL: 'debug',
  });
  t.equal(result.code, 0);
  t.equal(result.error, '');
  t.match(result.out, `user: router # ${file}:1:31`);
  t.match(result.out, 'timeout: 3s # flag --hold-timeout');
  t.match(result.out, 'level: debug # environment variable FAIRLEAD_LOG_LEVEL');
  t.match(result.out, 'maxSessions: 10000 # default');
  t.match(result.out, 'password: "***"');
  t.notMatch(result.out, 'hunter2');
});

t.test('fairlead check prints all problems to standard error and exits with 2', async (t) => {
  const result = await spawnProgram(['check', '--threads', 'x', '--cluster-password', 'hunter2'], {
    FAIRLEAD_HOLD_TIMEOUT: '9',
  });
  t.equal(result.code, 2);
  t.equal(result.out, '');
  t.match(result.error, /^fairlead: 4 problems in the configuration:\n/);
  t.match(result.error, /flag --threads: threads = "x"/);
  t.match(result.error, /FAIRLEAD_HOLD_TIMEOUT: hold\.timeout = "9"/);
  t.notMatch(result.error, 'hunter2');
});

t.test('the configuration file can be named by FAIRLEAD_CONFIG, and --config counts before it', async (t) => {
  const folder = t.testdir({
    'a.yaml': 'cluster: { topology: static, seeds: [a] }',
    'b.yaml': 'cluster: { topology: static, seeds: [b] }',
  });
  const environment = { FAIRLEAD_CONFIG: join(folder, 'a.yaml') };
  t.match((await runCommand(['check'], environment)).out, 'seeds: [ a:3306 ]');
  t.match((await runCommand(['check', '-c', join(folder, 'b.yaml')], environment)).out, 'seeds: [ b:3306 ]');
});

t.test('every key is a flag: --route repeats, and a flag for yes or no may stand alone', async (t) => {
  const base = ['check', '--cluster-topology', 'static', '--cluster-seeds', 'a,b', '--cluster-seeds', 'c'];
  const routes = ['--route', 'name=x,listen=:1,role=primary', '--route', 'name=y,listen=:2,role=secondary'];
  const { code, out } = await runCommand([
    ...base,
    ...routes,
    '--close-ro-on-promotion',
    '--relay-tracking',
    'false',
  ]);
  t.equal(code, 0);
  t.match(out, 'seeds: [ a:3306, b:3306, c:3306 ] # flag --cluster-seeds');
  t.match(
    out,
    /name: x # flag --route\n {4}listen: 0\.0\.0\.0:1\n {4}protocol: classic\n {4}role: primary\n {4}strategy: first-available/,
  );
  t.match(out, 'closeRoOnPromotion: true # flag --close-ro-on-promotion');
  t.match(out, 'tracking: false # flag --relay-tracking');
});

t.test('help is for people: every command has some, with examples and exit codes', async (t) => {
  const program = await runCommand(['--help']);
  t.equal(program.code, 0);
  t.equal(program.error, '');
  for (const name of ['run', 'check', 'convert', 'status', 'demo']) {
    t.match(program.out, new RegExp(`^ {2}${name} `, 'm'));
    const { code, out } = await runCommand([name, '--help']);
    t.equal(code, 0);
    t.match(out, `Examples:\n  fairlead ${name}`);
  }
  t.match(program.out, /Exit codes: 0 .* 1 .* 2 .* 3 /);
  const run = await runCommand(['help', 'run']);
  for (const { flag } of listKeys()) if (flag !== null) t.match(run.out, `${flag} `);
});

t.test('a wrong command line is answered with a hint and exit code 2', async (t) => {
  const table: readonly (readonly [argv: readonly string[], error: RegExp])[] = [
    [[], /Usage: fairlead/],
    [['chek'], /unknown command 'chek'\n\(Did you mean check\?\)/],
    [['run', '--hold-timout', '1s'], /unknown option '--hold-timout'\n\(Did you mean --hold-timeout\?\)/],
    [['check', '--hold-timeout'], /argument missing/],
    [['check', 'f.yaml'], /too many arguments/],
    [['status', '--admin', 'a b'], /has to be a URL/],
    [['demo', '--size', '10'], /whole number from 1 to 9/],
  ];
  for (const [argv, error] of table) {
    const result = await runCommand(argv);
    t.equal(result.code, 2, argv.join(' '));
    t.match(result.error, error);
    t.equal(result.out, '');
  }
});

t.test('the version is that of the package', async (t) => {
  const { code, out } = await spawnProgram(['--version']);
  t.equal(code, 0);
  t.match(out, /^\d+\.\d+\.\d+\n$/);
});

t.test('the admin server is looked for where this environment would have put it', async (t) => {
  const urlOf = (listen: string) => defaultAdminUrl({ FAIRLEAD_ADMIN_LISTEN: listen }).href;
  t.equal(defaultAdminUrl({}).href, 'http://127.0.0.1:8404/');
  t.equal(urlOf('0.0.0.0:9000'), 'http://127.0.0.1:9000/');
  t.equal(urlOf(':9000'), 'http://127.0.0.1:9000/');
  t.equal(urlOf('[::]:9000'), 'http://[::1]:9000/');
  t.equal(urlOf('10.1.2.3:9000'), 'http://10.1.2.3:9000/');
  t.equal(urlOf('nonsense'), 'http://127.0.0.1:8404/');
  t.equal(parseAdminUrl('10.0.0.7:8404')?.href, 'http://10.0.0.7:8404/');
  t.equal(parseAdminUrl('https://fairlead.example/')?.href, 'https://fairlead.example/');
  t.equal(parseAdminUrl('18404')?.href, 'http://127.0.0.1:18404/', 'a port is one of this machine');
  t.equal(parseAdminUrl(':18404')?.href, 'http://127.0.0.1:18404/');
  t.equal(parseAdminUrl('99999'), null);
  t.equal(parseAdminUrl('http://user:pw@host'), null);
  t.equal(parseAdminUrl(''), null);
});
