/** Everything the bench can ask of a proxy, in the order of the table. */
import { CONNECT } from './connect.ts';
import { ROWS, VALUES_1_MB, VALUES_100_MB } from './large-results.ts';
import { POINT_SELECT_PREPARED, POINT_SELECT_TEXT, READ_WRITE } from './sysbench.ts';
import type { Workload } from './workload.ts';

export const WORKLOADS: readonly Workload[] = [
  POINT_SELECT_TEXT,
  POINT_SELECT_PREPARED,
  READ_WRITE,
  ROWS,
  VALUES_1_MB,
  VALUES_100_MB,
  CONNECT,
];
