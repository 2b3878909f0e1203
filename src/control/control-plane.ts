/**
 * Watches the members, decides, publishes: the main thread's part of routing.
 *
 * When a decision is made is the schedule's business (decision-schedule.ts); it is published only when something differs.
 */
import { isDeepStrictEqual } from 'node:util';
import { decide } from '../../routing/decision.ts';
import {
  type Decision,
  type DecisionInput,
  type DecisionMemory,
  EMPTY_MEMORY,
  hasBeenHeardSince,
  isHeard,
  type Observation,
} from '../../routing/observations.ts';
import { EMPTY_TOPOLOGY, type Topology } from '../../routing/topology.ts';
import { topologyDifference } from '../../routing/topology-difference.ts';
import type { Config } from '../config/config.ts';
import type { EventLog } from '../shared/events.ts';
import type { Signal } from '../shared/signals.ts';
import { calmStanding } from './calm.ts';
import { recordDecision, recordDefect } from './decision-events.ts';
import { DecisionSchedule, type Standing } from './decision-schedule.ts';
import { decisionSettings, parseAddress } from './decision-settings.ts';
import { createDiscovery, type Discovery } from './discovery/discovery.ts';
import { seedSources } from './discovery/seed-sources.ts';
import type { SourceReport } from './discovery/source.ts';
import { recordReport } from './discovery/source-events.ts';
import { createStateFile, rememberedAt, type StateFile } from './discovery/state-file.ts';
import { dampEvents } from './event-damper.ts';
import { createMemberSlots } from './member-slots.ts';
import { MemberWatch } from './member-watch.ts';
import { readerSettings, registrationSettings } from './metadata/metadata-settings.ts';
import { RouterRegistration } from './metadata/registration.ts';
import type { RegisteredRoute } from './metadata/router-row.ts';
import { haveSpoken } from './new-vote.ts';
import { createDoubtPace, hurryGapMs, type Pace } from './pace.ts';
import { refusalStandsForMs } from './refusals.ts';
import { createNameResolver, type NameResolver } from './resolver.ts';
import { createSecondLook, type SecondLook } from './second-look.ts';
import { recordTrouble } from './trouble-events.ts';
import type { ProbeCounts, WatchedAddress, WatchSettings } from './watch-options.ts';

/** The part of the configuration the control plane goes by. */
export type ControlConfig = Pick<
  Config,
  | 'cluster'
  | 'dns'
  | 'probe'
  | 'metadata'
  | 'guidelines'
  | 'drain'
  | 'reads'
  | 'quorumLoss'
  | 'closeRoOnPromotion'
> & { readonly routes: readonly RegisteredRoute[] };

export type ControlPlaneOptions = {
  readonly config: ControlConfig;
  readonly events: EventLog;
  /** Called with every new topology, in order of version. */
  publish(topology: Topology): void;
  /** The members were looked over, whether that changed anything or not; it stands for `forMs`. */
  readonly onDecided?: (forMs: number) => void;
  /** Default: of the system. The control plane closes it. */
  readonly resolver?: NameResolver;
  /** Monotonic milliseconds; default performance.now. */
  readonly now?: () => number;
  /** For the metadata, where the router registers; default empty. */
  readonly programVersion?: string;
  /** 0 to 1; default Math.random. */
  readonly random?: () => number;
  /** Default: that of routing/decision.ts. */
  readonly decide?: (input: DecisionInput) => Decision;
};

export type ControlPlane = {
  /** Something a data thread saw: all members are asked again at once. */
  signal(signal: Signal): void;
  topology(): Topology;
  /** What the probes found, by address. */
  memberProbes(): ReadonlyMap<string, ProbeCounts>;
  /** The sources of addresses, and how they fare. */
  discovery(): readonly SourceReport[];
  reload(config: ControlConfig): void;
  close(): void;
};

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  return new Control(options);
}

class Control implements ControlPlane {
  readonly #events: EventLog;
  readonly #publish: (topology: Topology) => void;
  readonly #onDecided: ControlPlaneOptions['onDecided'];
  readonly #resolver: NameResolver;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #decide: (input: DecisionInput) => Decision;
  readonly #schedule: DecisionSchedule;
  readonly #slots = createMemberSlots();
  readonly #watches = new Map<string, MemberWatch>();
  readonly #discovery: Discovery;
  readonly #stateFile: StateFile;
  readonly #registration: RouterRegistration;
  readonly #secondLook: SecondLook;
  readonly #programVersion: string;
  #config: ControlConfig;
  #topology: Topology = EMPTY_TOPOLOGY;
  #memory: DecisionMemory;
  #lastPrimary: string | null = null;
  /** The configuration names other seeds than it did when the cluster was chosen. */
  #awaitsVote = false;
  readonly #doubtPace = createDoubtPace(() => ({
    ...this.#config.probe,
    hurryGapMs: hurryGapMs(this.#watches.size),
  }));
  #pace: Pace;

  constructor(options: ControlPlaneOptions) {
    this.#config = options.config;
    this.#publish = options.publish;
    this.#onDecided = options.onDecided;
    this.#resolver = options.resolver ?? createNameResolver(options.config.dns);
    this.#now = options.now ?? (() => performance.now());
    this.#events = dampEvents(options.events, this.#now);
    this.#random = options.random ?? Math.random;
    this.#decide = options.decide ?? decide;
    this.#schedule = new DecisionSchedule({
      decide: (cause) => this.#renew(cause),
      onDefect: (error) => recordDefect(this.#events, error),
      isStill: () => this.#isStill(),
      onStall: () => this.#hurryAll(),
      hasHeardAllSince: (ms) => this.#observations().every((each) => hasBeenHeardSince(each, ms)),
      now: this.#now,
    });
    this.#pace = { intervalMs: options.config.probe.doubtIntervalMs, isMetadataHurried: true };
    this.#stateFile = createStateFile(() => this.#config.cluster.stateFile, options.events);
    const remembered = rememberedAt(options.config.cluster.stateFile, options.events);
    this.#memory = { ...EMPTY_MEMORY, highestView: remembered.highestView };
    this.#discovery = createDiscovery({
      remembered: remembered.destinations,
      sources: seedSources(options.config.cluster.seeds, options.config.dns),
      resolver: this.#resolver,
      now: this.#now,
      random: this.#random,
      leaveMs: () => this.#config.drain.graceMs,
      onChange: (report) => {
        recordReport(this.#events, report);
        for (const [address, watch] of this.#watches) watch.follow(this.#discovery.given(address));
        this.#schedule.note(`discovery by ${report.name}`, 'news');
      },
    });
    this.#programVersion = options.programVersion ?? '';
    this.#registration = new RouterRegistration({
      settings: registrationSettings(options.config, this.#programVersion),
      events: this.#events,
      now: this.#now,
      random: this.#random,
    });
    this.#secondLook = createSecondLook({
      isPrimary: (address) => this.#topology.primary === address && this.#topology.groupName !== null,
      look: (address) => this.#lookAgain(address),
      now: this.#now,
    });
    this.#schedule.decide('start');
  }

  topology(): Topology {
    return this.#topology;
  }

  memberProbes(): ReadonlyMap<string, ProbeCounts> {
    return new Map([...this.#watches].map(([address, watch]) => [address, watch.counts]));
  }

  discovery(): readonly SourceReport[] {
    return this.#discovery.reports();
  }

  signal({ kind, address, errorNumber }: Signal): void {
    const standsForMs = kind === 'server-error' ? refusalStandsForMs(errorNumber) : null;
    if (standsForMs !== null) {
      this.#watches.get(address)?.noteRefusal(standsForMs);
      this.#schedule.note(`a commit refused by ${address}`, 'news');
    }
    if (kind === 'server-error' && READ_ONLY_ERRORS.has(errorNumber)) this.#secondLook.note(address);
    const { primary, groupName } = this.#topology;
    const about = this.#watches.get(address);
    // What the others of a group think of it matters as much, and who takes over from a primary. Else it is its own affair.
    const isOwnAffair = about !== undefined && groupName === null && primary !== null && primary !== address;
    if (isOwnAffair) about.hurry();
    else this.#hurryAll();
  }

  reload(config: ControlConfig): void {
    const before = this.#config.cluster;
    const isSameKind = before.topology === config.cluster.topology;
    const isFollowed = this.#topology.hasQuorum || this.#topology.groupName === null;
    const isStatic = config.cluster.topology === 'static';
    // Members of a static topology are not asked anything, and were not made to be.
    if ((before.topology === 'static') !== isStatic) this.#closeWatches();
    this.#config = config;
    this.#resolver.configure(config.dns);
    this.#discovery.use(seedSources(config.cluster.seeds, config.dns));
    this.#discovery.refresh();
    // Another kind of cluster, or a group nobody answers for any more: the seeds vote anew.
    if (!isSameKind || !isFollowed) this.#forgetIdentity();
    else if (!isDeepStrictEqual(before.seeds, config.cluster.seeds)) this.#awaitsVote = true;
    const settings = this.#watchSettings();
    for (const watch of this.#watches.values()) watch.configure(settings);
    this.#registration.configure(registrationSettings(config, this.#programVersion));
    this.#stateFile.remember(this.#topology, this.#memory.highestView ?? null);
    this.#schedule.decide('reload');
  }

  close(): void {
    this.#schedule.close();
    this.#secondLook.close();
    this.#registration.close();
    this.#closeWatches();
    this.#discovery.close();
    this.#resolver.close();
  }

  #forgetIdentity(): void {
    const { cluster: _, ...topology } = this.#topology;
    this.#topology = { ...topology, groupName: null };
    // What is the newest view of a ClusterSet or ReplicaSet does not depend on who is asked.
    this.#memory = { ...EMPTY_MEMORY, highestView: this.#memory.highestView ?? null };
    this.#awaitsVote = false;
  }

  #haveNewSeedsSpoken(): boolean {
    const unnamed = this.#discovery.unnamed();
    const named = this.#discovery.destinations().filter(({ address }) => !unnamed.has(address));
    return haveSpoken(
      this.#discovery.reports(),
      named.map(({ address }) => this.#watches.get(address)?.observation),
    );
  }

  #closeWatches(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #lookAgain(address: string): void {
    const message = `${address} says that it takes writes, and told a client that it is read-only: it is asked on a new connection`;
    this.#events.record('warn', 'second_look', message, { member: address });
    this.#watches.get(address)?.reopen();
  }

  #hurryAll(): void {
    for (const watch of this.#watches.values()) watch.hurry();
  }

  #renew(cause: string): Standing {
    this.#discovery.settle({
      isHeard: (address) => isHeard(this.#watches.get(address)?.observation),
      idAt: (address) => this.#watches.get(address)?.observation.answer?.serverUuid ?? '',
      isAnswering: (address) => this.#watches.get(address)?.observation.failure === null,
    });
    if (this.#awaitsVote && this.#haveNewSeedsSpoken()) this.#forgetIdentity();
    let decision = this.#makeDecision();
    // Addresses that were just discovered may be known already, literal ones are.
    if (this.#watchExactly(decision.wanted)) decision = this.#makeDecision();
    this.#memory = decision.memory;
    const isNews = this.#accept(decision, cause);
    this.#confirm();
    this.#setPace(decision.isInDoubt, isNews);
    return decision.isInDoubt ? 'in-doubt' : this.#calm();
  }

  /** That nothing could have changed is as good as a decision that changes nothing. */
  #isStill(): boolean {
    if (this.#calm() !== 'still') return false;
    this.#confirm();
    return true;
  }

  /** What was decided stands for a while again. */
  #confirm(): void {
    this.#onDecided?.(this.#config.probe.confirmationTtlMs);
    this.#registration.consider(this.#topology);
  }

  #calm(): Standing {
    return calmStanding(this.#observations(), {
      nowMs: this.#now(),
      confirmationTtlMs: this.#config.probe.confirmationTtlMs,
      // A Galera node that is back waits its time before it is written to again.
      changesInTime: this.#discovery.unnamed().size > 0 || this.#memory.kind === 'galera',
    });
  }

  #makeDecision(): Decision {
    return this.#decide({
      observations: this.#observations(),
      previous: this.#topology,
      memory: this.#memory,
      nowMs: this.#now(),
      settings: decisionSettings(this.#config, this.#discovery),
      hints: new Map(this.#discovery.destinations().map((destination) => [destination.address, destination])),
    });
  }

  #observations(): readonly Observation[] {
    return [...this.#watches.values()].map(({ observation }) => observation);
  }

  /** @returns whether it differs from the one before */
  #accept(decision: Decision, cause: string): boolean {
    const before = this.#topology;
    const members = this.#slots.assign(decision.topology.members);
    const after: Topology = { ...decision.topology, version: before.version + 1, members };
    const difference = topologyDifference(before, after);
    if (!difference.isChanged) return false;
    this.#topology = after;
    this.#publish(after);
    this.#stateFile.remember(after, this.#memory.highestView ?? null);
    recordDecision(this.#events, after, difference, this.#lastPrimary, cause);
    this.#lastPrimary = after.primary ?? this.#lastPrimary;
    return true;
  }

  /** @returns true when an address was added */
  #watchExactly(wanted: readonly string[]): boolean {
    const kept = new Set(wanted);
    for (const [address, watch] of this.#watches) {
      if (kept.has(address)) continue;
      watch.close();
      this.#watches.delete(address);
    }
    let isAdded = false;
    for (const address of wanted) {
      if (this.#watches.has(address)) continue;
      const target = parseAddress(address);
      if (target === null) continue;
      const { isFullName = false } = this.#discovery.destination(address) ?? {};
      const given = this.#discovery.given(address);
      this.#watches.set(address, this.#createWatch({ ...target, isFullName, given }));
      isAdded = true;
    }
    return isAdded;
  }

  #createWatch(target: WatchedAddress): MemberWatch {
    return new MemberWatch({
      target,
      asks: this.#config.cluster.topology !== 'static',
      resolver: this.#resolver,
      settings: this.#watchSettings(),
      now: this.#now,
      random: this.#random,
      onObservation: (cause, urgency) => {
        const { maxLagMs, maxQueue } = this.#config.reads;
        const isIdle = urgency === 'drift' && maxLagMs === 0 && maxQueue === 0;
        this.#schedule.note(cause, isIdle ? 'routine' : urgency);
      },
      onTrouble: (trouble) => {
        recordTrouble(this.#events, target.address, this.#config.cluster.user, trouble);
        if (trouble !== null) this.#discovery.refresh();
      },
      onMissingStats: () => {
        this.#events.record(
          'warn',
          'monitoring_grant_missing',
          `${target.address}: GRANT SELECT ON performance_schema.replication_group_member_stats TO '${this.#config.cluster.user}' is missing; views are told apart by time alone`,
          { member: target.address, user: this.#config.cluster.user },
        );
      },
    });
  }

  #setPace(isInDoubt: boolean, isNews: boolean): void {
    const pace = this.#doubtPace.after(isInDoubt, isNews, this.#now());
    if (isDeepStrictEqual(pace, this.#pace)) return;
    this.#pace = pace;
    const settings = this.#watchSettings();
    for (const watch of this.#watches.values()) watch.configure(settings);
  }

  #watchSettings(): WatchSettings {
    const { cluster, probe, reads } = this.#config;
    return {
      account: { user: cluster.user, password: cluster.password, tls: cluster.tls },
      intervalMs: this.#pace.intervalMs,
      timeoutMs: probe.timeoutMs,
      hurryGapMs: hurryGapMs(this.#watches.size),
      readsGtids: reads.maxQueue > 0,
      metadata: readerSettings(this.#config, this.#pace.isMetadataHurried),
    };
  }
}

/** ER_OPTION_PREVENTS_STATEMENT, ER_READ_ONLY_MODE. */
const READ_ONLY_ERRORS: ReadonlySet<number> = new Set([1290, 1836]);
