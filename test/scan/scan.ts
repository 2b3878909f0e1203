/** A scan of all of a router's ports, and what its clients and its operator see of it. */
import type { Connection } from 'mysql2/promise';
import { Random } from '../fuzz/random.ts';
import { connectTo } from '../support/clients.ts';
import { crawl, STRANGERS, visit } from './strangers.ts';

export type ScanOptions = {
  readonly ports: readonly number[];
  readonly tries: number;
  /** Strangers at once. */
  readonly concurrency: number;
  /** Clients at once that send a byte now and then. */
  readonly crawlers: number;
  readonly seed: number;
};

/** Every stranger at every port in turn. @returns how long it took */
export async function scan(options: ScanOptions): Promise<number> {
  const { ports, tries, concurrency, crawlers, seed } = options;
  const startedAtMs = performance.now();
  let next = 0;
  let isOver = false;
  const worker = async (index: number): Promise<void> => {
    const random = new Random(seed + index);
    for (let turn = next++; turn < tries; turn = next++) {
      const stranger = STRANGERS[turn % STRANGERS.length];
      const port = ports[Math.floor(turn / STRANGERS.length) % ports.length];
      if (stranger !== undefined && port !== undefined) await visit(port, stranger, random);
    }
  };
  const crawler = async (index: number): Promise<void> => {
    const port = ports[index % ports.length];
    while (!isOver && port !== undefined) await crawl(port, 100);
  };
  const crawling = Array.from({ length: crawlers }, (_, index) => crawler(index));
  await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index)));
  isOver = true;
  const tookMs = performance.now() - startedAtMs;
  await Promise.all(crawling);
  return tookMs;
}

/** What applications notice: the time of queries on an open session, and of whole visits, in milliseconds. */
export class Applications {
  readonly queriesMs: number[] = [];
  readonly visitsMs: number[] = [];
  readonly errors: string[] = [];
  readonly #port: number;
  #isOver = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(port: number) {
    this.#port = port;
  }

  async start(): Promise<void> {
    const connection = await connectTo(this.#port);
    this.#running = Promise.all([this.#query(connection), this.#comeAndGo()]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Forgets the times so far. */
  reset(): void {
    this.queriesMs.length = 0;
    this.visitsMs.length = 0;
  }

  async #query(connection: Connection): Promise<void> {
    while (!this.#isOver) {
      const startedAtMs = performance.now();
      try {
        await connection.query('SELECT 1');
        this.queriesMs.push(performance.now() - startedAtMs);
      } catch (error) {
        this.errors.push(String(error));
        return;
      }
      await pause(5);
    }
    await connection.end();
  }

  async #comeAndGo(): Promise<void> {
    while (!this.#isOver) {
      const startedAtMs = performance.now();
      try {
        const connection = await connectTo(this.#port);
        await connection.query('SELECT 1');
        await connection.end();
        this.visitsMs.push(performance.now() - startedAtMs);
      } catch (error) {
        this.errors.push(String(error));
      }
      await pause(20);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
