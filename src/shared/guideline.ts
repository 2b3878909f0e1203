/** The routing guideline in force, as the main thread hands it to data threads and to the admin server. */
import type { Guideline } from '../../routing/guidelines/guideline.ts';
import type { RouterFacts } from '../../routing/guidelines/sessions.ts';

export type GuidelineInForce = {
  readonly guideline: Guideline;
  readonly router: RouterFacts;
  /** For each of the guideline's routes the index of its counter and its turn. */
  readonly slots: readonly number[];
};

/** What the admin server shows of it. */
export type GuidelineFacts = {
  /** The file it was read from, or `metadata`; null where none is configured. */
  readonly source: string | null;
  /** Null while there is none, and the roles of routes decide. */
  readonly inForce: GuidelineInForce | null;
  /** Why what the source has now is not in force; empty when it is. */
  readonly problem: string;
  /** By index, the names that counters go under. */
  readonly slotNames: readonly string[];
};
