/** A group, a router and clients of all kinds, and what one fault did to them: errors, silence, descriptors, and the log. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { Load } from '../../bench/failover/load.ts';
import {
  type Attempt,
  acknowledgedWrites,
  countedByName,
  longestGapMs,
  lostWrites,
  type StoredRow,
} from '../../bench/failover/record.ts';
import { CLIENT_KINDS } from '../../bench/failover/result.ts';
import type { Server } from '../../src/sandbox/index.ts';
import { codeOf } from '../../src/sandbox/outcome.ts';
import { messageOf } from '../../src/shared/message-of.ts';
import { connectTo } from '../support/clients.ts';
import { type Footprint, footprintOf } from '../support/footprint.ts';
import { type NetworkGroup, startLoad, storedRows, untilAtWork } from '../support/network-group.ts';
import type { LogLine, RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { UnfitMembers, type WhyUnfit } from './unfit-members.ts';

/** Acknowledged writes that the group itself has given up, as was seen beside the router. */
export type Forgone = {
  /** Those that can be among them. */
  readonly ids: ReadonlySet<number>;
  /** How many transactions there are at most. */
  readonly transactions: number;
};

/** Does it to `stage`, and makes it whole again. */
export type Fault<S = NetworkGroup> = (
  stage: S,
  note: (text: string) => void,
  forgo: (forgone: Forgone) => void,
) => Promise<void>;

/** What is watched while a fault is played, whatever kind of cluster it is. */
export type Watched = {
  readonly router: RouterProcess;
  readonly members: readonly Server[];
  /** Who takes the writes now. */
  readonly writer: () => Promise<Server>;
  readonly whyUnfit: WhyUnfit;
};

export type Verdict = {
  readonly name: string;
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[];
};

/** Plays one fault under load and judges it; the fault is over, and the cluster whole, when it returns. */
export async function playFault(
  scope: Scope,
  watched: Watched,
  name: string,
  play: (note: (text: string) => void, forgo: (forgone: Forgone) => void) => Promise<void>,
): Promise<Verdict> {
  const { router } = watched;
  const faults: string[] = [];
  scope.comment(`== ${name}`);
  const before = await footprintOf(router.pid);
  const seen = router.log.length;
  const load = await startLoad(scope, router, { clients: 2, connectEveryMs: 60 });
  const idle = await IdleClients.start(router);
  const unfit = UnfitMembers.start(watched.members, watched.whyUnfit);
  const blowAtMs = performance.now();
  const blowAt = Date.now();
  let forgone: Forgone = { ids: new Set(), transactions: 0 };
  try {
    await play(
      (text) => scope.comment(`   ${text}`),
      (found) => {
        forgone = found;
      },
    );
  } catch (error) {
    faults.push(`the fault itself: ${messageOf(error)}`);
  }
  const overAtMs = performance.now();
  await untilAtWork(load).catch((error: unknown) => faults.push(`not served again: ${String(error)}`));
  const servedAtMs = performance.now();
  const attempts = await load.stop(15_000);
  await unfit.stop();
  const misled = unfit.misledReads(attempts, UNFIT_GRACE_MS);
  if (misled.length > 0) faults.push(`reads where none should be: ${countedByName(misled)}`);
  scope.comment(`   idle clients: ${await idle.stop()}`);
  describe(scope, attempts, blowAtMs, overAtMs, servedAtMs);
  faults.push(...(await judge(watched, load, router.log.slice(seen), forgone)));
  tellLog(scope, router.log.slice(seen), blowAt);
  if (!router.isRunning) faults.push('the router has ended');
  else {
    const stoppedAtMs = performance.now();
    const after = await settledFootprint(router.pid, before.descriptors);
    const tookMs = (performance.now() - stoppedAtMs).toFixed(0);
    scope.comment(
      `   descriptors ${before.descriptors} → ${after.descriptors} in ${tookMs} ms, ${toMib(before.rssKib)} → ${toMib(after.rssKib)} MiB`,
    );
    if (after.descriptors > before.descriptors + FEW) faults.push('descriptors leak');
  }
  for (const text of faults) scope.comment(`   !! ${text}`);
  return { name, faults };
}

/** Once the descriptors are those of before, give or take a few: control sessions and idle HTTP connections come and go. */
async function settledFootprint(pid: number, descriptors: number): Promise<Footprint> {
  const enoughAtMs = performance.now() + SETTLE_MS;
  for (;;) {
    const now = await footprintOf(pid);
    if (now.descriptors <= descriptors + FEW || performance.now() > enoughAtMs) return now;
    await pause(50);
  }
}

/** Clients that have logged in once and wait, as most of a pool does. */
class IdleClients {
  readonly #connections: readonly Connection[];
  readonly #ended = new Map<Connection, string>();

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections;
    for (const connection of connections) {
      connection.on('error', (error) => this.#ended.set(connection, codeOf(error) ?? 'end'));
    }
  }

  static async start({ host, ports }: RouterProcess): Promise<IdleClients> {
    const all = [ports.rw, ports.rw, ports.rw, ports.ro, ports.ro, ports.ro];
    return new IdleClients(await Promise.all(all.map((port) => connectTo(port, { host }))));
  }

  /** @returns what became of them; one that was ended learns it without asking, one that stayed must answer */
  async stop(): Promise<string> {
    const found = await Promise.all(
      this.#connections.map(async (connection) => {
        const end = this.#ended.get(connection);
        if (end !== undefined) return `closed (${end})`;
        const answer = connection.query('SELECT 1').then(
          () => 'usable',
          (error: unknown) => `failed (${codeOf(error) ?? String(error)})`,
        );
        return Promise.race([answer, pause(5000, 'HUNG', { ref: false })]);
      }),
    );
    for (const connection of this.#connections) connection.destroy();
    const [rw, ro] = [found.slice(0, 3), found.slice(3)];
    return `RW ${countedByName(rw)}; RO ${countedByName(ro)}`;
  }
}

function describe(
  scope: Scope,
  attempts: readonly Attempt[],
  blowAtMs: number,
  overAtMs: number,
  servedAtMs: number,
): void {
  const after = attempts.filter(
    ({ startedAtMs, endedAtMs }) => startedAtMs >= blowAtMs || endedAtMs >= blowAtMs,
  );
  for (const kind of CLIENT_KINDS) {
    const mine = after.filter(({ client }) => client.startsWith(kind));
    const errors = mine.flatMap(({ outcome }) => {
      if (outcome.kind === 'served') return [];
      return [
        outcome.kind === 'hung' ? `HUNG in ${outcome.during}` : `${outcome.error} in ${outcome.during}`,
      ];
    });
    const longest = Math.max(0, ...mine.map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs));
    const share = `${mine.length - errors.length} of ${mine.length} served`;
    scope.comment(`   ${kind}s: ${share}; ${countedByName(errors)}; longest ${longest.toFixed(0)} ms`);
  }
  const gap = longestGapMs(attempts, blowAtMs, servedAtMs).toFixed(0);
  scope.comment(
    `   the fault lasted ${(overAtMs - blowAtMs).toFixed(0)} ms; all served ${(servedAtMs - overAtMs).toFixed(0)} ms after; no write for ${gap} ms`,
  );
}

async function judge(
  { writer }: Watched,
  load: Load,
  log: readonly LogLine[],
  forgone: Forgone,
): Promise<readonly string[]> {
  const { attempts } = load;
  const rows = await storedRows(await writer());
  const missing = lostWrites(attempts, rows);
  const given = missing.filter((id) => forgone.ids.has(id)).slice(0, forgone.transactions);
  const lost = missing.filter((id) => !given.includes(id));
  const changes = changesOfMember(attempts, rows);
  const published = log.filter(({ event }) => event === 'primary_changed').length;
  const hung = attempts.filter(({ outcome }) => outcome.kind === 'hung');
  return [
    ...(lost.length === 0
      ? []
      : [`${lost.length} of ${acknowledgedWrites(attempts).length} acknowledged writes lost`]),
    ...(changes <= published
      ? []
      : [`writes changed their member ${changes} times, the router ${published} times`]),
    ...(hung.length === 0
      ? []
      : [
          `${hung.length} clients hung: ${[...new Set(hung.map(({ client }) => client))].slice(0, 6).join(', ')}`,
        ]),
  ];
}

/** How often acknowledged writes went over from one member to another, by those that did not overlap in time. */
function changesOfMember(attempts: readonly Attempt[], rows: readonly StoredRow[]): number {
  const memberOf = new Map(rows.map(({ id, member }) => [id, member]));
  const writes = acknowledgedWrites(attempts).toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  let changes = 0;
  let current: { readonly member: number; readonly endedAtMs: number } | null = null;
  for (const { id, startedAtMs, endedAtMs } of writes) {
    const member = id === undefined ? undefined : memberOf.get(id);
    if (member === undefined || (current !== null && startedAtMs <= current.endedAtMs)) continue;
    if (current !== null && current.member !== member) changes += 1;
    current = { member, endedAtMs };
  }
  return changes;
}

/** Each kind of line once, with how often and when first. */
function tellLog(scope: Scope, lines: readonly LogLine[], blowAt: number): void {
  const kinds = new Map<string, { count: number; readonly first: string }>();
  for (const { level, event, msg, time } of lines) {
    const text = `${level} ${event}: ${msg}`;
    const kind = kinds.get(text) ?? { count: 0, first: ((Date.parse(time) - blowAt) / 1000).toFixed(1) };
    kind.count += 1;
    kinds.set(text, kind);
  }
  scope.comment(`   log: ${lines.length} lines`);
  for (const [text, { count, first }] of [...kinds].slice(0, 40))
    scope.comment(`     ${first} s: ${count} × ${text.slice(0, 260)}`);
}

function toMib(kib: number): number {
  return Math.round(kib / 1024);
}

/** From a member's own word to the end of reads on it: a probe, a decision, and a boundary of each session. */
const UNFIT_GRACE_MS = 1500;
const FEW = 4;
const SETTLE_MS = 20_000;
