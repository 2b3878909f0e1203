/** Visitors of the site: so many at once, each a page after the other, and what they saw. */
import { setTimeout as pause } from 'node:timers/promises';

export type Visit = {
  /** performance.now when it was asked for. */
  readonly atMs: number;
  readonly tookMs: number;
  /** What stood there instead of the page; empty when the page did. */
  readonly error: string;
};

export type VisitorOptions = {
  /** How many there are. No more pages than that are ever asked for at once. */
  readonly visitors: number;
  /** Time between two pages of all of them together, while pages come in time. */
  readonly everyMs: number;
  /** Pages they look at, in turn, and what each must contain. */
  readonly pages: readonly { readonly url: string; readonly contains: string }[];
};

export class Visitors {
  readonly visits: Visit[] = [];
  /** performance.now when each page was asked for that is still waited for. */
  readonly #askedAtMs = new Map<number, number>();
  readonly #loops: readonly Promise<void>[];
  #isStopping = false;

  constructor(options: VisitorOptions) {
    this.#loops = Array.from({ length: options.visitors }, (_, visitor) => this.#visitAll(options, visitor));
  }

  /** Whether everything that was asked for before has come, and `pages` pages or more since `sinceMs`. */
  haveSeen(sinceMs: number, beforeMs: number, pages: number): boolean {
    const seen = this.visits.filter(({ atMs, tookMs }) => atMs + tookMs >= sinceMs).length;
    return seen >= pages && [...this.#askedAtMs.values()].every((askedAtMs) => askedAtMs > beforeMs);
  }

  /** Returns when all have got their last page. */
  async stop(): Promise<readonly Visit[]> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    return this.visits;
  }

  async #visitAll({ visitors, everyMs, pages }: VisitorOptions, visitor: number): Promise<void> {
    const turnMs = visitors * everyMs;
    await pause(visitor * everyMs);
    for (let round = visitor; !this.#isStopping; round++) {
      const page = pages[round % pages.length];
      if (page === undefined) return;
      this.#askedAtMs.set(visitor, performance.now());
      const visit = await askFor(page);
      this.#askedAtMs.delete(visitor);
      this.visits.push(visit);
      await pause(Math.max(0, turnMs - visit.tookMs));
    }
  }
}

/**
 * As many visitors come at the same moment, for a page each.
 *
 * @returns how long the last one waited for it
 */
export async function crowdMs({ visitors, pages }: VisitorOptions): Promise<number> {
  const visits = Array.from({ length: visitors }, async (_, visitor) => {
    const page = pages[visitor % pages.length];
    return page === undefined ? 0 : (await askFor(page)).tookMs;
  });
  return Math.max(...(await Promise.all(visits)));
}

async function askFor({ url, contains }: VisitorOptions['pages'][number]): Promise<Visit> {
  const atMs = performance.now();
  const error = await errorOf(url, contains);
  return { atMs, tookMs: performance.now() - atMs, error };
}

async function errorOf(url: string, contains: string): Promise<string> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: { connection: 'close' },
    });
    const text = await response.text();
    if (response.status === 200 && text.includes(contains)) return '';
    // WordPress's own error pages have one paragraph or one heading.
    const said = /<(?:h1|p)[^>]*>([^<]+)/.exec(text)?.[1] ?? `something else than "${contains}"`;
    return `${response.status} ${said.trim()}`;
  } catch (error) {
    return error instanceof Error ? `${error.message} (${String(error.cause ?? '')})` : String(error);
  }
}

/** Longer than anything that may happen: nobody gives up here before the router does. */
const PATIENCE_MS = 90_000;
