/**
 * Members set aside after failures in a row, and when to look at them again.
 *
 * A member enters after `threshold` consecutive failures and leaves with the first success: that of a re-admission
 * probe, due every `intervalMs`, or that of a session which tried it because nothing else was left. An attempt that began
 * before the last success says nothing by its failure: it is late news of what has passed. Time is an argument.
 */
import { keepOnlyMembers, memberKey } from './member-key.ts';
import type { Member } from './topology.ts';

export type QuarantineSettings = {
  /** Consecutive failures that set a member aside, 1 or more. */
  readonly threshold: number;
  /** Time between two re-admission probes of one member. */
  readonly intervalMs: number;
};

export type Quarantine = {
  /** @param sinceMs when the attempt began @returns true when this failure put the member into quarantine */
  reportFailure(member: Member, nowMs: number, sinceMs?: number): boolean;
  /** @returns true when this success took the member out of quarantine */
  reportSuccess(member: Member, nowMs: number): boolean;
  isQuarantined(member: Member): boolean;
  /** Of `members`, those to probe now. Each is due again one interval later, whatever the probe says. */
  dueForProbe(members: readonly Member[], nowMs: number): readonly Member[];
  /** When `dueForProbe` should next be asked, or null while nobody is in quarantine. */
  nextProbeAtMs(): number | null;
  /** Called with each new topology: forgets members that are not in it, so that nothing grows. */
  keepOnly(members: readonly Member[]): void;
  configure(settings: QuarantineSettings): void;
};

type Standing =
  | { readonly kind: 'failing'; readonly failures: number }
  | { readonly kind: 'quarantined'; readonly probeAtMs: number };

export function createQuarantine(initial: QuarantineSettings): Quarantine {
  let settings = initial;
  /** Members without a failure are not in it. */
  const standings = new Map<string, Standing>();
  const succeededAtMs = new Map<string, number>();
  return {
    reportFailure(member, nowMs, sinceMs = nowMs) {
      const key = memberKey(member);
      if (sinceMs < (succeededAtMs.get(key) ?? Number.NEGATIVE_INFINITY)) return false;
      const standing = standings.get(key);
      if (standing?.kind === 'quarantined') return false;
      const failures = (standing?.failures ?? 0) + 1;
      const isOver = failures >= settings.threshold;
      standings.set(
        key,
        isOver
          ? { kind: 'quarantined', probeAtMs: nowMs + settings.intervalMs }
          : { kind: 'failing', failures },
      );
      return isOver;
    },
    reportSuccess(member, nowMs) {
      const key = memberKey(member);
      succeededAtMs.set(key, nowMs);
      const wasQuarantined = standings.get(key)?.kind === 'quarantined';
      standings.delete(key);
      return wasQuarantined;
    },
    isQuarantined: (member) => standings.size > 0 && standings.get(memberKey(member))?.kind === 'quarantined',
    dueForProbe(members, nowMs) {
      if (standings.size === 0) return [];
      const due = members.filter((member) => {
        const standing = standings.get(memberKey(member));
        return standing?.kind === 'quarantined' && standing.probeAtMs <= nowMs;
      });
      for (const member of due) {
        standings.set(memberKey(member), { kind: 'quarantined', probeAtMs: nowMs + settings.intervalMs });
      }
      return due;
    },
    nextProbeAtMs() {
      let next: number | null = null;
      for (const standing of standings.values()) {
        if (standing.kind === 'quarantined' && (next === null || standing.probeAtMs < next)) {
          next = standing.probeAtMs;
        }
      }
      return next;
    },
    keepOnly(members) {
      keepOnlyMembers(standings, members);
      keepOnlyMembers(succeededAtMs, members);
    },
    configure(next) {
      settings = next;
    },
  };
}
