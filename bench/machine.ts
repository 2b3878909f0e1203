/** What the figures were measured on. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { findPart, type PartName, runCommand } from '../src/sandbox/index.ts';
import type { Machine } from './result.ts';

export async function describeMachine(): Promise<Machine> {
  const versions: Record<string, string> = { node: process.version };
  for (const { part, program, argument } of PROGRAMS) {
    const version = await versionOf(part, program, argument);
    if (version !== undefined) versions[program] = version;
  }
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    loadAverage: loadavg()[0] ?? Number.NaN,
    versions,
  };
}

async function versionOf(name: PartName, program: string, argument: string): Promise<string | undefined> {
  const part = await findPart(name, () => {});
  if (part.kind === 'unavailable') return undefined;
  const { stdout } = await runCommand(part.value.command(program, [argument]));
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0];
}

const PROGRAMS = [
  { part: 'mysql', program: 'mysqld', argument: '--version' },
  { part: 'mysql-router', program: 'mysqlrouter', argument: '--version' },
  { part: 'haproxy', program: 'haproxy', argument: '-v' },
  { part: 'sysbench', program: 'sysbench', argument: '--version' },
] as const;
