/** Clients that go on and on, and what became of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import type { Test } from 'tap';
import { connectTo, errorName, memberBehind } from './clients.ts';

/** One client that connected, asked which member it had reached, and left. */
export type Visit = {
  /** performance.now at its start. */
  readonly atMs: number;
  /** From its first SYN to the answer, or to the error. */
  readonly tookMs: number;
  readonly outcome:
    | { readonly kind: 'served'; readonly member: number }
    | { readonly kind: 'failed'; readonly error: string };
};

/** A new client every few milliseconds, whatever became of those before it. */
export class Visitors {
  readonly visits: Visit[] = [];
  readonly #port: number;
  readonly #options: ConnectionOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  private constructor(port: number, everyMs: number, options: ConnectionOptions) {
    this.#port = port;
    this.#options = options;
    this.#timer = setInterval(() => this.#send(), everyMs);
  }

  /** They stop coming at the end of `t` at the latest. */
  static start(t: Test, port: number, everyMs: number, options: ConnectionOptions = {}): Visitors {
    const visitors = new Visitors(port, everyMs, options);
    t.teardown(() => clearInterval(visitors.#timer));
    return visitors;
  }

  /** Sends no more, and returns when all have come back. */
  async stop(): Promise<readonly Visit[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return this.visits;
  }

  #send(): void {
    const visit = this.#visit();
    this.#underWay.add(visit);
    void visit.then(() => this.#underWay.delete(visit));
  }

  async #visit(): Promise<void> {
    const atMs = performance.now();
    const outcome = await memberBehind(this.#port, this.#options).then(
      (member) => ({ kind: 'served', member }) as const,
      (error: unknown) => ({ kind: 'failed', error: errorName(error) }) as const,
    );
    this.visits.push({ atMs, tookMs: performance.now() - atMs, outcome });
  }
}

export type ClientError = {
  readonly client: number;
  readonly atMs: number;
  readonly during: 'connect' | 'work';
  readonly error: string;
};

/** What a client does again and again. */
type Work = (connection: Connection, client: number) => Promise<void>;

/**
 * Clients that keep their session, do the same piece of work on it again and again, and connect anew after an error.
 * They are pessimists: a session that was closed between two pieces of work is an error to them all the same.
 */
export class SteadyClients {
  readonly errors: ClientError[] = [];
  readonly count: number;
  readonly #port: number;
  readonly #work: Work;
  readonly #connections = new Set<Connection>();
  readonly #loops: readonly Promise<void>[];
  #isStopping = false;

  private constructor(port: number, count: number, work: Work) {
    this.#port = port;
    this.count = count;
    this.#work = work;
    this.#loops = Array.from({ length: count }, (_, client) => this.#run(client));
  }

  /** They are torn off at the end of `t`, whatever they are waiting for; `stop` lets them finish. */
  static start(t: Test, port: number, count: number, work: Work): SteadyClients {
    const clients = new SteadyClients(port, count, work);
    t.teardown(() => {
      clients.#isStopping = true;
      for (const connection of clients.#connections) connection.destroy();
    });
    return clients;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  get errorNames(): readonly string[] {
    return this.errors.map(({ error }) => error);
  }

  /** Errors of the client that had most. */
  get mostErrorsOfOne(): number {
    const counts = Array.from({ length: this.count }, (_, client) =>
      this.errors.reduce((sum, error) => sum + (error.client === client ? 1 : 0), 0),
    );
    return Math.max(0, ...counts);
  }

  async #run(client: number): Promise<void> {
    let connection: Connection | null = null;
    while (!this.#isStopping) {
      const during = connection === null ? 'connect' : 'work';
      try {
        if (connection === null) connection = await this.#connect();
        else await this.#work(connection, client);
      } catch (error) {
        this.errors.push({ client, atMs: performance.now(), during, error: errorName(error) });
        if (connection !== null) this.#connections.delete(connection);
        connection?.destroy();
        connection = null;
      }
      await pause(PAUSE_MS);
    }
    await connection?.end();
  }

  async #connect(): Promise<Connection> {
    const connection = await connectTo(this.#port);
    this.#connections.add(connection);
    // The next piece of work finds out.
    connection.on('error', () => undefined);
    return connection;
  }
}

export type WrittenRow = { readonly id: number; readonly atMs: number };

/** Insert one row after the other into `app.writes`, which must be there: see {@link CREATE_WRITES}. */
export class Writers {
  /** Rows whose insert the server has confirmed. */
  readonly acknowledged: WrittenRow[] = [];
  readonly clients: SteadyClients;
  /** No id is used twice: the outcome of a write that failed is not known. */
  #nextId = Date.now() * 1000;

  private constructor(t: Test, port: number, count: number) {
    this.clients = SteadyClients.start(t, port, count, async (connection) => {
      const id = this.#nextId;
      this.#nextId += 1;
      await connection.query('INSERT INTO app.writes VALUES (?)', [id]);
      this.acknowledged.push({ id, atMs: performance.now() });
    });
  }

  static start(t: Test, port: number, count: number): Writers {
    return new Writers(t, port, count);
  }

  stop(): Promise<void> {
    return this.clients.stop();
  }

  /** The longest time between two acknowledged writes since `sinceMs`, whoever wrote. */
  longestGapMs(sinceMs: number): number {
    const times = [sinceMs, ...this.acknowledged.map(({ atMs }) => atMs).filter((atMs) => atMs >= sinceMs)];
    return Math.max(0, ...times.map((atMs, index) => atMs - (times[index - 1] ?? atMs)));
  }
}

/** E.g. "1290 ×3, ECONNRESET ×1"; "none" for none. */
export function countedByName(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ×${count}`).join(', ') || 'none';
}

export function failuresOf(visits: readonly Visit[]): readonly string[] {
  return visits.flatMap(({ outcome }) => (outcome.kind === 'failed' ? [outcome.error] : []));
}

/** Members that served these visits. */
export function membersOf(visits: readonly Visit[]): ReadonlySet<number> {
  return new Set(visits.flatMap(({ outcome }) => (outcome.kind === 'served' ? [outcome.member] : [])));
}

/** @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const CREATE_WRITES = 'CREATE TABLE app.writes (id BIGINT PRIMARY KEY)';
/** Two cores carry three servers, the router and these. */
const PAUSE_MS = 5;
