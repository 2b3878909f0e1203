/** Statements as sysbench sends them: through libmariadb, one thread for each client, without TLS. */

import type { Bench, Target } from '../bench.ts';
import { sysbenchLogin, TABLE_ROWS } from '../cluster.ts';
import { parseSysbench, type SysbenchResult } from '../measure/sysbench-output.ts';
import { measureCpu, type Workload } from './workload.ts';

export type SysbenchOptions = {
  readonly script: 'oltp_point_select' | 'oltp_read_write';
  readonly seconds: number;
  readonly clients: number;
  readonly arguments: readonly string[];
};

export const CLIENTS = 16;

export const POINT_SELECT_TEXT = sysbenchWorkload({
  name: 'point-text',
  title: 'Point select, text protocol',
  script: 'oltp_point_select',
  preparing: 'disable',
  variants: ['untracked', 'portable'],
  usualRounds: 5,
});

export const POINT_SELECT_PREPARED = sysbenchWorkload({
  name: 'point-prepared',
  title: 'Point select, prepared',
  script: 'oltp_point_select',
  preparing: 'auto',
  variants: [],
  usualRounds: 5,
});

export const READ_WRITE = sysbenchWorkload({
  name: 'read-write',
  title: 'Read-write transactions',
  script: 'oltp_read_write',
  preparing: 'disable',
  variants: [],
  usualRounds: 3,
});

type SysbenchWork = Pick<Workload, 'name' | 'title' | 'variants' | 'usualRounds'> & {
  readonly script: SysbenchOptions['script'];
  /** sysbench's `--db-ps-mode`. */
  readonly preparing: 'disable' | 'auto';
};

function sysbenchWorkload({ script, preparing, ...work }: SysbenchWork): Workload {
  return {
    ...work,
    needsFreshTarget: false,
    // V8 compiles the path of a query for good after some ten thousand of them.
    warmUpSeconds: 4,
    measures: [
      { name: 'cpuUs', title: 'CPU µs/query', better: 'less' },
      { name: 'perSecond', title: 'queries/s', better: 'more' },
    ],
    run: async (bench, target, { seconds }) => {
      const { result, cpu } = await measureCpu(target, async () => {
        const options = { script, arguments: [`--db-ps-mode=${preparing}`], seconds, clients: CLIENTS };
        const output = await runSysbench(bench, target, options);
        return { operations: output.queries, seconds: output.seconds };
      });
      return { ...cpu, perSecond: result.operations / result.seconds };
    },
  };
}

export async function runSysbench(
  { sandbox }: Bench,
  target: Target,
  options: SysbenchOptions,
): Promise<SysbenchResult> {
  const seconds = Math.max(1, Math.round(options.seconds));
  const { stdout } = await sandbox.run(
    'sysbench',
    'sysbench',
    [
      options.script,
      ...sysbenchLogin(target.port),
      `--table-size=${TABLE_ROWS}`,
      `--threads=${options.clients}`,
      `--time=${seconds}`,
      ...options.arguments,
      'run',
    ],
    { timeoutMs: (seconds + 60) * 1000 },
  );
  return parseSysbench(stdout);
}
