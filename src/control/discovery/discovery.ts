/**
 * All sources at once, as one list of destinations.
 *
 * A destination that no source names any more is not forgotten at once. Until the others have been heard it may be one
 * of them under its former name; and after that, its sessions need time to end in good order.
 */
import { type Destination, mergeDestinations } from '../../../routing/destinations.ts';
import type { GivenAddress } from '../name-watch.ts';
import type { CreateSource, DestinationSource, SourceContext, SourceReport } from './source.ts';

export type Discovery = {
  /** Everything that is to be asked, in the order of the sources; what was dropped last. */
  destinations(): readonly Destination[];
  /** Addresses of `destinations` that no source names any more although all others have been heard: to be given up. */
  dropped(): ReadonlySet<string>;
  /** Addresses of `destinations` that no source names any more, `dropped` among them. */
  unnamed(): ReadonlySet<string>;
  /** Addresses of `destinations` whose servers are about to be stopped. */
  terminating(): ReadonlySet<string>;
  /** What the sources know of `address`; null where none names it. */
  destination(address: string): Destination | null;
  /** Where `address` is dialled, as far as a source knows without asking for its name. */
  given(address: string): GivenAddress | null;
  reports(): readonly SourceReport[];
  /** Takes these sources instead; those that were there already stay. What the others found is dropped. */
  use(sources: readonly SourceSpec[]): void;
  /** Lets go of what was dropped, and of what was remembered and is somebody else now. Called with every decision. */
  settle(heard: Heard): void;
  /** Asks the sources soon: members do not answer where they were. */
  refresh(): void;
  close(): void;
};

/** What is known of the servers behind addresses. */
export type Heard = {
  /** Whether an address was asked and it is known what came of it. */
  isHeard(address: string): boolean;
  /** `server_uuid` of who has answered there last; empty while nobody has. */
  idAt(address: string): string;
  /** Whether somebody answered the last question. */
  isAnswering(address: string): boolean;
};

/** A source to be made. */
export type SourceSpec = {
  /** Equal for two that would be made alike: on a reload such a source goes on, with what it knows. */
  readonly key: string;
  readonly create: CreateSource;
};

export type DiscoveryOptions = Omit<SourceContext, 'onReport'> & {
  readonly sources: readonly SourceSpec[];
  /** What an earlier run has found: gone by as long as no source finds anything. */
  readonly remembered: readonly Destination[];
  /** How long a destination that was dropped still counts as leaving, so that its sessions can end. */
  readonly leaveMs: () => number;
  /** Called when `destinations` or a report has changed. */
  onChange(report: SourceReport): void;
};

export function createDiscovery(options: DiscoveryOptions): Discovery {
  return new SourceSet(options);
}

/** A destination that no source names. */
type Dropped = {
  readonly destination: Destination;
  readonly atMs: number;
  /** When the others had been heard; null before. */
  readonly leavingSinceMs: number | null;
};

class SourceSet implements Discovery {
  readonly #options: DiscoveryOptions;
  #sources: ReadonlyMap<string, DestinationSource> = new Map();
  #named: readonly Destination[] = [];
  #remembered: readonly Destination[];
  readonly #dropped = new Map<string, Dropped>();
  #terminating: ReadonlySet<string> = new Set();
  #isOpening = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#remembered = options.remembered;
    this.use(options.sources);
  }

  destinations(): readonly Destination[] {
    return [...this.#named, ...[...this.#dropped.values()].map(({ destination }) => destination)];
  }

  dropped(): ReadonlySet<string> {
    const leaving = [...this.#dropped.values()].filter(({ leavingSinceMs }) => leavingSinceMs !== null);
    return new Set(leaving.map(({ destination }) => destination.address));
  }

  unnamed(): ReadonlySet<string> {
    return new Set(this.#dropped.keys());
  }

  terminating(): ReadonlySet<string> {
    return this.#terminating;
  }

  destination(address: string): Destination | null {
    return this.destinations().find((destination) => destination.address === address) ?? null;
  }

  given(address: string): GivenAddress | null {
    const host = this.destination(address)?.dialHost ?? null;
    if (host === null) return null;
    const isCurrent = this.#ownReports().some(
      (report) =>
        report.isCurrent &&
        report.destinations.some((one) => one.address === address && one.dialHost === host),
    );
    return { host, isCurrent };
  }

  reports(): readonly SourceReport[] {
    const remembered = this.#remembered.length === 0 ? [] : [rememberedReport(this.#remembered)];
    return [...this.#ownReports(), ...remembered];
  }

  use(specs: readonly SourceSpec[]): void {
    const { resolver, now, random } = this.#options;
    const before = this.#sources;
    const onReport = (report: SourceReport): void => {
      // While sources are being made, a list without those that are still to come would be half a list.
      if (this.#isOpening) return;
      this.#renew();
      this.#options.onChange(report);
    };
    this.#isOpening = true;
    this.#sources = new Map(
      specs.map(({ key, create }) => [key, before.get(key) ?? create({ resolver, now, random, onReport })]),
    );
    for (const [key, source] of before) if (!this.#sources.has(key)) source.close();
    this.#isOpening = false;
    this.#renew();
  }

  settle({ isHeard, idAt, isAnswering }: Heard): void {
    const isTaken = ({ id, address }: Destination) => idAt(address) !== '' && idAt(address) !== id;
    if (this.#remembered.some(isTaken)) {
      this.#remembered = this.#remembered.filter((destination) => !isTaken(destination));
      this.#renew();
    }
    if (this.#dropped.size === 0) return;
    const now = this.#options.now();
    // A source that has never answered may still name it.
    const isComplete = this.#ownReports().every(({ lastSuccessAtMs }) => lastSuccessAtMs !== null);
    const areOthersHeard = this.#named.every(({ address }) => isHeard(address));
    for (const [address, dropped] of this.#dropped) {
      const { leavingSinceMs, atMs } = dropped;
      if (leavingSinceMs !== null) {
        if (now - leavingSinceMs >= this.#options.leaveMs()) this.#dropped.delete(address);
      } else if (isComplete && (areOthersHeard || now - atMs >= HEARING_MS)) {
        this.#dropped.set(address, { ...dropped, leavingSinceMs: now });
      } else if (now - atMs >= SILENT_MS && !isAnswering(address)) {
        // Where pods come and go, a source that never answers would keep all that ever were.
        this.#dropped.delete(address);
      }
    }
  }

  refresh(): void {
    for (const source of this.#sources.values()) source.refresh();
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
  }

  #ownReports(): readonly SourceReport[] {
    return [...this.#sources.values()].map((source) => source.report());
  }

  #renew(): void {
    const before = this.#named;
    // Once anything is found that is true now, what was true once has done its duty.
    if (this.#ownReports().some(({ lastSuccessAtMs }) => lastSuccessAtMs !== null)) this.#remembered = [];
    this.#named = mergeDestinations(this.reports().map(({ destinations }) => destinations));
    const terminating = this.#named.filter(({ hint }) => hint === 'terminating');
    this.#terminating = new Set(terminating.map(({ address }) => address));
    const atMs = this.#options.now();
    for (const { address } of this.#named) this.#dropped.delete(address);
    for (const destination of before) {
      const { address } = destination;
      if (this.#named.some((named) => named.address === address)) continue;
      this.#dropped.set(address, { destination, atMs, leavingSinceMs: null });
    }
  }
}

function rememberedReport(destinations: readonly Destination[]): SourceReport {
  return {
    kind: 'state-file',
    name: 'state file',
    destinations,
    lastSuccessAtMs: null,
    isCurrent: false,
    failure: null,
    successes: 0,
    failures: 0,
  };
}

/** A new address that stays silent keeps an old one in place for so long. */
const HEARING_MS = 5000;
/** An old one that is kept for a source that has never answered, and is silent itself, is kept for so long. */
const SILENT_MS = 600_000;
