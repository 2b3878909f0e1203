/**
 * Newly initialised data directories, made once per MySQL version and recipe, copied for every server: an
 * initialisation takes seconds, a copy a tenth of one. The generated TLS and RSA files are part of the copy.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accountStatements } from './accounts.ts';
import { cacheDirectory, underLock } from './cache.ts';
import { fileVariables, renderOptionFile, SMALL_SERVER_VARIABLES } from './mysqld-options.ts';
import type { SandboxLog } from './outcome.ts';
import type { Part } from './parts.ts';
import { inheritedEnvironment, runCommand } from './run-command.ts';

/**
 * Gives `dataDirectory`, which must not exist yet, the contents of a newly initialised server with all accounts.
 * With the run directory's `mark` the copy ends where the sandbox does.
 */
export async function copyTemplate(
  mysql: Part,
  dataDirectory: string,
  mark: Readonly<Record<string, string>>,
  log: SandboxLog,
): Promise<void> {
  const template = await cachedTemplate(mysql, log);
  await runCommand({
    file: 'cp',
    args: ['-a', '--reflink=auto', template, dataDirectory],
    env: inheritedEnvironment(mark),
  });
}

async function cachedTemplate(mysql: Part, log: SandboxLog): Promise<string> {
  const statements = accountStatements();
  const recipe = JSON.stringify([mysql.version, SMALL_SERVER_VARIABLES, statements]);
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const templates = join(cacheDirectory(), 'templates');
  const template = join(templates, key);
  if (existsSync(template)) return template;
  return underLock(join(cacheDirectory(), 'templates.lock'), async () => {
    if (!existsSync(template)) await makeTemplate(mysql, templates, template, statements, log);
    return template;
  });
}

async function makeTemplate(
  mysql: Part,
  templates: string,
  template: string,
  statements: readonly string[],
  log: SandboxLog,
): Promise<void> {
  log('initialising a data directory (once per MySQL version)');
  await mkdir(templates, { recursive: true });
  const staging = await mkdtemp(`${template}.`);
  try {
    const optionFile = join(staging, 'my.cnf');
    const statementFile = join(staging, 'accounts.sql');
    const dataDirectory = join(staging, 'data');
    await writeFile(optionFile, renderOptionFile({ ...fileVariables(mysql), ...SMALL_SERVER_VARIABLES }));
    await writeFile(statementFile, `${statements.join('\n')}\n`);
    await runCommand(
      mysql.command('mysqld', [
        `--defaults-file=${optionFile}`,
        `--datadir=${dataDirectory}`,
        '--initialize-insecure',
        `--init-file=${statementFile}`,
      ]),
      { timeoutMs: INITIALISE_TIMEOUT_MS },
    );
    // Identity and history are each server's own.
    for (const name of ['auto.cnf', 'binlog.000001', 'binlog.index']) {
      await rm(join(dataDirectory, name), { force: true });
    }
    await rename(dataDirectory, template);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

const INITIALISE_TIMEOUT_MS = 120_000;
