/** What costs clients and servers as little as a statement can, so that the proxy has the largest part in it. */
import { runLoad } from './load-program.ts';
import { measureCpu, type Workload } from './workload.ts';

/** Enough that no proxy ever waits for a client. */
const CLIENTS = 48;

export const SMALLEST: Workload = {
  name: 'smallest',
  title: 'Smallest statement (DO 1)',
  needsFreshTarget: false,
  variants: ['untracked', 'two-threads'],
  warmUpSeconds: 4,
  usualRounds: 5,
  measures: [
    { name: 'cpuUs', title: 'CPU µs/statement', better: 'less' },
    { name: 'perSecond', title: 'statements/s', better: 'more' },
  ],
  run: async (_bench, target, { seconds }) => {
    const { result, cpu } = await measureCpu(target, () =>
      runLoad(target, { mode: 'query', clients: CLIENTS, seconds, sql: 'DO 1' }),
    );
    return { ...cpu, perSecond: result.operations / result.seconds };
  },
};
