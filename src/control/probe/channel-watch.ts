/**
 * Keeps what is known of a member's replication: its channels, and what it has executed.
 *
 * It is asked beside the probes and less often, never as a part of one: while a replica stops, its server may take long to
 * answer, and who is primary must not wait for that.
 */
import type { Channel } from '../../../routing/observations.ts';
import { type ControlFailure, toControlFailure } from '../control-failure.ts';
import { channelQueries, gtidQuery, readChannels, readGtids } from './channels.ts';
import type { ServerTraits } from './detection.ts';

export type ReplicationFacts = {
  /** Null while nothing is known, and where the account may not see it. */
  readonly channels: readonly Channel[] | null;
  /** GTIDs executed, in the server's own words; empty while not known, and where it has none. */
  readonly gtids: string;
};

export type ChannelWatch = {
  current(): ReplicationFacts;
  /** Asks, unless it did a moment ago; for GTIDs only where somebody goes by them. */
  refresh(traits: ServerTraits, readsGtids: boolean): void;
};

export type ChannelWatchOptions = {
  /** The rows of one statement. */
  query(text: string): Promise<unknown>;
  /** Monotonic milliseconds. */
  now(): number;
  /** The connection is of no more use. */
  onEnd(error: unknown): void;
};

export function createChannelWatch({ query, now, onEnd }: ChannelWatchOptions): ChannelWatch {
  let current: ReplicationFacts = { channels: null, gtids: '' };
  let nextAtMs = Number.NEGATIVE_INFINITY;
  let nextChannelsAtMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;
  /** Of which the channels were read. */
  let lastRows: unknown = null;
  /** Which of the statements this server knows. */
  let dialect = 0;

  const ask = async (traits: ServerTraits, readsGtids: boolean): Promise<void> => {
    try {
      const gtids = readsGtids ? readGtids(await query(gtidQuery(traits))) : '';
      if (gtids !== current.gtids) current = { ...current, gtids };
      if (now() >= nextChannelsAtMs) await askChannels(channelQueries(traits));
    } catch (error) {
      const failure = toControlFailure(error);
      if (failure.isFatal) onEnd(failure);
    } finally {
      isAsking = false;
      nextAtMs = now() + INTERVAL_MS;
    }
  };
  const askChannels = async (queries: readonly string[]): Promise<void> => {
    try {
      const rows = await query(queries[dialect] ?? '');
      if (rows !== lastRows) current = { ...current, channels: readChannels(rows) };
      lastRows = rows;
    } catch (error) {
      const failure = toControlFailure(error);
      if (failure.isFatal) throw failure;
      current = { ...current, channels: null };
      lastRows = null;
      refused(failure, queries.length);
    }
  };
  /** A statement it does not know, or may not be asked: a grant that is given later is noticed some time. */
  const refused = (failure: ControlFailure, dialects: number): void => {
    const isUnknown = failure.errorNumber === ER_PARSE_ERROR && dialect + 1 < dialects;
    if (isUnknown) dialect++;
    else nextChannelsAtMs = now() + DENIED_INTERVAL_MS;
  };

  return {
    current: () => current,
    refresh(traits, readsGtids) {
      if (isAsking || now() < nextAtMs) return;
      isAsking = true;
      void ask(traits, readsGtids);
    },
  };
}

const ER_PARSE_ERROR = 1064;
const INTERVAL_MS = 1000;
const DENIED_INTERVAL_MS = 10_000;
