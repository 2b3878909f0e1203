/**
 * How much memory a data thread may take where memory is limited, as in a container.
 *
 * Node sizes the heap of every thread by the whole limit, as if it were alone, so that two threads and the main thread may
 * together grow to three times of what there is, and the kernel ends the process. With a share of its own, a thread that
 * takes too much ends alone, is started again, and the others do not notice.
 */

/**
 * @param limitBytes what the process may use (`process.constrainedMemory()`); 0 where that is not known
 * @param machineBytes what the machine has
 * @returns MiB for the old generation of one thread's heap; null to leave it to Node
 */
export function threadHeapMiB(limitBytes: number, machineBytes: number, threads: number): number | null {
  const isLimited = limitBytes > 0 && limitBytes < machineBytes;
  if (!isLimited) return null;
  const sharedMiB = Math.max(0, limitBytes / MIB - SET_ASIDE_MIB) * HEAP_SHARE;
  return Math.max(MIN_HEAP_MIB, Math.floor(sharedMiB / threads));
}

const MIB = 1024 * 1024;
/** Code, stacks, the main thread's heap: about 80 MiB were measured with one thread, 90 with two. */
const SET_ASIDE_MIB = 112;
/** The rest is for young generations, and for buffers, which lie outside the heap. */
const HEAP_SHARE = 0.7;
/** A thread needs about 10 MiB, and about 10 KiB more for each session. */
const MIN_HEAP_MIB = 32;
