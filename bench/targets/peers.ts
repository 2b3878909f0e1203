/** The other proxies, each as its own makers would start it for this job. */
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { type Bench, startProgram, type Target, waitUntilRouting } from '../bench.ts';
import { buildProgram } from '../c-program.ts';

/** No proxy at all. */
export async function startDirect({ cluster }: Bench): Promise<Target> {
  return { port: cluster.primary.port, pid: undefined, stop: async () => {} };
}

/** TCP mode, one thread. */
export async function startHaproxyTarget({ sandbox, cluster }: Bench): Promise<Target> {
  const peer = await sandbox.startHaproxy(staticDestinations(cluster));
  return { port: peer.ports.rw, pid: peer.pid, stop: () => peer.stop() };
}

/** Static destinations, TLS and authentication passed through. */
export async function startPassthroughTarget({ sandbox, cluster }: Bench): Promise<Target> {
  const peer = await sandbox.startPassthroughRouter(staticDestinations(cluster));
  return { port: peer.ports.rw, pid: peer.pid, stop: () => peer.stop() };
}

/** As `mysqlrouter --bootstrap` configures it, but for its limit of 512 connections. */
export async function startBootstrappedTarget({ sandbox, cluster }: Bench): Promise<Target> {
  const peer = await sandbox.startBootstrappedRouter({
    member: cluster.primary.address,
    settings: { 'DEFAULT.max_total_connections': '20000' },
  });
  return { port: peer.ports.rw, pid: peer.pid, stop: () => peer.stop() };
}

/** bench/floor/relay.c */
export async function startFloor({ sandbox, cluster }: Bench): Promise<Target> {
  const file = await buildProgram('floor');
  const [port = 0] = await sandbox.reservePorts(1);
  const args = [String(port), String(cluster.primary.port)];
  const relay = await startProgram(sandbox, `floor-${port}`, { file, args, env: inheritedEnvironment() });
  await waitUntilRouting(cluster, relay, port);
  return {
    port,
    pid: relay.pid,
    stop: async () => {
      relay.signal('SIGTERM');
      await relay.waitForExit(STOP_TIMEOUT_MS);
    },
  };
}

function staticDestinations(cluster: Bench['cluster']): { primary: string; secondaries: readonly string[] } {
  return {
    primary: cluster.primary.address,
    secondaries: cluster.secondaries.map((server) => server.address),
  };
}

const STOP_TIMEOUT_MS = 5_000;
