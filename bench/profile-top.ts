/**
 * What a thread spent its time on, from the profiles that `npm run bench -- --cpu-prof <folder>` leaves:
 *
 *     node bench/profile-top.ts <folder> [lines]
 *
 * One list for each thread; idle time is left out of the shares.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  /** Microseconds before each sample. */
  timeDeltas: z.array(z.number()),
});

export type ProfileLine = { readonly name: string; readonly selfMs: number };

/** By falling self time, the same function in several places of the call tree taken together. */
export function selfTimes(profile: unknown): readonly ProfileLine[] {
  const { nodes, samples, timeDeltas } = profileSchema.parse(profile);
  const names = new Map(nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]));
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? '(unknown)';
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  }
  return [...times]
    .map(([name, selfMs]) => ({ name, selfMs }))
    .toSorted((one, other) => other.selfMs - one.selfMs);
}

function frameName(frame: { functionName: string; url: string; lineNumber: number }): string {
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
  if (frame.url === '') return name;
  const path = frame.url.startsWith('file:') ? relative(ROOT, fileURLToPath(frame.url)) : frame.url;
  return `${name}  ${path}:${frame.lineNumber + 1}`;
}

const ROOT = join(import.meta.dirname, '..');

if (import.meta.main) {
  const [folder = '.', lines = '25'] = process.argv.slice(2);
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'))) {
    const times = selfTimes(JSON.parse(await readFile(join(folder, file), 'utf8')));
    const busy = times.filter(({ name }) => name !== '(idle)');
    const busyMs = busy.reduce((sum, { selfMs }) => sum + selfMs, 0);
    process.stdout.write(`\n${file}: ${busyMs.toFixed(0)} ms busy\n`);
    for (const { name, selfMs } of busy.slice(0, Number(lines))) {
      const share = `${((100 * selfMs) / busyMs).toFixed(1)} %`.padStart(7);
      process.stdout.write(`${share} ${selfMs.toFixed(0).padStart(6)} ms  ${name}\n`);
    }
  }
}
