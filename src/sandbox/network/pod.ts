import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type ManagedProcess, startProcess } from '../managed-process.ts';
import { codeOf, SandboxError } from '../outcome.ts';
import type { Part } from '../parts.ts';
import { type Command, inheritedEnvironment, runCommand } from '../run-command.ts';
import type { ServerPlace } from '../server.ts';
import { waitFor } from '../wait.ts';
import type { RunDirectory } from '../watchdog.ts';

export type PodContext = {
  readonly tools: Part;
  readonly run: RunDirectory;
  /** The bridge its cable is plugged into. */
  readonly bridge: string;
};

export type PodOptions = {
  readonly name: string;
  /** IPv4. */
  readonly address: string;
  /** Names its cable's end at the bridge; unique in the network, also among pods that are gone. */
  readonly serial: number;
};

/** A host of its own on the test network: an address, a cable, and the programs that are started in it. */
export class Pod implements ServerPlace {
  readonly name: string;
  /** IPv4. */
  readonly host: string;
  readonly #context: PodContext;
  readonly #cable: string;
  /** Holds the namespace while nothing else runs in it. */
  readonly #keeper: ManagedProcess;
  readonly #namespace: string;

  private constructor(context: PodContext, options: PodOptions, keeper: ManagedProcess, namespace: string) {
    this.name = options.name;
    this.host = options.address;
    this.#context = context;
    this.#cable = `pod${options.serial}`;
    this.#keeper = keeper;
    this.#namespace = namespace;
  }

  /** Returns when its cable is plugged in. */
  static async create(context: PodContext, options: PodOptions): Promise<Pod> {
    const { run, bridge } = context;
    const keeper = await startProcess({
      command: { file: 'unshare', args: ['--net', 'sleep', 'infinity'], env: inheritedEnvironment() },
      logPath: join(run.path, `pod-${options.serial}.log`),
      mark: run.mark,
      cwd: run.path,
    });
    const outer = await readlink('/proc/self/ns/net');
    const namespace = await waitFor({ what: `${options.name}'s namespace`, timeoutMs: 10_000 }, async () => {
      if (keeper.exitReason() !== undefined) throw new SandboxError(`no namespace for ${options.name}`);
      const link = await readlink(`/proc/${keeper.pid}/ns/net`);
      return link === outer ? undefined : link;
    });
    const pod = new Pod(context, options, keeper, namespace);
    const peer = ['peer', 'name', 'eth0', 'address', hardwareAddress(pod.host), 'netns', `${keeper.pid}`];
    await pod.#ip('link', 'add', pod.#cable, 'type', 'veth', ...peer);
    await pod.#ip('link', 'set', pod.#cable, 'master', bridge, 'up');
    await pod.#ipInside('link', 'set', 'lo', 'up');
    await pod.#ipInside('address', 'add', `${pod.host}/24`, 'dev', 'eth0');
    await pod.#ipInside('link', 'set', 'eth0', 'up');
    return pod;
  }

  /** The same command, to be run in this pod under the same process id. */
  within(command: Command): Command {
    // The library path is for the program alone: nsenter is the system's own.
    const { LD_LIBRARY_PATH: libraries, ...env } = command.env;
    const setting = libraries === undefined ? [] : [`LD_LIBRARY_PATH=${libraries}`];
    const enter = [`--net=/proc/${this.#keeper.pid}/ns/net`, '--', 'env', ...setting];
    return { file: 'nsenter', args: [...enter, command.file, ...command.args], env };
  }

  /** From now on nothing comes or goes, and nobody is told. */
  cutCable(): Promise<void> {
    return this.#ip('link', 'set', this.#cable, 'down');
  }

  plugCable(): Promise<void> {
    return this.#ip('link', 'set', this.#cable, 'up');
  }

  /**
   * Ends the pod and everything in it. A pod that `vanishes` does so without a word: its peers hear neither FIN nor
   * RST. Otherwise its kernel closes its connections first.
   */
  async delete(manner: 'closes' | 'vanishes'): Promise<void> {
    if (manner === 'vanishes') await this.cutCable();
    const pids = await this.#processes();
    for (const pid of pids) endProcess(pid);
    // A process that is ending tells its namespace no more, while its connections are still to be closed.
    await waitFor({ what: `the end of ${this.name}`, timeoutMs: 10_000, intervalMs: 10 }, async () => {
      const ended = await Promise.all(pids.map(hasEnded));
      return ended.every(Boolean) ? true : undefined;
    });
    await this.#ip('link', 'delete', this.#cable);
    this.#keeper.signal('SIGKILL');
    await this.#keeper.waitForExit(10_000);
  }

  /** Those in its namespace, without the one that keeps it. */
  async #processes(): Promise<readonly number[]> {
    const found: number[] = [];
    for (const entry of await readdir('/proc')) {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || pid === this.#keeper.pid) continue;
      if ((await namespaceOf(pid)) === this.#namespace) found.push(pid);
    }
    return found;
  }

  async #ip(...args: string[]): Promise<void> {
    await runCommand(this.#context.tools.command('ip', args));
  }

  async #ipInside(...args: string[]): Promise<void> {
    await runCommand(this.within(this.#context.tools.command('ip', args)));
  }
}

/** Made from the address, so that nobody has a stale idea of where a reused address is. */
function hardwareAddress(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '00', ...bytes].join(':');
}

/** `undefined` for a process that has ended or is somebody else's. */
async function namespaceOf(pid: number): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/ns/net`);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Gone, or nothing left of it but its exit code. */
async function hasEnded(pid: number): Promise<boolean> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return threads.length === 1 && / Z /.test(stat.slice(stat.lastIndexOf(')')));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error) ?? '')) return true;
    throw error;
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}
