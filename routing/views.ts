/**
 * Views of a group: which count, and which of two is the newer.
 *
 * Every member keeps its own copy of replication_group_members, and copies differ for a while after each change, for
 * longer when a member was cut off or frozen. `view_id` is `<incarnation>:<sequence>`: the incarnation is drawn when the
 * group is bootstrapped, the sequence rises when members join or leave. A change of the primary alone does not move
 * it, so within one sequence the time of asking decides.
 */
import type { GroupAnswer, MemberAnswer, Observation, SeenView, ViewRow } from './observations.ts';

/** A view with quorum, of a member that is ONLINE in it. */
export type View = {
  readonly address: string;
  readonly memberId: string;
  readonly answer: MemberAnswer;
  readonly group: GroupAnswer;
  readonly viewId: ViewId | null;
  /** False while its member has not answered the latest probe: the view may be from before what happened since. */
  readonly isCurrent: boolean;
  /** See `Observation`. */
  readonly refusingSinceMs: number | null;
};

export type ViewId = { readonly incarnation: string; readonly sequence: number };

export type ViewOrder = 'newer' | 'older' | 'undecided' | 'incomparable';

/** Makes a view of an answer if it counts as one, else null. */
export function viewOf(
  { address, failure, refusingSinceMs = null }: Pick<Observation, 'address' | 'failure' | 'refusingSinceMs'>,
  answer: MemberAnswer,
  groupName: string,
): View | null {
  const group = answer.group;
  if (group === null || group.groupName !== groupName) return null;
  if (ownRow(answer)?.state !== 'ONLINE' || !hasQuorum(group.rows)) return null;
  return {
    address,
    memberId: answer.serverUuid,
    answer,
    group,
    viewId: parseViewId(group.viewId),
    isCurrent: failure === null,
    refusingSinceMs,
  };
}

/** The row in which a member speaks of itself. */
export function ownRow(answer: MemberAnswer): ViewRow | undefined {
  return answer.group?.rows.find((row) => row.id === answer.serverUuid);
}

export function rowOf(view: View, memberId: string): ViewRow | undefined {
  return view.group.rows.find((row) => row.id === memberId);
}

/**
 * What `view` says of a member, unless it alone cannot reach it: UNREACHABLE is one member's suspicion, and counts when
 * the others that answer share it.
 */
export function settledRow(view: View, views: readonly View[], memberId: string): ViewRow | undefined {
  const row = rowOf(view, memberId);
  if (row?.state !== 'UNREACHABLE') return row;
  for (const other of views) {
    if (other.memberId === memberId || !other.isCurrent) continue;
    if (other.viewId?.sequence !== view.viewId?.sequence) continue;
    const otherRow = rowOf(other, memberId);
    if (otherRow !== undefined && otherRow.state !== 'UNREACHABLE') return otherRow;
  }
  return row;
}

/** A member that is RECOVERING takes part in the group's decisions as well as one that is ONLINE. */
export function hasQuorum(rows: readonly ViewRow[]): boolean {
  const present = rows.filter((row) => row.state === 'ONLINE' || row.state === 'RECOVERING').length;
  return present > rows.length / 2;
}

export function parseViewId(text: string | null): ViewId | null {
  const match = text === null ? null : /^(\d+):(\d+)$/.exec(text);
  const [, incarnation, sequence] = match ?? [];
  if (incarnation === undefined || sequence === undefined) return null;
  return { incarnation, sequence: Number(sequence) };
}

/**
 * How `view` stands to `other`. Where the sequence does not tell, one is newer only if it was asked for after the
 * other had been answered; two that overlap in time are undecided. Two incarnations of a group cannot be compared.
 */
export function compareViews(view: View, other: View): ViewOrder {
  if (view.viewId !== null && other.viewId !== null) {
    if (view.viewId.incarnation !== other.viewId.incarnation) return 'incomparable';
    if (view.viewId.sequence > other.viewId.sequence) return 'newer';
    if (view.viewId.sequence < other.viewId.sequence) return 'older';
  }
  if (view.answer.askedAtMs >= other.answer.answeredAtMs) return 'newer';
  if (other.answer.askedAtMs >= view.answer.answeredAtMs) return 'older';
  return 'undecided';
}

/** The views to go by, and the newest of them; null without any view. */
export type ChosenViews = {
  readonly newest: View;
  /** All views of the chosen incarnation, and those that do not tell theirs. */
  readonly views: readonly View[];
  readonly incarnation: string | null;
  /** True when the group exists twice: somebody bootstrapped it while it was running. */
  readonly isSplit: boolean;
};

/**
 * Of two incarnations the one with more members ONLINE counts, then the one followed so far. Whatever is chosen, a
 * primary of each is two primaries, and no write is sent anywhere.
 */
export function chooseViews(views: readonly View[], followed: string | null): ChosenViews | null {
  const incarnations = new Set(
    views.flatMap((view) => (view.viewId === null ? [] : [view.viewId.incarnation])),
  );
  let chosen: string | null = null;
  let chosenOnline = -1;
  for (const incarnation of incarnations) {
    const online = onlineCount(newestOf(views.filter((view) => view.viewId?.incarnation === incarnation)));
    if (online > chosenOnline || (online === chosenOnline && incarnation === followed)) {
      chosen = incarnation;
      chosenOnline = online;
    }
  }
  const counting = views.filter((view) => view.viewId === null || view.viewId.incarnation === chosen);
  const newest = newestOf(counting);
  if (newest === null) return null;
  return { newest, views: counting, incarnation: chosen ?? followed, isSplit: incarnations.size > 1 };
}

/**
 * True when the group has been seen further on, and nobody is left who knows: a member that slept through its own
 * expulsion believes in its old view until it hears the others. What was said before then is late and no lie. Nor is a view
 * that all its members repeat: an operator has forced them on (group_replication_force_members) from an older one.
 */
export function isLeftBehind({ newest, views }: ChosenViews, seen: SeenView | null): boolean {
  const { viewId, answer, group } = newest;
  if (seen === null || viewId === null || viewId.incarnation !== seen.incarnation) return false;
  if (viewId.sequence >= seen.sequence || answer.askedAtMs < seen.saidAtMs) return false;
  const repeating = new Set(
    views.filter((view) => view.viewId?.sequence === viewId.sequence).map(({ memberId }) => memberId),
  );
  return group.rows.some(({ id, state }) => state === 'ONLINE' && !repeating.has(id));
}

/** What to remember of the views there are. */
export function highestSeen(chosen: ChosenViews | null, seen: SeenView | null): SeenView | null {
  const viewId = chosen?.newest.viewId ?? null;
  if (chosen === null || viewId === null) return seen;
  if (seen?.incarnation === viewId.incarnation && seen.sequence >= viewId.sequence) return seen;
  return { ...viewId, saidAtMs: chosen.newest.answer.answeredAtMs };
}

function onlineCount(view: View | null): number {
  return view === null ? 0 : view.group.rows.filter((row) => row.state === 'ONLINE').length;
}

/** The newest of some views; of two that overlap in time the one asked for later. */
export function newestOf(views: readonly View[]): View | null {
  let newest: View | null = null;
  for (const view of views) {
    if (newest === null) newest = view;
    else {
      const order = compareViews(view, newest);
      const isLater = view.answer.askedAtMs > newest.answer.askedAtMs;
      if (order === 'newer' || (order === 'undecided' && isLater)) newest = view;
    }
  }
  return newest;
}
