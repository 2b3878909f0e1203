/**
 * Clients of the soak: each turn is one thing an application does, judged by the client itself. What a turn throws is an
 * error the router could have avoided, or a byte that was changed.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2';
import type { RowDataPacket } from 'mysql2/promise';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import { ask, connectTo } from '../support/clients.ts';

/** One turn of a kind of client against the router's RW port. `random` is 0 to 1. */
export type Turn = (port: number, random: () => number) => Promise<void>;

export const TURNS = {
  /** Connects, asks, leaves: PHP. */
  visit: async (port, random) => {
    const value = Math.floor(random() * 1e9);
    const [row] = await ask(port, `SELECT ${value}`);
    expect('a value', row?.[0], value);
  },

  /** Prepares and executes on one connection, for a while: a pool. */
  prepare: async (port, random) => {
    const connection = await connectTo(port);
    try {
      for (let turn = 0; turn < 50; turn++) {
        const value = randomBytes(Math.floor(random() * 2000));
        const [rows] = await connection.execute<RowDataPacket[]>('SELECT SHA2(?, 256) AS digest', [value]);
        expect('a digest', rows[0]?.['digest'], createHash('sha256').update(value).digest('hex'));
      }
    } finally {
      connection.destroy();
    }
  },

  /** Commits some rows, rolls back others. */
  transact: async (port, random) => {
    const connection = await connectTo(port);
    try {
      const key = Math.floor(random() * 1e12);
      for (const end of ['ROLLBACK', 'COMMIT']) {
        await connection.beginTransaction();
        await connection.query('INSERT INTO app.soak (id, payload) VALUES (?, ?)', [key, end]);
        await connection.query(end);
      }
      const [rows] = await connection.query<RowDataPacket[]>('SELECT payload FROM app.soak WHERE id = ?', [
        key,
      ]);
      expect('the committed row', rows[0]?.['payload'], 'COMMIT');
      await connection.query('DELETE FROM app.soak WHERE id = ?', [key]);
      await connection.end();
    } finally {
      connection.destroy();
    }
  },

  /** One value of up to 20 MB, around the length at which packets are split. */
  bigValue: async (port, random) => {
    const length = Math.floor(random() * 20_000_000);
    const connection = await connectTo(port);
    try {
      const [rows] = await connection.query<RowDataPacket[]>(
        `SELECT REPEAT('${'abcdefghi'.slice(0, 1 + Math.floor(random() * 8))}', ${length} DIV 8) AS value`,
      );
      const [digests] = await connection.query<RowDataPacket[]>('SELECT SHA2(?, 256) AS digest', [
        rows[0]?.['value'],
      ]);
      const digest = createHash('sha256').update(String(rows[0]?.['value'])).digest('hex');
      expect('a big value there and back', digests[0]?.['digest'], digest);
    } finally {
      connection.destroy();
    }
  },

  /** A result of many rows, read with pauses. */
  slowReader: (port, random) =>
    withCallbackConnection(port, async (connection) => {
      const rows = 20_000 + Math.floor(random() * 20_000);
      const stream = connection
        .query(
          `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})` +
            " SELECT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ i, REPEAT('x', 200) AS x FROM n",
        )
        .stream();
      let next = 1;
      for await (const row of stream) {
        expect('rows in order', row.i, next);
        next++;
        if (next % 10_000 === 0) await pause(random() * 100);
      }
      expect('all rows', next - 1, rows);
    }),

  /** LOAD DATA LOCAL INFILE out of memory. */
  upload: async (port, random) => {
    const connection = await connectTo(port);
    try {
      const lines = 1000 + Math.floor(random() * 3000);
      const first = Math.floor(random() * 1e12);
      await connection.query('CREATE TEMPORARY TABLE app.up (id BIGINT, payload VARCHAR(100))');
      const text = Array.from({ length: lines }, (_, line) => Buffer.from(`${first + line}\tline ${line}\n`));
      await connection.query({
        sql: "LOAD DATA LOCAL INFILE 'memory' INTO TABLE app.up",
        infileStreamFactory: () => Readable.from(text),
      });
      const [rows] = await connection.query<RowDataPacket[]>(
        'SELECT COUNT(*) AS count, CAST(SUM(id - ?) AS SIGNED) AS sum FROM app.up',
        [first],
      );
      expect('uploaded lines', Number(rows[0]?.['count']), lines);
      expect('their sum', Number(rows[0]?.['sum']), (lines * (lines - 1)) / 2);
    } finally {
      connection.destroy();
    }
  },

  /** Vanishes in the middle of a result. */
  quit: (port, random) =>
    withCallbackConnection(port, async (connection) => {
      const gone = new Promise<void>((resolve) => {
        const query = connection.query("SELECT REPEAT('y', 5000000)");
        query.once('error', () => resolve());
        query.once('end', () => resolve());
      });
      await pause(random() * 20);
      connection.destroy();
      await Promise.race([gone, pause(100)]);
    }),
} as const satisfies Record<string, Turn>;

export type TurnName = keyof typeof TURNS;

async function withCallbackConnection(
  port: number,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connection = createConnection({ host: '127.0.0.1', port, ...ACCOUNTS.app });
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error === null ? resolve() : reject(error)));
    });
    await work(connection);
  } finally {
    connection.destroy();
  }
}

function expect(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)}, not ${String(wanted)}`);
}
