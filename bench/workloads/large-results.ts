/** Results that are long because they have many rows, and because they have long values. */
import { runLoad } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

/** sysbench's own row: 10 + 10 + 120 + 60 characters with their lengths make just under 200 bytes. */
export const ROWS = largeResult('rows', 'Rows of 200 B', CLIENTS, 'SELECT * FROM sbtest1');

export const VALUES_1_MB = largeResult('value-1mb', 'Values of 1 MB', CLIENTS, "SELECT REPEAT('x', 1000000)");

/** Longer than a packet can be. Few at once: the server makes each of them in memory. */
export const VALUES_100_MB = largeResult(
  'value-100mb',
  'Values of 100 MB',
  2,
  "SELECT REPEAT('x', 100000000)",
);

function largeResult(name: string, title: string, clients: number, sql: string): Workload {
  return {
    name,
    title,
    needsFreshTarget: false,
    variants: name === 'rows' ? ['untracked', 'portable'] : [],
    usualRounds: 3,
    measures: [
      { name: 'cpuMsPerMb', title: 'CPU ms/MB', better: 'less' },
      { name: 'mbPerSecond', title: 'MB/s', better: 'more' },
    ],
    run: async (_bench, target, { seconds }) => {
      const { result, cpu } = await measureCpu(target, async () => {
        const { bytes, ...output } = await runLoad(target, { mode: 'query', clients, seconds, sql });
        return { seconds: output.seconds, operations: bytes / 1e6 };
      });
      const mbPerSecond = result.operations / result.seconds;
      return cpu.cpuUs === undefined ? { mbPerSecond } : { cpuMsPerMb: cpu.cpuUs / 1000, mbPerSecond };
    },
  };
}
