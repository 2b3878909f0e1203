/**
 * Keeps one member's copy of the metadata current: reads it at the interval of the moment, and sooner when something
 * about the member has changed. It runs on the member's control session, between two probes.
 */
import type { MetadataReading, MetadataState } from '../../../routing/metadata/facts.ts';
import { type ControlFailure, toControlFailure } from '../control-failure.ts';
import { queryMetadata, querySchemaVersion, type RunQuery } from './metadata-query.ts';

export type MetadataReaderSettings = {
  /** Between two readings of a copy. */
  readonly intervalMs: number;
  /** "address::name" of this router's row in `v2_routers`. */
  readonly routerLabel: string;
};

export class MetadataReader {
  readonly #now: () => number;
  #settings: MetadataReaderSettings;
  #reading: MetadataReading | null = null;
  #isWanted = true;

  constructor(settings: MetadataReaderSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
  }

  /** Null before the first reading. */
  get reading(): MetadataReading | null {
    return this.#reading;
  }

  configure(settings: MetadataReaderSettings): void {
    if (settings.routerLabel !== this.#settings.routerLabel) this.#isWanted = true;
    this.#settings = settings;
  }

  /** The next probe is followed by a reading: roles or members have changed. */
  want(): void {
    this.#isWanted = true;
  }

  isDue(): boolean {
    if (this.#isWanted || this.#reading === null) return true;
    const { intervalMs } = this.#settings;
    // A server without metadata is not asked for it all the time: most of them never get any.
    const waitMs = ABSENT_STATES.has(this.#reading.state)
      ? Math.max(intervalMs, ABSENT_INTERVAL_MS)
      : intervalMs;
    return this.#now() - this.#reading.atMs >= waitMs;
  }

  /** @returns the failure when the session is of no more use */
  async read(query: RunQuery): Promise<ControlFailure | null> {
    this.#isWanted = false;
    const atMs = this.#now();
    const before = this.#reading?.facts ?? null;
    let hasSchema = false;
    try {
      const version = await querySchemaVersion(query);
      hasSchema = true;
      const outcome = await queryMetadata(query, version, this.#settings.routerLabel);
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
    }
  }
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
const ABSENT_STATES: ReadonlySet<MetadataState> = new Set(['none', 'missing-grant', 'unsupported']);
const ABSENT_INTERVAL_MS = 60_000;
