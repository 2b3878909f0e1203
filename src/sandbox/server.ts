import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Connection,
  type ConnectionOptions,
  createConnection,
  type RowDataPacket,
} from 'mysql2/promise';
import { ACCOUNTS } from './accounts.ts';
import { type ManagedProcess, readLogTail, startProcess } from './managed-process.ts';
import { renderOptionFile, type Variables } from './mysqld-options.ts';
import { SandboxError, type SandboxLog } from './outcome.ts';
import { reservePorts } from './ports.ts';
import type { Command } from './run-command.ts';
import type { Software } from './software.ts';
import { copyTemplate } from './template.ts';
import { waitFor } from './wait.ts';
import type { RunDirectory } from './watchdog.ts';

export type Row = Readonly<Record<string, unknown>>;

export type ServerContext = {
  readonly software: Software;
  readonly run: RunDirectory;
  readonly log: SandboxLog;
};

/** A host of its own for a server, which has all its ports to itself. */
export type ServerPlace = {
  /** IPv4. */
  readonly host: string;
  /** The same command, to be run there under the same process id. */
  within(command: Command): Command;
};

export type ServerOptions = {
  /** Names the server's folder and log lines; unique in its sandbox. */
  readonly name: string;
  /** `server_id`, 1 or more; unique in its group. */
  readonly serverId: number;
  /** On top of the small server's; these win. */
  readonly variables?: Variables;
  /** Where it runs, with the customary ports; default on loopback with ports nobody else has. */
  readonly place?: ServerPlace;
};

/** One mysqld or mariadbd with a data directory of its own. It is not running until `start`. */
export class Server {
  readonly name: string;
  /** `server_uuid`; MariaDB has none. */
  readonly uuid: string = randomUUID();
  readonly host: string;
  readonly port: number;
  /** Of X protocol; free for other use with MariaDB. */
  readonly xPort: number;
  /** Where administrators get in when all connections are taken: `admin_port`, MariaDB's `extra_port`. */
  readonly adminPort: number;
  readonly directory: string;
  readonly #context: ServerContext;
  readonly #options: ServerOptions;
  #groupPort: number;
  #process: ManagedProcess | undefined;
  #startArguments: readonly string[] = [];
  #isFrozen = false;
  #isEndingOnPurpose = false;

  private constructor(context: ServerContext, options: ServerOptions, ports: readonly number[]) {
    const [port = 0, xPort = 0, adminPort = 0, groupPort = 0] = ports;
    this.name = options.name;
    this.host = options.place?.host ?? '127.0.0.1';
    this.port = port;
    this.xPort = xPort;
    this.adminPort = adminPort;
    this.#groupPort = groupPort;
    this.directory = join(context.run.path, options.name);
    this.#context = context;
    this.#options = options;
  }

  /** Reserves the ports and makes the data directory. */
  static async create(context: ServerContext, options: ServerOptions): Promise<Server> {
    const ports = options.place === undefined ? await reservePorts(4, context.run.path) : CUSTOMARY_PORTS;
    const server = new Server(context, options, ports);
    await mkdir(server.directory, { recursive: true });
    await copyTemplate(context.software, server.dataDirectory, context.run.mark, context.log);
    if (context.software.kind === 'mysql') {
      await writeFile(join(server.dataDirectory, 'auto.cnf'), `[auto]\nserver-uuid=${server.uuid}\n`);
    }
    await server.configure({});
    return server;
  }

  get kind(): Software['kind'] {
    return this.#context.software.kind;
  }

  /** For `group_replication_local_address`, or Galera's `gmcast.listen_addr`. */
  get groupPort(): number {
    return this.#groupPort;
  }

  /** `server_id`. */
  get serverId(): number {
    return this.#options.serverId;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get dataDirectory(): string {
    return join(this.directory, 'data');
  }

  get socketPath(): string {
    return join(this.directory, 'sock');
  }

  /** `undefined` while it does not run. */
  get pid(): number | undefined {
    return this.isRunning ? this.#process?.pid : undefined;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.exitReason() === undefined;
  }

  /** Whether a query has a chance: it runs and is not frozen. */
  get isAnswering(): boolean {
    return this.isRunning && !this.#isFrozen;
  }

  /** Sets the variables of the next start: the small server's, the server's own, then `variables`. */
  async configure(variables: Variables): Promise<void> {
    const all: Variables = {
      ...this.#context.software.variables,
      datadir: this.dataDirectory,
      socket: this.socketPath,
      pid_file: join(this.directory, 'pid'),
      // A MariaDB that starts removes what it takes for its own temporary tables of before, and so those of any other there.
      tmpdir: this.directory,
      log_error: this.#logPath,
      server_id: this.#options.serverId,
      bind_address: this.host,
      port: this.port,
      report_host: this.host,
      report_port: this.port,
      ...this.#context.software.addressVariables(this),
      ...this.#options.variables,
      ...variables,
    };
    await writeFile(this.#optionFile, renderOptionFile(all));
  }

  /** Reserves another group port for the next start. */
  async renewGroupPort(): Promise<void> {
    if (this.#options.place !== undefined) {
      this.#groupPort += 10;
      return;
    }
    const [port = 0] = await reservePorts(1, this.#context.run.path);
    this.#groupPort = port;
  }

  /** Returns when the server answers queries. `args` are for this start alone, e.g. `--wsrep-new-cluster`. */
  async start(args: readonly string[] = []): Promise<void> {
    if (this.isRunning) throw new SandboxError(`${this.name} is running already`);
    this.#startArguments = args;
    await this.#spawn();
    await this.waitUntilAnswering(START_TIMEOUT_MS);
  }

  /** Shuts it down with SIGTERM and returns when it is gone. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM', STOP_TIMEOUT_MS);
  }

  /** Kills it with SIGKILL and returns when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', STOP_TIMEOUT_MS);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Stops its clock with SIGSTOP: connections stay open and nothing answers. */
  freeze(): void {
    this.#process?.signal('SIGSTOP');
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#process?.signal('SIGCONT');
    this.#isFrozen = false;
  }

  /** Runs one statement as root on a connection of its own, over the unix socket. Gives up after `QUERY_TIMEOUT_MS`. */
  async query(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const connection = await this.connect({ socketPath: this.socketPath });
    try {
      const [rows] = await connection.query<RowDataPacket[]>({
        sql,
        values: [...values],
        timeout: QUERY_TIMEOUT_MS,
      });
      await connection.end();
      return Array.isArray(rows) ? rows : [];
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** A mysql2 connection as root over TCP, unless `options` say otherwise. The caller ends it. */
  connect(options: ConnectionOptions = {}): Promise<Connection> {
    const { user, password } = ACCOUNTS.root;
    return createConnection({
      host: this.host,
      port: this.port,
      user,
      password,
      connectTimeout: CONNECT_TIMEOUT_MS,
      supportBigNumbers: true,
      ...options,
    });
  }

  errorLog(): Promise<string> {
    return readFile(this.#logPath, 'utf8');
  }

  async waitUntilAnswering(timeoutMs: number): Promise<void> {
    await waitFor({ what: `${this.name} to answer`, timeoutMs }, async () => {
      const ended = this.#process?.exitReason();
      if (ended !== undefined && ended !== RESTART_REQUESTED) {
        throw new SandboxError(`${this.name} ended (${ended}):\n${await readLogTail(this.#logPath)}`);
      }
      await this.query('DO 1');
      return true;
    });
  }

  async #spawn(): Promise<void> {
    this.#isEndingOnPurpose = false;
    this.#isFrozen = false;
    const { part, program } = this.#context.software;
    const bare = part.command(program, [`--defaults-file=${this.#optionFile}`, ...this.#startArguments]);
    const command = this.#options.place?.within(bare) ?? bare;
    this.#process = await startProcess({
      // With a supervisor's process id in its environment, mysqld may ask for a restart by its exit code:
      // RESTART and the end of a clone do.
      command: { ...command, env: { ...command.env, MYSQLD_PARENT_PID: String(process.pid) } },
      logPath: this.#logPath,
      mark: this.#context.run.mark,
      cwd: this.directory,
      onExit: (reason) => this.#onExit(reason),
    });
  }

  #onExit(reason: string): void {
    if (this.#isEndingOnPurpose) return;
    this.#context.log(`${this.name} (${this.address}) ended: ${reason}`);
    if (reason !== RESTART_REQUESTED) return;
    this.#startArguments = [];
    this.#spawn().catch((error: unknown) => {
      this.#context.log(`${this.name} could not be started again: ${String(error)}`);
    });
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL', timeoutMs: number): Promise<void> {
    this.#isEndingOnPurpose = true;
    if (this.#isFrozen && signal === 'SIGTERM') this.thaw();
    this.#process?.signal(signal);
    await this.#process?.waitForExit(timeoutMs);
  }

  get #optionFile(): string {
    return join(this.directory, 'my.cnf');
  }

  get #logPath(): string {
    return join(this.directory, 'error.log');
  }
}

/** Classic, X, administration, group. */
const CUSTOMARY_PORTS = [3306, 33060, 33062, 33061];
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const QUERY_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** `MYSQLD_RESTART_EXIT` in MySQL's sources: mysqld asks its supervisor to be started again. */
const RESTART_REQUESTED = 'exit code 16';
