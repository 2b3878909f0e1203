/**
 * One question to a member, and how its answer is read.
 */
import type { Channel, MemberAnswer } from '../../../routing/observations.ts';
import { lagOf } from './channels.ts';
import type { ServerTraits } from './detection.ts';
import { rowsIn } from './rows.ts';
import { type AnswerTimes, selfColumns, selfIn } from './self.ts';

export type Probe = {
  /** One or several statements as one text: one round trip. */
  readonly text: string;
  /**
   * @param channels what is known of the member's replication channels at this time
   * @throws ControlFailure when the server answers something else than it was asked
   */
  read(results: unknown, times: AnswerTimes, channels: readonly Channel[] | null): MemberAnswer;
};

/** For a server that is neither part of a group nor of anything else that speaks for it. */
export function createPlainProbe(traits: ServerTraits): Probe {
  return {
    text: `SELECT ${selfColumns(traits)}`,
    read(results, times, channels) {
      const [row] = rowsIn(results);
      const self = selfIn(row, traits);
      return { ...times, ...self, group: null, galera: null, aurora: null, channels, lag: lagOf(channels) };
    },
  };
}
