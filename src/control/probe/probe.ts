/**
 * One question to a member, and how its answer is read.
 */
import type { MemberAnswer } from '../../../routing/observations.ts';
import type { ReplicationFacts } from './channel-watch.ts';
import { lagOf } from './channels.ts';
import type { ServerTraits } from './detection.ts';
import { tablesIn } from './rows.ts';
import { type AnswerTimes, selfColumns, selfIn } from './self.ts';

export type Probe = {
  /** One or several statements as one text: one round trip. */
  readonly text: string;
  /**
   * @param replication what is known of it at this time
   * @throws ControlFailure when the server answers something else than it was asked
   */
  read(results: unknown, times: AnswerTimes, replication: ReplicationFacts): MemberAnswer;
};

/** For a server that is neither part of a group nor of anything else that speaks for it. */
export function createPlainProbe(traits: ServerTraits): Probe {
  return {
    text: `SELECT ${selfColumns(traits)}`,
    read(results, times, { channels, gtids }) {
      const [row] = tablesIn(results).at(-1) ?? [];
      const self = selfIn(row, traits);
      const lag = lagOf(channels);
      return { ...times, ...self, group: null, galera: null, aurora: null, channels, gtids, lag };
    },
  };
}
