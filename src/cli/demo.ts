/**
 * `fairlead demo`: a real cluster on this machine with a router in front of it, until Ctrl-C. Everything runs in the
 * sandbox, which ends what it started however this process ends.
 */
import { createSandbox, type Group, type Sandbox, SandboxError, UnavailableError } from '../sandbox/index.ts';
import { choosePorts, type DemoPorts, type DemoRouter, startDemoRouter } from './demo-router.ts';
import { superviseMembers } from './demo-supervisor.ts';
import { describeDemo, describeUnavailable } from './demo-text.ts';
import { writeDemoTools } from './demo-tools.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export type DemoOptions = {
  /** Members of the group, 1 to 9. */
  readonly size: number;
  /** Ends by itself so long after it was ready; null for never. */
  readonly seconds: number | null;
  /** Takes any free ports instead of the usual ones. */
  readonly anyPorts: boolean;
};

export async function demo(options: DemoOptions, terminal: Terminal): Promise<ExitCode> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => stop.abort(`${signal}: everything ends`);
  for (const signal of STOP_SIGNALS) process.once(signal, onSignal);
  const sandbox = await createSandbox({ log: (message) => terminal.writeOut(`  ${message}\n`) });
  try {
    return await untilStopped(sandbox, options, stop, terminal);
  } finally {
    await sandbox.close();
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
  }
}

async function untilStopped(
  sandbox: Sandbox,
  options: DemoOptions,
  stop: AbortController,
  terminal: Terminal,
): Promise<ExitCode> {
  const stopped = aborted(stop.signal);
  try {
    const started = await Promise.race([startAll(sandbox, options, terminal), stopped]);
    if (started === undefined) {
      told(stop.signal, terminal);
      // What is being started knows nothing of it. With this process it ends for certain, and the sandbox with it.
      process.exit(EXIT.ok);
    }
    const { group, router } = started;
    const supervision = superviseMembers(group, terminal, stop.signal);
    const timer =
      options.seconds === null ? undefined : setTimeout(() => stop.abort(''), options.seconds * 1000);
    const routerEnded = await Promise.race([router.ended, stopped]);
    clearTimeout(timer);
    if (routerEnded !== undefined) {
      terminal.writeError(`fairlead: the router ended (${routerEnded}), and the demo with it\n`);
      return EXIT.failure;
    }
    told(stop.signal, terminal);
    await Promise.all([router.stop(), supervision]);
    return EXIT.ok;
  } catch (error) {
    // Ctrl-C reaches apt-get too, whose end is then no failure.
    if (stop.signal.aborted) return told(stop.signal, terminal);
    if (!(error instanceof UnavailableError) && !(error instanceof SandboxError)) throw error;
    const message = error instanceof UnavailableError ? describeUnavailable(error.message) : error.message;
    terminal.writeError(`fairlead: ${message}\n`);
    return EXIT.failure;
  }
}

type Started = { readonly group: Group; readonly router: DemoRouter };

async function startAll(sandbox: Sandbox, options: DemoOptions, terminal: Terminal): Promise<Started> {
  terminal.writeOut(
    'Fairlead demo: a MySQL group with a router in front of it. Ctrl-C ends everything, nothing stays.\n',
  );
  const group = await withHeartbeat(terminal, async () => {
    await sandbox.part('mysql');
    const group = await sandbox.startGroup({ size: options.size });
    await (await group.primary()).query('CREATE DATABASE IF NOT EXISTS app');
    return group;
  });
  const ports = await choosePorts(sandbox, options.anyPorts ? null : USUAL_PORTS, terminal);
  const tools = await writeDemoTools(sandbox, ports);
  const router = await startDemoRouter(sandbox, group, ports, terminal);
  const primary = await group.primary();
  terminal.writeOut(describeDemo({ group, primary, ports, tools, configFile: router.configFile }));
  return { group, router };
}

/** The download says nothing while it lasts: shows that something is still going on. */
async function withHeartbeat<T>(terminal: Terminal, work: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const heartbeat = setInterval(() => {
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    terminal.writeOut(`  … ${seconds} s\n`);
  }, HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}

function told(signal: AbortSignal, terminal: Terminal): ExitCode {
  terminal.writeOut(`\n${signal.reason === '' ? 'Time is up: everything ends' : signal.reason}\n`);
  return EXIT.ok;
}

/** Ctrl-C, a supervisor, and a terminal that was closed. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies readonly NodeJS.Signals[];
/** As in the router's own defaults. */
const USUAL_PORTS: DemoPorts = { rw: 6446, ro: 6447, admin: 8404 };
const HEARTBEAT_MS = 5_000;
