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
import { codeOf } from '../../src/sandbox/outcome.ts';
import { messageOf } from '../../src/shared/message-of.ts';
import { connectTo } from '../support/clients.ts';
import { footprintOf } from '../support/footprint.ts';
import { type NetworkGroup, startLoad, storedRows, untilAtWork } from '../support/network-group.ts';
import type { LogLine, RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';

export type Fault = (stage: NetworkGroup, note: (text: string) => void) => Promise<void>;

export type Verdict = {
  readonly name: string;
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[];
};

/** Plays one fault under load and judges it; the fault is over, and the group whole, when it returns. */
export async function playFault(
  scope: Scope,
  stage: NetworkGroup,
  name: string,
  fault: Fault,
): Promise<Verdict> {
  const { router } = stage;
  const faults: string[] = [];
  scope.comment(`== ${name}`);
  const before = await footprintOf(router.pid);
  const seen = router.log.length;
  const load = await startLoad(scope, router, { clients: 2, connectEveryMs: 60 });
  const idle = await IdleClients.start(router);
  const blowAtMs = performance.now();
  try {
    await fault(stage, (text) => scope.comment(`   ${text}`));
  } catch (error) {
    faults.push(`the fault itself: ${messageOf(error)}`);
  }
  const overAtMs = performance.now();
  await untilAtWork(load).catch((error: unknown) => faults.push(`not served again: ${String(error)}`));
  const servedAtMs = performance.now();
  const attempts = await load.stop(15_000);
  scope.comment(`   idle clients: ${await idle.stop()}`);
  describe(scope, attempts, blowAtMs, overAtMs, servedAtMs);
  faults.push(...(await judge(stage, load, router.log.slice(seen))));
  tellLog(scope, router.log.slice(seen));
  if (!router.isRunning) faults.push('the router has ended');
  else {
    const after = await footprintOf(router.pid);
    scope.comment(
      `   descriptors ${before.descriptors} → ${after.descriptors}, ${toMib(before.rssKib)} → ${toMib(after.rssKib)} MiB`,
    );
    if (after.descriptors > before.descriptors + 20) faults.push('descriptors leak');
  }
  for (const text of faults) scope.comment(`   !! ${text}`);
  return { name, faults };
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
  { group }: NetworkGroup,
  load: Load,
  log: readonly LogLine[],
): Promise<readonly string[]> {
  const { attempts } = load;
  const rows = await storedRows(group);
  const lost = lostWrites(attempts, rows);
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

/** Each kind of line once, with how often. */
function tellLog(scope: Scope, lines: readonly LogLine[]): void {
  const counts = new Map<string, number>();
  for (const { level, event, msg } of lines) {
    const text = `${level} ${event}: ${msg}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  scope.comment(`   log: ${lines.length} lines`);
  for (const [text, count] of [...counts].slice(0, 40))
    scope.comment(`     ${count} × ${text.slice(0, 260)}`);
}

function toMib(kib: number): number {
  return Math.round(kib / 1024);
}
