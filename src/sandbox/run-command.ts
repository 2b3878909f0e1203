import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SandboxError } from './outcome.ts';

/** A program with everything needed to start it: given to `spawn` as it is. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

export type CommandOutput = { readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  /** Default 60 000; reaching it kills the program and throws. */
  readonly timeoutMs?: number;
  /** The folder it runs in; default ours. */
  readonly cwd?: string;
};

/** Runs a program to its end. A non-zero exit throws with what it said on stderr. */
export async function runCommand(command: Command, options: RunOptions = {}): Promise<CommandOutput> {
  try {
    return await promisify(execFile)(command.file, command.args, {
      env: { ...command.env },
      cwd: options.cwd,
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      maxBuffer: 0x4000_0000,
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new SandboxError(`${command.file} failed: ${said.slice(-2000) || String(error)}`, { cause: error });
  }
}

/** Our own environment as plain strings, with `extra` on top. */
export function inheritedEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) environment[name] = value;
  }
  return { ...environment, ...extra };
}
