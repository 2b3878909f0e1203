/**
 * Who is primary in a group under Group Replication, who may be read from, and what becomes of open sessions.
 *
 * Order of authority: a member's own row, then the newest view with quorum, then what was known before. A write is
 * offered on a confirmed claim only (claims.ts). Reads and open sessions are kept while things are merely in doubt.
 */
import { isClaim, namesPrimary, settleClaims } from './claims.ts';
import { endReadsOnPromotion } from './fates.ts';
import {
  type Decision,
  type DecisionInput,
  FAILURE_REASONS,
  isGone,
  type MemberAnswer,
  type Observation,
  standingAnswer,
  type ViewRow,
} from './observations.ts';
import { createRoster, type Entry } from './roster.ts';
import { isSilent, leaveOutSilent } from './silence.ts';
import type { Member, MemberRole, MemberState, SessionFate, Topology } from './topology.ts';
import {
  type ChosenViews,
  chooseViews,
  highestSeen,
  isLeftBehind,
  newestOf,
  ownRow,
  rowOf,
  settledRow,
  type View,
  viewOf,
} from './views.ts';

export function decideGroup(input: DecisionInput, groupName: string): Decision {
  const { nowMs, settings, previous, memory } = input;
  const ttlMs = settings.confirmationTtlMs;
  const allViews = viewsOf(input, groupName);
  const seen = memory.newestView ?? null;
  const found = chooseViews(allViews, memory.incarnation);
  const isBehind = found !== null && isLeftBehind(found, seen);
  const behindSinceMs = isBehind ? (memory.behindSinceMs ?? nowMs) : null;
  const leftBehind = behindSinceMs !== null && nowMs - behindSinceMs < WAKING_MS;
  const chosen = leftBehind ? null : found;
  const isSinglePrimary = chosen?.newest.group.isSinglePrimary ?? previous.mode !== 'multi-primary';
  const claims = settleClaims(leftBehind ? [] : allViews, isSinglePrimary, nowMs, {
    supportedMs: ttlMs,
    // Where all of them are there and will not be asked, that nobody else speaks for the primary says nothing.
    aloneMs: areAllDenied(input) ? ttlMs : ttlMs / 2,
  });
  const confirmedIds = new Set(claims.confirmed.map((claim) => claim.memberId));
  const reference = chosen === null ? null : referenceView(chosen, claims.confirmed);

  const roster = createRoster(input, reference?.group.rows ?? null);
  const situation: Situation = {
    input,
    groupName,
    reference,
    views: chosen?.views ?? [],
    leftBehind,
    confirmedIds,
    isSinglePrimary,
  };
  const drafts = roster.entries.map((entry) => draftMember(situation, entry));
  const members = endReadsOnPromotion(leaveOutSilent(drafts), settings.closeRoOnPromotion);
  const writable = members.filter((member) => member.acceptsWrites);
  const primary = writable.find((member) => member.address === previous.primary) ?? writable[0];

  const conflictSinceMs = claims.competing.length === 0 ? null : (memory.conflictSinceMs ?? nowMs);
  const conflict = conflictAlarm(claims.competing, conflictSinceMs);
  const topology: Topology = {
    version: 0,
    groupName,
    mode: chosen === null ? previous.mode : isSinglePrimary ? 'single-primary' : 'multi-primary',
    hasQuorum: chosen !== null,
    primary: primary?.address ?? null,
    members: members.map(({ entry: _, isSilent: __, ...member }) => member),
    alarms: [
      ...roster.alarms,
      ...conflict,
      ...(chosen?.isSplit
        ? [`the group ${groupName} exists twice: it was bootstrapped while it was running`]
        : []),
      ...(leftBehind ? [`nobody who answers knows the newest view of group ${groupName}: no writes`] : []),
      ...(chosen === null && hasLostQuorum(situation) ? [`the group ${groupName} has lost its quorum`] : []),
      ...foreignAlarms(situation),
    ],
    ...(conflict.length === 0 ? {} : { isContested: true as const }),
  };
  return {
    topology,
    wanted: [...new Set([...settings.seeds, ...members.map((member) => member.address)])],
    isInDoubt: isInDoubt(situation, topology, allViews, primary?.entry),
    memory: {
      ...memory,
      kind: 'group',
      incarnation: chosen?.incarnation ?? memory.incarnation,
      newestView: highestSeen(chosen, isBehind && !leftBehind ? null : seen),
      behindSinceMs,
      conflictSinceMs,
    },
  };
}

/** Every server answers, and lets the monitoring account in no more. */
function areAllDenied({ observations }: DecisionInput): boolean {
  return observations.every(({ failure }) => failure?.kind === 'access-denied');
}

type Situation = {
  readonly input: DecisionInput;
  readonly groupName: string;
  /** The view whose rows are believed, or null while there is none with quorum. */
  readonly reference: View | null;
  /** The views of the same incarnation. */
  readonly views: readonly View[];
  /** Those who answer are not in the group any more, and do not know it yet. */
  readonly leftBehind: boolean;
  readonly confirmedIds: ReadonlySet<string>;
  readonly isSinglePrimary: boolean;
};

/** A member while the decision is being made. */
type Draft = Member & { readonly entry: Entry; readonly isSilent: boolean };

function viewsOf(input: DecisionInput, groupName: string): readonly View[] {
  const latest = new Map<string, { readonly observation: Observation; readonly answer: MemberAnswer }>();
  for (const observation of input.observations) {
    const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
    if (answer?.group?.groupName !== groupName) continue;
    // A server under two names has answered twice: its later answer counts, also where that takes something back.
    const twin = latest.get(answer.serverUuid)?.answer;
    if (twin === undefined || answer.askedAtMs > twin.askedAtMs)
      latest.set(answer.serverUuid, { observation, answer });
  }
  return [...latest.values()].flatMap(
    ({ observation, answer }) => viewOf(observation, answer, groupName) ?? [],
  );
}

/** The newest view, or the newest that agrees with a primary just confirmed: some may lag behind it, or suspect it. */
function referenceView(chosen: ChosenViews, confirmed: readonly View[]): View {
  const [only] = confirmed;
  if (confirmed.length !== 1 || only === undefined) return chosen.newest;
  return newestOf(chosen.views.filter((view) => namesPrimary(view, only.memberId))) ?? chosen.newest;
}

function draftMember(situation: Situation, entry: Entry): Draft {
  const { input, reference, confirmedIds } = situation;
  const { observation, before } = entry;
  const fresh = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  // Whoever answers there without being this member, or without being in our group, does not speak for it.
  const own =
    fresh !== null && fresh.serverUuid === entry.id && fresh.group?.groupName === situation.groupName
      ? fresh
      : null;
  const isForeign = fresh !== null && own === null;
  const row = reference === null ? undefined : settledRow(reference, situation.views, entry.id);
  const state = stateOf(situation, entry, own, row);
  const role = roleOf(situation, entry, own, row);
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isUsable = isReachable && !isForeign;
  const readable = isUsable && mayBeRead(situation, state, own, before);
  const writable = isUsable && state === 'ONLINE' && mayBeWritten(situation, entry, own, confirmedIds);
  const fates = fatesOf(situation, entry, own, state, role, row);
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role,
    state,
    acceptsWrites: writable,
    acceptsReads: readable,
    primarySessions: writable ? 'keep' : fates.primarySessions,
    secondarySessions: readable ? 'keep' : fates.secondarySessions,
    version: own?.version ?? before?.version ?? '',
    reason: reasonOf(situation, entry, { fresh, isForeign, state, role, writable, row }),
    slot: -1,
    entry,
    isSilent: isSilent(input, observation),
  };
}

/** A member's own word about being unwell comes first; that it is well has to be the group's opinion too. */
function stateOf(
  situation: Situation,
  entry: Entry,
  own: MemberAnswer | null,
  row: ViewRow | undefined,
): MemberState {
  const ownState = own === null ? undefined : (ownRow(own)?.state ?? 'OFFLINE');
  if (situation.reference === null) {
    if (ownState !== undefined) return ownState;
    const before = entry.before?.state ?? 'UNKNOWN';
    return isSurelyAway(entry) && before !== 'UNKNOWN' ? 'UNREACHABLE' : before;
  }
  if (ownState !== undefined && ownState !== 'ONLINE') return ownState;
  if (row !== undefined) return row.state;
  return entry.id === '' ? 'UNKNOWN' : 'OFFLINE';
}

function roleOf(
  situation: Situation,
  entry: Entry,
  own: MemberAnswer | null,
  row: ViewRow | undefined,
): MemberRole {
  if (situation.reference !== null) return row?.role ?? 'UNKNOWN';
  const ownRole = own === null ? undefined : ownRow(own)?.role;
  return ownRole ?? entry.before?.role ?? 'UNKNOWN';
}

function mayBeRead(
  situation: Situation,
  state: MemberState,
  own: MemberAnswer | null,
  before: Member | undefined,
): boolean {
  if (situation.reference !== null) return state === 'ONLINE';
  if (own !== null) return state === 'ONLINE' && situation.input.settings.quorumLoss !== 'none';
  // Nobody speaks for the group, and this member says nothing: what was readable stays so, unless quorum is known lost.
  return before?.acceptsReads === true && !hasLostQuorum(situation);
}

function mayBeWritten(
  situation: Situation,
  entry: Entry,
  own: MemberAnswer | null,
  confirmedIds: ReadonlySet<string>,
): boolean {
  // Its own word, and from where clients would be sent: under two names it may be met at only one of them.
  if (own === null || entry.observation === undefined || !callsItselfPrimary(own)) return false;
  if (situation.reference !== null)
    return confirmedIds.has(entry.id) && viewOf(entry.observation, own, situation.groupName) !== null;
  if (situation.input.settings.quorumLoss !== 'all' || situation.leftBehind) return false;
  // Without quorum by the operator's wish: still only a member that calls itself primary, and the only one to do so.
  const willing = situation.input.observations.filter((observation) => {
    const answer = standingAnswer(
      observation,
      situation.input.nowMs,
      situation.input.settings.confirmationTtlMs,
    );
    return answer?.group?.groupName === situation.groupName && callsItselfPrimary(answer);
  });
  return !situation.isSinglePrimary || willing.length === 1;
}

function callsItselfPrimary(answer: MemberAnswer): boolean {
  const row = ownRow(answer);
  return row?.state === 'ONLINE' && row.role === 'PRIMARY' && !answer.readOnly && !answer.superReadOnly;
}

/** True when somebody of the group answers, is ONLINE, and sees too few others. */
function hasLostQuorum(situation: Situation): boolean {
  const { input, groupName, reference, leftBehind } = situation;
  if (reference !== null || leftBehind) return false;
  return input.observations.some((observation) => {
    const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
    return answer?.group?.groupName === groupName && ownRow(answer)?.state === 'ONLINE';
  });
}

function fatesOf(
  situation: Situation,
  entry: Entry,
  own: MemberAnswer | null,
  state: MemberState,
  role: MemberRole,
  row: ViewRow | undefined,
): { readonly primarySessions: SessionFate; readonly secondarySessions: SessionFate } {
  if (situation.reference === null) {
    // Doubt ends no session, and takes back nothing that was certain.
    return {
      primarySessions: entry.before?.primarySessions ?? 'keep',
      secondarySessions: entry.before?.secondarySessions ?? 'keep',
    };
  }
  if (row === undefined || row.state === 'OFFLINE' || row.state === 'ERROR') {
    // One that left in good order says so itself, and what is under way on it may end. Any other is gone or astray.
    const hasLeft = own !== null && (ownRow(own)?.state ?? 'OFFLINE') === 'OFFLINE';
    const fate = hasLeft ? 'drain' : 'cut';
    return { primarySessions: fate, secondarySessions: fate };
  }
  const isDemoted = role === 'SECONDARY' && state !== 'UNREACHABLE';
  return { primarySessions: isDemoted ? 'drain' : 'keep', secondarySessions: 'keep' };
}

type Findings = {
  readonly fresh: MemberAnswer | null;
  readonly isForeign: boolean;
  readonly state: MemberState;
  readonly role: MemberRole;
  readonly writable: boolean;
  readonly row: ViewRow | undefined;
};

/** Never with a number that changes by itself: a reason that moves would be a new topology each time. */
function reasonOf(situation: Situation, entry: Entry, findings: Findings): string {
  const { fresh, isForeign, state, role, writable, row } = findings;
  if (isForeign && fresh !== null) return foreignReason(situation.groupName, entry, fresh);
  const failure = entry.observation?.failure?.kind;
  if (failure !== undefined && (fresh === null || failure !== 'closed')) {
    if (fresh === null || state !== 'ONLINE') return FAILURE_REASONS[failure];
  }
  if (situation.reference === null) {
    if (fresh === null) return hasLostQuorum(situation) ? 'no quorum' : 'not confirmed';
    return situation.leftBehind
      ? 'does not know the newest view'
      : hasLostQuorum(situation)
        ? 'no quorum'
        : `state ${state}`;
  }
  if (row === undefined) return entry.id === '' ? 'not heard of yet' : 'not in the group';
  if (state !== 'ONLINE') return `state ${state}`;
  if (role === 'PRIMARY' && !writable) {
    const isReadOnly = fresh !== null && (fresh.superReadOnly || fresh.readOnly);
    if (isReadOnly) return 'primary, but read-only';
    const isRefusing = (entry.observation?.refusingSinceMs ?? null) !== null;
    return isRefusing ? 'primary, but refuses commits' : 'primary, but not confirmed';
  }
  return '';
}

function foreignReason(groupName: string, entry: Entry, answer: MemberAnswer): string {
  if (answer.group === null) return 'is not in a group';
  if (answer.group.groupName !== groupName) return `belongs to another group, ${answer.group.groupName}`;
  return `another server, ${answer.serverUuid}, answers for member ${entry.id}`;
}

function foreignAlarms(situation: Situation): readonly string[] {
  const { input, groupName } = situation;
  const answers = input.observations.flatMap((observation) => {
    const answer = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
    return answer === null ? [] : [{ address: observation.address, group: answer.group?.groupName ?? null }];
  });
  const foreign = answers.filter(({ group }) => group !== groupName);
  const isGone = foreign.length === answers.length && foreign.some(({ group }) => group !== null);
  return [
    ...foreign.map(({ address, group }) => {
      const whose = group === null ? 'no group' : `group ${group}`;
      return `${address} belongs to ${whose}, this router follows group ${groupName}`;
    }),
    ...(isGone
      ? [
          `nobody who answers belongs to group ${groupName}: if the cluster was made anew, a reload (SIGHUP) follows what the seeds belong to now`,
        ]
      : []),
  ];
}

/** An alarm only when each has repeated its claim since there were two: one may just not have been asked again. */
function conflictAlarm(competing: readonly View[], sinceMs: number | null): readonly string[] {
  if (sinceMs === null || competing.some((claim) => claim.answer.askedAtMs < sinceMs)) return [];
  const addresses = competing.map((claim) => claim.address).sort();
  return [`${addresses.length} members claim to be the one primary: ${addresses.join(', ')}`];
}

/** In doubt: no primary, a primary that is late with its answer, or a member that sees another one as primary. */
function isInDoubt(
  situation: Situation,
  topology: Topology,
  views: readonly View[],
  primary: Entry | undefined,
): boolean {
  if (topology.primary === null || primary === undefined || primary.observation?.failure !== null)
    return true;
  if (!situation.isSinglePrimary) return false;
  return views.some(
    (view) => (isClaim(view) && view.memberId !== primary.id) || rowOf(view, primary.id)?.role !== 'PRIMARY',
  );
}

function isSurelyAway(entry: Entry): boolean {
  return entry.observation !== undefined && entry.observation.failure !== null;
}

/** A member that wakes up suspects those it does not hear after 5 s, and has no quorum then: who still has one is awake. */
const WAKING_MS = 30_000;
