/**
 * How many data threads there is room for where memory is limited, as in a container, and how much each may take.
 *
 * Node sizes the heap of every thread by the whole limit, as if it were alone, so that two threads and the main thread may
 * together grow to three times of what there is, and the kernel ends the process. With a share of its own, a thread that
 * takes too much ends alone, is started again, and the others do not notice.
 */

/**
 * What `threads: auto` becomes. A pod without a limit of CPUs may use all of its node's: with a thread for each, the kernel ended
 * a router of 256 MiB before it listened, from six CPUs on.
 *
 * @param limitBytes what the process may use (`process.constrainedMemory()`); 0 where that is not known
 * @param machineBytes what the machine has
 * @param cpus how many the process may use, at least 1
 */
export function automaticThreads(limitBytes: number, machineBytes: number, cpus: number): number {
  if (!isLimited(limitBytes, machineBytes)) return cpus;
  return Math.max(1, Math.min(cpus, Math.floor((limitBytes / MIB - SET_ASIDE_MIB) / THREAD_MIB)));
}

/**
 * @param limitBytes as for {@link automaticThreads}
 * @param machineBytes as there
 * @returns MiB for the old generation of one thread's heap; null to leave it to Node
 */
export function threadHeapMiB(limitBytes: number, machineBytes: number, threads: number): number | null {
  if (!isLimited(limitBytes, machineBytes)) return null;
  const sharedMiB = Math.max(0, limitBytes / MIB - SET_ASIDE_MIB) * HEAP_SHARE;
  return Math.max(MIN_HEAP_MIB, Math.floor(sharedMiB / threads));
}

/** Where nothing limits it, Node says 0 or a number beyond all memory. */
function isLimited(limitBytes: number, machineBytes: number): boolean {
  return limitBytes > 0 && limitBytes < machineBytes;
}

const MIB = 1024 * 1024;
/** Code, stacks, the main thread's heap: about 80 MiB were measured with one thread, 90 with two. */
const SET_ASIDE_MIB = 112;
/** The rest is for young generations, and for buffers, which lie outside the heap. */
const HEAP_SHARE = 0.7;
/** The heap of a thread needs about 10 MiB, and about 10 KiB more for each session. */
const MIN_HEAP_MIB = 32;
/** An idle thread took 40 to 48 MiB with all that lies outside its heap; the rest is for some 1500 sessions. */
const THREAD_MIB = 64;
