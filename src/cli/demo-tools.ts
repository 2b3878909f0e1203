/**
 * Small programs for who tries the demo: a `mysql` that knows the account, because a bare machine has no MySQL client,
 * and a `fairlead` that knows the admin server. They go when the demo goes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, type Sandbox } from '../sandbox/index.ts';
import { type DemoPorts, MAIN_FILE } from './demo-router.ts';

/** Paths to copy and paste. */
export type DemoTools = { readonly mysql: string; readonly fairlead: string };

export async function writeDemoTools(sandbox: Sandbox, ports: DemoPorts): Promise<DemoTools> {
  const folder = join(sandbox.directory, 'bin');
  await mkdir(folder);
  const accountFile = join(sandbox.directory, 'client.cnf');
  await writeFile(accountFile, clientOptions(ports));
  const client = (await sandbox.part('mysql')).command('mysql', [`--defaults-file=${accountFile}`]);
  const changed = Object.entries(client.env).filter(([name, value]) => process.env[name] !== value);
  const tools = { mysql: join(folder, 'mysql'), fairlead: join(folder, 'fairlead') };
  await writeScript(tools.mysql, Object.fromEntries(changed), [client.file, ...client.args]);
  await writeScript(tools.fairlead, { FAIRLEAD_ADMIN_LISTEN: `127.0.0.1:${ports.admin}` }, [
    process.execPath,
    MAIN_FILE,
  ]);
  return tools;
}

/** An application's account, on the route to the primary unless told otherwise. */
function clientOptions(ports: DemoPorts): string {
  const { user, password } = ACCOUNTS.app;
  return `[client]\nhost=127.0.0.1\nport=${ports.rw}\nuser=${user}\npassword=${password}\n`;
}

async function writeScript(
  path: string,
  environment: Readonly<Record<string, string>>,
  command: readonly string[],
): Promise<void> {
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  const call = `exec ${command.map(quoted).join(' ')} "$@"\n`;
  await writeFile(path, `#!/bin/sh\n${exports.join('')}${call}`, { mode: 0o755 });
}

/** For the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
