/** The load under which members are killed: clients as applications have them, and a record of all they did. */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { type Connection, createConnection, createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import type { Attempt, Outcome } from './record.ts';

export type LoadAddress = {
  readonly host: string;
  /** Where writes go; its clients connect, write and keep sessions. */
  readonly rw: number;
  readonly ro: number;
};

export type LoadSize = {
  /** Clients that keep a session, and as many that take one from a pool, on either port. Default 1. */
  readonly clients?: number;
  /** How often each of them works. Default 20. */
  readonly everyMs?: number;
  /** How often a new client comes to either port, whatever became of those before it. Default 50. */
  readonly connectEveryMs?: number;
  /**
   * Whether a client that keeps a session looks whether it was closed before it works on, as a good pool does. Default
   * false: a session that was closed between two pieces of work is an error too.
   */
  readonly looksFirst?: boolean;
  /**
   * Whether a statement whose session was closed in order, without a byte of an answer, is repeated on another one, as
   * the router allows. Default false.
   */
  readonly repeats?: boolean;
};

export const CREATE_WRITES = 'CREATE TABLE app.writes (id BIGINT PRIMARY KEY, member INT NOT NULL)';

/** Who keeps a session connects anew at once when it breaks; the pool is mysql2's, with its defaults. */
export class Load {
  readonly attempts: Attempt[] = [];
  readonly #address: LoadAddress;
  readonly #everyMs: number;
  readonly #looksFirst: boolean;
  readonly #repeats: boolean;
  /** Sessions that ended while nothing was under way on them. */
  readonly #closed = new WeakSet<Connection>();
  readonly #loops: Promise<void>[] = [];
  readonly #underWay = new Map<symbol, Waiting>();
  readonly #connections = new Set<Connection>();
  readonly #pools: Pool[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  /** No id is used twice: the outcome of a write that failed is not known. */
  #nextId: number;
  #isStopping = false;

  private constructor(address: LoadAddress, size: LoadSize, firstId: number) {
    const { clients = 1, everyMs = 20, connectEveryMs = 50, looksFirst = false, repeats = false } = size;
    this.#address = address;
    this.#everyMs = everyMs;
    this.#looksFirst = looksFirst;
    this.#repeats = repeats;
    this.#nextId = firstId;
    for (const role of ['writer', 'reader'] as const) {
      const pool = this.#createPool(role, clients);
      for (let index = 1; index <= clients; index += 1) {
        this.#loops.push(this.#keepSession(`kept ${role} ${index}`, role));
        this.#loops.push(this.#usePool(`pooled ${role} ${index}`, role, pool));
      }
      let visitors = 0;
      const timer = setInterval(() => {
        visitors += 1;
        this.#loops.push(this.#visit(`new ${role} ${visitors}`, role));
      }, connectEveryMs);
      this.#timers.push(timer);
    }
  }

  /** @param firstId ids count up from it, a million for each load that runs at the same time */
  static start(address: LoadAddress, firstId: number, size: LoadSize = {}): Load {
    return new Load(address, size, firstId);
  }

  /** Begins no more work; what does not end within `patienceMs` is recorded as hung and torn off. */
  async stop(patienceMs: number): Promise<readonly Attempt[]> {
    this.#isStopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    const patience = new AbortController();
    const all = Promise.all(this.#loops);
    await Promise.race([all, pause(patienceMs, undefined, { signal: patience.signal }).catch(ignoreAbort)]);
    patience.abort();
    for (const { client, startedAtMs, id, during } of this.#underWay.values()) {
      const outcome = { kind: 'hung', during } as const;
      this.attempts.push({
        client,
        startedAtMs,
        endedAtMs: performance.now(),
        id,
        connectMs: undefined,
        outcome,
      });
    }
    this.#underWay.clear();
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(this.#pools.map((pool) => Promise.race([pool.end().catch(tellNobody), pause(1000)])));
    return this.attempts;
  }

  async #keepSession(client: string, role: Role): Promise<void> {
    let connection: Connection | null = null;
    while (!this.#isStopping) {
      const nextAtMs = performance.now() + this.#everyMs;
      if (this.#looksFirst) await lookAround();
      if (this.#looksFirst && connection !== null && this.#closed.has(connection)) connection = null;
      const session: Connection | null = connection;
      const isServed = await this.#attempt(client, role, async (waiting) => {
        const used = (waiting.repeats === 0 ? session : null) ?? (await this.#connect(role));
        waiting.during = 'work';
        connection = used;
        await this.#work(used, waiting);
      });
      if (!isServed) {
        this.#forget(connection);
        connection = null;
      }
      // A client that is refused tries again when it has to write again, as one that is served does.
      await pause(Math.max(0, nextAtMs - performance.now()));
    }
    this.#forget(connection);
  }

  async #usePool(client: string, role: Role, pool: Pool): Promise<void> {
    while (!this.#isStopping) {
      const nextAtMs = performance.now() + this.#everyMs;
      if (this.#looksFirst) await lookAround();
      await this.#attempt(client, role, async (waiting) => {
        const connection = await pool.getConnection();
        waiting.during = 'work';
        try {
          await this.#work(connection, waiting);
          connection.release();
        } catch (error) {
          connection.destroy();
          throw error;
        }
      });
      await pause(Math.max(0, nextAtMs - performance.now()));
    }
  }

  async #visit(client: string, role: Role): Promise<void> {
    await this.#attempt(client, role, async (waiting) => {
      const connection = await this.#connect(role);
      waiting.connectMs = performance.now() - waiting.startedAtMs;
      waiting.during = 'work';
      try {
        await this.#work(connection, waiting);
      } finally {
        this.#forget(connection);
      }
    });
  }

  /** One piece of work; its outcome is recorded. @returns whether it was served */
  async #attempt(client: string, role: Role, work: (waiting: Waiting) => Promise<void>): Promise<boolean> {
    const key = Symbol(client);
    const id = role === 'writer' ? this.#nextId : undefined;
    if (id !== undefined) this.#nextId += 1;
    const startedAtMs = performance.now();
    const waiting: Waiting = {
      client,
      startedAtMs,
      id,
      connectMs: undefined,
      during: 'connect',
      repeats: 0,
      member: undefined,
    };
    this.#underWay.set(key, waiting);
    const outcome = await this.#untilAnswered(waiting, work).then(
      () => ({ kind: 'served' }) as const,
      (error: unknown): Outcome => ({ kind: 'failed', error: errorName(error), during: waiting.during }),
    );
    // Otherwise it was given up, and is recorded already.
    if (this.#underWay.delete(key)) {
      const { connectMs, repeats, member } = waiting;
      const endedAtMs = performance.now();
      this.attempts.push({ client, startedAtMs, endedAtMs, id, connectMs, outcome, repeats, member });
    }
    return outcome.kind === 'served';
  }

  async #untilAnswered(waiting: Waiting, work: (waiting: Waiting) => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work(waiting);
      } catch (error) {
        const isCrossed = waiting.during === 'work' && CLOSED_IN_ORDER.has(errorName(error));
        if (!this.#repeats || !isCrossed || waiting.repeats === MAX_REPEATS) throw error;
        waiting.repeats += 1;
        waiting.during = 'connect';
      }
    }
  }

  async #work(connection: Connection, waiting: Waiting): Promise<void> {
    const { id } = waiting;
    if (id !== undefined) {
      await connection.query('INSERT INTO app.writes VALUES (?, @@server_id)', [id]);
      return;
    }
    const [[row]] = await connection.query<MemberRow[]>(
      'SELECT @@server_id AS member, COUNT(*) FROM app.writes WHERE id = 1',
    );
    waiting.member = row?.member;
  }

  async #connect(role: Role): Promise<Connection> {
    const connection = await createConnection(this.#login(role));
    this.#connections.add(connection);
    // The next piece of work finds out.
    connection.on('error', () => this.#closed.add(connection));
    return connection;
  }

  #forget(connection: Connection | null): void {
    if (connection === null) return;
    this.#connections.delete(connection);
    connection.destroy();
  }

  #createPool(role: Role, clients: number): Pool {
    const pool = createPool({ ...this.#login(role), connectionLimit: clients });
    this.#pools.push(pool);
    return pool;
  }

  #login(role: Role) {
    const { host, rw, ro } = this.#address;
    return { host, port: role === 'writer' ? rw : ro, ...ACCOUNTS.app, connectTimeout: CONNECT_TIMEOUT_MS };
  }
}

/** Lets Node tell of ends that have arrived already: from FIN to mysql2's error it takes a few turns of its loop. */
async function lookAround(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
}

type Role = 'writer' | 'reader';

type MemberRow = RowDataPacket & { readonly member: number };

type Waiting = {
  readonly client: string;
  readonly startedAtMs: number;
  readonly id: number | undefined;
  connectMs: number | undefined;
  during: 'connect' | 'work';
  repeats: number;
  member: number | undefined;
};

/** MySQL's error number, or Node's code where no server has answered. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('errno' in error && typeof error.errno === 'number' && error.errno > 0) return String(error.errno);
  return 'code' in error ? String(error.code) : error.message;
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}

/** A session that breaks while it is idle is found broken by the work that comes next. */
function tellNobody(): void {}

/** What mysql2 says of a FIN, and of a statement that it could not send any more because of it; of RST it says ECONNRESET. */
const CLOSED_IN_ORDER: ReadonlySet<string> = new Set(['PROTOCOL_CONNECTION_LOST', 'EPIPE']);
const MAX_REPEATS = 3;
/** The usual connect timeout of applications. */
const CONNECT_TIMEOUT_MS = 10_000;
