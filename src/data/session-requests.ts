/**
 * Questions to the data threads about their open sessions, and the answers that come back as messages.
 */
import type { Worker } from 'node:worker_threads';
import type { SessionFacts, ToDataThread } from '../shared/messages.ts';

export class SessionRequests {
  #nextId = 1;
  readonly #pending = new Map<number, (sessions: readonly SessionFacts[]) => void>();

  /** At most `limit` over all threads, each thread having its share. */
  async ask(workers: readonly Worker[], limit: number): Promise<readonly SessionFacts[]> {
    const share = Math.ceil(limit / Math.max(1, workers.length));
    const answers = await Promise.all(workers.map((worker) => this.#askOne(worker, share)));
    return answers.flat().slice(0, limit);
  }

  answered(requestId: number, sessions: readonly SessionFacts[]): void {
    this.#pending.get(requestId)?.(sessions);
  }

  #askOne(worker: Worker, limit: number): Promise<readonly SessionFacts[]> {
    const requestId = this.#nextId++;
    return new Promise((resolve) => {
      const answer = (sessions: readonly SessionFacts[]) => {
        clearTimeout(timer);
        this.#pending.delete(requestId);
        resolve(sessions);
      };
      // A thread that is too busy to answer is left out: the list is for looking at, not for counting.
      const timer = setTimeout(() => answer([]), DEADLINE_MS);
      this.#pending.set(requestId, answer);
      const message: ToDataThread = { kind: 'list-sessions', requestId, limit };
      worker.postMessage(message);
    });
  }
}

const DEADLINE_MS = 400;
