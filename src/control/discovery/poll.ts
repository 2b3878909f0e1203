/** A source that has to ask again and again: when the answer says, sooner after a failure, at once when there is reason. */
import type { Destination } from '../../../routing/destinations.ts';
import { createBackoff } from '../pace.ts';
import type { DestinationSource, SourceFailure, SourceLedger } from './source.ts';

export type PollAnswer =
  | {
      readonly kind: 'found';
      readonly destinations: readonly Destination[];
      /** When to ask again; Infinity for never. */
      readonly nextMs: number;
    }
  | { readonly kind: 'failed'; readonly failure: SourceFailure };

export type PollOptions = {
  readonly ledger: SourceLedger;
  readonly look: () => Promise<PollAnswer>;
  readonly now: () => number;
  readonly random: () => number;
};

export function createPoll({ ledger, look, now, random }: PollOptions): DestinationSource {
  const backoff = createBackoff({ firstMs: 500, maxMs: 10_000 }, random);
  let timer: NodeJS.Timeout | null = null;
  let isAsking = false;
  let isClosed = false;
  let askedAtMs = Number.NEGATIVE_INFINITY;

  const ask = (): void => {
    if (isAsking || isClosed) return;
    isAsking = true;
    askedAtMs = now();
    look().then(accept, (error: unknown) => {
      accept({ kind: 'failed', failure: { code: 'internal', message: String(error) } });
    });
  };
  const accept = (answer: PollAnswer): void => {
    isAsking = false;
    if (isClosed) return;
    if (answer.kind === 'found') backoff.reset();
    const waitMs = answer.kind === 'found' ? answer.nextMs : backoff.nextMs();
    if (timer !== null) clearTimeout(timer);
    timer = Number.isFinite(waitMs) ? setTimeout(ask, waitMs) : null;
    if (answer.kind === 'found') ledger.succeed(answer.destinations);
    else ledger.fail(answer.failure);
  };
  ask();

  return {
    report: ledger.report,
    refresh() {
      if (now() - askedAtMs >= REFRESH_GAP_MS) ask();
    },
    close() {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Between two questions, however many reasons there are. */
const REFRESH_GAP_MS = 1000;
