/**
 * Amazon Aurora: one instance writes to the storage that all of them share.
 *
 * Which one it is says the instance itself (`innodb_read_only`), unless the cluster's own table says later that it is
 * another. The members are the rows of that table; each is met at the endpoint that bears its name, so that the router
 * neither waits for the cluster's name to move nor follows it to an instance that has just been demoted.
 */
import { addressOf } from './address.ts';
import { endReadsOnPromotion, giveUpDropped } from './fates.ts';
import {
  type AuroraRow,
  type Decision,
  type DecisionInput,
  FAILURE_REASONS,
  isGone,
  type MemberAnswer,
  standingAnswer,
  type ViewRow,
} from './observations.ts';
import { createRoster, type Entry } from './roster.ts';
import { draftWithoutSilent } from './silence.ts';
import { type Member, singleWriterTopology } from './topology.ts';

export function decideAurora(input: DecisionInput): Decision {
  const { settings, memory } = input;
  const newest = newestAnswer(input);
  const rows = newest?.aurora?.rows ?? null;
  const endpoints = rows === null ? [] : endpointsOf(rows, settings.auroraDomain ?? '', settings.seeds);
  const { entries, alarms } = createRoster(withoutDoubles(input, endpoints), endpoints);
  const claims = entries.filter((entry) => claimsToWrite(input, entry));
  const writers = claims.filter((entry) => !isContradicted(entry, newest, claims.length));
  const writer = writers.length === 1 ? (writers[0] ?? null) : null;
  const situation: Situation = { input, rows, writer };
  const offered = draftWithoutSilent(input, entries, (entry) => draftMember(situation, entry));
  const members = endReadsOnPromotion(giveUpDropped(offered, settings.dropped), settings.closeRoOnPromotion);
  return {
    topology: singleWriterTopology(
      members,
      writers.length > 1
        ? [...alarms, `${writers.length} instances are writable: ${writers.map(({ id }) => id).join(', ')}`]
        : alarms,
      writers.length > 1,
    ),
    wanted: [...new Set([...settings.seeds, ...endpoints.map(({ host, port }) => addressOf(host, port))])],
    isInDoubt: writer === null || writer.observation?.failure !== null,
    memory: { ...memory, kind: 'aurora', incarnation: null, conflictSinceMs: null },
  };
}

type Situation = {
  readonly input: DecisionInput;
  readonly rows: readonly AuroraRow[] | null;
  readonly writer: Entry | null;
};

/** The latest word of anybody about the cluster. */
function newestAnswer(input: DecisionInput): MemberAnswer | null {
  let newest: MemberAnswer | null = null;
  for (const observation of input.observations) {
    const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
    if (answer?.aurora == null || answer.aurora.rows.length === 0) continue;
    if (newest === null || answer.askedAtMs > newest.askedAtMs) newest = answer;
  }
  return newest;
}

/** Empty where it is not known which names the instances have: then the seeds are all there is. */
function endpointsOf(
  rows: readonly AuroraRow[],
  domain: string,
  seeds: readonly string[],
): readonly ViewRow[] {
  const port = Number(/:(\d+)$/.exec(seeds[0] ?? '')?.[1] ?? 3306);
  if (domain === '') return [];
  return rows.map(({ serverId, isWriter }) => ({
    id: serverId,
    host: `${serverId.toLowerCase()}.${domain}`,
    port,
    state: 'ONLINE',
    role: isWriter ? 'PRIMARY' : 'SECONDARY',
  }));
}

/** The cluster's own names lead to an instance that answers under its own name as well: they are no further members. */
function withoutDoubles(input: DecisionInput, endpoints: readonly ViewRow[]): DecisionInput {
  const { observations, settings } = input;
  const answering = new Set(
    endpoints
      .filter(({ id, host, port }) =>
        observations.some(
          ({ address, answer, failure }) =>
            address === addressOf(host, port) && failure === null && answer?.serverUuid === id,
        ),
      )
      .map(({ id }) => id),
  );
  const own = new Set(endpoints.map(({ host, port }) => addressOf(host, port)));
  const seeds = settings.seeds.filter((seed) => {
    const id = observations.find(({ address }) => address === seed)?.answer?.serverUuid ?? '';
    return own.has(seed) || !answering.has(id);
  });
  return {
    ...input,
    settings: { ...settings, seeds },
    endpoints: new Map(endpoints.map(({ id, host, port }) => [id, addressOf(host, port)])),
  };
}

function claimsToWrite(input: DecisionInput, entry: Entry): boolean {
  const { settings, nowMs } = input;
  const answer = standingAnswer(entry.observation, nowMs, settings.confirmationTtlMs / 2);
  if (answer === null || answer.serverUuid !== entry.id || entry.observation?.dial == null) return false;
  return answer.aurora !== null && !answer.readOnly && settings.dropped?.has(entry.address) !== true;
}

/** Of one that claims alone only what was said after it counts; of several, whoever the table names. */
function isContradicted(entry: Entry, newest: MemberAnswer | null, claims: number): boolean {
  const named = newest?.aurora?.rows.find(({ isWriter }) => isWriter)?.serverId;
  if (newest === null || named === undefined || named === entry.id) return false;
  return claims > 1 || newest.askedAtMs > (entry.observation?.answer?.answeredAtMs ?? 0);
}

function draftMember({ input, rows, writer }: Situation, entry: Entry): Member {
  const { observation, before } = entry;
  const fresh = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const own = fresh !== null && fresh.serverUuid === entry.id && fresh.aurora !== null ? fresh : null;
  const isForeign = fresh !== null && own === null;
  const isDeleted = own === null && rows !== null && !rows.some(({ serverId }) => serverId === entry.id);
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isWriter = entry === writer;
  const readable = isReachable && !isForeign && !isDeleted && (own !== null || before?.acceptsReads === true);
  const isDemoted = own?.readOnly === true || (writer !== null && !isWriter);
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role: isWriter ? 'PRIMARY' : isDemoted ? 'SECONDARY' : (before?.role ?? 'UNKNOWN'),
    state:
      own !== null
        ? 'ONLINE'
        : observation?.answer == null
          ? 'UNKNOWN'
          : isDeleted
            ? 'OFFLINE'
            : 'UNREACHABLE',
    acceptsWrites: isWriter,
    acceptsReads: readable,
    primarySessions: isWriter
      ? 'keep'
      : isDeleted
        ? 'cut'
        : isDemoted
          ? 'drain'
          : (before?.primarySessions ?? 'keep'),
    secondarySessions: isDeleted ? 'cut' : 'keep',
    version: own?.version ?? before?.version ?? '',
    reason: reasonOf(entry, fresh, isForeign, isDeleted),
    slot: -1,
  };
}

function reasonOf(entry: Entry, fresh: MemberAnswer | null, isForeign: boolean, isDeleted: boolean): string {
  if (isForeign)
    return fresh?.aurora == null
      ? 'is not an instance of Aurora'
      : 'another instance answers for this member';
  const failure = entry.observation?.failure?.kind;
  if (failure !== undefined && (fresh === null || failure !== 'closed')) return FAILURE_REASONS[failure];
  if (isDeleted) return 'not an instance of the cluster any more';
  return fresh === null ? 'not heard of yet' : '';
}
