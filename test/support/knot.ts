/** A real name server (Knot DNS) whose zone a test changes, and which it can stop, freeze and start again. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createNameResolver } from '../../src/control/resolver.ts';
import { type Pod, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { type ManagedProcess, startProcess } from '../../src/sandbox/managed-process.ts';
import { requirePart } from '../../src/sandbox/parts.ts';
import { reservePorts } from '../../src/sandbox/ports.ts';

export class Knot {
  readonly #sandbox: Sandbox;
  readonly #directory: string;
  readonly #port: number;
  readonly #zone: string;
  readonly #pod: Pod | undefined;
  #process: ManagedProcess | null = null;
  #serial = 0;

  private constructor(sandbox: Sandbox, directory: string, port: number, zone: string, pod: Pod | undefined) {
    this.#pod = pod;
    this.#sandbox = sandbox;
    this.#directory = directory;
    this.#port = port;
    this.#zone = zone;
  }

  /**
   * @param zone such as "ns.svc.example"
   * @param pod where it runs, default loopback
   */
  static async create(sandbox: Sandbox, zone: string, pod?: Pod): Promise<Knot> {
    const directory = join(sandbox.directory, `knot-${zone}`);
    await mkdir(directory);
    const [port = 0] = await reservePorts(1, sandbox.directory);
    const knot = new Knot(sandbox, directory, port, zone, pod);
    await writeFile(join(directory, 'knot.conf'), knot.#configuration());
    await knot.#writeZone([]);
    await knot.start();
    return knot;
  }

  /** `address:port` */
  get server(): string {
    return `${this.#host}:${this.#port}`;
  }

  get #host(): string {
    return this.#pod?.host ?? '127.0.0.1';
  }

  async start(): Promise<void> {
    const part = await requirePart('knot', () => undefined);
    const command = part.command('knotd', ['-c', join(this.#directory, 'knot.conf')]);
    this.#process = await startProcess({
      command: this.#pod?.within(command) ?? command,
      logPath: join(this.#directory, 'knot.log'),
      mark: { FAIRLEAD_SANDBOX: this.#sandbox.directory },
      cwd: this.#directory,
    });
    await this.#untilServed();
  }

  /** The zone's records instead of those before, such as "db 1 A 127.0.0.1"; returns when they are served. */
  async setRecords(...records: readonly string[]): Promise<void> {
    await this.#writeZone(records);
    this.#process?.signal('SIGHUP');
    await this.#untilServed();
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  async stop(): Promise<void> {
    this.#process?.signal('SIGTERM');
    await this.#process?.waitForExit(5000);
    this.#process = null;
  }

  /** The serial stands in the zone as a port, so that it can be asked for by the router's own resolver. */
  async #untilServed(): Promise<void> {
    const resolver = createNameResolver({ servers: [this.server], timeoutMs: 200 });
    try {
      await waitFor({ what: 'the zone to be served', timeoutMs: 15_000, intervalMs: 20 }, async () => {
        const found = await resolver.lookupServices(`serial.${this.#zone}.`);
        const port = found.kind === 'found' ? found.services[0]?.port : undefined;
        return port === this.#serial ? true : undefined;
      });
    } finally {
      resolver.close();
    }
  }

  async #writeZone(records: readonly string[]): Promise<void> {
    this.#serial += 1;
    const lines = [
      `$ORIGIN ${this.#zone}.`,
      '$TTL 1',
      `@ SOA ns.${this.#zone}. nobody.${this.#zone}. ${this.#serial} 1 1 1 1`,
      '@ NS ns',
      'ns A 127.0.0.1',
      `serial SRV 0 0 ${this.#serial} ns`,
      ...records,
    ];
    await writeFile(join(this.#directory, 'zone'), `${lines.join('\n')}\n`);
  }

  #configuration(): string {
    return `server:
  rundir: "${this.#directory}"
  listen: ${this.#host}@${this.#port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "${this.#directory}"
log:
  - target: stderr
    any: info
zone:
  - domain: ${this.#zone}
    storage: "${this.#directory}"
    file: zone
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
`;
  }
}
