/** The router of the demo: a process of its own, started as an operator would start it, with a file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { prettyFactory } from 'pino-pretty';
import { stringify } from 'yaml';
import { ACCOUNTS, type Group, type Sandbox, SandboxError, waitFor } from '../sandbox/index.ts';
import type { Terminal } from './terminal.ts';

export type DemoPorts = { readonly rw: number; readonly ro: number; readonly admin: number };

export type DemoRouter = {
  readonly configFile: string;
  /** How it ended, once it has. */
  readonly ended: Promise<string>;
  /** Asks it to end and returns when it has. */
  stop(): Promise<void>;
};

/** The file that stands for the whole program, with the ending that this file has: `.ts` in a checkout, `.js` when built. */
export const MAIN_FILE = fileURLToPath(import.meta.url.replace(/cli\/demo-router(\.[jt]s)$/, 'main$1'));

/** The `usual` ports, or a free one for each that is taken; without usual ones just free ones. */
export async function choosePorts(
  sandbox: Sandbox,
  usual: DemoPorts | null,
  terminal: Terminal,
): Promise<DemoPorts> {
  const [rw = 0, ro = 0, admin = 0] = await sandbox.reservePorts(3);
  if (usual === null) return { rw, ro, admin };
  const choose = async (wanted: number, instead: number): Promise<number> => {
    if (await isFree(wanted)) return wanted;
    terminal.writeOut(`  port ${wanted} is taken by another program: the demo uses ${instead} instead\n`);
    return instead;
  };
  return {
    rw: await choose(usual.rw, rw),
    ro: await choose(usual.ro, ro),
    admin: await choose(usual.admin, admin),
  };
}

/** Returns when the router can route. */
export async function startDemoRouter(
  sandbox: Sandbox,
  group: Group,
  ports: DemoPorts,
  terminal: Terminal,
): Promise<DemoRouter> {
  const configFile = join(sandbox.directory, 'fairlead.yaml');
  await writeFile(configFile, stringify(configOf(group, ports)));
  const child = spawn(process.execPath, [MAIN_FILE, 'run', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: routerEnvironment(sandbox),
    // A terminal's Ctrl-C is for the demo, which ends the router in its own time.
    detached: true,
  });
  followLog(child.stdout, terminal);
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? `exit code ${code}`));
  await waitFor({ what: 'the router to be ready', timeoutMs: READY_TIMEOUT_MS }, async () => {
    if (child.exitCode !== null) throw new SandboxError('the router could not start: see its log above');
    const { status } = await fetch(`http://127.0.0.1:${ports.admin}/readyz`);
    return status === 200 ? true : undefined;
  });
  return {
    configFile,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function configOf(group: Group, ports: DemoPorts): unknown {
  const { user, password } = ACCOUNTS.router;
  return {
    cluster: { seeds: group.members.map(({ address }) => address), user, password },
    routes: [
      { name: 'rw', listen: `127.0.0.1:${ports.rw}`, role: 'primary' },
      { name: 'ro', listen: `127.0.0.1:${ports.ro}`, role: 'secondary' },
    ],
    admin: { listen: `127.0.0.1:${ports.admin}` },
    // Nobody balances over several routers here, so nobody has to learn first that this one stops.
    drain: { delay: 0, timeout: '1s' },
    log: { format: 'json' },
  };
}

/** Time, level and message of each line; the fields are for programs. */
function followLog(log: Readable, terminal: Terminal): void {
  const format = prettyFactory({
    colorize: process.stdout.isTTY === true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid',
    hideObject: true,
  });
  createInterface(log).on('line', (line) => terminal.writeOut(format(line)));
}

/** Without the variables of some other router, which count before the file; with the mark by which the sandbox ends it. */
function routerEnvironment(sandbox: Sandbox): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_'));
  return { ...Object.fromEntries(own), FAIRLEAD_SANDBOX: sandbox.directory };
}

/** Whether nobody listens there, not even a program that shares its port. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const READY_TIMEOUT_MS = 30_000;
