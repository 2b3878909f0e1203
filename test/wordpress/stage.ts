/** The whole stage: a group of three, a router in front of it, a WordPress site behind PHP workers. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ACCOUNTS, createAccount, type Group, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { Site } from './site.ts';

export type Stage = {
  readonly group: Group;
  readonly site: Site;
  /** Where the router listens. */
  readonly ports: { readonly rw: number; readonly admin: number };
};

/** Returns when the site is installed. All of it is gone with the sandbox, the site once it is stopped. */
export async function setStage(sandbox: Sandbox): Promise<Stage> {
  const group = await sandbox.startGroup({ size: 3 });
  const ports = await startRouter(sandbox, group);
  const primary = await group.primary();
  await primary.query('CREATE DATABASE wordpress');
  await createAccount(primary, { ...DATABASE, grants: ['ALL ON wordpress.*'] });
  const site = await Site.start(sandbox, {
    databasePort: ports.rw,
    database: DATABASE,
    workers: PHP_WORKERS,
  });
  await site.install();
  return { group, site, ports };
}

async function startRouter(sandbox: Sandbox, group: Group): Promise<Stage['ports']> {
  const [rw = 0, admin = 0] = await sandbox.reservePorts(2);
  const { user, password } = ACCOUNTS.router;
  const config = {
    cluster: { seeds: group.members.map(({ address }) => address), user, password },
    routes: [{ name: 'rw', listen: `127.0.0.1:${rw}`, role: 'primary' }],
    // PHP waits for a minute at least for its connection: there is no need to turn anybody away before a slow election is over.
    hold: { timeout: '30s' },
    admin: { listen: `127.0.0.1:${admin}` },
    drain: { delay: 0, timeout: '1s' },
  };
  const configFile = join(sandbox.directory, 'fairlead.yaml');
  await writeFile(configFile, stringify(config));
  const log = openSync(join(sandbox.directory, 'fairlead.log'), 'a');
  const child = spawn(process.execPath, [MAIN, 'run', '--config', configFile], {
    stdio: ['ignore', log, log],
    env: { ...process.env, FAIRLEAD_SANDBOX: sandbox.directory },
  });
  closeSync(log);
  child.unref();
  await waitFor({ what: 'the router to be ready', timeoutMs: 60_000 }, async () => {
    const { status } = await fetch(`http://127.0.0.1:${admin}/readyz`);
    return status === 200 ? true : undefined;
  });
  return { rw, admin };
}

const DATABASE = { user: 'wordpress', password: 'press-secret' } as const;
const PHP_WORKERS = 10;
const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
