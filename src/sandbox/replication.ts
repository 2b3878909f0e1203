/** Servers under asynchronous replication: one writable source and its read-only replicas. */
import { ACCOUNTS } from './accounts.ts';
import { SandboxError } from './outcome.ts';
import type { Server } from './server.ts';
import { waitFor } from './wait.ts';

export type ReplicationOptions = {
  /** Servers in all, the source included, 2 to 5. Default 3. */
  readonly size?: number;
  /** Default "mysql". */
  readonly kind?: Server['kind'];
};

export class Replication {
  /** In the order they were started; the first was the source at first. */
  readonly members: readonly Server[];

  private constructor(members: readonly Server[]) {
    this.members = members;
  }

  /** Makes the first of `members`, which run and are empty, the source of the others. */
  static async form(members: readonly Server[]): Promise<Replication> {
    const [source, ...replicas] = members;
    if (source === undefined) throw new SandboxError('replication needs a source');
    const replication = new Replication(members);
    for (const replica of replicas) await replication.follow(replica, source);
    return replication;
  }

  /** Makes `replica` read-only and has it replicate from `source`; returns when it is connected. */
  async follow(replica: Server, source: Server): Promise<void> {
    await this.demote(replica);
    for (const statement of DIALECTS[replica.kind].stop) await replica.query(statement);
    const { user, password } = ACCOUNTS.recovery;
    await replica.query(DIALECTS[replica.kind].follow, [source.host, source.port, user, password]);
    await replica.query(DIALECTS[replica.kind].start);
    await waitFor({ what: `${replica.name} to replicate`, timeoutMs: CONNECT_TIMEOUT_MS }, async () => {
      const [status] = await replica.query(DIALECTS[replica.kind].status);
      return Object.values(status ?? {}).filter((value) => value === 'Yes').length >= 2 ? true : undefined;
    });
  }

  /** As a failover tool does with an old primary. */
  async demote(server: Server): Promise<void> {
    await server.query(DIALECTS[server.kind].readOnly);
  }

  /** As a failover tool does with a new primary. With `keepsChannel` its channel stays, as some tools leave it. */
  async promote(server: Server, options: { readonly keepsChannel?: boolean } = {}): Promise<void> {
    if (options.keepsChannel !== true)
      for (const statement of DIALECTS[server.kind].stop) await server.query(statement);
    await server.query('SET GLOBAL read_only = OFF');
  }

  async stopApplier(server: Server): Promise<void> {
    await server.query(DIALECTS[server.kind].stopApplier);
  }

  async startApplier(server: Server): Promise<void> {
    await server.query(DIALECTS[server.kind].start);
  }
}

type Dialect = {
  readonly follow: string;
  readonly start: string;
  readonly stop: readonly string[];
  readonly stopApplier: string;
  readonly status: string;
  readonly readOnly: string;
};

const DIALECTS = {
  mysql: {
    follow:
      'CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,' +
      ' SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1',
    start: 'START REPLICA',
    stop: ['STOP REPLICA', 'RESET REPLICA ALL'],
    stopApplier: 'STOP REPLICA SQL_THREAD',
    status: 'SHOW REPLICA STATUS',
    readOnly: 'SET GLOBAL super_read_only = ON',
  },
  mariadb: {
    follow:
      'CHANGE MASTER TO MASTER_HOST = ?, MASTER_PORT = ?, MASTER_USER = ?, MASTER_PASSWORD = ?,' +
      ' MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1',
    start: 'START SLAVE',
    stop: ['STOP SLAVE', 'RESET SLAVE ALL'],
    stopApplier: 'STOP SLAVE SQL_THREAD',
    status: 'SHOW SLAVE STATUS',
    readOnly: 'SET GLOBAL read_only = ON',
  },
} as const satisfies Record<Server['kind'], Dialect>;

const CONNECT_TIMEOUT_MS = 30_000;
