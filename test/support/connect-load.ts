/** Clients that come at a steady rate, each to log in, ask once and leave; whoever does not get through is kept with the reason. */
import { RawClient } from './raw-client.ts';
import { until } from './until.ts';

export class ConnectLoad {
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;
  #inFlight = 0;
  #succeeded = 0;
  readonly failures: string[] = [];

  /** Starts at once. */
  constructor(port: number, connectsPerSecond: number) {
    this.#port = port;
    const startedAtMs = performance.now();
    let started = 0;
    // By the clock, not by the tick: a busy machine makes some of them late. One that is too busy to serve the rate gets
    // fewer, or its queues would be what is measured.
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedAtMs) * connectsPerSecond) / 1000;
      for (; started < due; started++) if (this.#inFlight < MAX_IN_FLIGHT) void this.#comeAndGo();
    }, TICK_MS);
  }

  get succeeded(): number {
    return this.#succeeded;
  }

  /** No further clients; returns when the last has left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await until('the last client to leave', () => this.#inFlight === 0, DEADLINE_MS);
  }

  async #comeAndGo(): Promise<void> {
    this.#inFlight++;
    let step = 'connect';
    try {
      const client = await RawClient.connect(this.#port);
      step = 'log in';
      await client.authenticate();
      step = 'ask';
      const answer = await client.command(COM_PING);
      if (answer === null) throw new Error(`the connection ended: ${client.end}`);
      client.send(0, Buffer.of(COM_QUIT));
      client.finish();
      this.#succeeded++;
    } catch (error) {
      this.failures.push(`${step}: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.#inFlight--;
    }
  }
}

const TICK_MS = 2;
const MAX_IN_FLIGHT = 100;
const DEADLINE_MS = 20_000;
const COM_QUIT = 1;
const COM_PING = 14;
