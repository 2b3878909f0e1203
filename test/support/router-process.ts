/** The router as its users run it: a process with flags, whose log, metrics and API are read as an operator reads them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { ACCOUNTS, type Pod, type Sandbox, SandboxError, waitFor } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { type ParsedSample, parseExposition } from '../admin/exposition-parser.ts';
import type { Scope } from './scope.ts';
import { expectNoSecrets } from './secrets.ts';

export type RouterOptions = {
  readonly seeds: readonly string[];
  /** Password of the monitoring account, or the file it is in; default the right one. */
  readonly password?: string | { readonly file: string };
  /** Further flags, such as `--quorum-loss=read`. */
  readonly flags?: readonly string[];
  /** Further environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ports of the routes; default free ones. */
  readonly ports?: { readonly rw: number; readonly ro: number };
  /** The host it runs on, with the customary ports; default loopback. */
  readonly pod?: Pod;
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>;
};

const logLineSchema = z.looseObject({
  level: z.string(),
  time: z.string(),
  event: z.string(),
  msg: z.string(),
  route: z.string().optional(),
  port: z.number().optional(),
  member: z.string().nullish(),
  primary: z.string().nullish(),
});
export type LogLine = z.output<typeof logLineSchema>;

const topologySchema = z.object({
  version: z.number(),
  primary: z.string().nullable(),
  mode: z.string(),
  hasQuorum: z.boolean(),
  alarms: z.array(z.string()),
  members: z.array(
    z.object({
      address: z.string(),
      id: z.string(),
      role: z.string(),
      state: z.string(),
      acceptsWrites: z.boolean(),
      acceptsReads: z.boolean(),
      reason: z.string(),
    }),
  ),
});
export type TopologyAnswer = z.output<typeof topologySchema>;

export type HttpAnswer = { readonly status: number; readonly body: string };

export class RouterProcess {
  readonly host: string;
  readonly ports: { readonly rw: number; readonly ro: number };
  readonly #scope: Scope;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #output: string[];
  readonly #log: LogLine[];
  readonly adminPort: number;
  readonly #admin: string;

  private constructor(
    scope: Scope,
    host: string,
    child: ChildProcess,
    exited: Promise<unknown>,
    output: string[],
    log: LogLine[],
  ) {
    this.#scope = scope;
    this.host = host;
    this.#child = child;
    this.#exited = exited;
    this.#output = output;
    this.#log = log;
    this.ports = { rw: portOf(log, 'rw'), ro: portOf(log, 'ro') };
    this.adminPort = this.events('admin_listening')[0]?.port ?? 0;
    this.#admin = `http://${host}:${this.adminPort}`;
  }

  /** Returns when it listens. It is killed at the end of `t`, and with the sandbox in any case. */
  static async start(t: Scope, sandbox: Sandbox, options: RouterOptions): Promise<RouterProcess> {
    const { pod } = options;
    const { rw, ro } = options.ports ?? (pod === undefined ? { rw: 0, ro: 0 } : { rw: 6446, ro: 6447 });
    const host = pod?.host ?? '127.0.0.1';
    const { password = ACCOUNTS.router.password } = options;
    const flags = [
      `--cluster-seeds=${options.seeds.join(',')}`,
      `--cluster-user=${ACCOUNTS.router.user}`,
      `--route=name=rw,listen=${host}:${rw},role=primary`,
      `--route=name=ro,listen=${host}:${ro},role=secondary`,
      `--admin-listen=${host}:0`,
      '--drain-delay=0',
      ...(options.flags ?? []),
    ];
    const here = {
      file: process.execPath,
      args: [MAIN, 'run', ...flags],
      env: inheritedEnvironment(),
    };
    const command = pod?.within(here) ?? here;
    const child = spawn(command.file, command.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...command.env,
        ...options.environment,
        ...options.env,
        ...(typeof password === 'string'
          ? { FAIRLEAD_CLUSTER_PASSWORD: password }
          : { FAIRLEAD_CLUSTER_PASSWORD_FILE: password.file }),
        // By this the sandbox's watchdog knows what to end, should this process be killed.
        FAIRLEAD_SANDBOX: sandbox.directory,
      },
    });
    const exited = once(child, 'exit');
    const output: string[] = [];
    const log: LogLine[] = [];
    t.teardown(() => {
      child.kill('SIGKILL');
      expectNoSecrets(output.join('\n'), 'the output of the router');
    });
    createInterface(child.stdout).on('line', (line) => {
      output.push(line);
      log.push(logLineSchema.parse(JSON.parse(line)));
    });
    createInterface(child.stderr).on('line', (line) => output.push(line));
    await waitFor({ what: 'the router to listen', timeoutMs: START_TIMEOUT_MS }, async () => {
      if (child.stdout.closed) throw new SandboxError('the router ended');
      return log.some(({ event }) => event === 'admin_listening') ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`the router did not start; it said:\n${output.join('\n')}`, { cause: error });
    });
    const router = new RouterProcess(t, host, child, exited, output, log);
    t.teardown(() => router.#expectNoSecretsShown());
    return router;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Everything it has written to stdout and stderr. */
  get output(): string {
    return this.#output.join('\n');
  }

  /** What it has logged so far, in order. */
  get log(): readonly LogLine[] {
    return this.#log;
  }

  /** Log lines of one kind, in order. */
  events(kind: string): readonly LogLine[] {
    return this.#log.filter(({ event }) => event === kind);
  }

  async get(path: string, timeoutMs = HTTP_TIMEOUT_MS): Promise<HttpAnswer> {
    const response = await fetch(`${this.#admin}${path}`, { signal: AbortSignal.timeout(timeoutMs) });
    return { status: response.status, body: await response.text() };
  }

  async topology(): Promise<TopologyAnswer> {
    return topologySchema.parse(JSON.parse((await this.get('/api/v1/topology')).body));
  }

  /** Samples of one metric with these labels. */
  async samples(
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<readonly ParsedSample[]> {
    const families = parseExposition((await this.get('/metrics')).body, 'prometheus');
    return (families.get(name)?.samples ?? []).filter((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value),
    );
  }

  /** The sum over all samples of one metric with these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return (await this.samples(name, labels)).reduce((sum, { value }) => sum + value, 0);
  }

  /** Returns when the topology is as wanted, with it. */
  async untilTopology(
    what: string,
    isWanted: (topology: TopologyAnswer) => boolean,
    timeoutMs = 20_000,
  ): Promise<TopologyAnswer> {
    let last: TopologyAnswer | undefined;
    try {
      return await waitFor({ what, timeoutMs, intervalMs: 10 }, async () => {
        last = await this.topology();
        return isWanted(last) ? last : undefined;
      });
    } catch (error) {
      throw new Error(`no topology with ${what}; the last was ${JSON.stringify(last)}`, { cause: error });
    }
  }

  /** Returns when writes have somewhere to go and `secondaries` members take reads. */
  untilServing(secondaries: number): Promise<TopologyAnswer> {
    return this.untilTopology(
      `a primary and ${secondaries} secondaries`,
      ({ primary, members }) =>
        primary !== null &&
        members.filter((member) => member.role === 'SECONDARY' && member.acceptsReads).length === secondaries,
    );
  }

  /** As an operator does after a change: SIGHUP. Returns when the configuration was read again. */
  async reload(): Promise<void> {
    const before = this.events('reloaded').length;
    this.#child.kill('SIGHUP');
    await waitFor({ what: 'the reload', timeoutMs: 20_000, intervalMs: 10 }, async () =>
      this.events('reloaded').length > before ? true : undefined,
    );
  }

  /** Of everything an operator can ask for; of its output nothing is left to be seen by then. */
  async #expectNoSecretsShown(): Promise<void> {
    if (!this.isRunning) return;
    for (const path of SHOWN) {
      try {
        expectNoSecrets((await this.get(path, LAST_LOOK_TIMEOUT_MS)).body, path);
      } catch (error) {
        // Stopped, frozen or cut off by its test: then there is nothing to be read.
        if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
        return this.#scope.comment(`the router does not answer at its end: ${error.message}`);
      }
    }
  }

  /** SIGKILL; returns when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** As a supervisor does: SIGTERM. @returns its exit code */
  async stop(): Promise<number | null> {
    await this.#expectNoSecretsShown();
    this.#child.kill('SIGTERM');
    await this.#exited;
    return this.#child.exitCode;
  }
}

function portOf(log: readonly LogLine[], route: string): number {
  const line = log.find((logged) => logged.event === 'route_listening' && logged.route === route);
  if (line?.port === undefined) throw new Error(`route ${route} does not listen`);
  return line.port;
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
/** It takes a second and a half of processor time, which a machine full of tests may not have at once. */
const START_TIMEOUT_MS = 60_000;
/** The promise of every admin endpoint is an answer within a second; a loaded test machine gets more. */
const HTTP_TIMEOUT_MS = 5000;
/** Not all tests leave a router that answers. */
const LAST_LOOK_TIMEOUT_MS = 2000;
/** Everything the admin server shows. */
const SHOWN = ['/', '/metrics', '/api/v1/status', '/api/v1/topology', '/api/v1/sessions', '/api/v1/events'];
