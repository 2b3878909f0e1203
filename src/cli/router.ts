/**
 * The router as a whole: control plane, data plane and admin server of one process, from their start to their end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { EMPTY_TOPOLOGY, type Topology } from '../../routing/topology.ts';
import type { AdminServer } from '../admin/server.ts';
import type { AdminSources, DrainFacts } from '../admin/sources.ts';
import type { Config, Listen } from '../config/config.ts';
import { type ConfigSources, reloadConfig } from '../config/load.ts';
import { describeProblems } from '../config/problems.ts';
import type { ControlPlane } from '../control/control-plane.ts';
import { DataPlane } from '../data/data-plane.ts';
import type { EventLog } from '../shared/events.ts';
import { messageOf } from '../shared/message-of.ts';
import type { ProgramLog } from './logger.ts';
import { HAND_OVER_SIGNAL, type Orders } from './orders.ts';
import { createPasswordWatch, type PasswordWatch } from './password-watch.ts';
import { identityOf } from './process-identity.ts';
import { type Predecessor, replace, untilAbleToRoute } from './takeover.ts';
import { programVersion } from './version.ts';

export type RouterStart = {
  readonly config: Config;
  readonly sources: ConfigSources;
  /** Of the monitoring account; null when its password came from no file. */
  readonly passwordFile: string | null;
  readonly logger: ProgramLog;
  readonly events: EventLog;
  readonly orders: Orders;
  /** Whose place to take; null when there is nobody. */
  readonly predecessor: Predecessor | null;
};

/** `stuck`: a data thread is in a call that nothing interrupts, and the process cannot end in order. */
export type RouterEnd = { readonly kind: 'stopped' | 'stuck' };

export class Router {
  readonly #sources: ConfigSources;
  readonly #logger: ProgramLog;
  readonly #events: EventLog;
  readonly #orders: Orders;
  readonly #passwordWatch: PasswordWatch;
  readonly #startedAtMs = Date.now();
  readonly #reloads = { accepted: 0, rejected: 0, lastAcceptedAtMs: Date.now() };
  #config: Config;
  #dataPlane: DataPlane | null = null;
  #controlPlane: ControlPlane | null = null;
  #admin: AdminServer | null = null;
  #drain: DrainFacts | null = null;
  #reloading: 'no' | 'now' | 'again' = 'no';

  private constructor({ config, sources, passwordFile, logger, events, orders }: RouterStart) {
    this.#config = config;
    this.#sources = sources;
    this.#logger = logger;
    this.#events = events;
    this.#orders = orders;
    this.#passwordWatch = createPasswordWatch(events, (password) => this.#adoptPassword(password));
    this.#passwordWatch.follow(passwordFile, config.cluster.password);
  }

  /**
   * Starts everything and returns when it serves.
   *
   * @throws Error when that is not possible; then nothing is left, and a predecessor that was not yet asked to hand over
   *   goes on as before
   */
  static async start(start: RouterStart): Promise<Router> {
    const { config, events } = start;
    events.record('info', 'starting', `Fairlead ${programVersion()} starts`, {
      version: programVersion(),
      node: process.version,
      pid: process.pid,
      threads: config.threads,
    });
    const router = new Router(start);
    try {
      if (start.predecessor === null) await router.#startAlone();
      else await router.#startBeside(start.predecessor);
    } catch (error) {
      router.#passwordWatch.close();
      router.#controlPlane?.close();
      await router.#dataPlane?.close();
      await router.#admin?.close();
      throw error;
    }
    return router;
  }

  /** Ports first: what cannot be had ends the start before any member was asked anything. */
  async #startAlone(): Promise<void> {
    // The data threads start meanwhile.
    const [dataPlane] = await Promise.all([this.#startDataPlane([]), loadAdminServer(), loadControlPlane()]);
    this.#admin = await this.#startAdmin(dataPlane).catch((error: unknown) => {
      throw new Error(`the admin server cannot listen: ${messageOf(error)}`);
    });
    await this.#startControlPlane();
    this.#announce(dataPlane, this.#admin.address());
  }

  /** Members first: who comes to the shared ports from then on may come to this router. */
  async #startBeside(predecessor: Predecessor): Promise<void> {
    const { pid } = predecessor;
    this.#events.record('info', 'taking_over', `Taking the place of process ${pid}`, { predecessor: pid });
    await this.#startControlPlane();
    await untilAbleToRoute(predecessor, this.#config, () => this.#topology(), this.#orders);
    const dataPlane = await this.#startDataPlane(predecessor.listens);
    try {
      this.#admin = await replace(predecessor, () => this.#startAdmin(dataPlane));
    } catch (error) {
      // Clients may have come already.
      await dataPlane.drain(0, this.#config.drain.timeoutMs);
      throw error;
    }
    this.#announce(dataPlane, this.#admin.address());
    this.#events.record(
      'info',
      'took_over',
      `Took the place of process ${pid}, which ends its sessions now`,
      {
        predecessor: pid,
      },
    );
  }

  /** Resolves once it was asked to stop or to hand over, and all sessions are gone, or their time is up. */
  async untilStopped(): Promise<RouterEnd> {
    const { stop, stopAtOnce, handOver } = this.#orders;
    void handOver.then(() => this.#handOver());
    const signal = await Promise.race([stop, handOver.then(() => HAND_OVER_SIGNAL)]);
    const { delayMs, timeoutMs } = this.#config.drain;
    const acceptingMs = signal === HAND_OVER_SIGNAL ? 0 : delayMs;
    this.#drain = { startedAtMs: Date.now(), endsAtMs: Date.now() + timeoutMs };
    this.#events.record(
      'info',
      'draining',
      `${signal}: no longer ready; sessions end within ${timeoutMs} ms`,
      { signal, still_accepting_ms: acceptingMs, timeout_ms: timeoutMs },
    );
    const hurry = stopAtOnce.then((again) => {
      this.#events.record('warn', 'stopped_at_once', `${again} again: stopping at once`, { signal: again });
    });
    // Threads keep the time themselves; one that hangs does not.
    const late = delay(timeoutMs + OVERDUE_MS, undefined, { ref: false });
    await Promise.race([this.#dataPlane?.drain(acceptingMs, timeoutMs), hurry, late]);
    this.#passwordWatch.close();
    const controlPlane = this.#controlPlane;
    // A reload that is under way, or a password that is being read, is not to bring it back to life.
    this.#controlPlane = null;
    controlPlane?.close();
    const stuck = (await this.#dataPlane?.close()) ?? 0;
    await this.#admin?.close();
    this.#events.record('info', 'stopped', 'Fairlead has stopped');
    return stuck === 0 ? { kind: 'stopped' } : { kind: 'stuck' };
  }

  /** Another router listens beside this one: leaves it the ports and the admin address. */
  async #handOver(): Promise<void> {
    this.#events.record('info', 'handing_over', 'Another process takes the ports over');
    this.#dataPlane?.stopAccepting();
    const admin = this.#admin;
    this.#admin = null;
    await admin?.close();
  }

  /** Reads the configuration again, and once more when it is asked for meanwhile. What fails changes nothing. */
  async reload(): Promise<void> {
    if (this.#reloading !== 'no') {
      this.#reloading = 'again';
      return;
    }
    do {
      this.#reloading = 'now';
      if (this.#drain === null) await this.#reloadOnce();
    } while (this.#isAskedAgain());
    this.#reloading = 'no';
  }

  /** Asked for while it was awaited, which the type checker cannot know of. */
  #isAskedAgain(): boolean {
    return this.#reloading === 'again';
  }

  async #reloadOnce(): Promise<void> {
    try {
      const reloaded = await reloadConfig(this.#sources, this.#config);
      if (!reloaded.ok) throw new Error(describeProblems(reloaded.problems));
      await this.#dataPlane?.reload(reloaded.config);
      const needsRestart = reloaded.changed.filter((part) => NEEDS_RESTART.has(part));
      if (reloaded.config.log.format !== this.#config.log.format) needsRestart.push('log.format');
      this.#config = reloaded.config;
      this.#passwordWatch.follow(reloaded.passwordFile, reloaded.config.cluster.password);
      this.#controlPlane?.reload(reloaded.config);
      this.#logger.log.level = reloaded.config.log.level;
      this.#reloads.accepted++;
      this.#reloads.lastAcceptedAtMs = Date.now();
      const changed = reloaded.changed.join(', ');
      const restart =
        needsRestart.length === 0 ? '' : `; needs a restart to count: ${needsRestart.join(', ')}`;
      const what = changed === '' ? 'nothing has changed' : `changed: ${changed}${restart}`;
      this.#events.record('info', 'reloaded', `The configuration was read again, ${what}`, {
        changed,
        needs_restart: needsRestart.join(', '),
      });
    } catch (error) {
      this.#reloads.rejected++;
      const message = messageOf(error);
      this.#events.record('error', 'reload_failed', `The configuration in force stays: ${message}`);
    }
  }

  /** Members are asked with it from now on; sessions of clients have nothing to do with it. */
  #adoptPassword(password: string): void {
    this.#config = { ...this.#config, cluster: { ...this.#config.cluster, password } };
    this.#controlPlane?.reload(this.#config);
  }

  #announce(dataPlane: DataPlane, { host, port }: Listen): void {
    for (const { name, listen, port, protocol, role, strategy } of dataPlane.routes()) {
      this.#events.record('info', 'route_listening', `Route ${name} listens on ${listen.host}:${port}`, {
        route: name,
        host: listen.host,
        port,
        protocol,
        role,
        strategy,
      });
    }
    this.#events.record('info', 'admin_listening', `Status page and metrics on http://${host}:${port}/`, {
      host,
      port,
    });
  }

  async #startDataPlane(takenOver: readonly Listen[]): Promise<DataPlane> {
    const dataPlane = await DataPlane.start({
      config: this.#config,
      events: this.#events,
      topology: this.#topology(),
      takenOver,
      onSignal: (signal) => this.#controlPlane?.signal(signal),
    });
    this.#dataPlane = dataPlane;
    // What was published while it started.
    dataPlane.publish(this.#topology());
    return dataPlane;
  }

  async #startControlPlane(): Promise<void> {
    const { createControlPlane } = await loadControlPlane();
    this.#controlPlane = createControlPlane({
      programVersion: programVersion(),
      config: this.#config,
      events: this.#events,
      publish: (topology) => this.#dataPlane?.publish(topology),
      onDecided: (forMs) => this.#dataPlane?.noteDecision(forMs),
    });
  }

  async #startAdmin(dataPlane: DataPlane): Promise<AdminServer> {
    const { createAdminServer } = await loadAdminServer();
    return createAdminServer({
      listen: this.#config.admin.listen,
      log: this.#logger.log,
      events: this.#events,
      sources: this.#adminSources(dataPlane),
    });
  }

  #topology(): Topology {
    return this.#controlPlane?.topology() ?? EMPTY_TOPOLOGY;
  }

  #adminSources(dataPlane: DataPlane): AdminSources {
    const router = this;
    return {
      version: programVersion(),
      startedAtMs: this.#startedAtMs,
      process: { pid: process.pid, identity: identityOf('self'), handOverSignal: HAND_OVER_SIGNAL },
      threads: dataPlane.threads,
      counters: dataPlane.counters,
      get readinessRule() {
        return router.#config.readiness;
      },
      topology: () => this.#topology(),
      routes: () => dataPlane.routes(),
      guideline: () => dataPlane.guideline(),
      isOutOfReach: (member, protocol) => dataPlane.isOutOfReach(member, protocol),
      threadsAlive: () => dataPlane.threadsAlive(),
      threadPulses: () => dataPlane.threadPulses(),
      isDraining: () => this.#drain !== null,
      drain: () => this.#drain,
      listSessions: (limit) => dataPlane.listSessions(limit),
      limits: () => ({
        maxConnections: dataPlane.maxConnections(),
        maxConnectionsPerClient: this.#config.limits.maxConnectionsPerClient,
        maxHeldSessions: this.#config.hold.maxSessions,
      }),
      configReloads: () => this.#reloads,
      eventsByLevel: () => this.#events.countByLevel(),
      droppedLogLines: () => this.#logger.droppedLines(),
      memberProbes: () => this.#controlPlane?.memberProbes() ?? new Map(),
      discovery: () => this.#controlPlane?.discovery() ?? [],
    };
  }
}

const loadAdminServer = () => import('../admin/server.ts');
const loadControlPlane = () => import('../control/control-plane.ts');

/** More than data threads take to say their farewells after `drain.timeout`. */
const OVERDUE_MS = 5000;
/** Parts of the configuration that a reload reads and cannot put in force. */
const NEEDS_RESTART: ReadonlySet<string> = new Set(['threads', 'admin', 'relay']);
