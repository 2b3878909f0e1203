/**
 * The readonly result of reading every source of configuration (file, environment, flags).
 *
 * Durations are in milliseconds and end in `Ms`; sizes are in bytes. The keys an operator writes, their defaults and
 * ranges are in schema.ts, which is the only place that makes a Config.
 */

import type { RouteTls } from './tls-config.ts';

export type TopologyKind =
  | 'auto'
  | 'group-replication'
  | 'innodb-cluster'
  | 'replicaset'
  | 'async'
  | 'galera'
  | 'aurora'
  | 'static';

/** A place to start looking for members. */
export type Seed = AddressSeed | DnsSeed | KubernetesSeed;

export type AddressSeed = { readonly kind: 'address'; readonly host: string; readonly port: number };

/** A name whose answers are the members. */
export type DnsSeed = {
  readonly kind: 'dns';
  readonly name: string;
  /** Of every address found by A and AAAA records; SRV records carry their own. */
  readonly port: number;
  /** SRV records instead of addresses. */
  readonly srv: boolean;
  /** The service in the name of SRV records: `_mysql._tcp.…` of "mysql". */
  readonly service: string;
  /** Of SRV records only those whose target begins so; empty for all. */
  readonly targetPrefix: string;
};

/** A Service whose EndpointSlices are the members. */
export type KubernetesSeed = {
  readonly kind: 'kubernetes';
  readonly service: string;
  /** Null for the router's own. */
  readonly namespace: string | null;
  /** Name or number of the Service's port; null for the one named mysql, or the only one. */
  readonly port: string | number | null;
  /** Label selector of the members' pods, which are read for their labels; empty for none. */
  readonly podSelector: string;
  /** Behind ".svc." in the names of members. */
  readonly clusterDomain: string;
  /** Path of a kubeconfig file; null for the pod's service account. */
  readonly kubeconfig: string | null;
};

/** An address to bind. */
export type Listen = { readonly host: string; readonly port: number };

/** All addresses that begin with the same bits as this one. */
export type Network = { readonly address: string; readonly prefixBits: number };

export type RouteRole = 'primary' | 'secondary' | 'primary-and-secondary';

/** MySQL Router's own names, but for `least-connections`. */
export type StrategyName =
  | 'first-available'
  | 'round-robin'
  | 'round-robin-with-fallback'
  | 'least-connections'
  | 'next-available';

/** `x`: X Protocol, on a port of its own. */
export type RouteProtocol = 'classic' | 'x';

/** MySQL's own words, in small letters. */
export type Consistency = 'eventual' | 'before-on-primary-failover' | 'before' | 'after' | 'before-and-after';

export type RouteConfig = {
  readonly name: string;
  readonly listen: Listen;
  readonly protocol: RouteProtocol;
  readonly role: RouteRole;
  readonly strategy: StrategyName;
  /** Sessions open at once through this route; 0 means no limit of its own. */
  readonly maxConnections: number;
  /** Whose clients are let in; everybody's where `allow` is empty, and never those of `deny`. */
  readonly access: { readonly allow: readonly Network[]; readonly deny: readonly Network[] };
  readonly proxyProtocol: {
    /** Proxies that say for whom they connect; nobody else is believed. */
    readonly from: readonly Network[];
    /** Whether they have to say it. */
    readonly isRequired: boolean;
    /** What members are told. */
    readonly toServers: 'none' | 'v2';
  };
  /** `group_replication_consistency` of the route's sessions; null leaves it to servers and clients. */
  readonly consistency: Consistency | null;
  /** Whether clients may be offered the compressed protocol. */
  readonly compression: 'passthrough' | 'disabled';
  /** Whether the client's address and TLS facts are added to its connection attributes. */
  readonly clientAttributes: boolean;
  readonly tls: RouteTls;
  /** Sessions end at a boundary between half of this time and all of it; 0 means never. */
  readonly maxSessionAgeMs: number;
};

export type ClusterConfig = {
  readonly topology: TopologyKind;
  readonly seeds: readonly Seed[];
  /** Where the members are kept for a start without DNS; null for nowhere. */
  readonly stateFile: string | null;
  /** Behind the names of Aurora's instances; empty to take it from the seeds. */
  readonly auroraDomain: string;
  readonly galeraFailback: 'settled' | 'never';
  readonly user: string;
  /** Empty when the monitoring account has no password. Never logged. */
  readonly password: string;
  /** Of the monitoring account's sessions; paths are null where none is given. */
  readonly tls: {
    readonly mode: 'disabled' | 'as-needed' | 'preferred' | 'required';
    readonly verify: 'disabled' | 'verify-ca' | 'verify-identity';
    readonly caFile: string | null;
    readonly certFile: string | null;
    readonly keyFile: string | null;
  };
};

export type DnsConfig = {
  /** Name servers as "address:port"; empty for those of the system. */
  readonly servers: readonly string[];
  /** Time for one question to one server. */
  readonly timeoutMs: number;
  /** Bounds for the time an answer is used. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** Time between two questions for SRV records. */
  readonly srvIntervalMs: number;
};

export type RelayMode = 'auto' | 'fast' | 'portable';

export type Config = {
  readonly cluster: ClusterConfig;
  readonly routes: readonly RouteConfig[];
  /** What routes take over that do not say otherwise, and how often files are looked at; 0 means never. */
  readonly tls: { readonly shared: RouteTls; readonly watchIntervalMs: number };
  readonly admin: { readonly listen: Listen };
  /** Number of data threads, already resolved from `auto`. */
  readonly threads: number;
  readonly dns: DnsConfig;
  readonly probe: {
    /** Time between two probes of one member. */
    readonly intervalMs: number;
    /** Time between two probes while anything is in doubt. */
    readonly doubtIntervalMs: number;
    /** Deadline of one probe. */
    readonly timeoutMs: number;
    /** How long a member's own confirmation stands while later probes have not been answered. */
    readonly confirmationTtlMs: number;
  };
  readonly metadata: {
    /** Between two readings of a member's copy. */
    readonly intervalMs: number;
    /** Null for what the metadata says. */
    readonly readOnlyTargets: 'secondaries' | 'read-replicas' | 'all' | null;
    /** "primary", or the name, group name or id of a cluster; null for what the metadata says. */
    readonly targetCluster: string | null;
    /** Null for what the metadata says. */
    readonly invalidatedClusterPolicy: 'drop-all' | 'accept-ro' | null;
    /** Null for what the metadata says. */
    readonly useReplicaPrimaryAsRw: boolean | null;
    readonly register: boolean;
    /** Null for the host name. */
    readonly routerAddress: string | null;
    readonly routerName: string;
  };
  readonly guidelines: {
    /** Null for none. */
    readonly file: string | null;
    readonly fromMetadata: boolean;
    /** Empty for none. */
    readonly localCluster: string;
    /** How often the file is looked at; 0 means never. */
    readonly watchIntervalMs: number;
  };
  readonly dial: {
    /** Deadline for the TCP connect to one destination. */
    readonly connectTimeoutMs: number;
    /** Deadline for the server's initial handshake after the TCP connect. */
    readonly handshakeTimeoutMs: number;
  };
  readonly hold: {
    /** How long a client waits for a destination. */
    readonly timeoutMs: number;
    /** Sessions that may wait at once, over all routes. */
    readonly maxSessions: number;
  };
  readonly drain: {
    /** How long a session may take to reach a command boundary once it has to end. */
    readonly graceMs: number;
    /** After SIGTERM: not ready, but still accepting, for this long. */
    readonly delayMs: number;
    /** After SIGTERM: everything that is still open is closed after this long. */
    readonly timeoutMs: number;
  };
  readonly limits: {
    /** Sessions open at once over all routes; 0 means no limit. */
    readonly maxConnections: number;
    /** Sessions open at once from one client address; 0 means no limit. */
    readonly maxConnectionsPerClient: number;
    /** How long a client may take from the server's initial handshake to the end of its authentication. */
    readonly clientHandshakeTimeoutMs: number;
    /** Errors in a row after which a client address is shut out; 0 means never. */
    readonly maxConnectErrors: number;
    /** An address's errors are forgotten this long after the last one. */
    readonly connectErrorMemoryMs: number;
    /** A session without traffic in either direction ends after this long; 0 means never. */
    readonly idleTimeoutMs: number;
    /** A client from which nothing has come for so long is probed by the system; 0 means never. */
    readonly clientKeepAliveMs: number;
    /** A data thread whose event loop has not turned for so long is ended and started again; 0 means never. */
    readonly hungThreadTimeoutMs: number;
    /** Largest HandshakeResponse41 accepted from a client that is not authenticated. */
    readonly maxHandshakeBytes: number;
  };
  readonly reads: {
    /** Reads leave a member that is further behind; 0 means no limit. */
    readonly maxLagMs: number;
    /** The same in transactions; 0 means no limit. */
    readonly maxQueue: number;
    readonly whenAllBehind: 'use' | 'leave-out';
    /** The router's own zone; empty for none. */
    readonly zone: string;
    /** By "host:port" or host. */
    readonly zones: ReadonlyMap<string, string>;
    /** By "host:port" or host. */
    readonly weights: ReadonlyMap<string, number>;
  };
  readonly quarantine: { readonly threshold: number; readonly intervalMs: number };
  /** What may be served by a member whose group has lost its quorum. */
  readonly quorumLoss: 'auto' | 'none' | 'read' | 'all';
  /** Whether RO sessions end when their member is promoted. */
  readonly closeRoOnPromotion: boolean;
  readonly relay: { readonly mode: RelayMode; readonly bufferBytes: number; readonly tracking: boolean };
  readonly readiness: 'any' | 'all' | 'primary';
  readonly log: {
    readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
    readonly format: 'auto' | 'json' | 'pretty';
  };
};
