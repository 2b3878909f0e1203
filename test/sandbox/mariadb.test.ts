import t from 'tap';
import { ACCOUNTS, createAccount, createSandbox, missingParts } from '../../src/sandbox/index.ts';

const noMariadb = await missingParts('mariadb');

t.test('a MariaDB server', { skip: noMariadb }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startMariadb({ variables: { max_connections: 77 } });

  await t.test('has the variables it was given and a binary log', async (t) => {
    t.same(await server.query('SELECT @@max_connections AS max, @@log_bin AS log'), [{ max: 77, log: 1 }]);
  });

  await t.test('has its temporary tables where no other server looks', async (t) => {
    t.match(await server.query('SELECT @@tmpdir AS place'), [{ place: server.directory }]);
  });

  await t.test('knows the same accounts as a MySQL server, and no other', async (t) => {
    await server.query('CREATE DATABASE app');
    const app = await server.connect({ ...ACCOUNTS.app, database: 'app' });
    await app.query('CREATE TABLE notes (id INT PRIMARY KEY)');
    await t.rejects(app.query('SELECT * FROM mysql.user'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });
    await app.end();
    await t.rejects(server.connect({ user: 'root', password: '' }), { code: 'ER_ACCESS_DENIED_ERROR' });
  });

  for (const plugin of ['mysql_native_password', 'ed25519', 'parsec', 'caching_sha2_password']) {
    await t.test(`lets an account log in with ${plugin}`, async (t) => {
      const account = { user: `with_${plugin.slice(0, 7)}`, password: 'tusk' };
      await createAccount(server, { ...account, plugin });
      const login = [`-u${account.user}`, '-h127.0.0.1', `-P${server.port}`];
      const { stdout } = await sandbox.run('mariadb', 'mariadb', [
        ...login,
        `-p${account.password}`,
        '-NBe',
        'SELECT CURRENT_USER()',
      ]);
      t.equal(stdout.trim(), `${account.user}@%`);
      await t.rejects(sandbox.run('mariadb', 'mariadb', [...login, '-pwrong', '-e', 'DO 1']), {
        message: /Access denied/,
      });
    });
  }

  await t.test('can be killed and started again', async (t) => {
    await server.kill();
    t.equal(server.pid, undefined);
    await server.start();
    t.same(await server.query('SELECT COUNT(*) AS count FROM app.notes'), [{ count: 0 }]);
  });
});

const LANGUAGES = [
  { part: 'php', program: 'php', args: ['-r', 'echo mysqli_get_client_info();'], says: /^mysqlnd \d/ },
  { part: 'perl', program: 'perl', args: ['-MDBD::mysql', '-e', 'print $DBD::mysql::VERSION'], says: /^\d/ },
  {
    part: 'python',
    program: 'python3',
    args: ['-c', 'import pymysql, cryptography; print(pymysql.VERSION_STRING)'],
    says: /^\d/,
  },
] as const;

for (const { part, program, args, says } of LANGUAGES) {
  t.test(`${program} comes with its MySQL client`, { skip: await missingParts(part) }, async (t) => {
    const sandbox = await createSandbox();
    t.teardown(() => sandbox.close());
    t.match((await sandbox.run(part, program, args)).stdout, says);
  });
}
