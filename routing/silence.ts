/**
 * Members that were asked and say nothing.
 */
import {
  type DecisionInput,
  FAILURE_REASONS,
  type FailureKind,
  type Observation,
  standingAnswer,
} from './observations.ts';
import type { Entry } from './roster.ts';
import type { Member } from './topology.ts';

/** Asked, and not answered for so long that one slow answer does not explain it. */
export function isSilent(input: DecisionInput, observation: Observation | undefined): boolean {
  if (observation === undefined || !SILENT_FAILURES.includes(observation.failure?.kind ?? 'timeout'))
    return false;
  return standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs / 2) === null;
}

/** Of several readers those that have gone silent are passed over; if all have, the silence proves nothing. */
export function leaveOutSilent<M extends Member & { readonly isSilent: boolean }>(
  members: readonly M[],
): readonly M[] {
  if (!members.some((member) => member.acceptsReads && !member.isSilent)) return members;
  return members.map((member) =>
    member.acceptsReads && member.isSilent && !member.acceptsWrites
      ? { ...member, acceptsReads: false, reason: member.reason || FAILURE_REASONS.timeout }
      : member,
  );
}

/** A member is made of each entry, and those that have gone silent are passed over. */
export function draftWithoutSilent(
  input: DecisionInput,
  entries: readonly Entry[],
  draft: (entry: Entry) => Member,
): readonly Member[] {
  const drafts = entries.map((entry) => ({ ...draft(entry), isSilent: isSilent(input, entry.observation) }));
  return leaveOutSilent(drafts).map(({ isSilent: _, ...member }) => member);
}

const SILENT_FAILURES: readonly FailureKind[] = ['timeout', 'closed'];
