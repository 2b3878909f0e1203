/**
 * The configuration as an operator would write it, with every value that is in force: for `fairlead check`.
 */
import { Document, isNode, isSeq } from 'yaml';
import type { Config } from './config.ts';
import { controlTlsSettings } from './control-tls-config.ts';
import { MASK, NOWHERE } from './problems.ts';
import { routeTlsSettings, sharedTlsSettings } from './tls-config.ts';
import type { Path } from './tree.ts';
import { formatDuration, formatHostPort, formatNetwork, formatSeed, formatSize } from './values.ts';

/** The tree a YAML file would hold for this configuration; a password is masked. */
export function settingsOf(config: Config): Readonly<Record<string, unknown>> {
  const { cluster, dns, probe, metadata, guidelines, dial, hold, drain, limits, reads, quarantine, relay } =
    config;
  return {
    cluster: {
      topology: cluster.topology,
      seeds: cluster.seeds.map(formatSeed),
      ...(cluster.stateFile === null ? {} : { stateFile: cluster.stateFile }),
      galeraFailback: cluster.galeraFailback,
      ...(cluster.auroraDomain === '' ? {} : { auroraDomain: cluster.auroraDomain }),
      ...(cluster.user === '' ? {} : { user: cluster.user }),
      ...(cluster.password === '' ? {} : { password: MASK }),
      ...controlTlsSettings(cluster.tls),
    },
    routes: config.routes.map((route) => ({
      name: route.name,
      listen: formatHostPort(route.listen),
      protocol: route.protocol,
      role: route.role,
      strategy: route.strategy,
      maxConnections: route.maxConnections,
      ...(route.consistency === null ? {} : { consistency: route.consistency }),
      compression: route.compression,
      clientAttributes: route.clientAttributes,
      ...routeTlsSettings(route.tls, config.tls.shared),
      maxSessionAge: shownDuration(route.maxSessionAgeMs),
      allow: route.access.allow.map(formatNetwork),
      deny: route.access.deny.map(formatNetwork),
      clientProxyProtocolFrom: route.proxyProtocol.from.map(formatNetwork),
      clientProxyProtocol: route.proxyProtocol.isRequired ? 'required' : 'optional',
      serverProxyProtocol: route.proxyProtocol.toServers,
    })),
    tls: {
      ...sharedTlsSettings(config.tls.shared),
      watchInterval: shownDuration(config.tls.watchIntervalMs),
    },
    admin: { listen: formatHostPort(config.admin.listen) },
    threads: config.threads,
    dns: {
      servers: dns.servers,
      timeout: shownDuration(dns.timeoutMs),
      minTtl: shownDuration(dns.minTtlMs),
      maxTtl: shownDuration(dns.maxTtlMs),
      srvInterval: shownDuration(dns.srvIntervalMs),
    },
    probe: {
      interval: shownDuration(probe.intervalMs),
      doubtInterval: shownDuration(probe.doubtIntervalMs),
      timeout: shownDuration(probe.timeoutMs),
      confirmationTtl: shownDuration(probe.confirmationTtlMs),
    },
    metadata: {
      interval: shownDuration(metadata.intervalMs),
      readOnlyTargets: metadata.readOnlyTargets ?? 'auto',
      ...(metadata.targetCluster === null ? {} : { targetCluster: metadata.targetCluster }),
      invalidatedClusterPolicy: metadata.invalidatedClusterPolicy ?? 'auto',
      useReplicaPrimaryAsRw:
        metadata.useReplicaPrimaryAsRw === null ? 'auto' : metadata.useReplicaPrimaryAsRw ? 'yes' : 'no',
      register: metadata.register,
      ...(metadata.routerAddress === null ? {} : { routerAddress: metadata.routerAddress }),
      ...(metadata.routerName === '' ? {} : { routerName: metadata.routerName }),
    },
    guidelines: {
      ...(guidelines.file === null ? {} : { file: guidelines.file }),
      fromMetadata: guidelines.fromMetadata,
      ...(guidelines.localCluster === '' ? {} : { localCluster: guidelines.localCluster }),
      watchInterval: shownDuration(guidelines.watchIntervalMs),
    },
    dial: {
      connectTimeout: shownDuration(dial.connectTimeoutMs),
      handshakeTimeout: shownDuration(dial.handshakeTimeoutMs),
    },
    hold: { timeout: shownDuration(hold.timeoutMs), maxSessions: hold.maxSessions },
    drain: {
      grace: shownDuration(drain.graceMs),
      delay: shownDuration(drain.delayMs),
      timeout: shownDuration(drain.timeoutMs),
    },
    limits: {
      maxConnections: limits.maxConnections,
      maxConnectionsPerClient: limits.maxConnectionsPerClient,
      clientHandshakeTimeout: shownDuration(limits.clientHandshakeTimeoutMs),
      idleTimeout: shownDuration(limits.idleTimeoutMs),
      maxConnectErrors: limits.maxConnectErrors,
      connectErrorMemory: shownDuration(limits.connectErrorMemoryMs),
      clientKeepAlive: shownDuration(limits.clientKeepAliveMs),
      hungThreadTimeout: shownDuration(limits.hungThreadTimeoutMs),
      maxHandshakeBytes: formatSize(limits.maxHandshakeBytes),
    },
    reads: {
      maxLag: shownDuration(reads.maxLagMs),
      maxQueue: reads.maxQueue,
      whenAllBehind: reads.whenAllBehind,
      ...(reads.zone === '' ? {} : { zone: reads.zone }),
      ...shownPairs('zones', reads.zones),
      ...shownPairs('weights', reads.weights),
    },
    quarantine: { threshold: quarantine.threshold, interval: shownDuration(quarantine.intervalMs) },
    quorumLoss: config.quorumLoss,
    closeRoOnPromotion: config.closeRoOnPromotion,
    relay: { mode: relay.mode, bufferBytes: formatSize(relay.bufferBytes), tracking: relay.tracking },
    readiness: config.readiness,
    log: config.log,
  };
}

function shownPairs(
  key: string,
  pairs: ReadonlyMap<string, string | number>,
): Readonly<Record<string, string>> {
  const written = [...pairs].map(([member, value]) => `${member}=${value}`).join(', ');
  return written === '' ? {} : { [key]: written };
}

/** The same as YAML, with the place each value came from behind it. */
export function showConfig(config: Config, originOf: (path: Path) => string): string {
  const settings = settingsOf(config);
  const document = new Document(settings, { aliasDuplicateObjects: false });
  const mark = (path: Path, origin: string) => {
    const node = document.getIn(path, true);
    if (isSeq(node)) node.flow = true;
    if (isNode(node)) node.comment = origin === NOWHERE ? ' default' : ` ${origin}`;
  };
  for (const [section, value] of Object.entries(settings)) {
    if (Array.isArray(value)) for (const index of value.keys()) markRoute(index);
    else if (typeof value !== 'object' || value === null) mark([section], originOf([section]));
    else for (const key of Object.keys(value)) mark([section, key], keyOrigin(section, key));
  }
  return document.toString({ lineWidth: 0 });

  function markRoute(index: number): void {
    mark(['routes', index, 'name'], originOf(['routes', index]));
  }

  function keyOrigin(section: string, key: string): string {
    const origin = originOf([section, key]);
    return key === 'password' && origin === NOWHERE ? originOf([section, 'passwordFile']) : origin;
  }
}

/** No time at all is the number 0, so that it needs no quotes. */
function shownDuration(ms: number): string | number {
  return ms === 0 ? 0 : formatDuration(ms);
}
