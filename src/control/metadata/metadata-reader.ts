/**
 * Keeps one member's copy of the metadata current: reads it at the interval of the moment, and sooner when something
 * about the member has changed. It runs on the member's control session, between two probes.
 */
import type { MetadataReading, MetadataState } from '../../../routing/metadata/facts.ts';
import type { MemberAnswer } from '../../../routing/observations.ts';
import { type ControlFailure, toControlFailure } from '../control-failure.ts';
import { queryMetadata, querySchemaVersion, type RunQuery } from './metadata-query.ts';

export type MetadataReaderSettings = {
  /** Between two readings of a copy. */
  readonly intervalMs: number;
  /** The same where there is none, or none that may be read. */
  readonly absentIntervalMs: number;
  /** "address::name" of this router's row in `v2_routers`. */
  readonly routerLabel: string;
  /** Whether the routing guideline is wanted, too. */
  readonly readsGuideline: boolean;
};

export class MetadataReader {
  readonly #now: () => number;
  #settings: MetadataReaderSettings;
  #reading: MetadataReading | null = null;
  #isWanted = true;
  #isReading = false;

  constructor(settings: MetadataReaderSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
  }

  /** Null before the first reading. */
  get reading(): MetadataReading | null {
    return this.#reading;
  }

  configure(settings: MetadataReaderSettings): void {
    const { routerLabel, readsGuideline } = this.#settings;
    if (settings.routerLabel !== routerLabel || settings.readsGuideline !== readsGuideline)
      this.#isWanted = true;
    this.#settings = settings;
  }

  /** The next probe is followed by a reading where roles or members have changed. */
  notice(before: MemberAnswer | null, after: MemberAnswer): void {
    // Another server took the address: what the one before said is not its word.
    if (before !== null && before.serverUuid !== after.serverUuid) this.#reading = null;
    if (before === null || standingOf(before) !== standingOf(after)) this.#isWanted = true;
  }

  isDue(): boolean {
    if (this.#isReading) return false;
    if (this.#isWanted || this.#reading === null) return true;
    const { intervalMs, absentIntervalMs } = this.#settings;
    const waitMs = ABSENT_STATES.has(this.#reading.state) ? absentIntervalMs : intervalMs;
    return this.#now() - this.#reading.atMs >= waitMs;
  }

  /** @returns the failure when the session is of no more use */
  async read(query: RunQuery): Promise<ControlFailure | null> {
    this.#isWanted = false;
    this.#isReading = true;
    const atMs = this.#now();
    const before = this.#reading?.facts ?? null;
    let hasSchema = false;
    try {
      const version = await querySchemaVersion(query);
      hasSchema = true;
      const outcome = await queryMetadata(query, version, this.#settings);
      this.#reading =
        outcome.kind === 'facts'
          ? { state: 'ok', detail: '', atMs, facts: outcome.facts }
          : {
              state: outcome.kind,
              detail: outcome.detail,
              atMs,
              facts: outcome.kind === 'upgrading' ? before : null,
            };
      return null;
    } catch (error) {
      const failure = toControlFailure(error);
      if (failure.isFatal) return failure;
      const state = stateOf(failure, hasSchema);
      this.#reading = {
        state,
        detail: DETAILS[state] ?? failure.message,
        atMs,
        facts: state === 'none' ? null : before,
      };
      return null;
    } finally {
      this.#isReading = false;
    }
  }
}

/** What comes with a change of the metadata: view, members, roles, and whether it may be written to. */
function standingOf({ serverUuid, readOnly, superReadOnly, group }: MemberAnswer): string {
  const rows = group?.rows.map(({ id, state, role }) => `${id} ${state} ${role}`) ?? [];
  return [serverUuid, readOnly, superReadOnly, group?.groupName, group?.viewId, ...rows].join();
}

function stateOf(failure: ControlFailure, hasSchema: boolean): MetadataState {
  if (failure.kind === 'missing-grant') return 'missing-grant';
  if (!ABSENT_NUMBERS.has(failure.errorNumber)) return 'error';
  // A schema that has its version and lacks a view is being changed.
  return hasSchema ? 'upgrading' : 'none';
}

const DETAILS: Readonly<Partial<Record<MetadataState, string>>> = {
  none: 'there is no metadata schema',
  'missing-grant':
    'there is no metadata schema, or the account lacks SELECT ON mysql_innodb_cluster_metadata.*',
  upgrading: 'a view of the metadata schema is missing, as during an upgrade',
};
/** ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE */
const ABSENT_NUMBERS: ReadonlySet<number> = new Set([1049, 1146]);
const ABSENT_STATES: ReadonlySet<MetadataState> = new Set(['none', 'missing-grant']);
