/**
 * Every key of the configuration: what it is, why one would change it, range, unit and default, in one description.
 *
 * The YAML file, the environment, the flags, `--help`, the messages and docs/configuration.md all come from it; after a
 * change, `node src/config/write-reference.ts` renews the documents. Sections stand in the order operators meet them.
 */
import { z } from 'zod';
import { MAX_ROUTES } from '../shared/counters.ts';
import { boolean, choice, keyFacts, listen, threads } from './keys.ts';
import { cluster } from './sections/cluster.ts';
import { dns } from './sections/dns.ts';
import { guidelines } from './sections/guidelines.ts';
import { dial, probe, quarantine } from './sections/members.ts';
import { metadata } from './sections/metadata.ts';
import { reads } from './sections/reads.ts';
import { relay } from './sections/relay.ts';
import { route } from './sections/route.ts';
import { drain, hold, limits } from './sections/sessions.ts';
import { tls } from './sections/tls.ts';

export const configSchema = z.strictObject({
  cluster: cluster.prefault({}).describe('The cluster and how the router asks it.'),
  routes: z
    .array(route)
    .min(1)
    .max(MAX_ROUTES)
    .prefault([
      { name: 'rw', listen: '0.0.0.0:6446', role: 'primary', strategy: 'first-available' },
      { name: 'ro', listen: '0.0.0.0:6447', role: 'secondary', strategy: 'round-robin-with-fallback' },
      { name: 'x-rw', listen: '0.0.0.0:6448', protocol: 'x', role: 'primary' },
      { name: 'x-ro', listen: '0.0.0.0:6449', protocol: 'x', role: 'secondary' },
    ])
    .register(keyFacts, {
      kind: 'routes',
      doc: 'What clients connect to: each route is one address with the role and the strategy behind it; 1 to 32.',
      why: "The default is MySQL Router's ports: 6446 to the primary, 6447 over the secondaries, and 6448 and 6449 the same for X Protocol. Routes given here replace them all.",
      rule: `a list of 1 to ${MAX_ROUTES} routes, each with name, listen and role`,
      defaultText:
        'name=rw,listen=0.0.0.0:6446,role=primary,strategy=first-available; name=ro,listen=0.0.0.0:6447,role=secondary,strategy=round-robin-with-fallback; name=x-rw,listen=0.0.0.0:6448,protocol=x,role=primary; name=x-ro,listen=0.0.0.0:6449,protocol=x,role=secondary',
    }),
  tls: tls.prefault({}).describe('TLS with clients and members, for all routes that do not say otherwise.'),
  admin: z
    .strictObject({
      listen: listen({
        doc: 'Address of the admin server: `/livez`, `/readyz`, `/metrics`, `/api/v1/…` and the status page.',
        why: 'It asks nobody for a password, so it is bound to this machine only. In a pod bind 0.0.0.0:8404 for probes and scrapes, and let a network policy guard it.',
        default: '127.0.0.1:8404',
      }),
    })
    .prefault({})
    .describe('The admin server.'),
  threads: threads({
    doc: 'Data threads that carry the traffic.',
    why: '`auto` is one per CPU this process may use, and under a memory limit (of a container) no more than that has room for: one for each 64 MiB beyond 112 MiB. Give less to leave CPUs to neighbours.',
    max: 128,
  }),
  dns: dns.prefault({}).describe('Asking name servers.'),
  probe: probe.prefault({}).describe('How members are asked how they are.'),
  metadata: metadata.prefault({}).describe('Metadata of an InnoDB Cluster, ClusterSet or ReplicaSet.'),
  guidelines: guidelines.prefault({}).describe('Rules for who goes where, in place of the roles of routes.'),
  dial: dial.prefault({}).describe('Connecting to a member.'),
  hold: hold.prefault({}).describe('Keeping clients waiting while there is no member for them.'),
  drain: drain.prefault({}).describe('Ending sessions without hurting them.'),
  limits: limits.prefault({}).describe('Bounds for clients.'),
  reads: reads.prefault({}).describe('Which of several members reads should rather go to.'),
  quarantine: quarantine.prefault({}).describe('Setting aside members that cannot be reached.'),
  quorumLoss: choice(['auto', 'none', 'read', 'all'] as const, {
    doc: 'What a member may still serve when its group has lost its quorum: nothing, reads, or everything. `auto`: what `unreachable_quorum_allowed_traffic` in the metadata says, else nothing.',
    why: '`read` keeps reads of possibly old data going. `all` may lose writes: a group without quorum cannot commit, and a partition may serve the past.',
    default: 'auto',
  }),
  closeRoOnPromotion: boolean({
    doc: 'End the sessions of secondary routes when their member becomes the primary.',
    why: 'Keeps reads off the primary after a failover, at the price of reconnects.',
    default: false,
  }),
  relay: relay.prefault({}).describe('Moving bytes between client and server.'),
  readiness: choice(['any', 'all', 'primary'] as const, {
    doc: 'When `/readyz` says yes: `any` route can route, `all` routes can, or a route to the `primary` can.',
    why: '`any` keeps serving reads while there is no primary. With `primary`, a pod leaves the service during an election and held clients no longer reach it.',
    default: 'any',
  }),
  log: z
    .strictObject({
      level: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const, {
        doc: 'The least important lines that are written.',
        why: '`info` has one line per decision; `debug` adds one per session.',
        default: 'info',
      }),
      format: choice(['auto', 'json', 'pretty'] as const, {
        doc: 'JSON lines, or lines for people.',
        why: '`auto` is `pretty` on a terminal and `json` everywhere else.',
        default: 'auto',
      }),
    })
    .prefault({})
    .describe('The log, on standard output.'),
});

/** Everything as parsed, in the operator's shape. */
export type Settings = z.output<typeof configSchema>;
export type RouteSettings = z.output<typeof route>;
