/** What Fairlead is meant to reach, and whether it did. */
import type { ClientKind, EventResult, FailoverResult, Figures } from './result.ts';

export type Aim = {
  readonly text: string;
  readonly limit: string;
  /** Undefined where the event was not played. */
  readonly reached: string | undefined;
  readonly isMet: boolean | undefined;
};

export function judgeAims(result: FailoverResult): readonly Aim[] {
  const all = result.events.flatMap((event) => fairleadIn(event) ?? []);
  const sum = (of: (figures: Figures) => number): number =>
    all.reduce((total, figures) => total + of(figures), 0);
  const at = (name: string): Figures | undefined => {
    const event = result.events.find((candidate) => candidate.name === name);
    return event === undefined ? undefined : fairleadIn(event);
  };
  const [planned, killed, frozen] = [at('set-as-primary'), at('sigkill'), at('freeze-secondary')];
  return [
    aim(
      'acknowledged writes lost, all events',
      0,
      sum(({ lost }) => lost),
    ),
    aim(
      'writes accepted by two members at once, all events',
      0,
      sum(({ overlapping }) => overlapping),
    ),
    aim('planned switchover: errors of a client that was writing', 1, mostErrors(planned, WRITERS)),
    aim('planned switchover: errors of clients that read', 0, mostErrors(planned, READERS)),
    aim('planned switchover: connects that failed', 0, planned?.connects.failed),
    aim('planned switchover: first write after the group, ms', 100, planned?.afterGroupMs),
    aim('SIGKILL of the primary: connects refused', 0, killed?.connects.refused),
    aim('SIGKILL of the primary: errors of a session that was open', 1, mostErrors(killed, WRITERS)),
    aim('SIGKILL of the primary: first write after the group, ms', 100, killed?.afterGroupMs),
    aim(
      'frozen secondary: errors of clients that connect',
      0,
      errorsOf(frozen, ['new reader', 'new writer']),
    ),
    aim('frozen secondary: connects, p99, ms', 300, frozen?.connects.p99Ms),
  ];
}

function aim(text: string, limit: number, reached: number | null | undefined): Aim {
  const value = reached ?? undefined;
  return {
    text,
    limit: limit === 0 ? '0' : `at most ${limit}`,
    reached: value === undefined ? undefined : String(value),
    isMet: value === undefined ? undefined : value <= limit,
  };
}

function fairleadIn(event: EventResult): Figures | undefined {
  return event.figures.find(({ proxy }) => proxy === 'fairlead');
}

function mostErrors(figures: Figures | undefined, kinds: readonly ClientKind[]): number | undefined {
  if (figures === undefined) return undefined;
  const own = figures.clients.filter(({ kind }) => kinds.includes(kind));
  return Math.max(0, ...own.map(({ mostErrorsOfOne }) => mostErrorsOfOne));
}

function errorsOf(figures: Figures | undefined, kinds: readonly ClientKind[]): number | undefined {
  if (figures === undefined) return undefined;
  return figures.clients
    .filter(({ kind }) => kinds.includes(kind))
    .reduce((total, { errors }) => total + Object.values(errors).reduce((sum, count) => sum + count, 0), 0);
}

const WRITERS: readonly ClientKind[] = ['kept writer', 'pooled writer'];
const READERS: readonly ClientKind[] = ['kept reader', 'pooled reader', 'new reader'];
