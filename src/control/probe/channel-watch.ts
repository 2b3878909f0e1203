/**
 * Keeps what is known of a member's replication channels.
 *
 * It is asked beside the probes and less often, never as a part of one: while a replica stops, its server may take long to
 * answer, and who is primary must not wait for that.
 */
import type { Channel } from '../../../routing/observations.ts';
import { toControlFailure } from '../control-failure.ts';
import { channelQueries, readChannels } from './channels.ts';
import type { ServerTraits } from './detection.ts';

export type ChannelWatch = {
  /** Null while nothing is known, and where the account may not see it. */
  current(): readonly Channel[] | null;
  /** Asks, unless it did a moment ago. */
  refresh(traits: ServerTraits): void;
};

export type ChannelWatchOptions = {
  query(text: string): Promise<[unknown, unknown]>;
  /** Monotonic milliseconds. */
  now(): number;
  /** The connection is of no more use. */
  onEnd(error: unknown): void;
};

export function createChannelWatch({ query, now, onEnd }: ChannelWatchOptions): ChannelWatch {
  let channels: readonly Channel[] | null = null;
  let nextAtMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;
  /** Which of the statements this server knows. */
  let dialect = 0;

  const ask = async (traits: ServerTraits): Promise<void> => {
    const queries = channelQueries(traits);
    try {
      const [rows] = await query(queries[dialect] ?? '');
      channels = readChannels(rows);
      nextAtMs = now() + INTERVAL_MS;
    } catch (error) {
      const failure = toControlFailure(error);
      channels = null;
      // A statement it does not know, or may not be asked: a grant that is given later is noticed some time.
      const isUnknown = failure.errorNumber === ER_PARSE_ERROR && dialect + 1 < queries.length;
      if (isUnknown) dialect++;
      nextAtMs = now() + (isUnknown ? 0 : DENIED_INTERVAL_MS);
      if (failure.isFatal) onEnd(failure);
    } finally {
      isAsking = false;
    }
  };

  return {
    current: () => channels,
    refresh(traits) {
      if (isAsking || now() < nextAtMs) return;
      isAsking = true;
      void ask(traits);
    },
  };
}

const ER_PARSE_ERROR = 1064;
const INTERVAL_MS = 1000;
const DENIED_INTERVAL_MS = 10_000;
