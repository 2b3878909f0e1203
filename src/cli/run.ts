/**
 * `fairlead run`: reads the configuration, starts the router, and keeps it until a signal.
 */
import { type ConfigSources, loadConfig } from '../config/load.ts';
import { describeProblems } from '../config/problems.ts';
import { createEventLog } from '../shared/events.ts';
import { messageOf } from '../shared/message-of.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { createLogger } from './logger.ts';
import { listenForOrders } from './orders.ts';
import { Router } from './router.ts';
import { findPredecessor, type Predecessor } from './takeover.ts';

export type RunOptions = {
  readonly sources: ConfigSources;
  /** Take the place of a router that runs: of the one at this address, or at `admin.listen`; null to refuse its ports. */
  readonly takeover: URL | 'admin.listen' | null;
};

/** Runs until SIGTERM or SIGINT. A configuration that is wrong, or a port that is taken, ends it at once. */
export async function run({ sources, takeover }: RunOptions): Promise<ExitCode> {
  // Before anything takes time: as process 1 of a container, a signal nobody listens for yet would be lost.
  const orders = listenForOrders();
  let router: Router | null = null;
  let isReloadAsked = false;
  // Until the very end: what nobody listens for ends the process, in the middle of a start or behind its last session.
  process.on('SIGHUP', () => {
    if (router === null) isReloadAsked = true;
    else void router.reload();
  });
  const loaded = await loadConfig(sources);
  if (!loaded.ok) {
    orders.close();
    process.stderr.write(`fairlead: ${describeProblems(loaded.problems)}\n`);
    return EXIT.usage;
  }
  const { config } = loaded;
  const logger = await createLogger(config.log, process.stdout.isTTY === true);
  const events = createEventLog(logger.log, KEPT_EVENTS);
  try {
    let predecessor: Predecessor | null = null;
    if (takeover !== null) predecessor = await findPredecessor(takeover, config);
    const { passwordFile } = loaded;
    router = await Router.start({ config, sources, passwordFile, logger, events, orders, predecessor });
    // What has changed since the file was read for the start.
    if (isReloadAsked) void router.reload();
    const end = await router.untilStopped();
    // Node waits for all its threads when it exits, and one that is stuck never ends.
    if (end.kind === 'stuck') {
      await logger.flush();
      process.kill(process.pid, 'SIGKILL');
    }
    return EXIT.ok;
  } catch (error) {
    const message = messageOf(error);
    events.record('error', 'start_failed', `Fairlead cannot start: ${message}`);
    return EXIT.failure;
  } finally {
    orders.close();
    await logger.flush();
  }
}

/** As many as `/api/v1/events` can be asked for. */
const KEPT_EVENTS = 1000;
