/** Asking name servers. */
import { z } from 'zod';
import { duration, nameServers } from '../keys.ts';

export const dns = z.strictObject({
  servers: nameServers({
    doc: 'Name servers to ask, in this order; without any, those of resolv.conf.',
    why: 'For a name server of your own that knows the members. /etc/hosts and the search list of resolv.conf apply in any case.',
  }),
  timeout: duration({
    doc: 'Time for one question to one name server; it is asked twice before the next one is.',
    why: 'Nobody waits for it: the last good answer stays in use meanwhile. While no answer comes in time, questions get up to four times as long.',
    min: '50ms',
    max: '1m',
    default: '1s',
  }),
  minTtl: duration({
    doc: 'An answer is used for at least so long, however short its time to live.',
    why: 'Keeps records with a time to live of 0 from being asked for all the time.',
    min: '100ms',
    max: '1h',
    default: '1s',
  }),
  maxTtl: duration({
    doc: 'An answer is used for at most so long, however long its time to live.',
    why: 'Bounds how long a moved name goes unnoticed where somebody set a time to live of hours.',
    min: '1s',
    max: '1d',
    default: '30s',
  }),
  srvInterval: duration({
    doc: 'Time between two questions for SRV records.',
    why: 'Their time to live does not come through the system library; 5s is what Kubernetes gives its records.',
    min: '100ms',
    max: '1h',
    default: '5s',
  }),
});
