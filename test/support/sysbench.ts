/** sysbench from the sandbox's parts, in short runs. */
import { ACCOUNTS, type Sandbox } from '../../src/sandbox/index.ts';

export type SysbenchRun = {
  readonly script: 'oltp_read_write' | 'oltp_read_only' | 'oltp_point_select';
  readonly port: number;
  /** Text, or statements prepared on the server. */
  readonly statements: 'text' | 'prepared';
  readonly events: number;
  readonly threads?: number;
};

export type SysbenchReport = {
  readonly events: number;
  readonly queries: number;
  /** Deadlocks and the like, which sysbench tries again. */
  readonly ignoredErrors: number;
  readonly reconnects: number;
};

export async function prepareTables(sandbox: Sandbox, port: number): Promise<void> {
  await sandbox.run('sysbench', 'sysbench', ['oltp_read_write', ...target(port), ...SIZE, 'prepare']);
}

/** @throws when any statement fails */
export async function runSysbench(sandbox: Sandbox, run: SysbenchRun): Promise<SysbenchReport> {
  const { stdout } = await sandbox.run('sysbench', 'sysbench', [
    run.script,
    ...target(run.port),
    ...SIZE,
    `--db-ps-mode=${run.statements === 'text' ? 'disable' : 'auto'}`,
    `--threads=${run.threads ?? 4}`,
    `--events=${run.events}`,
    '--time=60',
    'run',
  ]);
  return {
    events: numberAfter(stdout, /total number of events: +(\d+)/),
    queries: numberAfter(stdout, /queries: +(\d+)/),
    ignoredErrors: numberAfter(stdout, /ignored errors: +(\d+)/),
    reconnects: numberAfter(stdout, /reconnects: +(\d+)/),
  };
}

function target(port: number): readonly string[] {
  const { user, password } = ACCOUNTS.app;
  return [
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    `--mysql-user=${user}`,
    `--mysql-password=${password}`,
  ];
}

function numberAfter(report: string, pattern: RegExp): number {
  const found = pattern.exec(report)?.[1];
  if (found === undefined) throw new Error(`sysbench's report lacks ${pattern.source}:\n${report}`);
  return Number(found);
}

const SIZE = ['--tables=2', '--table-size=1000'] as const;
