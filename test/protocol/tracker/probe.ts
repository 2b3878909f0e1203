import type { Test } from 'tap';
import { COM_PING } from '../../../protocol/commands.ts';
import { waitFor } from '../../../src/sandbox/index.ts';
import { type Lab, RAW_ACCOUNT } from './lab.ts';
import { command, RawClient } from './raw-client.ts';
import type { TrackedSession } from './tracked-relay.ts';

/** A raw client, and what the tracker told of each of its exchanges. */
export class Probe {
  readonly client: RawClient;
  readonly session: TrackedSession;
  readonly #t: Test;

  private constructor(t: Test, client: RawClient, session: TrackedSession) {
    this.#t = t;
    this.client = client;
    this.session = session;
  }

  static async open(t: Test, { relay }: Lab, flags: number): Promise<Probe> {
    const client = await RawClient.connect(relay.port, RAW_ACCOUNT.user, flags);
    return new Probe(t, client, await relay.latestSession());
  }

  /**
   * Sends packets, waits until the tracker calls the session idle, and compares what it told. Then a COM_PING
   * proves that the answer was over: nothing comes between it and its OK.
   */
  async expect(name: string, packets: readonly Uint8Array[], expected: readonly string[]): Promise<void> {
    const { log } = this.session.recorder;
    const from = log.length;
    this.client.send(...packets);
    await this.settle(from + 1, name);
    const told = log.slice(from).filter((line) => !line.startsWith('first '));
    this.#t.same(
      told.map((line) => line.replace(/ bytes=\d+/, '').replace(' left=0', '')),
      expected,
      name,
    );
    await this.ping(name);
  }

  async ping(name: string): Promise<void> {
    const { recorder } = this.session;
    this.client.takeReceived();
    const from = recorder.log.length;
    this.client.send(command(COM_PING));
    await this.settle(from + 3, `COM_PING after ${name}`);
    const answer = this.client.takeReceived();
    this.#t.equal(
      answer.toString('hex', 0, 7),
      '07000001000000',
      `${name}: nothing but an OK comes after it`,
    );
    this.#t.equal(answer.length, 11);
  }

  /** Waits until at least `lines` were told, the session is idle (or opaque), and the client has got every byte. */
  async settle(lines: number, what: string): Promise<void> {
    const { recorder } = this.session;
    await waitFor({ what, timeoutMs: 20_000, intervalMs: 1 }, async () => {
      const isSettled =
        recorder.log.length >= lines && (recorder.tracker.isIdle || recorder.tracker.isOpaque);
      return isSettled && this.client.receivedBytes === this.session.serverBytes ? true : undefined;
    });
  }

  /** Waits until the server has closed the connection. */
  async ended(): Promise<void> {
    await waitFor({ what: 'the server to close', timeoutMs: 20_000, intervalMs: 5 }, async () =>
      this.client.isEnded ? true : undefined,
    );
  }
}
