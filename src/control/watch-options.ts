/** What a member is watched with, and what its watch tells beside observations. */
import type { FailureKind, Lag } from '../../routing/observations.ts';
import type { Urgency } from './decision-schedule.ts';
import type { MetadataReaderSettings } from './metadata/metadata-reader.ts';
import type { GivenAddress } from './name-watch.ts';
import type { NameResolver } from './resolver.ts';
import type { ControlAccount } from './server-connection.ts';

export type WatchSettings = {
  readonly account: ControlAccount;
  readonly intervalMs: number;
  /** Deadline of one probe, and of one TCP connect. */
  readonly timeoutMs: number;
  /** Time between two probes however many signals there are. */
  readonly hurryGapMs: number;
  /** Whether anybody wants to know which transactions members have executed. */
  readonly readsGtids: boolean;
  /** Null where metadata is not read. */
  readonly metadata: MetadataReaderSettings | null;
};

export type WatchedAddress = {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Whether `host` is a complete name, for which no search list applies. */
  readonly isFullName: boolean;
  /** The IP address of `host`, where discovery knows it; else it is resolved. */
  readonly given: GivenAddress | null;
};

export type MemberWatchOptions = {
  readonly target: WatchedAddress;
  /** False for a static topology: then only the name is resolved. */
  readonly asks: boolean;
  readonly resolver: NameResolver;
  readonly settings: WatchSettings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  /** Called after everything that changed the observation. */
  onObservation(cause: string, urgency: Urgency): void;
  /** Called when the kind of failure changed, and with null when an answer ended a failure. */
  onTrouble(trouble: Trouble | null): void;
  /** Called once when it turns out that the account may not read view ids. */
  onMissingStats(): void;
};

export type Trouble = { readonly kind: FailureKind; readonly message: string; readonly errorNumber: number };

/** For metrics. */
export type ProbeCounts = {
  readonly lastProbeSeconds: number | null;
  /** Wall clock. */
  readonly lastAnswerAtMs: number | null;
  readonly lag: Lag;
  /** Kinds of failure in snake_case, as metrics spell them. */
  readonly errorsByKind: ReadonlyMap<string, number>;
};
