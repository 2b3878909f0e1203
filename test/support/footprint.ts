/** What a process holds: descriptors and memory. */
import { readdir } from 'node:fs/promises';
import { readRssKib } from '../../bench/measure/resident-memory.ts';

export type Footprint = { readonly descriptors: number; readonly rssKib: number };

export async function footprintOf(pid: number): Promise<Footprint> {
  return { descriptors: (await readdir(`/proc/${pid}/fd`)).length, rssKib: await readRssKib(pid) };
}
