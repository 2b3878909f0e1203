/** Servers under asynchronous replication: one writable source and its read-only replicas. */
import { ACCOUNTS } from './accounts.ts';
import { SandboxError } from './outcome.ts';
import type { Server } from './server.ts';
import { waitFor } from './wait.ts';

export type ReplicationOptions = {
  /** Servers in all, the source included, 2 to 5. Default 3. */
  readonly size?: number;
};

export class Replication {
  /** In the order they were started; the first was the source at first. */
  readonly members: readonly Server[];
  readonly #dialect: Dialect;

  private constructor(members: readonly Server[], dialect: Dialect) {
    this.members = members;
    this.#dialect = dialect;
  }

  /** Makes the first of `members`, which run and are empty, the source of the others. */
  static async form(members: readonly Server[], dialect: Dialect): Promise<Replication> {
    const [source, ...replicas] = members;
    if (source === undefined) throw new SandboxError('replication needs a source');
    const replication = new Replication(members, dialect);
    for (const replica of replicas) await replication.follow(replica, source);
    return replication;
  }

  /** Makes `replica` read-only and has it replicate from `source`; returns when it is connected. */
  async follow(replica: Server, source: Server): Promise<void> {
    await this.demote(replica);
    for (const statement of this.#dialect.stop) await replica.query(statement);
    const { user, password } = ACCOUNTS.recovery;
    await replica.query(this.#dialect.follow, [source.host, source.port, user, password]);
    await replica.query(this.#dialect.start);
    await waitFor({ what: `${replica.name} to replicate`, timeoutMs: CONNECT_TIMEOUT_MS }, async () => {
      const [status] = await replica.query(this.#dialect.status);
      return Object.values(status ?? {}).filter((value) => value === 'Yes').length >= 2 ? true : undefined;
    });
  }

  /** As a failover tool does with an old primary. */
  async demote(server: Server): Promise<void> {
    await server.query(this.#dialect.readOnly);
  }

  /** As a failover tool does with a new primary. With `keepsChannel` its channel stays, as some tools leave it. */
  async promote(server: Server, options: { readonly keepsChannel?: boolean } = {}): Promise<void> {
    if (options.keepsChannel !== true)
      for (const statement of this.#dialect.stop) await server.query(statement);
    await server.query('SET GLOBAL read_only = OFF');
  }

  async stopApplier(server: Server): Promise<void> {
    await server.query(this.#dialect.stopApplier);
  }

  async startApplier(server: Server): Promise<void> {
    await server.query(this.#dialect.start);
  }
}

export type Dialect = {
  readonly follow: string;
  readonly start: string;
  readonly stop: readonly string[];
  readonly stopApplier: string;
  readonly status: string;
  readonly readOnly: string;
};

export const MYSQL_REPLICATION: Dialect = {
  follow:
    'CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,' +
    ' SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1',
  start: 'START REPLICA',
  stop: ['STOP REPLICA', 'RESET REPLICA ALL'],
  stopApplier: 'STOP REPLICA SQL_THREAD',
  status: 'SHOW REPLICA STATUS',
  readOnly: 'SET GLOBAL super_read_only = ON',
};

const CONNECT_TIMEOUT_MS = 30_000;
