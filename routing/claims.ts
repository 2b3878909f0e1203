/**
 * Which members may be written to, out of those that say they are a writable primary.
 *
 * A claim is a member's own view in which it is ONLINE and PRIMARY, with super_read_only and read_only off. It falls
 * when it has not been repeated in time, or when a newer view of somebody else says otherwise. What is left over in a
 * single-primary group must be one claim; two are none until one of them has fallen.
 */
import { compareViews, rowOf, type View } from './views.ts';

export type Claims = {
  /** The confirmed primaries: at most one in a single-primary group. */
  readonly confirmed: readonly View[];
  /** Those that claim the same place, when they are more than one. */
  readonly competing: readonly View[];
};

/** How long a claim stands without being repeated. */
export type ClaimTerms = {
  /** While another member's later view agrees. */
  readonly supportedMs: number;
  /** While nobody else has said so since. */
  readonly aloneMs: number;
};

export function settleClaims(
  views: readonly View[],
  isSinglePrimary: boolean,
  nowMs: number,
  terms: ClaimTerms,
): Claims {
  const standing = views.filter(
    (view) => isClaim(view) && !hasLapsed(view, views, nowMs, terms) && !isContradicted(view, views),
  );
  if (isSinglePrimary && standing.length > 1) return { confirmed: [], competing: standing };
  return { confirmed: standing, competing: [] };
}

export function isClaim(view: View): boolean {
  return namesPrimary(view, view.memberId) && !view.answer.superReadOnly && !view.answer.readOnly;
}

export function namesPrimary(view: View, memberId: string): boolean {
  const row = rowOf(view, memberId);
  return row?.state === 'ONLINE' && row.role === 'PRIMARY';
}

/**
 * One slow answer is no reason to stop writing, as long as somebody else goes on naming the member as primary; unless
 * clients are told meanwhile that they cannot commit. A member that is made to leave its group refuses commits for
 * seconds, and does not answer what the view's id is until it has left, while all still name it as primary.
 */
function hasLapsed(claim: View, views: readonly View[], nowMs: number, terms: ClaimTerms): boolean {
  const { refusingSinceMs, answer } = claim;
  const roundTripMs = Math.max(0, answer.answeredAtMs - answer.askedAtMs);
  const graceMs = REFUSING_GRACE_MS + Math.min(2 * roundTripMs, MAX_ROUND_TRIPS_MS);
  if (refusingSinceMs !== null && nowMs - refusingSinceMs > graceMs) return true;
  const isSupported = views.some(
    (view) => view.answer.askedAtMs > claim.answer.askedAtMs && namesPrimary(view, claim.memberId),
  );
  return nowMs - claim.answer.askedAtMs > (isSupported ? terms.supportedMs : terms.aloneMs);
}

function isContradicted(claim: View, views: readonly View[]): boolean {
  let suspected = false;
  let supported = false;
  for (const view of views) {
    if (view.memberId === claim.memberId || compareViews(view, claim) !== 'newer') continue;
    const row = rowOf(view, claim.memberId);
    if (row?.state === 'ONLINE' && row.role === 'PRIMARY') supported = true;
    // UNREACHABLE is what one member thinks of another; the group has not decided anything.
    else if (row?.state === 'UNREACHABLE') suspected = true;
    else if (!isRival(view, claim)) return true;
  }
  return suspected && !supported;
}

/**
 * A second claim in the same sequence does not bring down the first by being later: then two members that both insist
 * would take turns. The first falls as soon as it is asked again and no longer claims, or a third one speaks.
 */
function isRival(view: View, claim: View): boolean {
  return isClaim(view) && view.viewId?.sequence === claim.viewId?.sequence;
}

/**
 * A transaction that is refused for its own sake, such as one that is too large, does the primary no harm: the next probe is
 * answered before. That one may have to wait for the end of the one under way.
 */
const REFUSING_GRACE_MS = 50;
const MAX_ROUND_TRIPS_MS = 500;
