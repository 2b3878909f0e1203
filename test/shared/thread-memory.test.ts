/** How many data threads a container's memory has room for, and what each may take. */
import t from 'tap';
import { automaticThreads, threadHeapMiB } from '../../src/shared/thread-memory.ts';

const MIB = 1024 * 1024;
const MACHINE = 16_384 * MIB;

t.test('all heaps together stay within the limit, with room for everything else', async (t) => {
  for (const [limitMiB, threads] of [
    [256, 1],
    [256, 2],
    [512, 4],
    [1024, 2],
    [4096, 8],
  ] as const) {
    const heapMiB = threadHeapMiB(limitMiB * MIB, MACHINE, threads) ?? 0;
    t.ok(
      heapMiB >= 32 && threads * heapMiB + 100 <= limitMiB,
      `${limitMiB} MiB, ${threads} threads: ${heapMiB} each`,
    );
  }
});

t.test('a limit too small for the threads leaves each what it needs to run', async (t) => {
  t.equal(threadHeapMiB(64 * MIB, MACHINE, 4), 32);
});

t.test('where nothing limits the process, Node decides', async (t) => {
  t.equal(threadHeapMiB(0, MACHINE, 2), null);
  t.equal(threadHeapMiB(MACHINE, MACHINE, 2), null);
  t.equal(threadHeapMiB(2 ** 63, MACHINE, 2), null);
});

t.test(
  'a container has as many threads as its memory has room for, however many CPUs its node has',
  async (t) => {
    for (const [limitMiB, cpus, threads] of [
      [128, 64, 1],
      [256, 1, 1],
      [256, 64, 2],
      [512, 64, 6],
      [1024, 4, 4],
      [4096, 16, 16],
    ] as const) {
      t.equal(automaticThreads(limitMiB * MIB, MACHINE, cpus), threads, `${limitMiB} MiB, ${cpus} CPUs`);
    }
  },
);

t.test('where nothing limits its memory, a router has a thread for each CPU', async (t) => {
  t.equal(automaticThreads(0, MACHINE, 64), 64);
  t.equal(automaticThreads(2 ** 64, MACHINE, 64), 64);
});
