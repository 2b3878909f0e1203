/**
 * Makes the one readonly Config out of all sources, or says everything that is wrong with them at once.
 */
import type { z } from 'zod';
import { crossChecks } from './checks.ts';
import type { Config, RouteConfig, RouteRole, StrategyName } from './config.ts';
import { toControlTls } from './control-tls-config.ts';
import { factsAt, knownKeysOf } from './key-list.ts';
import { type Layers, pathText } from './layers.ts';
import { MASK, type Problem, showValue } from './problems.ts';
import { configSchema, type RouteSettings, type Settings } from './schema.ts';
import { toSeed } from './seeds.ts';
import { closest } from './suggest.ts';
import { toRouteTls } from './tls-config.ts';
import { isTree, type Path } from './tree.ts';

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** What a file holds, or why it could not be read. */
export type FileRead =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string };

/** What parsing needs from outside: no file is read and nothing of the machine asked here. */
export type ParseContext = {
  /** The password in the file that `cluster.passwordFile` names; null when none is named. */
  readonly passwordFile: FileRead | null;
  /** What `threads: auto` becomes, at least 1. */
  readonly automaticThreads: number;
  /** The path to open for one that was written at `at`; without it, paths stay as they were written. */
  readonly pathOf?: (at: Path, written: string) => string;
};

export function parseConfig(layers: Layers, context: ParseContext): ParsedConfig {
  if (!layers.isUsable) return { ok: false, problems: layers.problems };
  const settled = settle(layers);
  const problems = [
    ...layers.problems,
    ...settled.problems,
    ...crossChecks({ ...settled, originOf: layers.originOf, passwordFile: context.passwordFile }),
  ];
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, config: toConfig(settled.settings, context) };
}

export type Settled = {
  readonly settings: Settings;
  readonly problems: readonly Problem[];
  /** Keys whose values were refused and fell back to their defaults: nothing more is to be said about them. */
  readonly refused: ReadonlySet<string>;
  /** Where each of `settings.routes` stood in the list as it was written. */
  readonly routeIndexes: readonly number[];
};

/** Judges every key by itself. Refused values are taken out and the rest is parsed again, for the checks across keys. */
function settle(layers: Layers): Settled {
  const first = configSchema.safeParse(layers.tree);
  if (first.success)
    return { settings: first.data, problems: [], refused: new Set(), routeIndexes: indexes(first.data) };
  const { issues } = first.error;
  const without = withoutRefused(layers.tree, issues);
  return {
    settings: configSchema.parse(without.tree),
    problems: issues.flatMap((issue) => problemsOf(issue, layers)),
    refused: new Set(issues.map((issue) => refusedKey(toPath(issue.path)))),
    routeIndexes: without.routeIndexes,
  };
}

function problemsOf(issue: z.core.$ZodIssue, layers: Layers): readonly Problem[] {
  const path = toPath(issue.path);
  const key = pathText(path);
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue, valueAt(layers.tree, path));
    if (meant !== null) {
      return meant.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, layers));
    }
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => unknownKey([...path, name], layers));
  }
  const value = valueAt(layers.tree, path);
  const facts = factsAt(key);
  if (value === undefined) {
    const section = layers.originOf(path.slice(0, -1));
    return [{ key, value: null, rule: `is missing: ${facts?.rule ?? ''}`, origin: section }];
  }
  const origin = layers.originOf(path);
  if (facts === undefined) {
    const shown = typeof value === 'string' ? 'text' : showValue(value);
    return [{ key, value: shown, rule: `must be a map of the keys ${knownKeysOf(key)?.join(', ')}`, origin }];
  }
  const shown = facts.kind === 'secret' ? MASK : showValue(value);
  return [{ key, value: shown, rule: `must be ${facts.rule}${hint(value, facts)}`, origin }];
}

/** Of the forms a seed may have, the issues of the one that its key names; null where it names none. */
function meantBranch(
  issue: z.core.$ZodIssueInvalidUnion,
  value: unknown,
): readonly z.core.$ZodIssue[] | null {
  if (!isTree(value)) return null;
  const names = ['dns', 'kubernetes'].filter((name) => Object.hasOwn(value, name));
  const [name] = names;
  if (names.length !== 1 || name === undefined) return null;
  const isAbout = (inner: z.core.$ZodIssue) =>
    inner.path[0] === name || (inner.code === 'unrecognized_keys' && !inner.keys.includes(name));
  return issue.errors.find((branch) => branch.every(isAbout)) ?? null;
}

/** What the operator probably meant. */
function hint(
  value: unknown,
  facts: { readonly kind: string; readonly choices?: readonly string[] },
): string {
  const isBareNumber = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
  if (facts.kind === 'duration' && isBareNumber) return `; write "${value}s" or "${value}ms"`;
  if (typeof value !== 'string' || facts.choices === undefined) return '';
  const suggestion = closest(value, facts.choices);
  return suggestion === null ? '' : `; did you mean ${suggestion}?`;
}

/** The value of an unknown key is not shown: it may be a secret under a misspelt name. */
function unknownKey(path: Path, layers: Layers): Problem {
  const section = pathText(path.slice(0, -1));
  const name = String(path.at(-1));
  const key = pathText(path);
  const rule = `is not a known key${suggestKey(section, name)}`;
  return { key, value: null, rule, origin: layers.originOf(path, 'key') };
}

function suggestKey(section: string, name: string): string {
  const siblings = knownKeysOf(section) ?? [];
  const sibling = closest(name, siblings);
  if (sibling !== null) return `; did you mean ${section === '' ? sibling : `${section}.${sibling}`}?`;
  const everywhere = (knownKeysOf('') ?? []).flatMap((top) =>
    (knownKeysOf(top) ?? []).map((under) => `${top}.${under}`),
  );
  const distant = closest(name, everywhere) ?? everywhere.find((path) => path.endsWith(`.${name}`)) ?? null;
  return distant === null ? `; known here: ${siblings.join(', ')}` : `; did you mean ${distant}?`;
}

/** The tree without what the issues are about: a key that was refused, or a whole route that has one. */
function withoutRefused(
  tree: Layers['tree'],
  issues: readonly z.core.$ZodIssue[],
): { readonly tree: unknown; readonly routeIndexes: readonly number[] } {
  const rest: Record<string, unknown> = structuredClone(tree);
  const refusedRoutes = new Set<number>();
  for (const issue of issues) {
    const [section, key] = toPath(issue.path);
    if (section === 'routes' && typeof key === 'number') refusedRoutes.add(key);
    else if (section === 'cluster' && key === 'seeds') remove(rest, section, key);
    else if (issue.code === 'unrecognized_keys') for (const name of issue.keys) remove(rest, section, name);
    else remove(rest, section, key);
  }
  const routes = rest['routes'];
  if (!Array.isArray(routes)) return { tree: rest, routeIndexes: [] };
  const routeIndexes = [...routes.keys()].filter((index) => !refusedRoutes.has(index));
  if (routeIndexes.length === 0) delete rest['routes'];
  else rest['routes'] = routes.filter((_, index) => !refusedRoutes.has(index));
  return { tree: rest, routeIndexes };
}

/** A list is refused with any of its items, but a route alone. */
function refusedKey(path: Path): string {
  return path[0] === 'cluster' && path[1] === 'seeds'
    ? 'cluster.seeds'
    : pathText(path).replace(/\[\d+\]$/, '');
}

/** Removes tree[section][key]; without a section tree[key], without a key tree[section]. */
function remove(tree: Record<string, unknown>, section: string | number | undefined, key: unknown): void {
  const name = String(section ?? key);
  const under = tree[name];
  if (section === undefined || key === undefined || !isTree(under)) {
    delete tree[name];
    return;
  }
  tree[name] = Object.fromEntries(Object.entries(under).filter(([child]) => child !== String(key)));
}

function toConfig(settings: Settings, context: ParseContext): Config {
  const { cluster, dns, probe, metadata, guidelines, dial, hold, drain, limits, reads, quarantine, relay } =
    settings;
  const pathOf = context.pathOf ?? ((_at: Path, written: string) => written);
  return {
    cluster: {
      topology: cluster.topology,
      seeds: cluster.seeds.map(toSeed),
      stateFile: cluster.stateFile ?? null,
      galeraFailback: cluster.galeraFailback,
      auroraDomain: (cluster.auroraDomain ?? '').replace(/^\./, '').toLowerCase(),
      user: cluster.user ?? '',
      password: context.passwordFile?.ok === true ? context.passwordFile.text : (cluster.password ?? ''),
      tls: toControlTls(settings, pathOf),
    },
    routes: settings.routes.map((route, index) => toRoute(route, settings, index, pathOf)),
    tls: {
      shared: toRouteTls(NO_ROUTE, settings, 0, pathOf),
      watchIntervalMs: settings.tls.watchInterval,
    },
    admin: settings.admin,
    threads: settings.threads === 'auto' ? context.automaticThreads : settings.threads,
    dns: {
      servers: dns.servers,
      timeoutMs: dns.timeout,
      minTtlMs: dns.minTtl,
      maxTtlMs: dns.maxTtl,
      srvIntervalMs: dns.srvInterval,
    },
    probe: {
      intervalMs: probe.interval,
      doubtIntervalMs: probe.doubtInterval,
      timeoutMs: probe.timeout,
      confirmationTtlMs: probe.confirmationTtl,
    },
    metadata: {
      intervalMs: metadata.interval,
      readOnlyTargets: metadata.readOnlyTargets === 'auto' ? null : metadata.readOnlyTargets,
      targetCluster: metadata.targetCluster ?? null,
      invalidatedClusterPolicy:
        metadata.invalidatedClusterPolicy === 'auto' ? null : metadata.invalidatedClusterPolicy,
      useReplicaPrimaryAsRw:
        metadata.useReplicaPrimaryAsRw === 'auto' ? null : metadata.useReplicaPrimaryAsRw === 'yes',
      register: metadata.register,
      routerAddress: metadata.routerAddress ?? null,
      routerName: metadata.routerName ?? '',
    },
    guidelines: {
      file: guidelines.file === undefined ? null : pathOf(['guidelines', 'file'], guidelines.file),
      fromMetadata: guidelines.fromMetadata,
      localCluster: guidelines.localCluster ?? '',
      watchIntervalMs: guidelines.watchInterval,
    },
    dial: { connectTimeoutMs: dial.connectTimeout, handshakeTimeoutMs: dial.handshakeTimeout },
    hold: { timeoutMs: hold.timeout, maxSessions: hold.maxSessions },
    drain: { graceMs: drain.grace, delayMs: drain.delay, timeoutMs: drain.timeout },
    limits: {
      maxConnections: limits.maxConnections,
      maxConnectionsPerClient: limits.maxConnectionsPerClient,
      clientHandshakeTimeoutMs: limits.clientHandshakeTimeout,
      idleTimeoutMs: limits.idleTimeout,
      maxConnectErrors: limits.maxConnectErrors,
      connectErrorMemoryMs: limits.connectErrorMemory,
      clientKeepAliveMs: limits.clientKeepAlive,
      hungThreadTimeoutMs: limits.hungThreadTimeout,
      maxHandshakeBytes: limits.maxHandshakeBytes,
    },
    reads: {
      maxLagMs: reads.maxLag,
      maxQueue: reads.maxQueue,
      whenAllBehind: reads.whenAllBehind,
      zone: reads.zone ?? '',
      zones: reads.zones,
      weights: new Map([...reads.weights].map(([member, weight]) => [member, Number(weight)])),
    },
    quarantine: { threshold: quarantine.threshold, intervalMs: quarantine.interval },
    quorumLoss: settings.quorumLoss,
    closeRoOnPromotion: settings.closeRoOnPromotion,
    relay,
    readiness: settings.readiness,
    log: settings.log,
  };
}

function toRoute(
  route: RouteSettings,
  settings: Settings,
  index: number,
  pathOf: (at: Path, written: string) => string,
): RouteConfig {
  const { name, listen, protocol, role, maxConnections, compression, clientAttributes } = route;
  return {
    name,
    listen,
    protocol,
    role,
    strategy: route.strategy ?? DEFAULT_STRATEGY[role],
    maxConnections,
    maxSessionAgeMs: route.maxSessionAge,
    access: { allow: route.allow, deny: route.deny },
    proxyProtocol: {
      from: route.clientProxyProtocolFrom,
      isRequired: route.clientProxyProtocol === 'required',
      toServers: route.serverProxyProtocol,
    },
    consistency: route.consistency ?? null,
    compression,
    clientAttributes,
    tls: toRouteTls(route, settings, index, pathOf),
  };
}

function indexes(settings: Settings): readonly number[] {
  return [...settings.routes.keys()];
}

function toPath(path: readonly PropertyKey[]): Path {
  return path.map((step) => (typeof step === 'number' ? step : String(step)));
}

function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === 'number') value = value[step];
    else if (isTree(value)) value = value[step];
    else return undefined;
  }
  return value;
}

/** A route without any key of its own for TLS. */
const NO_ROUTE: RouteSettings = {
  name: '',
  listen: { host: '', port: 0 },
  protocol: 'classic',
  role: 'primary',
  maxConnections: 0,
  maxSessionAge: 0,
  allow: [],
  deny: [],
  clientProxyProtocolFrom: [],
  clientProxyProtocol: 'required',
  serverProxyProtocol: 'none',
  compression: 'passthrough',
  clientAttributes: true,
};

const DEFAULT_STRATEGY = {
  primary: 'first-available',
  secondary: 'round-robin-with-fallback',
  'primary-and-secondary': 'round-robin',
} as const satisfies Record<RouteRole, StrategyName>;
