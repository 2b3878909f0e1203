/**
 * The routes of the program, and what became of their listeners in all data threads.
 */
import type { Listen, RouteConfig } from '../config/config.ts';
import { MAX_ROUTES } from '../shared/counters.ts';
import type { BoundRoute } from '../shared/messages.ts';

export type RouteStatus = BoundRoute & {
  /** The port it really has; null while it is not bound. */
  readonly port: number | null;
  readonly isListening: boolean;
  /** Why it is not listening; empty when it is, or when nothing is wrong yet. */
  readonly problem: string;
};

export class RouteTable {
  #entries: Map<string, Entry>;
  /** Answers of listeners that are still to come, by thread. */
  readonly #awaited = new Map<number, number>();
  #waiters: ((failure: Error | null) => void)[] = [];
  #failure: Error | null = null;

  constructor(routes: readonly RouteConfig[]) {
    this.#entries = new Map(routes.map((route, index) => [route.name, createEntry(route, index)]));
  }

  /** Takes over a changed list; a route that keeps its name keeps its counters. */
  replace(routes: readonly RouteConfig[], threads: readonly number[]): void {
    const taken = new Set(routes.flatMap(({ name }) => this.#entries.get(name)?.bound.index ?? []));
    const free = Array.from({ length: MAX_ROUTES }, (_, index) => index).filter((index) => !taken.has(index));
    const before = this.#entries;
    this.#entries = new Map(
      routes.map((route) => {
        const old = before.get(route.name);
        const entry = createEntry(route, old?.bound.index ?? free.shift() ?? MAX_ROUTES - 1);
        const isSame =
          old?.configured.host === route.listen.host && old.configured.port === route.listen.port;
        if (old !== undefined && isSame)
          entry.bound = { ...route, index: old.bound.index, listen: old.bound.listen };
        return [route.name, entry];
      }),
    );
    this.expect(threads);
  }

  /** Whether some route is configured to listen there already. */
  hasListen(listen: Listen): boolean {
    const isSame = ({ configured }: Entry) =>
      configured.host === listen.host && configured.port === listen.port;
    return [...this.#entries.values()].some(isSame);
  }

  /** These threads will now say what became of each route. */
  expect(threads: readonly number[]): void {
    if (this.#awaited.size === 0) this.#failure = null;
    for (const thread of threads) this.#awaited.set(thread, this.#entries.size);
    this.#settle();
  }

  /** Resolves when all that is awaited has been said, with the first failure or null. */
  settled(): Promise<Error | null> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#settle();
    });
  }

  /** The thread says no more; nobody else is affected. */
  gone(thread: number, error: Error): void {
    if (!this.#awaited.delete(thread)) return;
    this.#failure ??= error;
    this.#settle();
  }

  listening(thread: number, name: string, port: number): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      entry.port = port;
      entry.problem = '';
      // Threads that start later bind what port 0 has become.
      entry.bound = { ...entry.bound, listen: { ...entry.bound.listen, port } };
    }
    this.#heard(thread);
  }

  failed(thread: number, name: string, error: Error): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      entry.port = null;
      entry.problem = error.message;
    }
    this.#failure ??= error;
    this.#heard(thread);
  }

  bound(): readonly BoundRoute[] {
    return [...this.#entries.values()].map((entry) => entry.bound);
  }

  addressOf(name: string): string {
    const listen = this.#entries.get(name)?.bound.listen;
    return listen === undefined ? name : `${listen.host}:${listen.port}`;
  }

  status(): readonly RouteStatus[] {
    return [...this.#entries.values()].map(({ bound, port, problem }) => ({
      ...bound,
      port,
      isListening: port !== null,
      problem,
    }));
  }

  #heard(thread: number): void {
    const left = (this.#awaited.get(thread) ?? 0) - 1;
    if (left > 0) this.#awaited.set(thread, left);
    else this.#awaited.delete(thread);
    this.#settle();
  }

  #settle(): void {
    if (this.#awaited.size > 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve(this.#failure);
  }
}

type Entry = {
  /** As the operator wrote it. */
  readonly configured: { readonly host: string; readonly port: number };
  bound: BoundRoute;
  port: number | null;
  problem: string;
};

function createEntry(route: RouteConfig, index: number): Entry {
  return { configured: route.listen, bound: { ...route, index }, port: null, problem: '' };
}
