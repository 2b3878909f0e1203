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

export const POINT_SELECT_TEXT = sysbenchWorkload('point-text', 'Point select, text protocol', 'query', {
  script: 'oltp_point_select',
  arguments: ['--db-ps-mode=disable'],
});

export const POINT_SELECT_PREPARED = sysbenchWorkload('point-prepared', 'Point select, prepared', 'query', {
  script: 'oltp_point_select',
  arguments: ['--db-ps-mode=auto'],
});

export const READ_WRITE = sysbenchWorkload('read-write', 'Read-write transactions', 'query', {
  script: 'oltp_read_write',
  arguments: ['--db-ps-mode=disable'],
});

function sysbenchWorkload(
  name: string,
  title: string,
  operation: string,
  work: Pick<SysbenchOptions, 'script' | 'arguments'>,
): Workload {
  return {
    name,
    title,
    needsFreshTarget: false,
    isForVariants: name === 'point-text',
    maxRounds: Number.POSITIVE_INFINITY,
    measures: [
      { name: 'cpuUs', title: `CPU µs/${operation}`, better: 'less' },
      {
        name: 'perSecond',
        title: `${operation === 'query' ? 'queries' : `${operation}s`}/s`,
        better: 'more',
      },
    ],
    run: async (bench, target, { seconds }) => {
      const { result, cpu } = await measureCpu(target, async () => {
        const output = await runSysbench(bench, target, { ...work, seconds, clients: CLIENTS });
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
