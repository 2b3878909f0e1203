import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { SandboxError } from './outcome.ts';
import type { Command } from './run-command.ts';
import { waitFor } from './wait.ts';

export type ManagedProcess = {
  readonly pid: number;
  /** Where its stdout and stderr go. */
  readonly logPath: string;
  /** How it ended, e.g. "exit code 1" or "SIGKILL"; `undefined` while it runs. */
  exitReason(): string | undefined;
  /** No effect once it has ended. */
  signal(signal: NodeJS.Signals): void;
  /** Returns when it has ended; kills it with SIGKILL at the deadline. */
  waitForExit(timeoutMs: number): Promise<void>;
};

export type StartOptions = {
  readonly command: Command;
  readonly logPath: string;
  /** The run directory's mark, by which the watchdog knows the process. */
  readonly mark: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Called once, with the same words as `exitReason`. */
  readonly onExit?: (reason: string) => void;
};

/** Starts a program in a session of its own (a terminal's Ctrl-C does not reach it) that does not keep ours alive. */
export async function startProcess(options: StartOptions): Promise<ManagedProcess> {
  const log = openSync(options.logPath, 'a');
  const child = spawn(options.command.file, options.command.args, {
    stdio: ['ignore', log, log],
    env: { ...options.command.env, ...options.mark },
    cwd: options.cwd,
    detached: true,
  });
  try {
    await once(child, 'spawn');
  } finally {
    closeSync(log);
  }
  child.unref();
  const { pid } = child;
  if (pid === undefined) throw new SandboxError(`${options.command.file} started without a process id`);
  const exitReason = (): string | undefined => {
    if (child.signalCode !== null) return child.signalCode;
    return child.exitCode === null ? undefined : `exit code ${child.exitCode}`;
  };
  child.once('exit', () => options.onExit?.(exitReason() ?? 'unknown'));
  return {
    pid,
    logPath: options.logPath,
    exitReason,
    signal: (signal) => void child.kill(signal),
    waitForExit: async (timeoutMs) => {
      const deadline = performance.now() + timeoutMs;
      await waitFor(
        { what: `process ${pid} to end`, timeoutMs: timeoutMs + KILL_TIMEOUT_MS, intervalMs: 10 },
        async () => {
          if (performance.now() > deadline) child.kill('SIGKILL');
          return exitReason();
        },
      );
    },
  };
}

/** The last lines of a log, for an error message. */
export async function readLogTail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  return text.trimEnd().split('\n').slice(-12).join('\n');
}

const KILL_TIMEOUT_MS = 10_000;
