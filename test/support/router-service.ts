/** Routers behind one address, as a Service in Kubernetes has them: those that say they are ready get new connections. */
import { type Network, waitFor } from '../../src/sandbox/index.ts';
import type { RouterProcess } from './router-process.ts';

export class RouterService {
  readonly address: string;
  readonly #network: Network;
  readonly #add: (name: string) => Promise<RouterProcess>;
  readonly #running = new Set<RouterProcess>();
  readonly #ready = new Set<RouterProcess>();
  #serial = 1;
  #routed: Promise<void> = Promise.resolve();

  /** @param add starts one more router, on a host of its own, with the customary ports */
  constructor(network: Network, address: string, add: (name: string) => Promise<RouterProcess>) {
    this.#network = network;
    this.address = address;
    this.#add = add;
  }

  get routers(): readonly RouterProcess[] {
    return [...this.#running];
  }

  /** Returns when it is ready and gets connections. */
  async take(router: RouterProcess): Promise<void> {
    this.#running.add(router);
    await waitFor({ what: 'readiness', timeoutMs: 60_000, intervalMs: READY_EVERY_MS }, async () =>
      (await router.get('/readyz')).status === 200 ? true : undefined,
    );
    this.#ready.add(router);
    await this.#route();
  }

  async add(): Promise<void> {
    this.#serial += 1;
    await this.take(await this.#add(`router-${this.#serial}`));
  }

  /** SIGTERM. The Service learns of it at the same time as the pod. @returns its exit code */
  async remove(router: RouterProcess): Promise<number | null> {
    const stopped = router.stop();
    this.#ready.delete(router);
    const unready = waitFor({ what: 'unreadiness', timeoutMs: 5000, intervalMs: READY_EVERY_MS }, async () =>
      (await router.get('/readyz')).status === 503 ? true : undefined,
    );
    await Promise.all([unready, this.#route()]);
    const code = await stopped;
    this.#running.delete(router);
    return code;
  }

  /** A rolling update: each router that runs now is replaced by a new one. */
  async roll(): Promise<void> {
    for (const old of this.routers) {
      await this.add();
      await this.remove(old);
    }
  }

  /** One change after the other: two routers may go at the same time. */
  #route(): Promise<void> {
    this.#routed = this.#routed.then(() => {
      const hosts = [...this.#ready].map(({ host }) => host);
      return this.#network.setService(this.address, [6446, 6447], hosts);
    });
    return this.#routed;
  }
}

const READY_EVERY_MS = 100;
