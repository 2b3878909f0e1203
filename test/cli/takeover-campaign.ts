/**
 * Many takeovers under load, for a figure: `npm run campaign:takeover -- 20 200` makes 20 of them at 200 connects a second
 * and prints how many clients did not get through. The short version is in takeover.test.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reservePorts } from '../../src/sandbox/ports.ts';
import { ConnectLoad } from '../support/connect-load.ts';
import { ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

const DEADLINE_MS = 30_000;

const [takeovers = 20, connectsPerSecond = 200] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'fairlead-takeovers-'));
const server = await ScriptedServer.start(serveOk);
const [port = 0, adminPort = 0] = await reservePorts(2, folder);
const routers: ChildProcess[] = [];
try {
  await startRouter();
  const load = new ConnectLoad(port, connectsPerSecond);
  for (let taken = 0; taken < takeovers; taken++) {
    const before = load.succeeded;
    await until('connects', () => load.succeeded > before + connectsPerSecond / 2, DEADLINE_MS);
    await startRouter();
  }
  await load.stop();
  process.stdout.write(
    `${takeovers} takeovers at ${connectsPerSecond} connects/s: ${load.succeeded} clients served, ${load.failures.length} failed\n`,
  );
  for (const failure of load.failures) process.stdout.write(`  ${failure}\n`);
} finally {
  for (const router of routers) router.kill('SIGKILL');
  await server.close();
  rmSync(folder, { recursive: true });
}

/** Returns when it has the admin port. */
async function startRouter(): Promise<void> {
  const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
  const router = spawn(
    process.execPath,
    [
      main,
      'run',
      '--takeover',
      `--cluster-seeds=127.0.0.1:${server.port}`,
      '--cluster-topology=static',
      `--route=name=rw,listen=127.0.0.1:${port},role=primary`,
      `--admin-listen=127.0.0.1:${adminPort}`,
      '--threads=2',
      '--drain-timeout=3s',
      '--drain-delay=0',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  routers.push(router);
  await once(router, 'spawn');
  await until('it to serve', () => isServing(router.pid ?? 0), DEADLINE_MS);
}

async function isServing(pid: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/v1/status`).catch(() => null);
  // Nobody answers between two of them.
  return answer !== null && (await answer.text()).includes(`"pid":${pid},`);
}
