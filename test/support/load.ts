/** Clients that go on and on, and what became of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
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

  static start(port: number, everyMs: number, options: ConnectionOptions = {}): Visitors {
    return new Visitors(port, everyMs, options);
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

export type WriteError = {
  readonly writer: number;
  readonly atMs: number;
  readonly during: 'connect' | 'write';
  readonly error: string;
};

export type WrittenRow = { readonly id: number; readonly atMs: number };

/**
 * Writers that keep their session, insert one row after the other into `app.writes`, and connect anew after an error.
 * They are pessimists: a session that was closed between two writes is an error to them all the same.
 */
export class Writers {
  readonly acknowledged: WrittenRow[] = [];
  readonly errors: WriteError[] = [];
  readonly count: number;
  readonly #port: number;
  readonly #loops: readonly Promise<void>[];
  #isStopping = false;

  private constructor(port: number, count: number) {
    this.#port = port;
    this.count = count;
    this.#loops = Array.from({ length: count }, (_, writer) => this.#run(writer));
  }

  /** Starts `count` of them; `app.writes` must be there, see {@link CREATE_WRITES}. */
  static start(port: number, count: number): Writers {
    return new Writers(port, count);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  /** The longest time between two acknowledged writes since `sinceMs`, whoever wrote. */
  longestGapMs(sinceMs: number): number {
    const times = [sinceMs, ...this.acknowledged.map(({ atMs }) => atMs).filter((atMs) => atMs >= sinceMs)];
    return Math.max(0, ...times.map((atMs, index) => atMs - (times[index - 1] ?? atMs)));
  }

  /** Of the writer that had most. */
  get mostErrorsOfOne(): number {
    const counts = Array.from({ length: this.count }, (_, writer) => writer).map(
      (writer) => this.errors.filter((error) => error.writer === writer).length,
    );
    return Math.max(0, ...counts);
  }

  async #run(writer: number): Promise<void> {
    let connection: Connection | null = null;
    for (let written = 1; !this.#isStopping; written += 1) {
      const id = writer * IDS_OF_ONE + written;
      const during = connection === null ? 'connect' : 'write';
      try {
        connection ??= await connectToWrite(this.#port);
        if (during === 'connect') continue;
        await connection.query('INSERT INTO app.writes VALUES (?)', [id]);
        this.acknowledged.push({ id, atMs: performance.now() });
      } catch (error) {
        this.errors.push({ writer, atMs: performance.now(), during, error: errorName(error) });
        connection?.destroy();
        connection = null;
      }
      await pause(PAUSE_MS);
    }
    await connection?.end();
  }
}

async function connectToWrite(port: number): Promise<Connection> {
  const connection = await connectTo(port);
  // The next write finds out.
  connection.on('error', () => undefined);
  return connection;
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
const IDS_OF_ONE = 1_000_000;
/** Two cores carry three servers, the router and these. */
const PAUSE_MS = 5;
