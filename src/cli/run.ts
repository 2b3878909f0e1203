/**
 * `fairlead run`: puts control plane, data plane and admin server together and keeps them until a signal.
 */

import { EMPTY_TOPOLOGY } from '../../routing/topology.ts';
import { type AdminServer, createAdminServer } from '../admin/server.ts';
import type { AdminSources } from '../admin/sources.ts';
import type { Config } from '../config/config.ts';
import { type ConfigSources, loadConfig, reloadConfig } from '../config/load.ts';
import { describeProblems } from '../config/problems.ts';
import { type ControlPlane, createControlPlane } from '../control/control-plane.ts';
import { DataPlane } from '../data/data-plane.ts';
import { createEventLog, type EventLog } from '../shared/events.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { createLogger, type ProgramLog } from './logger.ts';
import { programVersion } from './version.ts';

export type RunOptions = { readonly sources: ConfigSources };

/** Runs until SIGTERM or SIGINT. A configuration that is wrong, or a port that is taken, ends it at once. */
export async function run({ sources }: RunOptions): Promise<ExitCode> {
  const loaded = await loadConfig(sources);
  if (!loaded.ok) {
    process.stderr.write(`fairlead: ${describeProblems(loaded.problems)}\n`);
    return EXIT.usage;
  }
  const logger = createLogger(loaded.config.log, process.stdout.isTTY === true);
  const events = createEventLog(logger.log, KEPT_EVENTS);
  // Before anything takes time: as process 1 of a container, a signal nobody listens for yet would be lost.
  const stop = nextSignal(['SIGTERM', 'SIGINT']);
  let router: Router | null = null;
  const onReload = () => void router?.reload();
  process.on('SIGHUP', onReload);
  try {
    router = await Router.start(loaded.config, sources, logger, events);
    return await router.untilStopped(stop);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    events.record('error', 'start_failed', `Fairlead cannot start: ${message}`);
    return EXIT.failure;
  } finally {
    process.off('SIGHUP', onReload);
    logger.flush();
  }
}

class Router {
  readonly #sources: ConfigSources;
  readonly #logger: ProgramLog;
  readonly #events: EventLog;
  readonly #dataPlane: DataPlane;
  readonly #reloads = { accepted: 0, rejected: 0, lastAcceptedAtMs: Date.now() };
  #config: Config;
  #controlPlane: ControlPlane | null = null;
  #admin: AdminServer | null = null;
  #isDraining = false;
  #isReloading = false;

  private constructor(
    config: Config,
    sources: ConfigSources,
    logger: ProgramLog,
    events: EventLog,
    dataPlane: DataPlane,
  ) {
    this.#config = config;
    this.#sources = sources;
    this.#logger = logger;
    this.#events = events;
    this.#dataPlane = dataPlane;
  }

  static async start(
    config: Config,
    sources: ConfigSources,
    logger: ProgramLog,
    events: EventLog,
  ): Promise<Router> {
    events.record('info', 'starting', `Fairlead ${programVersion()} starts`, {
      version: programVersion(),
      node: process.version,
      pid: process.pid,
      threads: config.threads,
    });
    let controlPlane: ControlPlane | null = null;
    const dataPlane = await DataPlane.start({
      config,
      events,
      onSignal: (signal) => controlPlane?.signal(signal),
    });
    const router = new Router(config, sources, logger, events, dataPlane);
    try {
      router.#admin = await createAdminServer({
        listen: config.admin.listen,
        log: logger.log,
        events,
        sources: router.#adminSources(),
      });
    } catch (error) {
      await dataPlane.close();
      throw new Error(`the admin server cannot listen: ${error instanceof Error ? error.message : error}`);
    }
    controlPlane = createControlPlane({ config, events, publish: (topology) => dataPlane.publish(topology) });
    router.#controlPlane = controlPlane;
    router.#announce();
    return router;
  }

  /** Resolves once `stop` has asked for the end and all sessions are gone, or their time is up. */
  async untilStopped(stop: Promise<NodeJS.Signals>): Promise<ExitCode> {
    const signal = await stop;
    this.#isDraining = true;
    const { delayMs, timeoutMs } = this.#config.drain;
    this.#events.record(
      'info',
      'draining',
      `${signal}: no longer ready; sessions end within ${timeoutMs} ms`,
      {
        signal,
        still_accepting_ms: delayMs,
        timeout_ms: timeoutMs,
      },
    );
    const hurry = nextSignal(['SIGTERM', 'SIGINT']).then((again) => {
      this.#events.record('warn', 'stopped_at_once', `${again} again: stopping at once`, { signal: again });
    });
    await Promise.race([this.#dataPlane.drain(delayMs, timeoutMs), hurry]);
    this.#controlPlane?.close();
    await this.#dataPlane.close();
    await this.#admin?.close();
    this.#events.record('info', 'stopped', 'Fairlead has stopped');
    return EXIT.ok;
  }

  /** Reads the configuration again. What fails changes nothing. */
  async reload(): Promise<void> {
    if (this.#isReloading || this.#isDraining) return;
    this.#isReloading = true;
    try {
      const reloaded = await reloadConfig(this.#sources, this.#config);
      if (!reloaded.ok) throw new Error(describeProblems(reloaded.problems));
      await this.#dataPlane.reload(reloaded.config);
      this.#config = reloaded.config;
      this.#controlPlane?.reload(reloaded.config);
      this.#logger.log.level = reloaded.config.log.level;
      this.#reloads.accepted++;
      this.#reloads.lastAcceptedAtMs = Date.now();
      this.#events.record('info', 'reloaded', 'The configuration was read again', {
        changed: reloaded.changed.join(', '),
        needs_restart: reloaded.changed.filter((part) => NEEDS_RESTART.has(part)).join(', '),
      });
    } catch (error) {
      this.#reloads.rejected++;
      const message = error instanceof Error ? error.message : String(error);
      this.#events.record('error', 'reload_failed', `The configuration in force stays: ${message}`);
    } finally {
      this.#isReloading = false;
    }
  }

  #announce(): void {
    const admin = this.#admin?.address();
    for (const { name, listen, port, protocol, role, strategy } of this.#dataPlane.routes()) {
      this.#events.record('info', 'route_listening', `Route ${name} listens on ${listen.host}:${port}`, {
        route: name,
        host: listen.host,
        port,
        protocol,
        role,
        strategy,
      });
    }
    if (admin === undefined) return;
    this.#events.record(
      'info',
      'admin_listening',
      `Status page and metrics on http://${admin.host}:${admin.port}/`,
      {
        host: admin.host,
        port: admin.port,
      },
    );
  }

  #adminSources(): AdminSources {
    const router = this;
    return {
      version: programVersion(),
      startedAtMs: Date.now(),
      threads: this.#dataPlane.threads,
      counters: this.#dataPlane.counters,
      get readinessRule() {
        return router.#config.readiness;
      },
      topology: () => this.#controlPlane?.topology() ?? EMPTY_TOPOLOGY,
      routes: () => this.#dataPlane.routes(),
      threadsAlive: () => this.#dataPlane.threadsAlive(),
      isDraining: () => this.#isDraining,
      listSessions: (limit) => this.#dataPlane.listSessions(limit),
      limits: () => ({
        maxConnections: this.#dataPlane.maxConnections(),
        maxConnectionsPerClient: this.#config.limits.maxConnectionsPerClient,
        maxHeldSessions: this.#config.hold.maxSessions,
      }),
      configReloads: () => this.#reloads,
      eventsByLevel: () => this.#events.countByLevel(),
      memberProbes: () => this.#controlPlane?.memberProbes() ?? new Map(),
    };
  }
}

function nextSignal(signals: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const listener = (signal: NodeJS.Signals) => {
      for (const name of signals) process.off(name, listener);
      resolve(signal);
    };
    for (const name of signals) process.on(name, listener);
  });
}

/** Parts of the configuration that a reload reads and cannot put in force. */
const NEEDS_RESTART: ReadonlySet<string> = new Set(['threads', 'admin', 'relay']);
const KEPT_EVENTS = 1000;
