/**
 * A source of destinations: a static list, DNS, Kubernetes, the cluster's own metadata, a file. Whatever kind it is, it
 * finds addresses in its own time, tells when they change, and keeps the last good ones while it fails.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Destination } from '../../../routing/destinations.ts';
import type { NameResolver } from '../resolver.ts';

export type SourceKind = 'static' | 'dns' | 'kubernetes' | 'metadata' | 'state-file';

/** Where a source stands: what it found, and how it fares. */
export type SourceReport = {
  readonly kind: SourceKind;
  /** Tells this source from the others, such as `srv://db.example`: a label in metrics and a name on the status page. */
  readonly name: string;
  /** The last good ones, in a stable order. Not emptied by a failure. */
  readonly destinations: readonly Destination[];
  /** Wall clock; null while it has never succeeded. */
  readonly lastSuccessAtMs: number | null;
  /** Whether the last answer was a good one, whatever else may be amiss. */
  readonly isCurrent: boolean;
  /** What went wrong since then; null while nothing has. */
  readonly failure: SourceFailure | null;
  readonly successes: number;
  readonly failures: number;
};

export type SourceFailure = {
  /** Stable and short, such as `ENOTFOUND` or `http_403`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
};

export type DestinationSource = {
  report(): SourceReport;
  /** Something has changed that its next answer may show: ask soon. May be called often. */
  refresh(): void;
  close(): void;
};

/** What every source is made with. */
export type SourceContext = {
  readonly resolver: NameResolver;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Called when the destinations are others than before, or the source begins or ceases to fail. */
  onReport(report: SourceReport): void;
};

export type CreateSource = (context: SourceContext) => DestinationSource;

/** The part every source has in common: the last good answer, and telling what is news. */
export type SourceLedger = {
  report(): SourceReport;
  /** A good answer, in a stable order. @param flaw what was wrong with it nevertheless */
  succeed(destinations: readonly Destination[], flaw?: SourceFailure | null): void;
  /** No answer, or one that is none: the destinations stay. */
  fail(failure: SourceFailure): void;
};

/** @param initial what to go by until the first answer */
export function createSourceLedger(
  kind: SourceKind,
  name: string,
  onReport: SourceContext['onReport'],
  initial: readonly Destination[] = [],
): SourceLedger {
  let report: SourceReport = {
    kind,
    name,
    destinations: initial,
    lastSuccessAtMs: null,
    isCurrent: false,
    failure: null,
    successes: 0,
    failures: 0,
  };
  const become = (next: SourceReport): void => {
    const isNews =
      next.failure?.code !== report.failure?.code ||
      (next.lastSuccessAtMs === null) !== (report.lastSuccessAtMs === null) ||
      !isDeepStrictEqual(next.destinations, report.destinations);
    report = next;
    if (isNews) onReport(next);
  };
  return {
    report: () => report,
    succeed(found, flaw = null) {
      const isTooMany = found.length > MAX_DESTINATIONS;
      become({
        ...report,
        destinations: isTooMany ? found.slice(0, MAX_DESTINATIONS) : found,
        lastSuccessAtMs: Date.now(),
        isCurrent: true,
        failure: isTooMany ? tooMany(found.length) : flaw,
        successes: report.successes + 1,
      });
    },
    fail({ code, message }) {
      become({ ...report, isCurrent: false, failure: { code, message }, failures: report.failures + 1 });
    },
  };
}

function tooMany(count: number): SourceFailure {
  const message = `${count} addresses, of which the first ${MAX_DESTINATIONS} are used`;
  return { code: 'too_many', message };
}

/** Each is watched over a session of its own. Group Replication has room for nine members; replicas may be more. */
const MAX_DESTINATIONS = 256;
