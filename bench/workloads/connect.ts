/** Sessions that live for a moment: what an application without a pool opens, by the C client of bench/load. */
import { type LoadMode, runLoad } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

/** Connect, log in with caching_sha2_password, one point select, COM_QUIT, close. */
export const CONNECT = shortSessions({
  name: 'connect',
  title: 'Connect, query, close',
  operation: 'connect',
  mode: 'connect',
  sql: 'SELECT c FROM sbtest1 WHERE id=4711',
  variants: ['untracked', 'portable', 'two-threads'],
  usualRounds: 5,
});

const SET_UP = [
  'SET NAMES utf8mb4',
  "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_520_ci'",
  'SELECT @@SESSION.sql_mode',
  "SET SESSION sql_mode='NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  '@sbtest',
] as const;
const READS = Array.from({ length: 30 }, (_, read) => `SELECT c FROM sbtest1 WHERE id=${4711 + read}`);

/**
 * What WordPress asks of its database for one page: PHP connects without a schema for every request, five round trips set
 * the session up (wpdb: character set twice, sql_mode read and set, schema selected), small reads follow, then it closes.
 */
export const WORDPRESS_PAGE = shortSessions({
  name: 'wordpress-page',
  title: 'WordPress page',
  operation: 'page',
  mode: 'page',
  sql: [...SET_UP, ...READS].join('\n'),
  variants: [],
  usualRounds: 3,
});

type ShortSessions = Pick<Workload, 'name' | 'title' | 'variants' | 'usualRounds'> & {
  /** What is counted. */
  readonly operation: 'connect' | 'page';
  readonly mode: Extract<LoadMode, 'connect' | 'page'>;
  readonly sql: string;
};

function shortSessions({ operation, mode, sql, ...work }: ShortSessions): Workload {
  return {
    ...work,
    needsFreshTarget: false,
    // A router in service has seen thousands of connects; V8 compiles their path for good after some.
    warmUpSeconds: 6,
    measures: [
      { name: 'cpuUs', title: `CPU µs/${operation}`, better: 'less' },
      { name: 'perSecond', title: `${operation}s/s`, better: 'more' },
      { name: 'p50Us', title: 'p50 µs', better: 'less' },
      { name: 'p99Us', title: 'p99 µs', better: 'less' },
    ],
    run: async (_bench, target, { seconds }) => {
      const { result, cpu } = await measureCpu(target, () =>
        runLoad(target, { mode, clients: CLIENTS, seconds, sql }),
      );
      const { operations, p50Us, p99Us } = result;
      return { ...cpu, perSecond: operations / result.seconds, p50Us, p99Us };
    },
  };
}
