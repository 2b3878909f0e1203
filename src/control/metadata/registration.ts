/**
 * Enters the router into the metadata and checks in there, where the operator asked for it. It writes on a connection of
 * its own that is open for a moment only: a write may wait, for a lock or for a group that lost its quorum, and no probe
 * may wait behind it. Nothing in the router depends on whether it works.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterFacts, Member, Topology } from '../../../routing/topology.ts';
import type { EventLog } from '../../shared/events.ts';
import { type ControlFailure, toControlFailure } from '../control-failure.ts';
import { type Backoff, createBackoff, withJitter } from '../pace.ts';
import { type ControlAccount, openConnection } from '../server-connection.ts';
import type { RunQuery } from './metadata-query.ts';
import {
  checkIn,
  type EnterOutcome,
  enterRouter,
  type RouterHome,
  type RouterIdentity,
} from './router-row.ts';

export type RegistrationSettings = {
  readonly account: ControlAccount;
  identity(home: RouterHome['kind']): RouterIdentity;
};

export type RegistrationOptions = {
  /** Null where the operator did not ask for it. */
  readonly settings: RegistrationSettings | null;
  readonly events: EventLog;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
};

export class RouterRegistration {
  readonly #options: RegistrationOptions;
  readonly #backoff: Backoff;
  #settings: RegistrationSettings | null;
  /** For which the row was brought up to date last; null before. */
  #doneFor: ClusterFacts | null = null;
  #dueAtMs = Number.NEGATIVE_INFINITY;
  #giveUp: AbortController | null = null;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #lastTrouble = '';
  #hasToldEntry = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#backoff = createBackoff({ firstMs: 5000, maxMs: GRANT_RETRY_MS }, options.random);
  }

  configure(settings: RegistrationSettings | null): void {
    this.#settings = settings;
    this.#doneFor = null;
    this.#backoff.reset();
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Called with every decision; writes when there is something to write and somebody to write to. */
  consider(topology: Topology): void {
    const settings = this.#settings;
    const { cluster } = topology;
    if (settings === null || this.#giveUp !== null || cluster === undefined) return;
    const now = this.#options.now();
    if (now < this.#retryAtMs || (this.#isDoneFor(cluster) && now < this.#dueAtMs)) return;
    if (cluster.state !== 'ok' || cluster.kind === 'unknown') return;
    const primary = writerOf(topology);
    if (primary === null) return;
    const home: RouterHome = { kind: cluster.kind, id: cluster.id, schemaVersion: cluster.schemaVersion };
    void this.#write(primary, settings, cluster, home);
  }

  close(): void {
    this.#settings = null;
    this.#giveUp?.abort();
  }

  /** Each topology that differs has a picture of the cluster of its own, mostly the same one. */
  #isDoneFor(cluster: ClusterFacts): boolean {
    if (cluster === this.#doneFor) return true;
    if (this.#doneFor === null || !isDeepStrictEqual(cluster, this.#doneFor)) return false;
    this.#doneFor = cluster;
    return true;
  }

  async #write(
    primary: Member,
    settings: RegistrationSettings,
    cluster: ClusterFacts,
    home: RouterHome,
  ): Promise<void> {
    if (primary.dial === null) return;
    const isDue = this.#options.now() >= this.#dueAtMs;
    const giveUp = new AbortController();
    this.#giveUp = giveUp;
    const deadline = setTimeout(() => giveUp.abort(), DEADLINE_MS);
    const identity = settings.identity(home.kind);
    const target = {
      dial: primary.dial,
      memberHost: primary.address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'),
      account: settings.account,
      signal: giveUp.signal,
    };
    try {
      const outcome = await withQueries(target, async (query) => {
        const entered = await enterRouter(query, identity, home);
        if (entered.kind === 'entered' && isDue) await checkIn(query, entered.routerId, home);
        return entered;
      });
      if (this.#settings !== settings) return;
      if (outcome.kind === 'taken') this.#tellTaken(identity, outcome.productName);
      else this.#tellEntered(primary, identity, outcome);
      if (isDue) {
        const periodMs = checkInPeriodMs(home.kind, cluster.options.statsUpdatesFrequencyS);
        this.#dueAtMs = this.#options.now() + withJitter(periodMs, this.#options.random);
      }
      this.#doneFor = cluster;
      this.#backoff.reset();
    } catch (error) {
      if (this.#settings === settings) this.#fail(toControlFailure(error), primary, settings.account);
    } finally {
      clearTimeout(deadline);
      this.#giveUp = null;
    }
  }

  #tellEntered(
    primary: Member,
    { address, name }: RouterIdentity,
    { routerId, isNew }: Extract<EnterOutcome, { readonly kind: 'entered' }>,
  ): void {
    this.#lastTrouble = '';
    if (this.#hasToldEntry && !isNew) return;
    this.#hasToldEntry = true;
    this.#options.events.record(
      'info',
      'router_registered',
      `registered as ${address}::${name} in the metadata${isNew ? '' : ', in the row that was there'}`,
      { member: primary.address, address, name, router_id: routerId, is_new: isNew },
    );
  }

  /** Two programs that write the same row would undo each other's work. */
  #tellTaken({ address, name }: RouterIdentity, productName: string): void {
    this.#retryAtMs = this.#options.now() + GRANT_RETRY_MS;
    if (this.#lastTrouble === productName) return;
    this.#lastTrouble = productName;
    const message = `${address}::${name} is registered for ${productName}: remove that router, or set metadata.routerName`;
    this.#options.events.record('warn', 'registration_failed', message, { address, name });
  }

  #fail(failure: ControlFailure, primary: Member, { user }: ControlAccount): void {
    const isGrant = failure.kind === 'missing-grant';
    this.#retryAtMs = this.#options.now() + (isGrant ? GRANT_RETRY_MS : this.#backoff.nextMs());
    const trouble = `${failure.kind} ${failure.errorNumber}`;
    if (trouble === this.#lastTrouble) return;
    this.#lastTrouble = trouble;
    const hint = isGrant
      ? `GRANT INSERT, UPDATE ON mysql_innodb_cluster_metadata.routers, and the same on v2_routers and (schema 2.4) router_stats, TO '${user}' is missing: `
      : '';
    const message = `the router could not be registered through ${primary.address}: ${hint}${failure.message}`;
    this.#options.events.record('warn', 'registration_failed', message, {
      member: primary.address,
      failure: failure.kind,
      error_number: failure.errorNumber,
    });
  }
}

async function withQueries(
  target: Pick<Parameters<typeof openConnection>[0], 'dial' | 'memberHost' | 'account' | 'signal'>,
  work: (query: RunQuery) => Promise<EnterOutcome>,
): Promise<EnterOutcome> {
  const { connection, socket } = await openConnection({ ...target, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  const abandon = (): void => {
    socket.destroy();
  };
  target.signal.addEventListener('abort', abandon);
  if (target.signal.aborted) abandon();
  // What happens to the connection shows in the statements on it.
  connection.on('error', abandon);
  try {
    const query: RunQuery = async (sql, values = []) => (await connection.query(sql, [...values]))[0];
    await query(SESSION_SETUP);
    const outcome = await work(query);
    await connection.end();
    return outcome;
  } finally {
    target.signal.removeEventListener('abort', abandon);
    abandon();
  }
}

/** The confirmed primary; where the target is a replica cluster, whoever leads the primary one. It refuses if it must. */
function writerOf({ primary, members }: Topology): Member | null {
  return (
    members.find(({ address }) => address === primary) ??
    members.find(
      ({ role, state, metadata }) =>
        role === 'PRIMARY' && state === 'ONLINE' && metadata?.clusterRole === 'PRIMARY',
    ) ??
    null
  );
}

function checkInPeriodMs(kind: RouterHome['kind'], frequencyS: number | null): number {
  if (frequencyS === 0) return Number.POSITIVE_INFINITY;
  if (frequencyS !== null) return Math.max(frequencyS * 1000, MIN_PERIOD_MS);
  // In a ClusterSet the write would go around the world.
  return kind === 'clusterset' ? Number.POSITIVE_INFINITY : DEFAULT_PERIOD_MS;
}

const SESSION_SETUP = 'SET SESSION lock_wait_timeout = 3, innodb_lock_wait_timeout = 3';
const DEADLINE_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5000;
const GRANT_RETRY_MS = 600_000;
/** What the metadata's own documentation says routers do. */
const DEFAULT_PERIOD_MS = 3_600_000;
const MIN_PERIOD_MS = 1000;
