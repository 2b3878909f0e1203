/**
 * Galera: which nodes may be used, which of their views is the newest, and which one node takes the writes.
 *
 * Every synced node could take writes, and two that take them at once make each other's transactions fail. So all routers
 * have to choose the same one without speaking to each other, from what all of them can see: the node whose process joined
 * first (the time in its `wsrep_gcomm_uuid`). A node that is restarted comes last, so the writes do not come back to it.
 */
import {
  type DecisionInput,
  type DecisionMemory,
  type GaleraAnswer,
  type MemberAnswer,
  standingAnswer,
} from './observations.ts';
import type { Entry } from './roster.ts';

/** A node that has said in time that it belongs to our cluster. */
export type GaleraNode = {
  readonly entry: Entry;
  readonly answer: MemberAnswer;
  readonly galera: GaleraAnswer;
  /** Empty for a node that is to be used; else why it is not. */
  readonly trouble: string;
};

export function nodesOf(
  input: DecisionInput,
  entries: readonly Entry[],
  clusterUuid: string,
): readonly GaleraNode[] {
  return entries.flatMap((entry) => {
    const answer = standingAnswer(entry.observation, input.nowMs, input.settings.confirmationTtlMs);
    const galera = answer?.galera ?? null;
    if (answer === null || answer.serverUuid !== entry.id || galera?.clusterUuid !== clusterUuid) return [];
    return [{ entry, answer, galera, trouble: troubleOf(galera) }];
  });
}

/** In Galera's own words, for people. */
function troubleOf(galera: GaleraAnswer): string {
  if (!galera.isPrimaryComponent) return 'not in the primary component';
  if (galera.localState !== SYNCED) return LOCAL_STATES[galera.localState] ?? 'not synced';
  if (!galera.isReady) return 'wsrep_ready or wsrep_connected is OFF';
  return galera.setAside;
}

/** Where the node says that it itself is reached; empty when it does not. */
export function ownAddress(galera: GaleraAnswer): string {
  return galera.members[galera.localIndex] ?? '';
}

/** The newest view of a node that is part of the primary component. */
export function newestView(nodes: readonly GaleraNode[]): GaleraNode | null {
  let newest: GaleraNode | null = null;
  for (const node of nodes) {
    if (!node.galera.isPrimaryComponent || node.galera.configuration === null) continue;
    const isNewer =
      newest === null ||
      node.galera.configuration > (newest.galera.configuration ?? 0) ||
      (node.galera.configuration === newest.galera.configuration &&
        node.answer.askedAtMs > newest.answer.askedAtMs);
    if (isNewer) newest = node;
  }
  return newest;
}

/** True when the newest view, which is newer than the node's own, does not have it any more. */
export function isExpelled(galera: GaleraAnswer | null, newest: GaleraNode | null): boolean {
  if (galera === null || newest === null || ownAddress(galera) === '') return false;
  // One that knows itself that it is alone has been heard, and may end what is open in good order.
  if (galera.configuration === null || galera.configuration >= (newest.galera.configuration ?? 0))
    return false;
  return !newest.galera.members.includes(ownAddress(galera));
}

/** Two parts that both call themselves primary: somebody has made a component primary by hand that was not alone. */
export function isSplit(nodes: readonly GaleraNode[]): boolean {
  const primary = nodes.flatMap(({ galera }) => {
    const address = ownAddress(galera);
    return galera.isPrimaryComponent && address !== '' ? [{ address, sees: new Set(galera.members) }] : [];
  });
  return primary.some((one) =>
    primary.some((other) => !one.sees.has(other.address) && !other.sees.has(one.address)),
  );
}

/**
 * The node that takes the writes.
 *
 * @param nodes those that could
 * @param current identity of the one that does now, or null
 * @param syncedSinceMs since when each has been synced without interruption
 */
export function chooseWriter(
  nodes: readonly GaleraNode[],
  current: string | null,
  syncedSinceMs: DecisionMemory['syncedSinceMs'],
  nowMs: number,
): GaleraNode | null {
  const [first] = [...nodes].sort(bySeniority);
  const standing = nodes.find(({ entry }) => entry.id === current);
  if (first === undefined || standing === undefined || first === standing) return first ?? null;
  // One that was away and kept its age takes over again only when it has proved itself: no to and fro.
  const sinceMs = syncedSinceMs.get(first.entry.id) ?? nowMs;
  return nowMs - sinceMs >= SETTLING_MS ? first : standing;
}

function bySeniority(a: GaleraNode, b: GaleraNode): number {
  const [left, right] = [seniorityOf(a), seniorityOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Sorts by the time in a UUID of version 1 (RFC 9562: low, middle and high part), then by the whole. */
function seniorityOf({ galera, entry }: GaleraNode): string {
  const [low = '', middle = '', high = ''] = galera.nodeUuid.split('-');
  return `${high.slice(1)}${middle}${low} ${galera.nodeUuid} ${entry.id}`;
}

const SYNCED = 4;
const LOCAL_STATES: Readonly<Record<number, string>> = {
  0: 'not connected to the cluster',
  1: 'joining',
  2: 'donor or desynced',
  3: 'joined, not synced yet',
};
const SETTLING_MS = 10_000;
