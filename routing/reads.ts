/**
 * Which of several members reads should rather go to: those that are not far behind, those nearby, those that can take
 * more. Decided after the roles, which it never changes.
 */
import { missingTransactions } from './gtid-sets.ts';
import {
  type Channel,
  type Decision,
  type DecisionInput,
  type Lag,
  type Observation,
  standingAnswer,
} from './observations.ts';
import type { Member } from './topology.ts';

export type ReadSettings = {
  /** Reads leave a member that is further behind, and come back at half of it; 0 for no limit. */
  readonly maxLagSeconds: number;
  /** The same in transactions that were received and not applied; 0 for no limit. */
  readonly maxQueue: number;
  /** When every reader is behind: use them all the same, or none of them. */
  readonly whenAllBehind: 'use' | 'leave-out';
  /** The router's own zone; empty for no preference. */
  readonly zone: string;
  /** Zones of members by address, or by host. */
  readonly zones: ReadonlyMap<string, string>;
  /** Weights of members by address, or by host; 1 for all others. */
  readonly weights: ReadonlyMap<string, number>;
};

/** Behind `limit`, or still over half of it after having been behind it. Unknown is not behind. */
export function isBehind(value: number | null, limit: number, wasBehind: boolean): boolean {
  if (limit === 0 || value === null) return false;
  return value > (wasBehind ? limit / 2 : limit);
}

export function preferReads(input: DecisionInput, decision: Decision): Decision {
  const { reads } = input.settings;
  if (reads === undefined) return decision;
  const before = input.memory.behind ?? NOBODY;
  const observations = new Map(input.observations.map((observation) => [observation.address, observation]));
  const primary = decision.topology.members.find(({ address }) => address === decision.topology.primary);
  const executed =
    reads.maxQueue === 0 ? '' : (observations.get(primary?.address ?? '')?.answer?.gtids ?? '');
  const isSourceWell = primary !== undefined && observations.get(primary.address)?.failure === null;
  const mayStandStill = reads.maxLagSeconds > 0 && decision.memory.kind === 'plain' && isSourceWell;
  const behind = new Set<string>();
  const standing = new Set<string>();
  for (const member of decision.topology.members) {
    const key = member.id || member.address;
    const lag = lagOf(input, observations.get(member.address), member, executed);
    if (mayStandStill && member !== primary && lag !== null && receivesNothing(lag)) standing.add(key);
    if (standing.has(key) || isMemberBehind(lag, reads, before.has(key))) behind.add(key);
  }
  const readers = decision.topology.members.filter((member) => member.acceptsReads && !member.acceptsWrites);
  const areAllBehind = readers.every((member) => behind.has(member.id || member.address));
  const leavesOut = !areAllBehind || reads.whenAllBehind === 'leave-out';
  const members = decision.topology.members.map((member): Member => {
    const key = member.id || member.address;
    const isLate = behind.has(key) && !member.acceptsWrites && member.acceptsReads;
    const reason = standing.has(key)
      ? 'receives nothing from its source'
      : 'behind by more than the limit for reads';
    const preference = preferenceOf(member, reads, input.hints?.get(member.address));
    return {
      ...member,
      ...(isLate ? { reason, acceptsReads: !leavesOut } : {}),
      ...(preference === null ? {} : { preference }),
    };
  });
  return { ...decision, topology: { ...decision.topology, members }, memory: { ...decision.memory, behind } };
}

function isMemberBehind(lag: Lag | null, reads: ReadSettings, wasBehind: boolean): boolean {
  if (lag === null) return wasBehind;
  return (
    isBehind(lag.seconds, reads.maxLagSeconds, wasBehind) ||
    isBehind(lag.transactions, reads.maxQueue, wasBehind)
  );
}

/**
 * A replica whose receiver has no connection to its source, or that has no channel at all, such as a source of former times, does not
 * know how far behind it is; while its source is well, it falls back ever further.
 */
function receivesNothing({ seconds, channels }: MemberLag): boolean {
  if (channels === null) return false;
  return channels.length === 0 ? seconds === null : channels.some(({ isReceiving }) => !isReceiving);
}

type MemberLag = Lag & { readonly channels: readonly Channel[] | null };

/**
 * Null while the member is silent: then it is as far behind as it was. Where it tells no queue, what the primary has
 * executed and it has not stands for it: the two are asked up to a second apart, so it may look that much worse.
 */
function lagOf(
  input: DecisionInput,
  observation: Observation | undefined,
  member: Member,
  executedByPrimary: string,
): MemberLag | null {
  const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  if (answer === null || answer.serverUuid !== member.id) return null;
  const { lag, gtids, channels } = answer;
  if (lag.transactions !== null || executedByPrimary === '' || gtids === undefined)
    return { ...lag, channels };
  return { ...lag, transactions: missingTransactions(executedByPrimary, gtids), channels };
}

/** Null for a member like all others. */
function preferenceOf(
  { address }: Member,
  reads: ReadSettings,
  hint: ReadHint | undefined,
): NonNullable<Member['preference']> | null {
  const host = address.replace(/:\d+$/, '');
  const zone = reads.zones.get(address) ?? reads.zones.get(host) ?? hint?.zone ?? '';
  const weight = reads.weights.get(address) ?? reads.weights.get(host) ?? hint?.weight ?? 1;
  if (zone === '' && weight === 1) return null;
  return { zone, isNear: reads.zone !== '' && zone === reads.zone, weight };
}

/** What discovery knows of a member. */
export type ReadHint = { readonly zone: string; readonly weight: number | null };

const NOBODY: ReadonlySet<string> = new Set();
