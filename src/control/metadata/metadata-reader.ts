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

export type Statement = { readonly sql: string; readonly values: readonly string[] };

/** How a member is asked for its copy. */
export type MetadataQuestions = {
  readonly query: RunQuery;
  /** Several statements in one round trip. The same object is answered for as long as the answers are the same. */
  together(statements: readonly Statement[]): Promise<object>;
};

export class MetadataReader {
  readonly #now: () => number;
  #settings: MetadataReaderSettings;
  #reading: MetadataReading | null = null;
  /** Whose copy it is; empty before anybody has answered. */
  #serverUuid = '';
  #isWanted = true;
  #isReading = false;
  /** What the copy was read with last, and what all of that together was answered before. */
  #statements: readonly Statement[] = [];
  #answers: object | null = null;

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
    if (settings.routerLabel !== routerLabel || settings.readsGuideline !== readsGuideline) {
      this.#isWanted = true;
      this.#forgetStatements();
    }
    this.#settings = settings;
  }

  /** The next probe is followed by a reading where roles or members have changed. */
  notice(before: MemberAnswer | null, after: MemberAnswer): void {
    // Another server took the address, or the name moved: what the one before said is not its word.
    if (this.#serverUuid !== '' && this.#serverUuid !== after.serverUuid) {
      this.#reading = null;
      this.#forgetStatements();
    }
    this.#serverUuid = after.serverUuid;
    if (before === null || !isSameStanding(before, after)) this.#isWanted = true;
  }

  isDue(): boolean {
    if (this.#isReading) return false;
    if (this.#isWanted || this.#reading === null) return true;
    const { intervalMs, absentIntervalMs } = this.#settings;
    const waitMs = ABSENT_STATES.has(this.#reading.state) ? absentIntervalMs : intervalMs;
    return this.#now() - this.#reading.atMs >= waitMs;
  }

  /** @returns the failure when the session is of no more use */
  async read(questions: MetadataQuestions): Promise<ControlFailure | null> {
    this.#isWanted = false;
    this.#isReading = true;
    const atMs = this.#now();
    const before = this.#reading?.facts ?? null;
    let hasSchema = false;
    try {
      if (await this.#isUnchanged(questions)) {
        if (this.#reading !== null) this.#reading = { ...this.#reading, atMs };
        return null;
      }
      const statements: Statement[] = [];
      const query: RunQuery = (sql, values = []) => {
        statements.push({ sql, values });
        return questions.query(sql, values);
      };
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
      if (outcome.kind === 'facts') this.#statements = statements;
      else this.#forgetStatements();
      return null;
    } catch (error) {
      const failure = toControlFailure(error);
      this.#forgetStatements();
      // What a server says that is on its way down is nothing about its metadata.
      if (failure.isFatal || failure.kind === 'closed') return failure;
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

  /**
   * Whether everything the copy was read from is answered as it was before that reading. What it was before is asked for
   * with the reading after the first, so that a change in between cannot be missed.
   */
  async #isUnchanged({ together }: MetadataQuestions): Promise<boolean> {
    if (this.#statements.length === 0) return false;
    try {
      const answers = await together(this.#statements);
      const isUnchanged = answers === this.#answers;
      this.#answers = answers;
      return isUnchanged;
    } catch (error) {
      // Which of them was refused, and what that means, shows when each is asked by itself.
      if (toControlFailure(error).isFatal) throw error;
      this.#forgetStatements();
      return false;
    }
  }

  #forgetStatements(): void {
    this.#statements = [];
    this.#answers = null;
  }
}

/** Whether nothing differs that comes with a change of the metadata: view, members, roles, and whether it may be written to. */
function isSameStanding(before: MemberAnswer, after: MemberAnswer): boolean {
  return (
    before.serverUuid === after.serverUuid &&
    before.readOnly === after.readOnly &&
    before.superReadOnly === after.superReadOnly &&
    (before.group === after.group || groupOf(before) === groupOf(after))
  );
}

function groupOf({ group }: MemberAnswer): string {
  const rows = group?.rows.map(({ id, state, role }) => `${id} ${state} ${role}`) ?? [];
  return [group?.groupName, group?.viewId, ...rows].join();
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
/** ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE; ER_UNKNOWN_COM_ERROR of a Galera node outside of its cluster, which has no metadata either. */
const ABSENT_NUMBERS: ReadonlySet<number> = new Set([1049, 1146, 1047]);
const ABSENT_STATES: ReadonlySet<MetadataState> = new Set(['none', 'missing-grant']);
