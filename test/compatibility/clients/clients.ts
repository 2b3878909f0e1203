/** The clients of the matrix. Those in other languages are helpers that stay and are spoken to in lines of JSON. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { messageOf, type PartName, type Sandbox } from '../../../src/sandbox/index.ts';
import { buildDbdMysql } from '../suites/build-dbd-mysql.ts';
import {
  type Attempt,
  type Client,
  type Compression,
  type Outcome,
  outcomeSchema,
  STATEMENTS,
} from './client.ts';

export async function createClients(sandbox: Sandbox): Promise<readonly Client[]> {
  const built = await buildDbdMysql(sandbox);
  const pathOf = (name: string): string => join(import.meta.dirname, name);
  return [
    mysqlProgram(sandbox),
    mysql2(),
    await helper(sandbox, 'PHP mysqlnd', ['none', 'zlib'], 'php', 'php', [
      // Between two lines it may have to wait for long.
      ...['-d', 'default_socket_timeout=-1', pathOf('log-in-with-mysqlnd.php')],
    ]),
    await helper(sandbox, 'PyMySQL', ['none'], 'python', 'python3', [pathOf('log-in-with-pymysql.py')]),
    await helper(sandbox, 'DBD::mysql (libmariadb)', ['none', 'zlib'], 'perl', 'perl', [
      pathOf('log-in-with-dbd-mysql.pl'),
    ]),
    await helper(
      sandbox,
      'DBD::mysql (libmysqlclient)',
      ['none', 'zlib', 'zstd'],
      'perl',
      'perl',
      [`-I${built.modules}`, pathOf('log-in-with-dbd-mysql.pl')],
      [built.libraries],
    ),
  ];
}

async function helper(
  sandbox: Sandbox,
  name: string,
  compressions: readonly Compression[],
  part: PartName,
  program: string,
  args: readonly string[],
  libraries: readonly string[] = [],
): Promise<Client> {
  const { file, env } = (await sandbox.part(part)).command(program, args);
  const { LD_LIBRARY_PATH: own = '' } = env;
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...env, LD_LIBRARY_PATH: [own, ...libraries].join(':'), FAIRLEAD_SANDBOX: sandbox.directory },
  });
  const lines = createInterface(child.stdout);
  const ended = new Promise<never>((_, reject) => {
    child.once('exit', (code) => reject(new Error(`${name} ended with exit code ${code}`)));
  });
  // It ends when it is closed, too; then nobody waits for it.
  ended.catch(() => undefined);
  return {
    name,
    compressions,
    logIn: async (attempt) => {
      const answer = once(lines, 'line');
      child.stdin.write(`${JSON.stringify({ ...attempt, statements: STATEMENTS })}\n`);
      const [line] = await Promise.race([answer, ended]);
      return outcomeSchema.parse(JSON.parse(String(line)));
    },
    close: () => child.stdin.end(),
  };
}

function mysql2(): Client {
  return {
    name: 'mysql2',
    compressions: ['none', 'zlib'],
    logIn: async ({ host, port, user, password, tls, compression }) => {
      try {
        const connection = await createConnection({
          ...{ host, port, user, password, compress: compression === 'zlib', connectTimeout: 10_000 },
          ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
        });
        try {
          const facts: Record<string, string> = {};
          for (const sql of STATEMENTS) {
            const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
            for (const [key, value] of rows) facts[String(key)] = String(value);
          }
          return { kind: 'in', facts };
        } finally {
          connection.destroy();
        }
      } catch (error) {
        const number = error instanceof Error && 'errno' in error ? String(error.errno) : 'error';
        return { kind: 'refused', error: `${number} ${messageOf(error)}` };
      }
    },
    close: () => {},
  };
}

function mysqlProgram(sandbox: Sandbox): Client {
  return {
    name: 'mysql client',
    compressions: ['none', 'zlib', 'zstd'],
    logIn: (attempt) => runMysql(sandbox, attempt),
    close: () => {},
  };
}

async function runMysql(sandbox: Sandbox, attempt: Attempt): Promise<Outcome> {
  const { host, port, user, password, tls, compression } = attempt;
  const algorithm = compression === 'none' ? 'uncompressed' : compression;
  try {
    const { stdout } = await sandbox.run('mysql', 'mysql', [
      ...['--no-defaults', `-h${host}`, `-P${port}`, `-u${user}`, `--password=${password}`, '-NB'],
      ...[`--ssl-mode=${tls ? 'REQUIRED' : 'DISABLED'}`, '--get-server-public-key', '--connect-timeout=10'],
      ...[`--compression-algorithms=${algorithm}`, '-e', STATEMENTS.join('; ')],
    ]);
    const rows = stdout.trimEnd().split('\n');
    return { kind: 'in', facts: Object.fromEntries(rows.map((row) => row.split('\t'))) };
  } catch (error) {
    const text = messageOf(error)
      .replace(/^.*? failed: /, '')
      .replace(/mysql: \[Warning\] Using a password on the command line interface can be insecure\.\s*/, '')
      .trimEnd();
    const said = /ERROR (\d+) \(\w+\)(?: at line \d+)?: (.*)/.exec(text);
    return {
      kind: 'refused',
      error: said === null ? text.split('\n').at(-1) || 'ends without a word' : `${said[1]} ${said[2]}`,
    };
  }
}
