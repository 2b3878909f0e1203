/**
 * Every key of the configuration: what it is, why one would change it, range, unit and default, in one description.
 *
 * The YAML file, the environment, the flags, `--help`, the messages and docs/configuration.md all come from it; after a
 * change, `node src/config/write-reference.ts` renews the documents. Sections stand in the order operators meet them.
 */
import { z } from 'zod';
import { MAX_ROUTES } from '../shared/counters.ts';
import {
  boolean,
  choice,
  duration,
  integer,
  keyFacts,
  listen,
  optionalChoice,
  requiredChoice,
  requiredListen,
  routeName,
  secret,
  secretFile,
  seeds,
  size,
  text,
  threads,
} from './keys.ts';

const cluster = z.strictObject({
  topology: choice(
    [
      'auto',
      'group-replication',
      'innodb-cluster',
      'replicaset',
      'async',
      'galera',
      'aurora',
      'static',
    ] as const,
    {
      doc: 'What kind of cluster the members form, and so what they are asked to find the primary.',
      why: '`auto` asks the members themselves. Name the kind to leave nothing to guess. `static` asks nobody: the first seed is the primary, and all seeds take reads. `galera` and `aurora` are refused until they are served.',
      default: 'auto',
    },
  ),
  seeds: seeds({
    doc: 'Members to start from, as `host`, `host:port` (3306 without one) or `[IPv6]:port`; at least one.',
    why: 'One reachable seed is enough to learn the others, but only as long as it is reachable: list all members you know.',
  }),
  user: text({
    doc: 'Account the router asks the members with; needed unless `cluster.topology` is `static`.',
    why: 'It needs SELECT on performance_schema.replication_group_members, replication_group_member_stats and global_variables. Clients never use it.',
    maxLength: 32,
  }),
  password: secret({
    doc: 'Password of `cluster.user`; leave it out for an account without one.',
    why: 'It is never printed. A flag can be seen in the process list and an environment variable by whoever may inspect the container: prefer `cluster.passwordFile`.',
  }),
  passwordFile: secretFile({
    doc: 'File that holds the password of `cluster.user`, read again on each reload; one line break at its end is left out.',
    why: 'The way to hand over a Kubernetes or Docker secret. Not together with `cluster.password`. A relative path in the file starts at the folder of the file, elsewhere at the working directory.',
  }),
});

const route = z.strictObject({
  name: routeName({
    doc: 'Name of the route in metrics, logs and the status page.',
    why: 'On a reload, routes are recognised by their names.',
  }),
  listen: requiredListen({
    doc: 'Address the route accepts clients on; `:6446` is every IPv4 address, `[::]:6446` every address.',
    why: 'Bind 127.0.0.1 to serve only this machine.',
  }),
  role: requiredChoice(['primary', 'secondary', 'primary-and-secondary'] as const, {
    doc: 'Members a client of this route may reach.',
    why: '`primary` for writes, `secondary` for reads that may be a little behind.',
  }),
  strategy: optionalChoice(
    ['first-available', 'round-robin', 'round-robin-with-fallback', 'next-available'] as const,
    {
      doc: 'How a member is chosen; without it `first-available` for role `primary`, `round-robin-with-fallback` for `secondary`, `round-robin` for `primary-and-secondary`.',
      why: '`round-robin-with-fallback` goes to the primary while there is no secondary and so needs role `secondary`; plain `round-robin` never does.',
    },
  ),
  maxConnections: integer({
    doc: 'Sessions open at once through this route; 0 for no limit of its own.',
    why: 'Keeps one kind of client from using up what `limits.maxConnections` allows to all.',
    min: 0,
    max: 1_000_000,
    default: 0,
  }),
});

const probe = z.strictObject({
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

const dial = z.strictObject({
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

const hold = z.strictObject({
  timeout: duration({
    doc: 'How long a client waits for a member before it is refused with error 2003; 0 refuses at once.',
    why: 'Spans an election, so that clients see a slow connect and no error. Stay under the connect timeout of the applications, commonly 10 s.',
    min: '0',
    max: '10m',
    default: '9s',
  }),
  maxSessions: integer({
    doc: 'Clients that may wait at once, over all routes; more are refused with error 2003 at once.',
    why: 'Bounds the memory of an outage: a waiting client costs a few KiB and a file descriptor.',
    min: 0,
    max: 1_000_000,
    default: 10_000,
  }),
});

const drain = z.strictObject({
  grace: duration({
    doc: 'How long a session may take to reach a command boundary outside a transaction, once its member is no longer what the route asks for.',
    why: 'Longer lets long transactions finish, where the old primary still accepts them; 0 ends such sessions at once.',
    min: '0',
    max: '1h',
    default: '10s',
  }),
  delay: duration({
    doc: 'After SIGTERM: not ready any more, but still accepting, for this long.',
    why: 'Load balancers and Kubernetes endpoints learn of a stopping pod a moment late. 0 where nothing balances over several routers.',
    min: '0',
    max: '10m',
    default: '5s',
  }),
  timeout: duration({
    doc: 'After SIGTERM: what is still open is closed after this long, `drain.delay` included.',
    why: 'Keep it a few seconds under the grace the supervisor allows before SIGKILL (Kubernetes: 30 s).',
    min: '0',
    max: '1d',
    default: '25s',
  }),
});

const limits = z.strictObject({
  maxConnections: integer({
    doc: 'Sessions open at once over all routes; more are refused with error 1040. 0 for no limit.',
    why: "Protects the members' max_connections from the sum of all applications.",
    min: 0,
    max: 1_000_000,
    default: 0,
  }),
  maxConnectionsPerClient: integer({
    doc: 'Sessions open at once from one client address; more are refused with error 1040. 0 for no limit.',
    why: 'Keeps one broken application from taking everything. Behind a NAT many clients share one address.',
    min: 0,
    max: 1_000_000,
    default: 0,
  }),
  clientHandshakeTimeout: duration({
    doc: "How long a client may take from the server's initial handshake to the end of its authentication.",
    why: "Ends port scanners and half-open clients. The server's own connect_timeout is 10 s too.",
    min: '100ms',
    max: '10m',
    default: '10s',
  }),
  idleTimeout: duration({
    doc: 'A session without traffic in either direction ends after this long; 0 for never.',
    why: "The server's wait_timeout already ends idle sessions; set this where firewalls forget connections earlier.",
    min: '0',
    max: '7d',
    default: '0',
  }),
  maxHandshakeBytes: size({
    doc: 'Largest HandshakeResponse41 accepted from a client that is not authenticated yet.',
    why: 'Bounds what a stranger can make the router keep. Servers allow 64 KiB of connection attributes.',
    min: '4KiB',
    max: '16MiB',
    default: '256KiB',
  }),
});

const quarantine = z.strictObject({
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

const relay = z.strictObject({
  mode: choice(['auto', 'fast', 'portable'] as const, {
    doc: "How bytes are moved: `fast` reads into one shared buffer per thread, `portable` uses Node's ordinary streams.",
    why: '`auto` takes `fast` where a self-test at start finds that it works in this Node. `portable` is the way out should that ever be wrong.',
    default: 'auto',
  }),
  bufferBytes: size({
    doc: 'Size of a read buffer.',
    why: 'Larger moves large results with fewer system calls; small queries do not care.',
    min: '4KiB',
    max: '16MiB',
    default: '64KiB',
  }),
  tracking: boolean({
    doc: 'Follow commands and transactions in the stream, so that sessions can end between two commands.',
    why: 'Without it every session is opaque: it is not known when it is idle, and commands are not counted.',
    default: true,
  }),
});

export const configSchema = z.strictObject({
  cluster: cluster.prefault({}).describe('The cluster and how the router asks it.'),
  routes: z
    .array(route)
    .min(1)
    .max(MAX_ROUTES)
    .prefault([
      { name: 'rw', listen: '0.0.0.0:6446', role: 'primary', strategy: 'first-available' },
      { name: 'ro', listen: '0.0.0.0:6447', role: 'secondary', strategy: 'round-robin-with-fallback' },
    ])
    .register(keyFacts, {
      kind: 'routes',
      doc: 'What clients connect to: each route is one address with the role and the strategy behind it; 1 to 32.',
      why: "The default is MySQL Router's ports for the classic protocol: 6446 to the primary, 6447 over the secondaries. Routes given here replace both.",
      rule: `a list of 1 to ${MAX_ROUTES} routes, each with name, listen and role`,
      defaultText:
        'name=rw,listen=0.0.0.0:6446,role=primary,strategy=first-available; name=ro,listen=0.0.0.0:6447,role=secondary,strategy=round-robin-with-fallback',
    }),
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
    why: '`auto` is one per CPU this process may use. Give less to leave CPUs to neighbours.',
    max: 128,
  }),
  probe: probe.prefault({}).describe('How members are asked how they are.'),
  dial: dial.prefault({}).describe('Connecting to a member.'),
  hold: hold.prefault({}).describe('Keeping clients waiting while there is no member for them.'),
  drain: drain.prefault({}).describe('Ending sessions without hurting them.'),
  limits: limits.prefault({}).describe('Bounds for clients.'),
  quarantine: quarantine.prefault({}).describe('Setting aside members that cannot be reached.'),
  quorumLoss: choice(['none', 'read', 'all'] as const, {
    doc: 'What a member may still serve when its group has lost its quorum: nothing, reads, or everything.',
    why: '`read` keeps reads of possibly old data going. `all` may lose writes: a group without quorum cannot commit, and a partition may serve the past.',
    default: 'none',
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
