/** When the group itself was ready for writes: each member is asked directly, beside the router. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Test } from 'tap';
import type { Group, Server } from '../../src/sandbox/index.ts';

type IsWritableRow = RowDataPacket & { readonly isWritable: 0 | 1 };

export class GroupWatch {
  readonly #writableSinceMs = new Map<Server, number>();
  readonly #connections = new Set<Connection>();
  readonly #loops: readonly Promise<void>[];
  #isStopping = false;

  private constructor(servers: readonly Server[]) {
    this.#loops = servers.map((server) => this.#watch(server));
  }

  /** Watches the members that answer now, every few milliseconds, to the end of `t` at the latest. */
  static start(t: Test, group: Group): GroupWatch {
    const watch = new GroupWatch(group.members.filter((member) => member.isAnswering));
    t.teardown(() => {
      watch.#isStopping = true;
      for (const connection of watch.#connections) connection.destroy();
    });
    return watch;
  }

  /** performance.now when `server` was first seen as a primary that takes writes, without a break since. */
  writableSinceMs(server: Server): number | undefined {
    return this.#writableSinceMs.get(server);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  async #watch(server: Server): Promise<void> {
    let connection: Connection | null = null;
    try {
      connection = await server.connect({ socketPath: server.socketPath });
      this.#connections.add(connection);
      // The next question finds out.
      connection.on('error', () => undefined);
      while (!this.#isStopping) {
        const [[row]] = await connection.query<IsWritableRow[]>(IS_WRITABLE);
        if (row?.isWritable !== 1) this.#writableSinceMs.delete(server);
        else if (!this.#writableSinceMs.has(server)) this.#writableSinceMs.set(server, performance.now());
        await pause(INTERVAL_MS);
      }
      await connection.end();
    } catch {
      // Killing members is what such tests do: one that has stopped answering takes no writes.
      this.#writableSinceMs.delete(server);
      connection?.destroy();
    }
  }
}

const IS_WRITABLE =
  'SELECT @@global.super_read_only = 0 AND EXISTS (SELECT 1 FROM performance_schema.replication_group_members' +
  " WHERE member_id = @@server_uuid AND member_state = 'ONLINE' AND member_role = 'PRIMARY') AS isWritable";
const INTERVAL_MS = 10;
