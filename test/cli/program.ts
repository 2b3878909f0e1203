/** The program as a person or a supervisor starts it: argv, environment, signals, output, exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { expectNoSecrets } from '../support/secrets.ts';
import { until } from '../support/until.ts';

export type ProgramOptions = {
  readonly environment?: Readonly<Record<string, string>>;
  /** Programs that start this one, such as `unshare`. */
  readonly under?: readonly string[];
};

export class Program {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #out: string[] = [];
  readonly #error: string[] = [];

  /** It is killed at the end of `t`. */
  constructor(t: Test, argv: readonly string[], options: ProgramOptions = {}) {
    const [file = '', ...args] = [...(options.under ?? []), process.execPath, MAIN, ...argv];
    const child = spawn(file, args, {
      env: { ...withoutSettings(), ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface(child.stdout).on('line', (line) => this.#out.push(line));
    createInterface(child.stderr).on('line', (line) => this.#error.push(line));
    this.#child = child;
    this.#closed = once(child, 'close');
    t.teardown(() => {
      child.kill('SIGKILL');
      // The demo's accounts are there to be used, and it tells them.
      if (argv[0] !== 'demo') expectNoSecrets(`${this.out}\n${this.error}`, argv.join(' '));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get out(): string {
    return this.#out.join('\n');
  }

  get error(): string {
    return this.#error.join('\n');
  }

  /** The lines of a router's log with this kind of event, as they stand there. */
  events(kind: string): readonly string[] {
    return this.#out.filter((line) => line.includes(`"event":"${kind}"`));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Returns the match once it has written such a thing to standard output. */
  async untilWritten(pattern: RegExp, deadlineMs = START_DEADLINE_MS): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await until(
      `${pattern} to be written`,
      () => {
        match = pattern.exec(this.out);
        if (match === null && !this.isRunning) throw new Error(`it ended: ${this.out}\n${this.error}`);
        return match !== null;
      },
      deadlineMs,
    );
    if (match === null) throw new Error('it was waited for');
    return match;
  }

  /** Its exit code once it has ended; null when a signal ended it. */
  async exit(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }
}

/** The surroundings without what might configure a router. */
function withoutSettings(): NodeJS.ProcessEnv {
  const { FAIRLEAD_CACHE, FAIRLEAD_MYSQLD, ...rest } = process.env;
  const own = Object.entries(rest).filter(([name]) => !name.startsWith('FAIRLEAD_'));
  return {
    ...Object.fromEntries(own),
    ...(FAIRLEAD_CACHE === undefined ? {} : { FAIRLEAD_CACHE }),
    ...(FAIRLEAD_MYSQLD === undefined ? {} : { FAIRLEAD_MYSQLD }),
  };
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
/** A start takes under a second where there is nothing else to do: here whole clusters may be starting. */
const START_DEADLINE_MS = 60_000;
