/** One route: what clients connect to. */
import { z } from 'zod';
import {
  boolean,
  choice,
  duration,
  integer,
  optionalChoice,
  requiredChoice,
  requiredListen,
  routeName,
} from '../keys.ts';
import { networks } from '../network-keys.ts';
import { routeTls } from './tls.ts';

export const route = z.strictObject({
  name: routeName({
    doc: 'Name of the route in metrics, logs and the status page.',
    why: 'On a reload, routes are recognised by their names.',
  }),
  listen: requiredListen({
    doc: 'Address the route accepts clients on; `:6446` is every IPv4 address, `[::]:6446` every address.',
    why: 'Bind 127.0.0.1 to serve only this machine.',
  }),
  protocol: choice(['classic', 'x'] as const, {
    doc: 'The protocol clients speak on the route: `classic` is that of nearly all, `x` that of MySQL Shell and the X DevAPI.',
    why: 'Each member has a port of its own for X Protocol (`mysqlx_port`), which the router learns from it. With `cluster.topology: static` it is taken to be ten times the port of the member.',
    default: 'classic',
  }),
  role: requiredChoice(['primary', 'secondary', 'primary-and-secondary'] as const, {
    doc: 'Members a client of this route may reach.',
    why: '`primary` for writes, `secondary` for reads that may be a little behind.',
  }),
  strategy: optionalChoice(
    [
      'first-available',
      'round-robin',
      'round-robin-with-fallback',
      'least-connections',
      'next-available',
    ] as const,
    {
      doc: 'How a member is chosen; without it `first-available` for role `primary`, `round-robin-with-fallback` for `secondary`, `round-robin` for `primary-and-secondary`.',
      why: '`round-robin-with-fallback` goes to the primary while there is no secondary and so needs role `secondary`; plain `round-robin` never does. `least-connections` goes where the fewest sessions are open, counted over all threads, and with role `secondary` to the primary while there is no secondary.',
    },
  ),
  maxConnections: integer({
    doc: 'Sessions open at once through this route; 0 for no limit of its own.',
    why: 'Keeps one kind of client from using up what `limits.maxConnections` allows to all.',
    min: 0,
    max: 1_000_000,
    default: 0,
  }),
  maxSessionAge: duration({
    doc: 'A session ends between half of this time and all of it, when it is unused outside a transaction; 0 for never.',
    why: 'Spreads sessions that clients keep for ever over members that have come back; meant for reads. Sessions end one by one, never within a transaction, and not at all where the router cannot see boundaries (TLS passed through).',
    min: '0',
    max: '30d',
    default: '0',
  }),
  allow: networks({
    doc: 'Networks whose clients are let in; others are refused with error 1130. Without any, everybody is let in.',
    why: "A door before the accounts. Behind a proxy the address counts that the PROXY protocol tells, or else the proxy's own.",
  }),
  deny: networks({
    doc: 'Networks whose clients are refused with error 1130, also where `allow` has them.',
    why: 'To take single hosts out of what `allow` lets in, or out of everybody.',
  }),
  clientProxyProtocolFrom: networks({
    doc: 'Proxies that tell with the PROXY protocol (version 1 or 2) for whom they connect.',
    why: "The client's own address then counts for limits, networks, logs, `/api/v1/sessions` and connection attributes. List proxies only: who is listed is believed, and from everybody else the header is refused as a bad handshake.",
  }),
  clientProxyProtocol: choice(['required', 'optional'] as const, {
    doc: 'Whether those proxies must send the header; `optional` waits for it a tenth of a second.',
    why: '`optional` is for the time in which proxies are switched over, or where clients connect from the same network too.',
    default: 'required',
  }),
  serverProxyProtocol: choice(['none', 'v2'] as const, {
    doc: "Tell members the client's address with version 2 of the PROXY protocol.",
    why: "Members then see clients and not the router: for accounts bound to hosts, and in the process list. Only for MariaDB and Percona Server, with the router's address in their `proxy_protocol_networks`; MySQL's own server does not understand it.",
    default: 'none',
  }),
  consistency: optionalChoice(
    ['eventual', 'before-on-primary-failover', 'before', 'after', 'before-and-after'] as const,
    {
      doc: "What `group_replication_consistency` is in the route's sessions: set before the client's first command, and again after it has reset its session. Without it, what servers and clients set counts.",
      why: "`before` on a route of role `secondary` lets reads see what was committed before them, at the price of waiting for the member's queue. A server outside of a group accepts it without effect; where one refuses it (MariaDB: error 1193), the client's first command is answered with that error. TLS must not be passed through, and compression is not offered.",
    },
  ),
  compression: choice(['passthrough', 'disabled'] as const, {
    doc: 'The compressed protocol (zlib, zstd): `passthrough` offers clients what the member offers, `disabled` takes it out of the offer.',
    why: 'Inside compressed packets command boundaries cannot be seen, so drains of such sessions go by silence. Where clients compress only because they may, `disabled` keeps their sessions visible.',
    default: 'passthrough',
  }),
  clientAttributes: boolean({
    doc: 'Add `_client_ip`, `_client_port` and, with TLS ended here, `_client_ssl_version` and `_client_ssl_cipher` to the connection attributes of clients that send some.',
    why: "Members see the router's address. performance_schema.session_connect_attrs then tells whose session it is; what a client itself sends under these names is dropped. Not possible in TLS that is passed through.",
    default: true,
  }),
  ...routeTls,
});
