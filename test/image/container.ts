/**
 * Runs an image's entry point as a container would: process 1 of its own PID namespace, another user, no capabilities, a
 * read-only root with nothing but /tmp to write to, a memory limit, one CPU. The network is the machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CommandOutput, runCommand, waitFor } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { environmentText, type Image } from './builder.ts';

export type ContainerOptions = {
  readonly image: Image;
  readonly environment: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  /** By which the sandbox's watchdog knows it. */
  readonly mark: string;
};

export class Container {
  readonly lines: string[] = [];
  readonly #image: Image;
  readonly #environment: readonly string[];
  readonly #child: ChildProcess;
  readonly #group: MemoryGroup | null;
  readonly #exited: Promise<unknown>;
  #pid = 0;

  private constructor(options: ContainerOptions, child: ChildProcess, group: MemoryGroup | null) {
    this.#image = options.image;
    this.#environment = textOf(options);
    this.#child = child;
    this.#group = group;
    this.#exited = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface(stream).on('line', (line) => this.lines.push(line));
  }

  static async start(options: ContainerOptions): Promise<Container> {
    const { image, mark, memoryBytes } = options;
    const group = createMemoryGroup(memoryBytes);
    const args = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SCRIPT, 'sh'];
    const env = inheritedEnvironment({
      ROOT: image.root,
      WORKDIR: image.workdir,
      RUN_AS: image.user,
      TASKS: group?.tasksFile ?? '/dev/null',
      DATA_BYTES: group === null ? String(memoryBytes) : 'unlimited',
      FAIRLEAD_SANDBOX: mark,
    });
    const words = [...textOf(options), ...image.entrypoint, ...image.command];
    const child = spawn('unshare', [...args, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
    const container = new Container(options, child, group);
    container.#pid = await waitFor({ what: 'process 1', timeoutMs: 10_000 }, async () => {
      const [pid] = childrenOf(child.pid ?? 0);
      return pid;
    });
    return container;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of process 1, as the machine sees it. */
  get pid(): number {
    return this.#pid;
  }

  /** What bounds its memory here. */
  get memoryLimiter(): string {
    return this.#group === null ? 'RLIMIT_DATA (no memory cgroup can be made here)' : 'a memory cgroup';
  }

  /** The most it has used so far, in bytes; null where only RLIMIT_DATA bounds it. */
  get peakBytes(): number | null {
    return this.#group?.peakBytes() ?? null;
  }

  /** One of the fields of /proc/<pid>/status. */
  status(field: string): string {
    const text = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    return new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? '';
  }

  /** Processes in it beside process 1; zombies too. */
  get otherProcesses(): readonly number[] {
    return childrenOf(this.#pid);
  }

  /** What lies in its /tmp. */
  get temporaryFiles(): readonly string[] {
    return readdirSync(`/proc/${this.#pid}/root/tmp`);
  }

  /** Runs a program beside it, as an engine's health check is. A non-zero exit throws. */
  exec(words: readonly string[]): Promise<CommandOutput> {
    const { root, user, workdir } = this.#image;
    const within = ['chroot', `--userspec=${user}`, root, '/usr/bin/env', '-i', '-C', workdir];
    const args = [
      '--target',
      String(this.#pid),
      '--mount',
      '--pid',
      ...within,
      ...this.#environment,
      ...words,
    ];
    return runCommand({ file: 'nsenter', args, env: inheritedEnvironment() }, { timeoutMs: 30_000 });
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  async exitCode(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** Ends it if it has not. */
  async remove(): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGKILL');
    await this.#exited;
    this.#group?.remove();
  }
}

function textOf({ image, environment }: ContainerOptions): readonly string[] {
  return [
    ...environmentText(image),
    ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
  ];
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

type MemoryGroup = {
  readonly tasksFile: string;
  peakBytes(): number;
  remove(): void;
};

/** Null where this process may not make a cgroup. */
function createMemoryGroup(limitBytes: number): MemoryGroup | null {
  const isFirst = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  const folder = join('/sys/fs/cgroup', isFirst ? 'memory' : '', `fairlead-image-${process.pid}`);
  const names = isFirst
    ? { limit: 'memory.limit_in_bytes', tasks: 'tasks', peak: 'memory.max_usage_in_bytes' }
    : { limit: 'memory.max', tasks: 'cgroup.procs', peak: 'memory.peak' };
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, names.limit), String(limitBytes));
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (existsSync(folder)) rmdirSync(folder);
    return null;
  }
  return {
    tasksFile: join(folder, names.tasks),
    peakBytes: () => Number(readFileSync(join(folder, names.peak), 'utf8')),
    remove: () => rmdirSync(folder),
  };
}

/** /sys is where a program reads its limits. Every step ends in exec: the program itself is process 1. A core would be written if it were anywhere possible. */
const SCRIPT = `set -e
echo $$ > "$TASKS"
ulimit -c unlimited
ulimit -d "$([ "$DATA_BYTES" = unlimited ] && echo unlimited || echo $((DATA_BYTES / 1024)))"
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /sys "$ROOT/sys"
mount -t tmpfs -o mode=0755 dev "$ROOT/dev"
mknod -m 666 "$ROOT/dev/null" c 1 3
mknod -m 666 "$ROOT/dev/zero" c 1 5
mknod -m 666 "$ROOT/dev/random" c 1 8
mknod -m 666 "$ROOT/dev/urandom" c 1 9
mount -t tmpfs -o mode=1777 tmp "$ROOT/tmp"
mount -o remount,bind,ro "$ROOT"
exec taskset -c 0 chroot "$ROOT" /usr/bin/setpriv --reuid="\${RUN_AS%:*}" --regid="\${RUN_AS#*:}" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all /usr/bin/env -i -C "$WORKDIR" "$@"`;
