/** Everything the bench can ask of a proxy, in the order of the table. */
import { CONNECT, WORDPRESS_PAGE } from './connect.ts';
import { FIXED_RATE_MIXED, FIXED_RATE_POINT } from './fixed-rate.ts';
import { IDLE_5000, IDLE_10000 } from './idle.ts';
import { ROWS, VALUES_1_MB, VALUES_100_MB } from './large-results.ts';
import { SMALLEST } from './smallest.ts';
import { POINT_SELECT_PREPARED, POINT_SELECT_TEXT, READ_WRITE } from './sysbench.ts';
import { TLS_CONNECT, TLS_QUERY, TLS_RESUME } from './tls.ts';
import { UPLOAD } from './upload.ts';
import type { Workload } from './workload.ts';

/** Done when `--only` names them. */
export const FURTHER_WORKLOADS: readonly Workload[] = [TLS_CONNECT, TLS_RESUME];

export const WORKLOADS: readonly Workload[] = [
  POINT_SELECT_TEXT,
  POINT_SELECT_PREPARED,
  TLS_QUERY,
  SMALLEST,
  READ_WRITE,
  ROWS,
  VALUES_1_MB,
  VALUES_100_MB,
  UPLOAD,
  CONNECT,
  WORDPRESS_PAGE,
  FIXED_RATE_POINT,
  FIXED_RATE_MIXED,
  IDLE_5000,
  IDLE_10000,
];
