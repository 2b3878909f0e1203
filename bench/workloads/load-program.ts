/** Runs bench/load: clients that cost so little that the proxy is what is measured. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import { type Command, inheritedEnvironment, runCommand } from '../../src/sandbox/run-command.ts';
import type { Target } from '../bench.ts';
import { buildProgram } from '../c-program.ts';
import type { LoadResult } from './workload.ts';

export type LoadMode = 'connect' | 'page' | 'query' | 'upload' | 'idle';

export type LoadOutput = LoadResult & {
  readonly bytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
};

export type LoadOptions = {
  readonly mode: Exclude<LoadMode, 'idle'>;
  readonly clients: number;
  readonly seconds: number;
  /** For pages several statements, a line each; `@name` selects a schema. */
  readonly sql: string;
  /** For uploads. */
  readonly bytes?: number;
};

export async function runLoad(target: Target, options: LoadOptions): Promise<LoadOutput> {
  const { mode, clients, seconds, sql, bytes } = options;
  const args = [clients, seconds, sql, ...(bytes === undefined ? [] : [bytes])];
  const command = await loadCommand(mode, target, args.map(String));
  const { stdout } = await runCommand(command, { timeoutMs: (seconds + 120) * 1000 });
  return parseLoadOutput(stdout);
}

/** Opens `count` sessions that have asked once; returns when the last one has its answer. */
export async function openSessions(target: Target, count: number): Promise<{ close(): Promise<void> }> {
  const command = await loadCommand('idle', target, [String(count)]);
  const child = spawn(command.file, command.args, {
    env: { ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const complaint = text(child.stderr);
  const lines = createInterface(child.stdout);
  const [line] = await Promise.race([
    once(lines, 'line'),
    exited.then(async () => {
      throw new Error(`${count} sessions could not be opened: ${(await complaint).trim()}`);
    }),
  ]);
  if (line !== 'ready') throw new Error(`the load said ${String(line)}`);
  return {
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

async function loadCommand(mode: LoadMode, target: Target, args: readonly string[]): Promise<Command> {
  const { user, password } = ACCOUNTS.app;
  return {
    file: await buildProgram('load'),
    args: [mode, String(target.port), ...args],
    env: inheritedEnvironment({ LOAD_USER: user, LOAD_PASSWORD: password, LOAD_SCHEMA: 'sbtest' }),
  };
}

/** @throws TypeError when the last line is not what bench/load prints */
export function parseLoadOutput(stdout: string): LoadOutput {
  const parsed: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  if (typeof parsed !== 'object' || parsed === null) throw new TypeError(`no result: ${stdout}`);
  const figures = new Map<string, unknown>(Object.entries(parsed));
  const figure = (name: string): number => {
    const value = figures.get(name);
    if (typeof value !== 'number') throw new TypeError(`no figure ${name}: ${stdout}`);
    return value;
  };
  return {
    operations: figure('operations'),
    seconds: figure('seconds'),
    bytes: figure('bytes'),
    p50Us: figure('p50Us'),
    p99Us: figure('p99Us'),
    p999Us: figure('p999Us'),
  };
}
