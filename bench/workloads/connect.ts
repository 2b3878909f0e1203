import { runLoad } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

/** Connect, log in with caching_sha2_password, one point select, COM_QUIT, close: what an application without a pool does. */
export const CONNECT: Workload = {
  name: 'connect',
  title: 'Connect, query, close',
  needsFreshTarget: false,
  isForVariants: true,
  // A router in service has seen thousands of connects; V8 compiles their path for good after some.
  warmUpSeconds: 6,
  maxRounds: Number.POSITIVE_INFINITY,
  measures: [
    { name: 'cpuUs', title: 'CPU µs/connect', better: 'less' },
    { name: 'perSecond', title: 'connects/s', better: 'more' },
    { name: 'p50Us', title: 'p50 µs', better: 'less' },
    { name: 'p99Us', title: 'p99 µs', better: 'less' },
  ],
  run: async (_bench, target, { seconds }) => {
    const sql = 'SELECT c FROM sbtest1 WHERE id=4711';
    const { result, cpu } = await measureCpu(target, () =>
      runLoad(target, { mode: 'connect', clients: CLIENTS, seconds, sql }),
    );
    return {
      ...cpu,
      perSecond: result.operations / result.seconds,
      p50Us: result.p50Us,
      p99Us: result.p99Us,
    };
  },
};
