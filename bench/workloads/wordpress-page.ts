import { runLoad } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

/**
 * What WordPress asks of its database for one page: PHP connects without a schema for every request, five round trips set
 * the session up (wpdb: character set twice, sql_mode read and set, schema selected), small reads follow, then it closes.
 */
export const WORDPRESS_PAGE: Workload = {
  name: 'wordpress-page',
  title: 'WordPress page',
  needsFreshTarget: false,
  isForVariants: true,
  warmUpSeconds: 6,
  maxRounds: Number.POSITIVE_INFINITY,
  measures: [
    { name: 'cpuUs', title: 'CPU µs/page', better: 'less' },
    { name: 'perSecond', title: 'pages/s', better: 'more' },
    { name: 'p50Us', title: 'p50 µs', better: 'less' },
    { name: 'p99Us', title: 'p99 µs', better: 'less' },
  ],
  run: async (_bench, target, { seconds }) => {
    const { result, cpu } = await measureCpu(target, () =>
      runLoad(target, { mode: 'page', clients: CLIENTS, seconds, sql: PAGE }),
    );
    return {
      ...cpu,
      perSecond: result.operations / result.seconds,
      p50Us: result.p50Us,
      p99Us: result.p99Us,
    };
  },
};

const SET_UP = [
  'SET NAMES utf8mb4',
  "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_520_ci'",
  'SELECT @@SESSION.sql_mode',
  "SET SESSION sql_mode='NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  '@sbtest',
] as const;
const READS = Array.from({ length: 30 }, (_, read) => `SELECT c FROM sbtest1 WHERE id=${4711 + read}`);
const PAGE = [...SET_UP, ...READS].join('\n');
