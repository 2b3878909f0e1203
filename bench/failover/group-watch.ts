/** When the group itself was ready for writes: each member is asked directly, beside every proxy. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Group, Server } from '../../src/sandbox/index.ts';

/** What a member said of itself, from this moment until its next change. */
export type Change = {
  readonly member: Server;
  /** performance.now. */
  readonly atMs: number;
  /** ONLINE and PRIMARY in its own view, which has a quorum, and not read-only. */
  readonly isWritable: boolean;
};

export class GroupWatch {
  readonly changes: Change[] = [];
  /** When a member that had just become writable committed a first row, for a client that was connected to it directly. */
  readonly firstCommitsAtMs: number[] = [];
  readonly #group: Group;
  readonly #isCommitting: boolean;
  readonly #connections = new Set<Connection>();
  readonly #loops = new Map<Server, Promise<void>>();
  #isStopping = false;

  private constructor(group: Group, isCommitting: boolean) {
    this.#group = group;
    this.#isCommitting = isCommitting;
  }

  /**
   * Watches every member every few milliseconds, also those that are added and those that return.
   *
   * @param isCommitting whether a row is written to `app.direct` when one has become writable
   */
  static start(group: Group, isCommitting = true): GroupWatch {
    const watch = new GroupWatch(group, isCommitting);
    void watch.#findMembers();
    return watch;
  }

  /** When a member was last seen becoming writable after `sinceMs`; `undefined` when none was. */
  writableAtMs(sinceMs: number): number | undefined {
    return this.changes.findLast(({ atMs, isWritable }) => isWritable && atMs > sinceMs)?.atMs;
  }

  /** When the first row after `sinceMs` was committed directly; `undefined` when none was. */
  committedAtMs(sinceMs: number): number | undefined {
    return this.firstCommitsAtMs.find((atMs) => atMs >= sinceMs);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(this.#loops.values());
  }

  async #findMembers(): Promise<void> {
    while (!this.#isStopping) {
      for (const member of this.#group.members) {
        if (!this.#loops.has(member)) this.#loops.set(member, this.#watch(member));
      }
      await pause(INTERVAL_MS);
    }
  }

  async #watch(member: Server): Promise<void> {
    let wasWritable: boolean | undefined;
    const note = (isWritable: boolean): boolean => {
      const isNews = isWritable !== wasWritable;
      if (isNews) this.changes.push({ member, atMs: performance.now(), isWritable });
      wasWritable = isWritable;
      return isNews;
    };
    while (!this.#isStopping) {
      try {
        await this.#ask(member, note);
      } catch {
        // Killing members is what this watches: one that does not answer takes no writes.
        note(false);
      }
      await pause(INTERVAL_MS);
    }
  }

  async #ask(member: Server, note: (isWritable: boolean) => boolean): Promise<void> {
    if (!member.isAnswering) throw new Error(`${member.name} does not run`);
    const connection = await member.connect({ socketPath: member.socketPath });
    this.#connections.add(connection);
    // The next question finds out.
    connection.on('error', () => undefined);
    try {
      while (!this.#isStopping) {
        const [[row]] = await connection.query<IsWritableRow[]>(IS_WRITABLE);
        const isWritable = row?.isWritable === 1;
        if (note(isWritable) && isWritable && this.#isCommitting) {
          await connection.query('INSERT INTO app.direct VALUES ()');
          this.firstCommitsAtMs.push(performance.now());
        }
        await pause(INTERVAL_MS);
      }
    } finally {
      this.#connections.delete(connection);
      connection.destroy();
    }
  }
}

type IsWritableRow = RowDataPacket & { readonly isWritable: 0 | 1 };

const IS_WRITABLE = `SELECT @@global.super_read_only = 0
  AND SUM(member_id = @@server_uuid AND member_state = 'ONLINE' AND member_role = 'PRIMARY') = 1
  AND SUM(member_state IN ('ONLINE', 'RECOVERING')) * 2 > COUNT(*) AS isWritable
  FROM performance_schema.replication_group_members`;
const INTERVAL_MS = 10;
