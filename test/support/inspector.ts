/** Looks into a running router by V8's inspector: the heaps of all its threads after a collection, and what they hold open. */
import { z } from 'zod';
import type { RouterProcess } from './router-process.ts';

/** One thread, right after a full collection. Bytes. */
export type ThreadFootprint = {
  readonly thread: 'main' | 'data';
  readonly heapUsed: number;
  /** Buffers and what native objects have told V8 of. */
  readonly external: number;
  /** By kind, as `process.getActiveResourcesInfo()` names them. */
  readonly resources: Readonly<Record<string, number>>;
};

const resultSchema = z.looseObject({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.looseObject({ sessionId: z.string().optional(), message: z.string().optional() }).optional(),
  result: z.looseObject({ result: z.looseObject({ value: z.unknown() }).optional() }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});
type Message = z.output<typeof resultSchema>;

const footprintSchema = z.object({
  heapUsed: z.number(),
  external: z.number(),
  resources: z.record(z.string(), z.number()),
});

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, (message: Message) => void>();
  /** Of the data threads. */
  readonly #workers: string[] = [];
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#receive(String(data)));
  }

  /** The router was started with the environment of `INSPECTED`. */
  static async connect(router: RouterProcess): Promise<Inspector> {
    const url = /ws:\/\/\S+/.exec(router.output)?.[0];
    if (url === undefined) throw new Error('the router was not started for inspection');
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true });
      socket.addEventListener('error', reject, { once: true });
    });
    const inspector = new Inspector(socket);
    await inspector.#ask(null, 'NodeWorker.enable', { waitForDebuggerOnStart: false });
    return inspector;
  }

  /** The main thread first. */
  async footprint(): Promise<readonly ThreadFootprint[]> {
    const footprints: ThreadFootprint[] = [];
    for (const worker of [null, ...this.#workers]) {
      // What the first collection finalizes, the second frees.
      for (let turn = 0; turn < 2; turn += 1) await this.#ask(worker, 'HeapProfiler.collectGarbage', {});
      const { result } = await this.#ask(worker, 'Runtime.evaluate', {
        expression: EXPRESSION,
        returnByValue: true,
      });
      const footprint = footprintSchema.parse(result?.result?.value);
      footprints.push({ thread: worker === null ? 'main' : 'data', ...footprint });
    }
    return footprints;
  }

  close(): void {
    this.#socket.close();
  }

  /** In the main thread, or in a worker by way of it. */
  #ask(worker: string | null, method: string, params: object): Promise<Message> {
    const id = this.#nextId++;
    const answer = new Promise<Message>((resolve, reject) => {
      this.#waiting.set(`${worker ?? ''} ${id}`, (message) => {
        if (message.error === undefined) resolve(message);
        else reject(new Error(`${method}: ${message.error.message}`));
      });
    });
    const message = JSON.stringify({ id, method, params });
    if (worker === null) this.#socket.send(message);
    else {
      const forwarded = { sessionId: worker, message };
      this.#socket.send(
        JSON.stringify({ id: this.#nextId++, method: 'NodeWorker.sendMessageToWorker', params: forwarded }),
      );
    }
    return answer;
  }

  #receive(text: string): void {
    const message = resultSchema.parse(JSON.parse(text));
    const { sessionId = '', message: inner } = message.params ?? {};
    if (message.method === 'NodeWorker.attachedToWorker') this.#workers.push(sessionId);
    else if (message.method === 'NodeWorker.receivedMessageFromWorker' && inner !== undefined)
      this.#answered(sessionId, resultSchema.parse(JSON.parse(inner)));
    else this.#answered('', message);
  }

  #answered(worker: string, message: Message): void {
    const key = `${worker} ${message.id}`;
    this.#waiting.get(key)?.(message);
    this.#waiting.delete(key);
  }
}

/** Environment for a router that is to be looked into. Any port: several may run on a machine. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' } as const;

const EXPRESSION = `(() => {
  const { heapUsed, external } = process.memoryUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapUsed, external, resources };
})()`;
