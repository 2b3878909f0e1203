/** How members are asked, dialled, and set aside. */
import { z } from 'zod';
import { duration, integer } from '../keys.ts';

export const probe = z.strictObject({
  interval: duration({
    doc: 'Time between two probes of one member.',
    why: "Sets how soon a change is seen that no session runs into. A probe is one short query over a connection that stays open: at 250ms it does not show in a member's load.",
    min: '10ms',
    max: '1m',
    default: '250ms',
  }),
  doubtInterval: duration({
    doc: 'Time between two probes while something is in doubt: a failed dial, a missing primary, an election.',
    why: 'Clients wait during that time, so it is shorter than `probe.interval`.',
    min: '10ms',
    max: '1m',
    default: '100ms',
  }),
  timeout: duration({
    doc: 'Deadline of one probe, connecting included.',
    why: 'Raise it where the members are far away or stall under load; one late answer alone never takes a member out.',
    min: '10ms',
    max: '1m',
    default: '1s',
  }),
  confirmationTtl: duration({
    doc: "How long a member's own confirmation stands while later probes have not been answered; half as long while no other member has said the same. More than twice `probe.interval`.",
    why: 'Group Replication expels a silent member after 5 s at the earliest, and no other becomes primary before that: until then new writes may still try it, afterwards they wait.',
    min: '100ms',
    max: '5m',
    default: '5s',
  }),
});

export const dial = z.strictObject({
  connectTimeout: duration({
    doc: 'Deadline for the TCP connect to one member; then the next candidate is tried.',
    why: 'A lost machine answers nothing at all. Within one site a connect takes under a millisecond, so 1s allows for one lost and repeated SYN.',
    min: '10ms',
    max: '1m',
    default: '1s',
  }),
  handshakeTimeout: duration({
    doc: "Deadline for the server's initial handshake after the TCP connect.",
    why: 'A hung server accepts and stays silent. A server that resolves client names may be slow to greet: raise it, or set skip_name_resolve there.',
    min: '10ms',
    max: '1m',
    default: '3s',
  }),
});

export const quarantine = z.strictObject({
  threshold: integer({
    doc: 'Failed dials in a row after which a member is set aside.',
    why: 'Raise it where single connects fail by chance; each failure costs some client a `dial.connectTimeout`.',
    min: 1,
    max: 65_535,
    default: 1,
  }),
  interval: duration({
    doc: 'How often a member in quarantine is tried again.',
    why: "MySQL Router's default. Shorter takes a member back sooner.",
    min: '100ms',
    max: '1h',
    default: '1s',
  }),
});
