/** One event under the load of all proxies at once: the blow is the same for all. */
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../../src/sandbox/index.ts';
import { SandboxError } from '../../src/sandbox/outcome.ts';
import { percentile } from '../measure/statistics.ts';
import type { FailoverEvent } from './events.ts';
import { GroupWatch } from './group-watch.ts';
import { Load } from './load.ts';
import { type Attempt, longestGapMs, lostWrites, overlappingWrites, type StoredRow } from './record.ts';
import { CLIENT_KINDS, type EventResult, type Figures } from './result.ts';
import { rememberPasswords, type Stage } from './stage.ts';

export async function playEvent(stage: Stage, event: FailoverEvent): Promise<EventResult> {
  const { group, proxies } = stage;
  await event.prepare?.(stage);
  const primary = await group.primary();
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  const watch = GroupWatch.start(group);
  const firstId = Date.now() * 1000;
  const loads = proxies.map(({ name, address }, index) => ({
    name,
    load: Load.start(address, firstId + index * IDS_PER_LOAD, event.load),
  }));
  await untilServed(loads, 0, 20_000);
  await pause(SETTLE_MS);

  const blowAtMs = performance.now();
  await event.inflict(stage, primary, secondary);
  const readyAtMs = event.changesPrimary ? await untilWritable(watch, blowAtMs) : undefined;
  await untilServed(loads, performance.now(), TAIL_MS).catch(someAreNotServed);
  const servedAtMs = performance.now();
  await event.heal?.(stage, primary, secondary);
  if (event.heal !== undefined) await pause(AFTER_HEALING_MS);
  const stopped = await Promise.all(
    loads.map(async ({ name, load }) => ({ name, attempts: await load.stop(PATIENCE_MS) })),
  );
  const committedAtMs = readyAtMs === undefined ? undefined : watch.committedAtMs(readyAtMs);
  await watch.stop();
  await event.restore?.(stage, primary, secondary);
  await group.waitUntilOnline();
  await rememberPasswords(group);

  const rows = await storedRows(stage);
  return {
    name: event.name,
    title: event.title,
    date: new Date().toISOString(),
    groupMs: readyAtMs === undefined ? null : Math.round(readyAtMs - blowAtMs),
    directCommitMs:
      readyAtMs === undefined || committedAtMs === undefined ? null : Math.round(committedAtMs - readyAtMs),
    figures: stopped.map(({ name, attempts }) =>
      figures(name, attempts, rows, { blowAtMs, readyAtMs, untilMs: servedAtMs }),
    ),
  };
}

type Times = { readonly blowAtMs: number; readonly readyAtMs: number | undefined; readonly untilMs: number };

function figures(
  proxy: string,
  attempts: readonly Attempt[],
  rows: readonly StoredRow[],
  { blowAtMs, readyAtMs, untilMs }: Times,
): Figures {
  const writes = attempts.filter(({ id, outcome }) => id !== undefined && outcome.kind === 'served');
  const next = Math.min(
    ...writes.map(({ endedAtMs }) => endedAtMs).filter((atMs) => readyAtMs !== undefined && atMs > readyAtMs),
  );
  const news = attempts.filter(({ client, endedAtMs }) => client.startsWith('new') && endedAtMs > blowAtMs);
  const failedConnects = news.filter(
    ({ outcome }) => outcome.kind !== 'served' && outcome.during === 'connect',
  );
  const waits = news.map(({ startedAtMs, endedAtMs, connectMs }) => connectMs ?? endedAtMs - startedAtMs);
  return {
    proxy,
    gapMs: Math.round(longestGapMs(attempts, blowAtMs, untilMs)),
    afterGroupMs: readyAtMs === undefined || !Number.isFinite(next) ? null : Math.round(next - readyAtMs),
    clients: CLIENT_KINDS.map((kind) => clientFigures(kind, attempts)),
    connects: {
      attempts: news.length,
      refused: failedConnects.filter(
        ({ outcome }) => outcome.kind === 'failed' && outcome.error === 'ECONNREFUSED',
      ).length,
      failed: failedConnects.length,
      longestMs: Math.round(Math.max(0, ...waits)),
      p99Ms: Math.round(percentile(waits, 0.99)),
    },
    acknowledged: writes.length,
    lost: lostWrites(attempts, rows).length,
    overlapping: overlappingWrites(attempts, rows).length,
  };
}

function clientFigures(
  kind: (typeof CLIENT_KINDS)[number],
  attempts: readonly Attempt[],
): Figures['clients'][number] {
  const own = attempts.filter(({ client }) => client.startsWith(kind));
  const errors: Record<string, number> = {};
  const byClient = new Map<string, number>();
  for (const { client, outcome } of own) {
    if (outcome.kind === 'served') continue;
    const name = outcome.kind === 'hung' ? 'hung' : outcome.error;
    errors[name] = (errors[name] ?? 0) + 1;
    byClient.set(client, (byClient.get(client) ?? 0) + 1);
  }
  return { kind, attempts: own.length, errors, mostErrorsOfOne: Math.max(0, ...byClient.values()) };
}

type NamedLoad = { readonly name: string; readonly load: Load };

/** Until every kind of client of every proxy has been served again. */
async function untilServed(loads: readonly NamedLoad[], sinceMs: number, timeoutMs: number): Promise<void> {
  await waitFor({ what: 'all clients to be served', timeoutMs, intervalMs: 50 }, async () => {
    const areAll = loads.every(({ load }) => {
      const served = load.attempts.filter(
        ({ startedAtMs, outcome }) => startedAtMs > sinceMs && outcome.kind === 'served',
      );
      return CLIENT_KINDS.every((kind) => served.filter(({ client }) => client.startsWith(kind)).length >= 5);
    });
    return areAll ? true : undefined;
  });
}

/** That some are not is what the figures will show. */
function someAreNotServed(error: unknown): void {
  if (!(error instanceof SandboxError)) throw error;
}

function untilWritable(watch: GroupWatch, sinceMs: number): Promise<number> {
  return waitFor({ what: 'the group to take writes', timeoutMs: 60_000, intervalMs: 5 }, async () =>
    watch.writableAtMs(sinceMs),
  );
}

async function storedRows({ group }: Stage): Promise<readonly StoredRow[]> {
  const rows = await (await group.primary()).query('SELECT id, member FROM app.writes');
  return rows.map(({ id, member }) => ({ id: Number(id), member: Number(member) }));
}

const IDS_PER_LOAD = 100_000_000;
const SETTLE_MS = 1500;
/** Who has not been served by then hangs or is refused. */
const TAIL_MS = 12_000;
const AFTER_HEALING_MS = 3000;
const PATIENCE_MS = 2000;
