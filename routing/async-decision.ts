/**
 * Servers without a group: alone, or under asynchronous replication.
 *
 * The one that is writable is the primary: `read_only` is what every operator and every failover tool sets. That a member
 * has a replication channel says nothing by itself, for a promoted one may keep the channel to its former source. Of two
 * writable ones, though, the one that receives from the other is its replica.
 */
import { endReadsOnPromotion, giveUpDropped } from './fates.ts';
import {
  type Decision,
  type DecisionInput,
  type DecisionMemory,
  FAILURE_REASONS,
  isGone,
  isHeard,
  type MemberAnswer,
  standingAnswer,
} from './observations.ts';
import { createRoster, type Entry } from './roster.ts';
import { type Member, type SessionFate, singleWriterTopology } from './topology.ts';

export function decideAsync(input: DecisionInput): Decision {
  const { entries } = createRoster(input, []);
  const writableSinceMs = rememberWritable(input, entries);
  const situation = assess(input, entries, writableSinceMs);
  const members = endReadsOnPromotion(
    giveUpDropped(
      entries.map((entry) => asyncMember(situation, entry)),
      input.settings.dropped,
    ),
    input.settings.closeRoOnPromotion,
  );
  const { primary, writable } = situation;
  const severalSinceMs = writable.length < 2 ? null : (input.memory.conflictSinceMs ?? input.nowMs);
  const alarms = alarmsOf(situation, severalSinceMs);
  return {
    topology: singleWriterTopology(members, alarms, primary === null && alarms.length > 0),
    wanted: input.settings.seeds,
    isInDoubt: primary === null || primary.observation?.failure !== null,
    memory: {
      ...input.memory,
      kind: 'plain',
      incarnation: null,
      conflictSinceMs: severalSinceMs,
      writableSinceMs,
    },
  };
}

type Situation = {
  readonly input: DecisionInput;
  /** Those that say they are writable, and were heard in time. */
  readonly writable: readonly Entry[];
  /** The one of them that writes go to, or null. */
  readonly primary: Entry | null;
  /** Silent now, and writable when it was last heard, as the one is that would take the writes otherwise. */
  readonly rival: Entry | null;
};

function assess(
  input: DecisionInput,
  entries: readonly Entry[],
  writableSinceMs: DecisionMemory['writableSinceMs'],
): Situation {
  const writable = entries.filter((entry) => isWritable(input, entry));
  const standing = writable.filter((entry) => !hasBeenReplaced(entry, writable, writableSinceMs));
  const sources = standing.filter((entry) => !standing.some((other) => receivesFrom(entry, other)));
  const [only] = sources.length === 1 && mayChoose(input) ? sources : [];
  const rival = only === undefined ? null : silentRivalOf(only, { input, entries, writableSinceMs });
  return { input, writable, primary: rival === null ? (only ?? null) : null, rival };
}

/**
 * Whoever was still writable when it was last heard, after `entry` had become so: that it is silent now settles nothing. A replica
 * that came back without its read_only would take the writes as soon as its source is slow. A server that is gone, and one that was
 * silent already when `entry` was promoted, is no rival.
 */
function silentRivalOf(
  entry: Entry,
  facts: {
    readonly input: DecisionInput;
    readonly entries: readonly Entry[];
    readonly writableSinceMs: DecisionMemory['writableSinceMs'];
  },
): Entry | null {
  const { input, entries, writableSinceMs } = facts;
  if (input.previous.primary === entry.address) return null;
  const sinceMs = writableSinceMs.get(entry.id) ?? Number.NEGATIVE_INFINITY;
  const rival = entries.find(({ id, address, observation }) => {
    if (id === entry.id || input.settings.dropped?.has(address) === true) return false;
    if (observation?.answer == null || observation.failure === null || isGone(observation)) return false;
    const { answer } = observation;
    const wasWritable = answer.serverUuid === id && !answer.readOnly && !answer.superReadOnly;
    return wasWritable && sinceMs < answer.answeredAtMs;
  });
  return rival ?? null;
}

/** The first choice is made when all have been heard: one that is slow to answer may be writable as well. */
function mayChoose({ observations, previous, settings }: DecisionInput): boolean {
  if (previous.primary !== null) return true;
  return observations.every(
    (observation) =>
      isHeard(observation) ||
      settings.dropped?.has(observation.address) === true ||
      !settings.seeds.includes(observation.address),
  );
}

function rememberWritable(
  input: DecisionInput,
  entries: readonly Entry[],
): DecisionMemory['writableSinceMs'] {
  const before = input.memory.writableSinceMs;
  const since = new Map<string, number | null>();
  for (const entry of entries) {
    const answer = answerOf(input, entry);
    const known = before.get(entry.id);
    if (answer === null) {
      if (known !== undefined) since.set(entry.id, known);
    } else if (!isWritable(input, entry)) since.set(entry.id, null);
    else if (known === undefined) since.set(entry.id, Number.NEGATIVE_INFINITY);
    else since.set(entry.id, known ?? answer.askedAtMs);
  }
  return since;
}

function isWritable(input: DecisionInput, entry: Entry): boolean {
  if (input.settings.dropped?.has(entry.address) === true) return false;
  const answer = answerOf(input, entry);
  return answer !== null && !answer.readOnly && !answer.superReadOnly;
}

/** What the member itself has said in time, and not somebody else at its address. */
function answerOf(input: DecisionInput, entry: Entry): MemberAnswer | null {
  const answer = standingAnswer(entry.observation, input.nowMs, input.settings.confirmationTtlMs);
  if (answer === null || answer.serverUuid !== entry.id) return null;
  // Among plain servers one with a group is a stranger, unless the operator says that it is not.
  const isStranger = answer.group !== null || answer.galera !== null;
  return isStranger && input.settings.topology !== 'async' ? null : answer;
}

/**
 * A primary that does not answer has been replaced when a member that was its replica is writable since: somebody has
 * promoted it. Two that were writable all along do not replace each other by one of them being slow.
 */
function hasBeenReplaced(
  entry: Entry,
  writable: readonly Entry[],
  writableSinceMs: DecisionMemory['writableSinceMs'],
): boolean {
  const { observation } = entry;
  if (observation?.answer == null || observation.failure === null) return false;
  const saidAtMs = observation.answer.answeredAtMs;
  return writable.some(
    ({ id, observation: other }) =>
      id !== entry.id && other?.failure === null && (writableSinceMs.get(id) ?? 0) > saidAtMs,
  );
}

function receivesFrom(entry: Entry, other: Entry): boolean {
  const source = other.observation?.answer;
  if (entry === other || source == null) return false;
  return (entry.observation?.answer?.channels ?? []).some(
    ({ isReceiving, sourceUuid, sourceServerId }) =>
      isReceiving &&
      (sourceUuid === '' ? sourceServerId === source.serverId : sourceUuid === source.serverUuid),
  );
}

function asyncMember(situation: Situation, entry: Entry): Member {
  const { input, writable, primary } = situation;
  const { observation, before } = entry;
  const own = answerOf(input, entry);
  const fresh = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const isPrimary = entry === primary;
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isReadOnly = own !== null && (own.readOnly || own.superReadOnly);
  const hasOtherPrimary = primary !== null && !isPrimary;
  const claims = writable.includes(entry);
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role: isReadOnly || hasOtherPrimary ? 'SECONDARY' : claims ? 'PRIMARY' : (before?.role ?? 'UNKNOWN'),
    state: fresh !== null ? 'ONLINE' : observation?.answer == null ? 'UNKNOWN' : 'UNREACHABLE',
    acceptsWrites: isPrimary && isReachable,
    // Silence proves nothing: a server that could be read from stays readable until nobody listens there.
    acceptsReads: isReachable && (fresh === null ? before?.acceptsReads === true : own !== null),
    primarySessions: primarySessionsOf(situation, entry, isReadOnly),
    secondarySessions: 'keep',
    version: fresh?.version ?? before?.version ?? '',
    reason: reasonOf(situation, entry, fresh),
    slot: -1,
  };
}

function primarySessionsOf({ writable, primary }: Situation, entry: Entry, isReadOnly: boolean): SessionFate {
  if (isReadOnly) return 'drain';
  if (entry === primary) return 'keep';
  if (primary !== null) {
    // Replaced while it was silent: what it still does, nobody will see. If it answers, it has become a replica.
    if (entry.observation?.failure != null) return 'cut';
    return writable.includes(entry) ? 'drain' : (entry.before?.primarySessions ?? 'keep');
  }
  return writable.includes(entry) ? 'keep' : (entry.before?.primarySessions ?? 'keep');
}

function reasonOf(situation: Situation, entry: Entry, fresh: MemberAnswer | null): string {
  const { writable, primary } = situation;
  const failure = entry.observation?.failure?.kind;
  if (fresh !== null && fresh.serverUuid !== entry.id) {
    return `another server, ${fresh.serverUuid}, answers for member ${entry.id}`;
  }
  if (fresh !== null && answerOf(situation.input, entry) === null) {
    return `belongs to a group, ${fresh.group?.groupName ?? fresh.galera?.clusterUuid ?? ''}`;
  }
  if (failure !== undefined && !(fresh !== null && failure === 'closed')) return FAILURE_REASONS[failure];
  if (fresh === null) return 'not heard of yet';
  if (!writable.includes(entry) || entry === primary) return '';
  if (primary !== null) return 'writable, but a replica';
  if (situation.rival !== null) return `writable, as ${situation.rival.address} was when it was last heard`;
  return writable.length === 1
    ? 'writable; others have not been heard yet'
    : 'writable, as another server is';
}

/** Only when each has repeated it since there were several: a demotion and a promotion are not seen at one moment. */
function alarmsOf(
  { input, writable, primary, rival }: Situation,
  severalSinceMs: number | null,
): readonly string[] {
  if (rival !== null && writable.length === 1) {
    const [only] = writable;
    return [
      `${only?.address} is writable, and ${rival.address} was when it was last heard: set read_only on one, or take it out`,
    ];
  }
  const isRepeated = writable.every(
    (entry) => severalSinceMs !== null && (entry.observation?.answer?.askedAtMs ?? 0) >= severalSinceMs,
  );
  if (severalSinceMs === null || !isRepeated) return [];
  if (primary === null) {
    const addresses = writable.map(({ address }) => address).join(', ');
    const isHidden = writable.some((entry) => answerOf(input, entry)?.channels === null);
    const hint = isHidden
      ? '; with GRANT REPLICATION CLIENT the router could see whether one is a replica of the other'
      : '';
    return [`${writable.length} servers are writable: ${addresses}${hint}`];
  }
  return writable
    .filter((entry) => entry !== primary && receivesFromAny(entry, writable))
    .map(({ address }) => `${address} is writable and a replica: set read_only there`);
}

function receivesFromAny(entry: Entry, others: readonly Entry[]): boolean {
  return others.some((other) => receivesFrom(entry, other));
}
