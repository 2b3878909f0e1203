/** The result file of the failover bench: for every event, what the clients of each proxy saw. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../../src/sandbox/outcome.ts';

export const CLIENT_KINDS = [
  'kept writer',
  'pooled writer',
  'new writer',
  'kept reader',
  'pooled reader',
  'new reader',
] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

const clientSchema = z.strictObject({
  kind: z.enum(CLIENT_KINDS),
  attempts: z.number(),
  /** Error number or code → how often. `hung`: no answer until the load was stopped. */
  errors: z.record(z.string(), z.number()),
  /** Of the client that had most. */
  mostErrorsOfOne: z.number(),
});

const figuresSchema = z.strictObject({
  proxy: z.string(),
  /** Longest time without an acknowledged write. */
  gapMs: z.number(),
  /** From the group's own completion to the first write that was acknowledged after it; null where there was none. */
  afterGroupMs: z.number().nullable(),
  clients: z.array(clientSchema),
  /** Of clients that came new. */
  connects: z.strictObject({
    attempts: z.number(),
    refused: z.number(),
    failed: z.number(),
    longestMs: z.number(),
    p99Ms: z.number(),
  }),
  acknowledged: z.number(),
  lost: z.number(),
  /** Accepted by one member between two that another accepted. */
  overlapping: z.number(),
});

const eventSchema = z.strictObject({
  name: z.string(),
  title: z.string(),
  date: z.string(),
  /** From the blow until a member was ONLINE, PRIMARY, with a quorum and writable; null where none had to become so. */
  groupMs: z.number().nullable(),
  /** From then until a client that was connected to it directly had committed a row; null where that was not measured. */
  directCommitMs: z.number().nullable().default(null),
  figures: z.array(figuresSchema),
});

const resultSchema = z.strictObject({
  machine: z.strictObject({
    cpu: z.string(),
    cores: z.number(),
    memoryGib: z.number(),
    kernel: z.string(),
    loadAverage: z.number(),
    versions: z.record(z.string(), z.string()),
  }),
  events: z.array(eventSchema),
});

export type FailoverResult = z.infer<typeof resultSchema>;
export type EventResult = z.infer<typeof eventSchema>;
export type Figures = z.infer<typeof figuresSchema>;

export async function readResult(path: string): Promise<FailoverResult> {
  return resultSchema.parse(JSON.parse(await readFile(path, 'utf8')));
}

/** Events that were played again replace those of before; the others stay. */
export async function mergeResult(
  path: string,
  result: FailoverResult,
  order: readonly string[],
): Promise<void> {
  const before = await readResult(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const names = new Set(result.events.map(({ name }) => name));
  const kept = before?.events.filter(({ name }) => !names.has(name)) ?? [];
  const events = [...kept, ...result.events].toSorted(
    (a, b) => order.indexOf(a.name) - order.indexOf(b.name),
  );
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify({ ...result, events }, null, 2)}\n`);
}
