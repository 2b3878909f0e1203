/** Which members should not have been read from, and when: each is asked beside the router, again and again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Attempt } from '../../bench/failover/record.ts';
import type { Server } from '../../src/sandbox/index.ts';

/** Asks a member why nobody should read from it; null when it is well. */
export type WhyUnfit = (connection: Connection) => Promise<string | null>;

export const whyUnfitInGroup: WhyUnfit = async (connection) => {
  const [[row]] = await connection.query<StateRow[]>({ sql: STATE, timeout: 3000 });
  if (row === undefined) return null;
  if (row.offline === 1) return 'in offline mode';
  return row.state === 'ONLINE' ? null : (row.state ?? 'OFFLINE');
};

/** MariaDB; refuses whatever touches a table while it is not part of its cluster, but not this. */
export const whyUnfitInGalera: WhyUnfit = async (connection) => {
  const [[row]] = await connection.query<RowDataPacket[]>({
    sql: "SHOW GLOBAL STATUS LIKE 'wsrep_local_state_comment'",
    timeout: 3000,
  });
  const state = String(Object.values(row ?? {})[1] ?? '');
  // A donor keeps the sessions for reading it has.
  return ['Synced', 'Donor/Desynced'].includes(state) ? null : state;
};

/** From the first answer that said so to the last one without another in between. */
type Unfit = { readonly member: number; readonly why: string; readonly fromMs: number; untilMs: number };

export class UnfitMembers {
  readonly #spans: Unfit[] = [];
  readonly #loops: readonly Promise<void>[];
  #isStopping = false;

  private constructor(servers: readonly Server[], whyUnfit: WhyUnfit) {
    this.#loops = servers.map((server) => this.#watch(server, whyUnfit));
  }

  static start(servers: readonly Server[], whyUnfit: WhyUnfit): UnfitMembers {
    return new UnfitMembers(servers, whyUnfit);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  /** Reads that began on a member after it had said for `graceMs` that it is unfit, and ended while it still did. */
  misledReads(attempts: readonly Attempt[], graceMs: number): readonly string[] {
    return attempts.flatMap(({ client, member, startedAtMs, endedAtMs, outcome }) => {
      if (member === undefined || outcome.kind !== 'served') return [];
      const span = this.#spans.find(
        (each) => each.member === member && each.fromMs + graceMs < startedAtMs && endedAtMs < each.untilMs,
      );
      return span === undefined ? [] : [`${client.replace(/ \d+$/, '')} on a member ${span.why}`];
    });
  }

  async #watch(server: Server, whyUnfit: WhyUnfit): Promise<void> {
    const asking = new Asking(server, whyUnfit);
    let current: Unfit | undefined;
    while (!this.#isStopping) {
      const why = await asking.whyUnfit();
      const nowMs = performance.now();
      if (why === null) current = undefined;
      else if (current?.why === why) current.untilMs = nowMs;
      else {
        current = { member: server.serverId, why, fromMs: nowMs, untilMs: nowMs };
        this.#spans.push(current);
      }
      await pause(INTERVAL_MS);
    }
    asking.close();
  }
}

class Asking {
  readonly #server: Server;
  readonly #whyUnfit: WhyUnfit;
  #connection: Connection | null = null;

  constructor(server: Server, whyUnfit: WhyUnfit) {
    this.#server = server;
    this.#whyUnfit = whyUnfit;
  }

  /** Null for a member that is well, and for one that does not answer: nobody else is served by it either. */
  async whyUnfit(): Promise<string | null> {
    if (!this.#server.isAnswering) return null;
    try {
      this.#connection ??= await this.#open();
      return await this.#whyUnfit(this.#connection);
    } catch {
      // It is being killed or frozen, or starts.
      this.close();
      return null;
    }
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  async #open(): Promise<Connection> {
    const connection = await this.#server.connect({ socketPath: this.#server.socketPath });
    // The next question finds out.
    connection.on('error', () => undefined);
    return connection;
  }
}

type StateRow = RowDataPacket & { readonly offline: 0 | 1; readonly state: string | null };

const STATE =
  'SELECT @@global.offline_mode AS offline, (SELECT member_state FROM performance_schema.replication_group_members' +
  ' WHERE member_id = @@server_uuid) AS state';
const INTERVAL_MS = 50;
