/** No password is in anything the program writes, answers or shows, wherever it was given and whatever goes wrong. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ACCOUNTS, createAccount, createSandbox, missingParts } from '../../src/sandbox/index.ts';
import { connectTo } from '../support/clients.ts';
import { Passwords } from '../support/secrets.ts';
import { until } from '../support/until.ts';
import { Program } from './program.ts';

/** Each place has a password of its own, so that a leak says where it comes from. */
class MadePasswords {
  readonly #made = new Map<string, string>();

  make(place: string): string {
    // Nothing that a pattern or YAML would take for something else.
    const password = `Pw${randomBytes(9).toString('hex')}`;
    this.#made.set(place, password);
    return password;
  }

  in(text: string): readonly string[] {
    return new Passwords(this.#made).in(text);
  }
}

t.test('wrong configurations are told without the passwords in them', async (t) => {
  const passwords = new MadePasswords();
  const folder = t.testdir();
  const broken = [
    ['an unfinished quote', (secret: string) => `cluster: { seeds: [a], password: "${secret} }\n`],
    ['a mistyped key', (secret: string) => `cluster:\n  seeds: [a]\n  user: u\n  pasword: ${secret}\n`],
    ['a list', (secret: string) => `cluster:\n  seeds: [a]\n  user: u\n  password: [${secret}]\n`],
    ['an unknown alias', (secret: string) => `cluster:\n  password: *${secret}\n`],
    ['a key twice', (secret: string) => `cluster:\n  password: ${secret}\n  password: ${secret}\n`],
    ['a tab', (secret: string) => `cluster:\n\tpassword: ${secret}\n`],
  ] as const;
  const runs = [
    ...broken.map(([what, text], index) => {
      const file = join(folder, `${index}.yaml`);
      return { file, text: text(passwords.make(what)), argv: ['check', '-c', file], environment: {} };
    }),
    { argv: ['check', `--cluster-passwort=${passwords.make('a mistyped flag')}`], environment: {} },
    { argv: ['run', '--cluster-passwort', passwords.make('a mistyped flag, apart')], environment: {} },
    { argv: ['check', `--cluster-password=${passwords.make('a flag')}`, '--threads=x'], environment: {} },
    { argv: ['check'], environment: { FAIRLEAD_CLUSTER_PASWORD: passwords.make('a mistyped variable') } },
    {
      argv: ['check', '--cluster-seeds=a', '--cluster-user=u', '--cluster-password-file=/nowhere'],
      environment: { FAIRLEAD_CLUSTER_PASSWORD: passwords.make('a variable beside a file') },
    },
  ];
  for (const run of runs) {
    if ('file' in run) await writeFile(run.file, run.text);
    const program = new Program(t, run.argv, { environment: run.environment });
    const code = await program.exit();
    const name = run.argv.join(' ').replace(/=.*/, '');
    t.equal(code, 2, `${name} is refused`);
    t.same(passwords.in(`${program.out}\n${program.error}`), [], name);
  }
});

t.test('a router tells no password', { skip: await missingParts('mysql') }, async (t) => {
  const passwords = new MadePasswords();
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer();
  const [right, other] = [passwords.make('the monitoring account'), passwords.make('a wrong one for it')];
  await createAccount(server, {
    ...{ user: 'monitor', password: right },
    grants: ['SELECT ON performance_schema.*', 'REPLICATION CLIENT ON *.*'],
  });
  const client = passwords.make('a client');
  await createAccount(server, { user: 'shop', password: client });
  const folder = t.testdir();
  const [file, passwordFile] = [join(folder, 'f.yaml'), join(folder, 'password')];
  const configuration = (password: string): string => `
cluster: { seeds: ["${server.address}"], user: monitor, ${password} }
routes:
  - { name: rw, listen: "127.0.0.1:0", role: primary }
  - { name: tls, listen: "127.0.0.1:0", role: primary, clientSslMode: preferred, serverSslMode: disabled }
  - { name: plain, listen: "127.0.0.1:0", role: primary, clientSslMode: disabled, serverSslMode: required }
admin: { listen: "127.0.0.1:0" }
log: { level: trace, format: json }
drain: { delay: 0s, timeout: 2s }
`;
  await writeFile(file, configuration(`password: ${other}`));
  await writeFile(passwordFile, `${right}\n`);
  const router = new Program(t, ['run', '-c', file]);
  const admin = await router.untilWritten(/"event":"admin_listening".*?"port":(\d+)/);
  const adminUrl = `http://127.0.0.1:${admin[1]}`;
  const answers: string[] = [];
  const ask = async (): Promise<void> => {
    for (const path of [
      '/',
      '/metrics',
      '/livez',
      '/readyz?verbose',
      '/api/v1/topology',
      '/api/v1/sessions',
      '/api/v1/events',
      '/api/v1/config',
      '/nowhere',
    ]) {
      const response = await fetch(`${adminUrl}${path}`, { signal: AbortSignal.timeout(10_000) });
      answers.push(`${path} ${response.status} ${await response.text()}`);
    }
  };
  const portOf = (route: string): number =>
    Number(
      new RegExp(`"route":"${route}".*?"port":(\\d+)`).exec(router.events('route_listening').join('\n'))?.[1],
    );

  await until('the wrong password to be refused', () => /1045|Access denied/i.test(router.out));
  await ask();
  await writeFile(file, configuration(`password: "${other}`));
  router.signal('SIGHUP');
  await until('the broken file to be refused', () => router.events('reload_failed').length > 0);
  await writeFile(file, configuration(`passwordFile: ${passwordFile}`));
  router.signal('SIGHUP');
  await until('the server to be the primary', async () => {
    const answer = await fetch(`${adminUrl}/api/v1/topology`, { signal: AbortSignal.timeout(10_000) });
    return (await answer.text()).includes(`"primary":"${server.address}"`);
  });
  for (const route of ['rw', 'tls', 'plain']) {
    for (const tls of route === 'plain' ? [false] : [false, true]) {
      const ssl = tls ? { ssl: { rejectUnauthorized: false } } : {};
      // Cold: the whole password passes, readable for the router where it ends TLS.
      await server.query('FLUSH PRIVILEGES');
      const connection = await connectTo(portOf(route), { user: 'shop', password: client, ...ssl });
      await connection.changeUser({ ...ACCOUNTS.app });
      await connection.end();
      const wrong = passwords.make(`a wrong one of a client at ${route}`);
      await t.rejects(connectTo(portOf(route), { user: 'shop', password: wrong, ...ssl }), {
        code: 'ER_ACCESS_DENIED_ERROR',
      });
    }
  }
  await server.kill();
  await until('the server to be missed', () => /ECONNREFUSED/.test(router.out));
  await ask();
  router.signal('SIGTERM');
  await router.exit();

  t.ok(router.out.split('\n').length > 10, 'there is a log');
  t.same(passwords.in(router.out), [], 'not in the log');
  t.same(passwords.in(router.error), []);
  for (const answer of answers) t.same(passwords.in(answer), [], answer.slice(0, 24));
});
