/** Which of several members reads should rather go to. */
import { z } from 'zod';
import { choice, duration, integer, pairs, text } from '../keys.ts';

export const reads = z.strictObject({
  maxLag: duration({
    doc: 'How far behind a member may be and still get new sessions for reading; it is used again at half of that. 0 for any.',
    why: 'Where servers tell seconds: asynchronous replication (REPLICATION CLIENT is needed, with MariaDB SLAVE MONITOR) and Aurora. A replica whose applier stands still is behind by any measure, and so is one that receives nothing from a source that is well. Writes, and sessions that are open, do not mind.',
    min: '0',
    max: '1d',
    default: '0',
  }),
  maxQueue: integer({
    doc: 'How many transactions a member may have received and not applied and still get new sessions for reading; it is used again at half of that. 0 for any.',
    why: 'Group Replication tells its queue (SELECT on replication_group_member_stats is needed), Galera too. Under asynchronous replication it is what the primary has executed and the member has not, by their GTIDs; the two are asked up to a second apart, so set it well above what is written in a second.',
    min: 0,
    max: 1_000_000_000,
    default: 0,
  }),
  whenAllBehind: choice(['use', 'leave-out'] as const, {
    doc: 'What to do when every reader is behind: `use` them all the same, or `leave-out` all of them.',
    why: 'Old data is mostly better than none. With `leave-out`, routes whose strategy falls back go to the primary, others hold their clients.',
    default: 'use',
  }),
  zone: text({
    doc: "The router's own zone. Members of the same zone are tried first, the others when none of them is left.",
    why: 'Traffic between zones is slower and is paid for. In a pod set FAIRLEAD_READS_ZONE from the node, which knows `topology.kubernetes.io/zone`.',
    maxLength: 253,
  }),
  zones: pairs({
    doc: 'Zones of members, as `host:port=zone` or `host=zone`, separated by commas.',
    why: 'Not needed where discovery knows them, as EndpointSlices do. What stands here goes before.',
    valueRule: 'a zone',
    valuePattern: /^[\w.-]{1,253}$/,
    example: 'db-1:3306=eu-west-1a, db-2=eu-west-1b',
  }),
  weights: pairs({
    doc: 'Shares of new sessions for reading, as `host:port=weight` or `host=weight`, separated by commas; 0 to 100, 1 for all others.',
    why: 'For members of different size. 0 makes a member a last resort. They count for `round-robin`, `round-robin-with-fallback` and `least-connections`.',
    valueRule: 'a whole number from 0 to 100',
    valuePattern: /^(?:\d|[1-9]\d|100)$/,
    example: 'db-1:3306=3, db-2=1',
  }),
});
