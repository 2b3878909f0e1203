/**
 * A routing guideline as it was loaded: plain data, so that it can be handed to data threads.
 *
 * The document is MySQL Shell's: classes of destinations, each with an expression over servers, and routes, each with an
 * expression over sessions and groups of classes. The first route that matches a session decides where it goes.
 */
import type { Expression } from './expression.ts';

export type Guideline = {
  readonly name: string;
  readonly destinations: readonly DestinationClass[];
  /** As they are tried; those that are disabled are left out. */
  readonly routes: readonly GuidelineRoute[];
};

export type DestinationClass = {
  readonly name: string;
  /** As it was written. */
  readonly text: string;
  readonly match: Expression;
};

export type GuidelineRoute = {
  readonly name: string;
  /** As it was written. */
  readonly text: string;
  readonly match: Expression;
  /** By priority: a group is tried when nobody of those before it is there. */
  readonly groups: readonly DestinationGroup[];
};

export type DestinationGroup = {
  /** Names of classes. */
  readonly classes: readonly string[];
  readonly strategy: 'first-available' | 'round-robin';
};

/** What is wrong, and where in the document: `routes[0].match`; empty for the document as a whole. */
export type GuidelineProblem = { readonly at: string; readonly message: string };

export type ParsedGuideline =
  | { readonly ok: true; readonly guideline: Guideline }
  | { readonly ok: false; readonly problems: readonly GuidelineProblem[] };

export function problemText({ at, message }: GuidelineProblem): string {
  return at === '' ? message : `${at}: ${message}`;
}

/** Routes that can have a counter and a turn of their own. */
export const MAX_GUIDELINE_ROUTES = 64;
