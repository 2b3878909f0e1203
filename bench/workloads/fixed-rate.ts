/**
 * How much later answers come through a proxy when nobody is at the limit: sysbench starts so many transactions a
 * second, and each target's latencies are compared with those without a proxy in the same round.
 */
import { latencyUs } from '../measure/sysbench-output.ts';
import { CLIENTS, runSysbench, type SysbenchOptions } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

const PERCENTILES = [
  { key: 'p50', label: 'p50', share: 0.5 },
  { key: 'p99', label: 'p99', share: 0.99 },
  { key: 'p999', label: 'p99.9', share: 0.999 },
] as const;

export const FIXED_RATE_POINT = fixedRate(
  'rate-point',
  'Point selects at 1,000/s',
  'oltp_point_select',
  1000,
);

/** 18 statements between BEGIN and COMMIT: 4 write, 4 read ranges, 10 read points. */
export const FIXED_RATE_MIXED = fixedRate(
  'rate-mixed',
  'Read-write transactions at 30/s',
  'oltp_read_write',
  30,
);

function fixedRate(name: string, title: string, script: SysbenchOptions['script'], rate: number): Workload {
  return {
    name,
    title,
    needsFreshTarget: false,
    variants: [],
    usualRounds: 3,
    measures: [
      { name: 'cpuUs', title: 'CPU µs/query', better: 'less' },
      ...PERCENTILES.map(({ key, label }) => ({ name: key, title: `${label} µs`, better: 'less' }) as const),
      ...PERCENTILES.map(
        ({ key, label }) =>
          ({ name: `added-${key}`, title: `added ${label} µs`, better: 'less', overDirect: key }) as const,
      ),
    ],
    run: async (bench, target, { seconds, isQuick }) => {
      const { result, cpu } = await measureCpu(target, async () => {
        const output = await runSysbench(bench, target, {
          script,
          seconds: isQuick ? seconds : Math.max(seconds, MIN_SECONDS),
          clients: CLIENTS,
          arguments: ['--db-ps-mode=disable', `--rate=${rate}`, '--histogram=on'],
        });
        return { ...output, operations: output.queries };
      });
      const percentiles = PERCENTILES.map(({ key, share }) => [key, latencyUs(result, share)] as const);
      return { ...cpu, ...Object.fromEntries(percentiles) };
    },
  };
}

/** A 99.9th percentile wants some thousands of values. */
const MIN_SECONDS = 5;
