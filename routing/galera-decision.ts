/**
 * Galera: one node takes the writes, the others reads. A node counts only while it says itself that it is synced, ready
 * and part of the primary component.
 */
import { endReadsOnPromotion, giveUpDropped } from './fates.ts';
import {
  chooseWriter,
  type GaleraNode,
  isExpelled,
  isSplit,
  newestView,
  nodesOf,
  ownAddress,
  rememberStarts,
} from './galera-nodes.ts';
import {
  type Decision,
  type DecisionInput,
  type DecisionMemory,
  FAILURE_REASONS,
  isGone,
  isHeard,
  type MemberAnswer,
  standingAnswer,
  type ViewRow,
} from './observations.ts';
import { createRoster, type Entry } from './roster.ts';
import { draftWithoutSilent } from './silence.ts';
import { type Member, type MemberState, type SessionFate, singleWriterTopology } from './topology.ts';

export function decideGalera(input: DecisionInput, clusterUuid: string): Decision {
  const { settings, previous, memory, nowMs } = input;
  const discovered = discoveredAddresses(input, clusterUuid);
  const { entries, alarms } = createRoster(input, discoveredRows(input, clusterUuid, discovered));
  const nodes = nodesOf(input, entries, clusterUuid);
  const usable = nodes.filter(({ trouble }) => trouble === '');
  const newest = newestView(usable);
  const isDivided = isSplit(nodes);
  const syncedSinceMs = rememberSynced(usable, memory.syncedSinceMs, nowMs);
  const startedAtMs = rememberStarts(nodes, memory.startedAtMs ?? new Map());
  const current = previous.members.find(({ address }) => address === previous.primary)?.id ?? null;
  // The first choice is made when all could be compared: writes that begin at the only node known would have to move.
  const isComplete = [...settings.seeds, ...discovered].every((address) => isHeardAt(input, address));
  const mayChoose = !isDivided && (isComplete || current !== null);
  const writers = !mayChoose ? [] : usable.filter((node) => mayWrite(input, node, newest));
  const writer = chooseWriter(writers, { current, syncedSinceMs, startedAtMs }, input);
  const situation: Situation = { input, clusterUuid, nodes, newest, writer };
  const offered = draftWithoutSilent(input, entries, (entry) => draftMember(situation, entry));
  const members = endReadsOnPromotion(giveUpDropped(offered, settings.dropped), settings.closeRoOnPromotion);
  return {
    topology: {
      ...singleWriterTopology(members, [...alarms, ...alarmsOf(situation, isDivided)], isDivided),
      groupName: clusterUuid,
      hasQuorum: newest !== null,
    },
    wanted: [...new Set([...settings.seeds, ...discovered])],
    isInDoubt: writer === null || writer.entry.observation?.failure !== null,
    memory: {
      ...memory,
      kind: 'galera',
      incarnation: null,
      conflictSinceMs: null,
      syncedSinceMs,
      startedAtMs,
    },
  };
}

type Situation = {
  readonly input: DecisionInput;
  readonly clusterUuid: string;
  readonly nodes: readonly GaleraNode[];
  readonly newest: GaleraNode | null;
  readonly writer: GaleraNode | null;
};

function isHeardAt(input: DecisionInput, wanted: string): boolean {
  return isHeard(input.observations.find(({ address }) => address === wanted));
}

/** Nodes that were not synced, or have left, are remembered as such: when they are back they have been away. */
function rememberSynced(
  usable: readonly GaleraNode[],
  before: DecisionMemory['syncedSinceMs'],
  nowMs: number,
): DecisionMemory['syncedSinceMs'] {
  const since = new Map<string, number | null>();
  for (const { entry } of usable) {
    const known = before.get(entry.id);
    since.set(entry.id, known === undefined ? Number.NEGATIVE_INFINITY : (known ?? nowMs));
  }
  for (const id of before.keys()) {
    if (!since.has(id) && since.size < MAX_REMEMBERED) since.set(id, null);
  }
  return since;
}

/** Where the newest view has nodes, but for those that are met under a seed's name. */
function discoveredAddresses(input: DecisionInput, clusterUuid: string): readonly string[] {
  const { observations, settings } = input;
  const { seeds } = settings;
  let newest: MemberAnswer | null = null;
  const metAtSeeds = new Set<string>();
  for (const observation of observations) {
    const galera = observation.answer?.galera ?? null;
    if (galera?.clusterUuid !== clusterUuid) continue;
    if (seeds.includes(observation.address)) metAtSeeds.add(ownAddress(galera));
    const fresh = standingAnswer(observation, input.nowMs, settings.confirmationTtlMs);
    if (fresh !== null && (newest === null || viewNumber(fresh) > viewNumber(newest))) newest = fresh;
  }
  const areSeedsHeard = seeds.every((seed) => isHeardAt(input, seed));
  const isObserved = (wanted: string) => observations.some(({ address }) => address === wanted);
  return (newest?.galera?.members ?? [])
    .filter((address) => address !== '' && !metAtSeeds.has(address) && !seeds.includes(address))
    .filter((address) => areSeedsHeard || isObserved(address));
}

function viewNumber({ galera }: MemberAnswer): number {
  return galera?.isPrimaryComponent === true ? (galera.configuration ?? -1) : -1;
}

/** A node that was discovered is a member once it has said who it is. */
function discoveredRows(
  input: DecisionInput,
  clusterUuid: string,
  discovered: readonly string[],
): readonly ViewRow[] {
  return input.observations.flatMap(({ address, answer }): readonly ViewRow[] => {
    if (answer?.galera?.clusterUuid !== clusterUuid || !discovered.includes(address)) return [];
    const match = /^(.*):(\d+)$/.exec(address);
    const host = (match?.[1] ?? '').replace(/^\[|\]$/g, '');
    return [{ id: answer.serverUuid, host, port: Number(match?.[2]), state: 'ONLINE', role: 'UNKNOWN' }];
  });
}

/** Its own word, not too old, and no newer view that has left it out. */
function mayWrite(
  input: DecisionInput,
  { entry, answer, galera }: GaleraNode,
  newest: GaleraNode | null,
): boolean {
  const { confirmationTtlMs, dropped } = input.settings;
  if (answer.readOnly || answer.superReadOnly || dropped?.has(entry.address) === true) return false;
  if (entry.observation?.dial == null || isExpelled(galera, newest)) return false;
  return input.nowMs - answer.askedAtMs <= confirmationTtlMs / 2;
}

function draftMember(situation: Situation, entry: Entry): Member {
  const { input, nodes, newest, writer } = situation;
  const { observation, before } = entry;
  const node = nodes.find((candidate) => candidate.entry === entry);
  const fresh = standingAnswer(observation, input.nowMs, input.settings.confirmationTtlMs);
  const isWriter = writer?.entry === entry;
  const isForeign = fresh !== null && node === undefined;
  const expelled = isExpelled(observation?.answer?.galera ?? null, newest);
  const isReachable = observation !== undefined && observation.dial !== null && !isGone(observation);
  const isUsed = node === undefined ? before?.acceptsReads === true && !isForeign : node.trouble === '';
  const readable = isReachable && isUsed && !expelled;
  const state = stateOf(node, entry, expelled, isForeign);
  return {
    id: entry.id,
    address: entry.address,
    dial: observation?.dial ?? null,
    role: isWriter ? 'PRIMARY' : node === undefined && before === undefined ? 'UNKNOWN' : 'SECONDARY',
    state,
    acceptsWrites: isWriter,
    acceptsReads: readable,
    primarySessions: isWriter ? 'keep' : primarySessionsOf(situation, entry, expelled),
    secondarySessions: expelled ? 'cut' : readable || node === undefined ? 'keep' : lateFate(node),
    version: fresh?.version ?? before?.version ?? '',
    reason: reasonOf(situation, entry, node, expelled),
    slot: -1,
  };
}

function stateOf(
  node: GaleraNode | undefined,
  entry: Entry,
  expelled: boolean,
  isForeign: boolean,
): MemberState {
  if (node === undefined) {
    if (isForeign) return 'UNKNOWN';
    return expelled ? 'OFFLINE' : entry.observation?.answer == null ? 'UNKNOWN' : 'UNREACHABLE';
  }
  if (node.trouble === '') return expelled ? 'UNREACHABLE' : 'ONLINE';
  if (!node.galera.isPrimaryComponent) return 'ERROR';
  return node.galera.localState === 0 ? 'OFFLINE' : 'RECOVERING';
}

/** Writes move in good order where the old writer is still there, at once where the cluster has gone on without it. */
function primarySessionsOf({ writer, nodes }: Situation, entry: Entry, expelled: boolean): SessionFate {
  if (expelled) return 'cut';
  const node = nodes.find((candidate) => candidate.entry === entry);
  if (node !== undefined && node.trouble !== '') return 'drain';
  if (writer === null) return entry.before?.primarySessions ?? 'keep';
  return 'drain';
}

/** A donor goes on serving what is open; a node without its cluster refuses every statement anyway. */
function lateFate({ galera }: GaleraNode): SessionFate {
  return galera.isPrimaryComponent && galera.localState === 2 ? 'keep' : 'drain';
}

function reasonOf(
  { input, clusterUuid, nodes, newest }: Situation,
  entry: Entry,
  node: GaleraNode | undefined,
  expelled: boolean,
): string {
  const fresh = standingAnswer(entry.observation, input.nowMs, input.settings.confirmationTtlMs);
  if (fresh !== null && node === undefined) {
    if (fresh.serverUuid !== entry.id) return `another server, ${fresh.serverUuid}, answers for this member`;
    if (fresh.galera === null) return 'is not a node of a Galera cluster';
    return fresh.galera.clusterUuid === ''
      ? 'has not joined a cluster'
      : `belongs to another cluster, ${fresh.galera.clusterUuid}`;
  }
  const failure = entry.observation?.failure?.kind;
  if (failure !== undefined && (fresh === null || failure !== 'closed')) return FAILURE_REASONS[failure];
  if (node === undefined) return 'not heard of yet';
  if (expelled) return `not in the cluster as ${newest?.entry.address ?? 'others'} sees it`;
  if (node.trouble !== '') return node.trouble;
  const isReadOnly = node.answer.readOnly || node.answer.superReadOnly;
  return isReadOnly && nodes.length > 1
    ? 'read-only, never the writer'
    : clusterUuid === ''
      ? 'no cluster'
      : '';
}

function alarmsOf(
  { input, clusterUuid, nodes, newest, writer }: Situation,
  isDivided: boolean,
): readonly string[] {
  const alarms: string[] = [];
  if (isDivided)
    alarms.push(`the cluster ${clusterUuid} exists twice: two components call themselves primary`);
  if (newest === null && nodes.length > 0)
    alarms.push('no node that answers is synced and in a primary component');
  if (newest !== null && writer === null && !isDivided) alarms.push('no synced node is writable');
  for (const { address, answer } of input.observations) {
    const uuid = answer?.galera?.clusterUuid ?? '';
    if (uuid === '' || uuid === clusterUuid) continue;
    alarms.push(`${address} belongs to cluster ${uuid}, this router follows cluster ${clusterUuid}`);
  }
  return alarms;
}

/** More nodes than any cluster has. */
const MAX_REMEMBERED = 100;
