/**
 * Follows the objects of one kind: lists them, then watches what changes, and begins anew when the thread is lost.
 *
 * A watch may end, break, fall silent without an end, or say that it can no longer tell what happened since (410 Gone).
 * None of that changes what is known: objects leave by an event or by a complete list that no longer has them.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { type Backoff, createBackoff } from '../../pace.ts';
import { ApiFailure, type openAnswer, readJson, readJsonLines, toApiFailure } from './api-request.ts';
import { type ApiObject, parseBookmark, parseEvent, parseList, parseStatus } from './objects.ts';

export type ListWatchTimes = {
  /** For the head of an answer, and for a complete list. */
  readonly answerMs: number;
  /** A watch without a byte for so long is given up; the API sends a bookmark about every minute. */
  readonly stallMs: number;
  /** How long the API is asked to keep a watch open; up to a quarter more, so that not all routers come back at once. */
  readonly watchMs: number;
  /** A watch that ends sooner was none, and the next one waits: nothing that ends them all is stormed. */
  readonly shortMs: number;
  /** A complete list is made at least so often, in case an event was lost. */
  readonly relistMs: number;
};

export const LIST_WATCH_TIMES: ListWatchTimes = {
  answerMs: 15_000,
  stallMs: 120_000,
  watchMs: 240_000,
  shortMs: 1000,
  relistMs: 600_000,
};

export type ListWatchOptions<T extends ApiObject> = {
  readonly times: ListWatchTimes;
  /** Opens a GET of the collection with these parameters. @throws ApiFailure */
  open(parameters: Readonly<Record<string, string>>, signal: AbortSignal): ReturnType<typeof openAnswer>;
  /** @throws ZodError */
  parse(object: unknown): T;
  readonly now: () => number;
  readonly random: () => number;
  /** Called with all objects after a complete list and after every change. */
  onObjects(objects: readonly T[]): void;
  /** Called when nothing can be learnt now; the objects stay. The next `onObjects` is the end of it. */
  onFailure(failure: ApiFailure): void;
};

export class ListWatch<T extends ApiObject> {
  readonly #options: ListWatchOptions<T>;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #watching: AbortController | null = null;
  #objects = new Map<string, T>();
  #resourceVersion = '';
  #listedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#backoff = createBackoff({ firstMs: 500, maxMs: 30_000 }, options.random);
    void this.#run();
  }

  /** Lists anew, unless it has just done so. */
  refresh(): void {
    if (this.#options.now() - this.#listedAtMs < REFRESH_GAP_MS) return;
    this.#watching?.abort();
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let waitMs = 0;
      try {
        await this.#list(signal);
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        const failure = error instanceof z.ZodError ? badAnswer(error) : toApiFailure(error);
        waitMs = Math.max(this.#backoff.nextMs(), Math.min(failure.retryAfterMs, MAX_RETRY_AFTER_MS));
        this.#options.onFailure(failure);
      }
      await this.#pause(waitMs);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { open, parse, times } = this.#options;
    const objects = new Map<string, T>();
    let next = '';
    do {
      const answer = await open({ limit: '500', ...(next === '' ? {} : { continue: next }) }, signal);
      const list = parseList(await readJson(answer, times.answerMs));
      for (const item of list.items ?? []) {
        const object = parse(item);
        objects.set(object.metadata.name, object);
      }
      this.#resourceVersion = list.metadata.resourceVersion;
      next = list.metadata.continue ?? '';
    } while (next !== '');
    this.#objects = objects;
    this.#listedAtMs = this.#options.now();
    this.#tell();
  }

  /** Watches again and again, until it is time for another list. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { now, times } = this.#options;
    while (!signal.aborted && now() - this.#listedAtMs < times.relistMs) {
      const startedAtMs = now();
      const end = await this.#watch(signal);
      const wasShort = now() - startedAtMs < times.shortMs;
      if (!wasShort) this.#backoff.reset();
      else await this.#pause(this.#backoff.nextMs());
      if (end === 'lost') return;
    }
  }

  /** @returns `ended` when the next watch can go on from here, `lost` when only a list helps. @throws ApiFailure */
  async #watch(signal: AbortSignal): Promise<'ended' | 'lost'> {
    const { open, times, random } = this.#options;
    const watching = new AbortController();
    this.#watching = watching;
    const seconds = Math.max(1, Math.round((times.watchMs * (1 + random() / 4)) / 1000));
    let answer: IncomingMessage | null = null;
    try {
      answer = await open(
        {
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: this.#resourceVersion,
          timeoutSeconds: String(seconds),
        },
        AbortSignal.any([signal, watching.signal]),
      );
      return await this.#read(answer);
    } catch (error) {
      if (watching.signal.aborted) return 'lost';
      const failure = error instanceof z.ZodError ? badAnswer(error) : toApiFailure(error);
      if (failure.code === 'http_410') return 'lost';
      // A stream that broke can be taken up again where it was; whether the API is there, the next question shows.
      if (answer !== null && !isLasting(failure)) return 'ended';
      throw failure;
    } finally {
      answer?.destroy();
      this.#watching = null;
    }
  }

  async #read(answer: IncomingMessage): Promise<'ended' | 'lost'> {
    const { stallMs } = this.#options.times;
    const stall = setTimeout(() => {
      answer.destroy(new ApiFailure('stalled', `the watch was silent for ${stallMs} ms`));
    }, stallMs);
    try {
      for await (const line of readJsonLines(answer, () => stall.refresh())) {
        const event = parseEvent(line);
        if (event.type === 'ERROR') {
          const { code, message } = parseStatus(event.object);
          if (code === HTTP_GONE) return 'lost';
          throw new ApiFailure(`watch_${code}`, message);
        }
        this.#apply(event.type, event.object);
      }
      return 'ended';
    } finally {
      clearTimeout(stall);
    }
  }

  #apply(type: string, object: unknown): void {
    if (type === 'BOOKMARK') {
      this.#resourceVersion = parseBookmark(object);
      return;
    }
    const changed = this.#options.parse(object);
    const { name, resourceVersion } = changed.metadata;
    this.#resourceVersion = resourceVersion;
    if (type === 'DELETED') this.#objects.delete(name);
    else this.#objects.set(name, changed);
    this.#tell();
  }

  #tell(): void {
    this.#options.onObjects([...this.#objects.values()]);
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    await pause(ms, undefined, { signal, ref: false }).catch((error: unknown) => {
      // Closing ends the wait, and the loop after it.
      if (!signal.aborted) throw error;
    });
  }
}

/** Whether a new watch from the same place would run into it again. */
function isLasting({ code }: ApiFailure): boolean {
  return code === 'bad_answer' || code === 'stalled' || code.startsWith('watch_');
}

function badAnswer(error: z.ZodError): ApiFailure {
  return new ApiFailure('bad_answer', z.prettifyError(error));
}

const HTTP_GONE = 410;
const REFRESH_GAP_MS = 10_000;
const MAX_RETRY_AFTER_MS = 60_000;
