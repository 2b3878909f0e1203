/** The whole stage: a group of three, a router in front of it, a WordPress site behind PHP workers. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ACCOUNTS, createAccount, type Group, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { startNetworkGroup } from '../support/network-group.ts';
import { RouterService } from '../support/router-service.ts';
import type { Scope } from '../support/scope.ts';
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
  return { group, site: await startSite(sandbox, group, `127.0.0.1:${ports.rw}`), ports };
}

export type NetworkStage = {
  readonly sandbox: Sandbox;
  readonly group: Group;
  readonly site: Site;
  readonly service: RouterService;
};

/** The same where every member and router is a host of its own, in a network of its own, and PHP knows one address of all routers. */
export async function setNetworkStage(scope: Scope): Promise<NetworkStage> {
  const { sandbox, network, group, router, addRouter } = await startNetworkGroup(scope, {
    discovery: async (_sandbox, _network, { members }) => ({
      seeds: members.map(({ address }) => address),
      flags: ['--drain-delay=2s', '--drain-timeout=12s'],
    }),
  });
  const service = new RouterService(network, SERVICE, addRouter);
  await service.take(router);
  const site = await startSite(sandbox, group, `${service.address}:6446`);
  scope.teardown(() => site.stop());
  return { sandbox, group, site, service };
}

async function startSite(sandbox: Sandbox, group: Group, databaseHost: string): Promise<Site> {
  const primary = await group.primary();
  await primary.query('CREATE DATABASE wordpress');
  await createAccount(primary, { ...DATABASE, grants: ['ALL ON wordpress.*'] });
  const site = await Site.start(sandbox, { databaseHost, database: DATABASE, workers: PHP_WORKERS });
  await site.install();
  return site;
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
const SERVICE = '10.213.7.200';
const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
