/**
 * A scan of a router with a real server behind it that blocks addresses as it does by default (max_connect_errors=100).
 * What a router can keep from being counted is tried with 1 in test/data/farewell.test.ts; a TLS handshake that is passed
 * through and broken off inside is counted.
 */
import { createSandbox, type Sandbox } from '../../src/sandbox/index.ts';
import { certificateVariables, createCertificates } from '../compatibility/certificates.ts';
import { type Footprint, footprintOf } from '../support/footprint.ts';
import { startHop } from '../support/hop.ts';
import { INSPECTED, Inspector, type ThreadFootprint } from '../support/inspector.ts';
import { RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/until.ts';
import { Applications, scan } from './scan.ts';

export type CampaignOptions = {
  readonly tries: number;
  /** How often all of it is done with one router: what grows each time is a leak. */
  readonly rounds: number;
  readonly concurrency: number;
  readonly crawlers: number;
  readonly seed: number;
};

export type CampaignReport = {
  readonly seconds: number;
  /** Milliseconds: what applications saw before the scan and during it. */
  readonly before: Times;
  readonly during: Times;
  /** What went wrong for applications. */
  readonly errors: readonly string[];
  /** Before the scan, and after each round of it. */
  readonly footprints: readonly RouterFootprint[];
  /** What the server has counted against the router's address since somebody logged in last. */
  readonly connectErrors: number;
  /** Sessions the router still had when all were gone. */
  readonly sessionsLeft: number;
  readonly logLines: number;
  readonly openssl: readonly string[];
};

/** With nobody there but the applications; heaps after a collection. */
export type RouterFootprint = Footprint & { readonly threads: readonly ThreadFootprint[] };

type Times = { readonly queries: Quantiles; readonly visits: Quantiles };
type Quantiles = { readonly p50: number; readonly p99: number; readonly count: number };

export async function runCampaign(scope: Scope, options: CampaignOptions): Promise<CampaignReport> {
  const sandbox = await createSandbox({ log: (message) => scope.comment(message) });
  scope.teardown(() => sandbox.close());
  const certificates = await createCertificates(sandbox);
  const server = await sandbox.startServer({
    variables: {
      ...certificateVariables(certificates),
      ...{ skip_name_resolve: 'OFF', max_connect_errors: 100, max_connections: 1000 },
    },
  });
  const hop = await startHop(scope, server.port, ROUTER_ADDRESS);
  const { certificate, key } = certificates;
  const ended = `clientSslMode=preferred,clientSslCert=${certificate},clientSslKey=${key}`;
  const router = await RouterProcess.start(scope, sandbox, {
    env: INSPECTED,
    seeds: [`127.0.0.1:${hop}`],
    flags: [
      '--cluster-topology=static',
      '--limits-client-handshake-timeout=2s',
      `--route=name=tls,listen=127.0.0.1:0,role=primary,${ended}`,
      '--route=name=x,listen=127.0.0.1:0,role=primary,protocol=x',
    ],
  });
  await router.untilTopology('the server', ({ primary }) => primary !== null);
  const portOf = (name: string): number =>
    router.events('route_listening').find(({ route }) => route === name)?.port ?? 0;
  const admin = router.events('admin_listening')[0]?.port ?? 0;
  const ports = [router.ports.rw, router.ports.ro, portOf('tls'), portOf('x'), admin];

  // The first of everything costs memory for good.
  await scan({ ...options, ports, tries: Math.min(options.tries, 700), crawlers: 5 });
  await until('the strangers to be gone', async () => (await openSessions(router)) === 0);
  const applications = new Applications(router.ports.rw);
  await applications.start();
  const inspector = await Inspector.connect(router);
  const measure = async (): Promise<RouterFootprint> => {
    const threads = await inspector.footprint();
    return { ...(await footprintOf(router.pid)), threads };
  };
  const footprints = [await measure()];
  const descriptorsBefore = footprints[0]?.descriptors ?? 0;
  await new Promise((resolve) => setTimeout(resolve, BASELINE_MS));
  const before = timesOf(applications);
  applications.reset();
  const logBefore = router.output.length;
  let tookMs = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    tookMs += await scan({ ...options, ports, seed: options.seed + round });
    await until('the strangers to be gone', async () => (await openSessions(router)) <= 2, 30_000);
    await until(
      'descriptors to be closed',
      async () => (await footprintOf(router.pid)).descriptors <= descriptorsBefore + 4,
    );
    footprints.push(await measure());
    scope.comment(`round ${round + 1}: ${JSON.stringify(footprints.at(-1))}`);
  }
  const during = timesOf(applications);
  inspector.close();
  await applications.stop();
  await until('all to be gone', async () => (await openSessions(router)) === 0);
  const openssl = await Promise.all(
    [router.ports.rw, portOf('tls')].map((port) => askWithOpenssl(sandbox, port, certificates.ca)),
  );
  const [counted] = await server.query(
    'SELECT COALESCE(SUM(SUM_CONNECT_ERRORS), 0) AS errors FROM performance_schema.host_cache WHERE IP = ?',
    [ROUTER_ADDRESS],
  );
  return {
    seconds: tookMs / 1000,
    ...{ before, during, errors: applications.errors, footprints, openssl },
    connectErrors: Number(counted?.['errors']),
    sessionsLeft: await openSessions(router),
    logLines: router.output.slice(logBefore).split('\n').length,
  };
}

/** What `openssl s_client` says of a port. It ends with an error, as it does with a server: nobody logs in. */
async function askWithOpenssl(sandbox: Sandbox, port: number, ca: string): Promise<string> {
  const args = ['s_client', '-starttls', 'mysql', '-connect', `127.0.0.1:${port}`, '-CAfile', ca];
  const script = '"$@" </dev/null 2>&1; exit 0';
  const { file } = (await sandbox.part('mariadb')).command('openssl', args);
  return (await sandbox.run('mariadb', 'sh', ['-c', script, 'sh', file, ...args])).stdout;
}

function openSessions(router: RouterProcess): Promise<number> {
  return router.metric('fairlead_sessions_open');
}

function timesOf({ queriesMs, visitsMs }: Applications): Times {
  return { queries: quantilesOf(queriesMs), visits: quantilesOf(visitsMs) };
}

function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2));
  return { p50: at(0.5), p99: at(0.99), count: values.length };
}

const ROUTER_ADDRESS = '127.0.0.3';
const BASELINE_MS = 3000;
