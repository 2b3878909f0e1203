/**
 * Galera: which nodes may be used, which of their views is the newest, and which one node takes the writes.
 *
 * Every synced node could take writes, and two that take them at once make each other's transactions fail. So all routers
 * have to choose the same one without speaking to each other, from what all of them can see: the node whose process joined
 * first (the time in its `wsrep_gcomm_uuid`). A node that is restarted comes last, so the writes do not come back to it: it
 * joins under a new UUID; after a crash it may keep its old one (`gvwstate.dat`), and then its `Uptime` tells.
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

export type WriterHistory = {
  /** Identity of the node that takes the writes now, or null. */
  readonly current: string | null;
  /** Since when each has been synced without interruption. */
  readonly syncedSinceMs: DecisionMemory['syncedSinceMs'];
  /** When the process of each was started. */
  readonly startedAtMs: ReadonlyMap<string, number>;
};

/**
 * The node that takes the writes.
 *
 * @param nodes those that could
 */
export function chooseWriter(
  nodes: readonly GaleraNode[],
  { current, syncedSinceMs, startedAtMs }: WriterHistory,
  { nowMs, settings }: Pick<DecisionInput, 'nowMs' | 'settings'>,
): GaleraNode | null {
  const first = eldestOf(nodes, startedAtMs);
  const standing = nodes.find(({ entry }) => entry.id === current);
  if (first === null || standing === undefined || first === standing) return first;
  if (settings.galeraFailback === 'never') return standing;
  // One that was away and kept its age takes over again only when it has proved itself: no to and fro.
  const sinceMs = syncedSinceMs.get(first.entry.id) ?? nowMs;
  return nowMs - sinceMs >= SETTLING_MS ? first : standing;
}

/** Of processes that were started together, such as after a power cut, the UUIDs decide: they tell the order exactly. */
function eldestOf(nodes: readonly GaleraNode[], startedAtMs: ReadonlyMap<string, number>): GaleraNode | null {
  const startOf = ({ entry }: GaleraNode) => startedAtMs.get(entry.id) ?? 0;
  const firstStartMs = Math.min(...nodes.map(startOf));
  const together = nodes.filter((node) => startOf(node) <= firstStartMs + STARTED_TOGETHER_MS);
  return together.sort(bySeniority)[0] ?? null;
}

/** By identity, when the process of each was started: never earlier than what its answers have told at the most. */
export function rememberStarts(
  nodes: readonly GaleraNode[],
  before: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  return new Map(
    nodes.map(({ entry, answer, galera }) => {
      // Whole seconds are told, so that the earliest of several answers is the nearest, unless it is another process.
      const toldMs = answer.askedAtMs - galera.uptimeSeconds * 1000;
      const known = before.get(entry.id) ?? toldMs;
      return [entry.id, toldMs > known + RESTART_MS ? toldMs : Math.min(known, toldMs)];
    }),
  );
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
/** Starts are told in whole seconds: half of one between two numbers, so that all routers find the same. */
const STARTED_TOGETHER_MS = 10_500;
/** More than answers differ by for one process. */
const RESTART_MS = 5000;
