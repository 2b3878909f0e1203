/** What differs between the server programs of the sandbox: MySQL and MariaDB. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accountStatements, mariadbAccountStatements } from './accounts.ts';
import { renderOptionFile, SMALL_MARIADB, SMALL_MYSQL, type Variables } from './mysqld-options.ts';
import type { Part } from './parts.ts';
import { runCommand } from './run-command.ts';

export type Software = {
  readonly kind: 'mysql' | 'mariadb';
  readonly part: Part;
  readonly program: 'mysqld' | 'mariadbd';
  /** What every server is started with. */
  readonly variables: Variables;
  /** What becomes of a server's further ports and sockets. */
  addressVariables(addresses: FurtherAddresses): Variables;
  /** Changes whenever `initialise` makes something else. */
  readonly recipe: string;
  /** Makes a data directory with all accounts; `staging` is an empty folder for anything else. */
  initialise(staging: string, dataDirectory: string): Promise<void>;
};

/** Addresses beside the one that all clients use. */
export type FurtherAddresses = {
  readonly host: string;
  readonly xPort: number;
  readonly adminPort: number;
  readonly directory: string;
};

export function mysqlSoftware(part: Part): Software {
  const statements = accountStatements();
  const variables = { ...mysqlFiles(part), ...SMALL_MYSQL };
  return {
    kind: 'mysql',
    part,
    program: 'mysqld',
    variables,
    addressVariables: ({ host, xPort, adminPort, directory }) => ({
      admin_address: host,
      admin_port: adminPort,
      mysqlx_bind_address: host,
      mysqlx_port: xPort,
      mysqlx_socket: join(directory, 'xsock'),
    }),
    recipe: JSON.stringify([part.version, SMALL_MYSQL, statements]),
    initialise: async (staging, dataDirectory) => {
      const { optionFile, statementFile } = await writeRecipe(staging, variables, statements);
      const args = [
        `--defaults-file=${optionFile}`,
        `--datadir=${dataDirectory}`,
        '--initialize-insecure',
        `--init-file=${statementFile}`,
      ];
      await runCommand(part.command('mysqld', args), { timeoutMs: INITIALISE_TIMEOUT_MS });
      // Identity and history are each server's own.
      for (const name of ['auto.cnf', 'binlog.000001', 'binlog.index']) {
        await rm(join(dataDirectory, name), { force: true });
      }
    },
  };
}

export function mariadbSoftware(part: Part): Software {
  const statements = mariadbAccountStatements();
  const variables = { ...mariadbFiles(part), ...SMALL_MARIADB };
  return {
    kind: 'mariadb',
    part,
    program: 'mariadbd',
    variables,
    addressVariables: ({ adminPort }) => ({ extra_port: adminPort }),
    recipe: JSON.stringify([part.version, SMALL_MARIADB, statements]),
    initialise: async (staging, dataDirectory) => {
      // Without a binary log: what makes the system tables is nobody's history.
      const unlogged = { ...variables, log_bin: 'OFF', log_slave_updates: 'OFF' };
      const { optionFile, statementFile } = await writeRecipe(staging, unlogged, statements);
      const args = [
        `--defaults-file=${optionFile}`,
        `--datadir=${dataDirectory}`,
        `--basedir=${join(part.root, 'usr')}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--skip-name-resolve',
        `--extra-file=${statementFile}`,
      ];
      await runCommand(part.command('mariadb-install-db', args), { timeoutMs: INITIALISE_TIMEOUT_MS });
    },
  };
}

async function writeRecipe(
  staging: string,
  variables: Variables,
  statements: readonly string[],
): Promise<{ readonly optionFile: string; readonly statementFile: string }> {
  const optionFile = join(staging, 'my.cnf');
  const statementFile = join(staging, 'accounts.sql');
  await writeFile(optionFile, renderOptionFile(variables));
  await writeFile(statementFile, `${statements.join('\n')}\n`);
  return { optionFile, statementFile };
}

/** Where an unpacked mysqld finds its own files. An installed one (`FAIRLEAD_MYSQLD`) knows that by itself. */
function mysqlFiles(mysql: Part): Variables {
  const base = join(mysql.root, 'usr');
  const share = join(base, 'share', 'mysql');
  if (!existsSync(join(share, 'charsets'))) return ownUser();
  return {
    ...ownUser(),
    basedir: base,
    'lc-messages-dir': share,
    'character-sets-dir': join(share, 'charsets'),
    'plugin-dir': join(base, 'lib', 'mysql', 'plugin'),
  };
}

function mariadbFiles(mariadb: Part): Variables {
  const base = join(mariadb.root, 'usr');
  const share = join(base, 'share', 'mariadb');
  return {
    ...ownUser(),
    basedir: base,
    'lc-messages-dir': share,
    'character-sets-dir': join(share, 'charsets'),
    'plugin-dir': join(base, 'lib', 'mysql', 'plugin'),
  };
}

/** Both refuse to run as root unless told to. */
function ownUser(): Variables {
  return process.getuid?.() === 0 ? { user: 'root' } : {};
}

const INITIALISE_TIMEOUT_MS = 120_000;
