/** Clients as applications use them: mysql2, and MySQL's own programs from the sandbox's parts. */
import {
  type Connection,
  type ConnectionOptions,
  createConnection,
  type RowDataPacket,
} from 'mysql2/promise';
import { ACCOUNTS, type Account, type Sandbox, type Server, waitFor } from '../../src/sandbox/index.ts';

/** A connection as `ACCOUNTS.app`, unless `options` say otherwise. The caller ends it. */
export function connectTo(port: number, options: ConnectionOptions = {}): Promise<Connection> {
  return createConnection({
    host: '127.0.0.1',
    port,
    ...ACCOUNTS.app,
    connectTimeout: CLIENT_TIMEOUT_MS,
    ...options,
  });
}

/** The rows of one statement, each as an array, on a connection of its own. */
export async function ask(
  port: number,
  sql: string,
  options: ConnectionOptions = {},
): Promise<readonly (readonly unknown[])[]> {
  const connection = await connectTo(port, options);
  try {
    const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
    await connection.end();
    return Array.isArray(rows) ? rows : [];
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** The port of the member that answers behind `port`. */
export async function memberBehind(port: number, options: ConnectionOptions = {}): Promise<number> {
  const [row] = await ask(port, 'SELECT @@port', options);
  return Number(row?.[0]);
}

/**
 * Returns when whoever comes meets `member`: four in a row, which no turns among several would give. What the router has
 * published reaches its data threads a moment later.
 */
export async function untilAllMeet(
  member: Server,
  port: number,
  options: ConnectionOptions = {},
): Promise<void> {
  await waitFor({ what: `all to meet ${member.address}`, timeoutMs: 20_000 }, async () => {
    for (let visit = 0; visit < 4; visit++) {
      if ((await memberBehind(port, options)) !== member.port) return undefined;
    }
    return true;
  });
}

/** Runs the `mysql` client with one statement; its rows as it prints them, fields separated by tabs. */
export async function mysqlClient(
  sandbox: Sandbox,
  port: number,
  sql: string,
  account: Account = ACCOUNTS.root,
): Promise<readonly string[]> {
  const { stdout } = await sandbox.run('mysql', 'mysql', [...loginFlags(port, account), '-NBe', sql]);
  return stdout.split('\n').slice(0, -1);
}

/** How MySQL's own programs are told where to go and who asks. */
export function loginFlags(port: number, account: Account = ACCOUNTS.root): readonly string[] {
  return ['--no-defaults', '-h127.0.0.1', `-P${port}`, `-u${account.user}`, `-p${account.password}`];
}

/** MySQL's error number, or Node's code where no server has answered. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('errno' in error && typeof error.errno === 'number' && error.errno > 0) return String(error.errno);
  return 'code' in error ? String(error.code) : error.message;
}

/** The usual connect timeout of applications. */
export const CLIENT_TIMEOUT_MS = 10_000;
