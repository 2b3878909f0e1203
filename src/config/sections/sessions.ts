/** What sessions may take, how long they wait, and how they end. */
import { z } from 'zod';
import { duration, integer, size } from '../keys.ts';

export const hold = z.strictObject({
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

export const drain = z.strictObject({
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

export const limits = z.strictObject({
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
  maxConnectErrors: integer({
    doc: 'Malformed logins in a row after which a client address is refused with error 1129; 0 for never.',
    why: 'Keeps out who sends garbage. As in MySQL Router, a login that succeeds sets the count back, and a connection that closes without a word, a wrong password, TLS that does not come about or a member that is away do not count, so health checks never shut anybody out. What a proxy in `clientProxyProtocolFrom` itself does wrong is not counted.',
    min: 0,
    max: 4000,
    default: 100,
  }),
  connectErrorMemory: duration({
    doc: 'The errors of an address are forgotten this long after the last one, and it is let in again.',
    why: 'A reload (SIGHUP) forgets all of them at once.',
    min: '1m',
    max: '30d',
    default: '1h',
  }),
  idleTimeout: duration({
    doc: 'A session without traffic in either direction ends after this long; 0 for never.',
    why: "The server's wait_timeout already ends idle sessions; set this where firewalls forget connections earlier.",
    min: '0',
    max: '7d',
    default: '0',
  }),
  clientKeepAlive: duration({
    doc: 'The system probes a client from which nothing has come for so long, and its session ends when 10 probes, one a second, are not answered; 0 for never.',
    why: 'Finds clients that have vanished without a word (a node that died, a firewall that forgot the connection); without it their sessions, and what they have locked, stay until the server ends them (wait_timeout, 8 h).',
    min: '0',
    max: '9h',
    default: '1m',
  }),
  hungThreadTimeout: duration({
    doc: 'A data thread whose event loop has not turned for so long is taken to hang: it is ended, its sessions with it, and started again; 0 for never.',
    why: 'A thread that hangs keeps its share of the new connections waiting. Not counted is time in which the whole process stood still, the main thread was late too, or the system gave the thread no processor. Less than 4 s counts as 4 s. Set 0 to stop in a debugger.',
    min: '0',
    max: '1h',
    default: '10s',
  }),
  maxHandshakeBytes: size({
    doc: 'Largest HandshakeResponse41 accepted from a client that is not authenticated yet.',
    why: 'Bounds what a stranger can make the router keep. Servers allow 64 KiB of connection attributes.',
    min: '4KiB',
    max: '16MiB',
    default: '256KiB',
  }),
});
