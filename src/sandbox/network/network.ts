/**
 * A network for tests whose hosts are namespaces: real addresses that exist nowhere else, cables that can be cut, and
 * packets that can be dropped between two hosts, one way or both. The process that makes it must be in a namespace of
 * its own ({@link inOwnNetwork}); it is a host of the network too, under {@link Network.outside}.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from '../outcome.ts';
import type { Part } from '../parts.ts';
import { runCommand } from '../run-command.ts';
import type { RunDirectory } from '../watchdog.ts';
import { isInOwnNetwork } from './own-network.ts';
import { Pod } from './pod.ts';

export type AddPodOptions = {
  readonly name: string;
  /** To reuse the one of a pod that was deleted; default a new one. */
  readonly address?: string;
};

export class Network {
  /** The address of the process that made the network. */
  readonly outside = `${PREFIX}.1`;
  readonly #tools: Part;
  readonly #run: RunDirectory;
  #pods = 0;
  #dropped: readonly { readonly from: string; readonly to: string }[] = [];

  private constructor(tools: Part, run: RunDirectory) {
    this.#tools = tools;
    this.#run = run;
  }

  static async create(tools: Part, run: RunDirectory): Promise<Network> {
    if (!isInOwnNetwork()) throw new SandboxError('a test network is only made in a namespace of its own');
    const network = new Network(tools, run);
    await network.#ip('link', 'set', 'lo', 'up');
    await network.#ip('link', 'add', BRIDGE, 'type', 'bridge');
    await network.#ip('address', 'add', `${network.outside}/24`, 'dev', BRIDGE);
    await network.#ip('link', 'set', BRIDGE, 'up');
    return network;
  }

  /** Returns when it can be reached. */
  async addPod(options: AddPodOptions): Promise<Pod> {
    this.#pods += 1;
    const serial = this.#pods;
    const { name, address = `${PREFIX}.${FIRST_POD + serial}` } = options;
    const context = { tools: this.#tools, run: this.#run, bridge: BRIDGE };
    return Pod.create(context, { name, address, serial });
  }

  /** Drops what `from` sends to `to` from now on, silently. */
  async drop(from: string, to: string): Promise<void> {
    await this.#apply([...this.#dropped, { from, to }]);
  }

  /** Drops everything between the two sides, both ways. */
  async partition(one: readonly string[], other: readonly string[]): Promise<void> {
    const pairs = one.flatMap((from) =>
      other.flatMap((to) => [
        { from, to },
        { from: to, to: from },
      ]),
    );
    await this.#apply([...this.#dropped, ...pairs]);
  }

  /** Drops nothing any more. Cables that were cut stay so. */
  async heal(): Promise<void> {
    await this.#apply([]);
  }

  /**
   * Gives the clients in this process one address for several destinations, as a Service in Kubernetes does: each new
   * connection goes to one of them at random. Open connections stay where they are.
   */
  async setService(address: string, ports: readonly number[], hosts: readonly string[]): Promise<void> {
    const choice = hosts.map((host, index) => `${index} : ${host}`).join(', ');
    const rules = ports.map(
      (port) =>
        `ip daddr ${address} tcp dport ${port} dnat to numgen random mod ${hosts.length} map { ${choice} };`,
    );
    await this.#load(
      'service',
      `table ip service { chain output { type nat hook output priority -100; ${rules.join(' ')} }; }`,
    );
    // Somewhere to start from: the kernel wants a route before it asks where the packet is to go.
    await this.#ip('route', 'replace', address, 'dev', BRIDGE);
  }

  async #apply(dropped: readonly { readonly from: string; readonly to: string }[]): Promise<void> {
    const rules = dropped.map(({ from, to }) => `ip saddr ${from} ip daddr ${to} drop;`).join(' ');
    const chains = ['forward', 'input', 'output'].map(
      (hook) => `chain ${hook} { type filter hook ${hook} priority 0; ${rules} }\n`,
    );
    await this.#load('faults', `table bridge faults {\n${chains.join('')}}`);
    this.#dropped = dropped;
  }

  async #load(name: string, table: string): Promise<void> {
    const [head = ''] = table.split('{');
    const file = join(this.#run.path, `${name}.nft`);
    // Made first so that it can be removed; all of it takes effect at once.
    await writeFile(file, `${head}\ndelete ${head}\n${table}\n`);
    await runCommand(this.#tools.command('nft', ['-f', file]));
  }

  async #ip(...args: string[]): Promise<void> {
    await runCommand(this.#tools.command('ip', args));
  }
}

const BRIDGE = 'pods';
/** Group Replication admits private addresses without being asked to. */
const PREFIX = '10.213.7';
const FIRST_POD = 10;
