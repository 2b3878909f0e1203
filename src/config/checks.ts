/**
 * Rules that no key can be judged by alone: what is needed, what excludes another, what cannot work together.
 */
import { isDeepStrictEqual } from 'node:util';
import { checkControlTls } from './control-tls-config.ts';
import type { Layers } from './layers.ts';
import type { FileRead, Settled } from './parse.ts';
import { MASK, NOWHERE, type Problem } from './problems.ts';
import type { RouteSettings } from './schema.ts';
import { toSeed } from './seeds.ts';
import { checkRouteTls } from './tls-config.ts';
import { formatDuration, formatHostPort, formatSeed, listensCollide } from './values.ts';

type Checked = Settled & {
  readonly originOf: Layers['originOf'];
  readonly passwordFile: FileRead | null;
};

export function crossChecks(checked: Checked): readonly Problem[] {
  return [
    ...checkSeeds(checked),
    ...checkAccount(checked),
    ...checkMonitoringTls(checked),
    ...checkMetadata(checked),
    ...checkGuidelines(checked),
    ...checkRoutes(checked),
    ...checkAdmin(checked),
    ...checkTimes(checked),
    ...checkReadiness(checked),
  ];
}

function checkSeeds({ settings, refused, originOf }: Checked): readonly Problem[] {
  const { seeds } = settings.cluster;
  if (refused.has('cluster.seeds') || refused.has('cluster')) return [];
  if (seeds.length === 0) {
    const rule = `is missing: name at least one member, such as "db-0.db:3306" (in the file, ${namesElsewhere('CLUSTER_SEEDS', 'cluster-seeds')})`;
    return [{ key: 'cluster.seeds', value: null, rule, origin: originOf(['cluster', 'seeds']) }];
  }
  return seeds.flatMap((seed, index): readonly Problem[] => {
    const firstIndex = seeds.findIndex((other) => isDeepStrictEqual(other, seed));
    if (firstIndex === index) return [];
    return [
      {
        key: `cluster.seeds[${index}]`,
        value: `"${formatSeed(toSeed(seed))}"`,
        rule: `is named already by cluster.seeds[${firstIndex}]`,
        origin: originOf(['cluster', 'seeds', index]),
      },
    ];
  });
}

function checkAccount({ settings, refused, originOf, passwordFile }: Checked): readonly Problem[] {
  const { cluster } = settings;
  const problems: Problem[] = [];
  const isNeeded = cluster.topology !== 'static' && !refused.has('cluster.topology');
  if (isNeeded && cluster.user === undefined && !refused.has('cluster.user') && !refused.has('cluster')) {
    const rule = `is missing: the account to ask the members with (in the file, ${namesElsewhere('CLUSTER_USER', 'cluster-user')}); only topology static needs none`;
    problems.push({ key: 'cluster.user', value: null, rule, origin: originOf(['cluster', 'user']) });
  }
  if (cluster.passwordFile === undefined) return problems;
  const origin = originOf(['cluster', 'passwordFile']);
  if (cluster.password !== undefined) {
    const rule = `cannot be given together with cluster.password = ${MASK} (${originOf(['cluster', 'password'])})`;
    problems.push({ key: 'cluster.passwordFile', value: `"${cluster.passwordFile}"`, rule, origin });
  }
  if (passwordFile?.ok === false) {
    const rule = `cannot be used: ${passwordFile.reason}`;
    problems.push({ key: 'cluster.passwordFile', value: `"${cluster.passwordFile}"`, rule, origin });
  }
  return problems;
}

function checkMonitoringTls({ settings, originOf }: Checked): readonly Problem[] {
  return checkControlTls(settings, (key, value, rule) => ({
    key: `cluster.${key}`,
    value: `"${value}"`,
    rule,
    origin: originOf(['cluster', key]),
  }));
}

/** What is asked of metadata needs a topology that has some. */
function checkMetadata({ settings, refused, originOf }: Checked): readonly Problem[] {
  const { cluster, metadata } = settings;
  if (refused.has('cluster.topology') || refused.has('cluster')) return [];
  const refuse = (key: 'register' | 'targetCluster', value: string, topologies: readonly string[]) =>
    topologies.includes(cluster.topology)
      ? []
      : [
          {
            key: `metadata.${key}`,
            value,
            rule: `needs cluster.topology ${topologies.join(', ')}; with ${cluster.topology} (${originOf(['cluster', 'topology'])}) no metadata is read`,
            origin: originOf(['metadata', key]),
          },
        ];
  return [
    ...(metadata.register ? refuse('register', 'true', ['auto', 'innodb-cluster', 'replicaset']) : []),
    ...(metadata.targetCluster === undefined
      ? []
      : refuse('targetCluster', `"${metadata.targetCluster}"`, ['auto', 'innodb-cluster'])),
  ];
}

/** The guideline itself is judged when its file is read. */
function checkGuidelines({ settings, refused, originOf }: Checked): readonly Problem[] {
  const { cluster, guidelines } = settings;
  if (!guidelines.fromMetadata) return [];
  const refuse = (rule: string): Problem => ({
    key: 'guidelines.fromMetadata',
    value: 'true',
    rule,
    origin: originOf(['guidelines', 'fromMetadata']),
  });
  if (guidelines.file !== undefined)
    return [refuse(`cannot be given together with guidelines.file (${originOf(['guidelines', 'file'])})`)];
  const hasMetadata = ['auto', 'innodb-cluster', 'replicaset'].includes(cluster.topology);
  if (hasMetadata || refused.has('cluster.topology') || refused.has('cluster')) return [];
  return [
    refuse(
      `needs a cluster.topology with metadata; with ${cluster.topology} (${originOf(['cluster', 'topology'])}) none is read`,
    ),
  ];
}

function checkRoutes({ settings, routeIndexes, originOf }: Checked): readonly Problem[] {
  const indexOf = (position: number) => routeIndexes[position] ?? position;
  const all = settings.routes.flatMap((route, position) => {
    const index = indexOf(position);
    const problems: Problem[] = [];
    const refuse = (
      key: 'name' | 'listen' | 'strategy' | 'serverProxyProtocol' | 'consistency',
      value: string,
      rule: string,
    ) =>
      problems.push({
        key: `routes[${index}].${key}`,
        value,
        rule,
        origin: originOf(['routes', index, key]),
      });

    const earlier = settings.routes.slice(0, position);
    const namesake = earlier.findIndex((other) => other.name === route.name);
    if (namesake >= 0)
      refuse('name', `"${route.name}"`, `is the name of routes[${indexOf(namesake)}] already`);
    const neighbour = earlier.find((other) => listensCollide(other.listen, route.listen));
    if (neighbour !== undefined) refuse('listen', shownListen(route), `collides with ${listener(neighbour)}`);
    if (route.strategy === 'round-robin-with-fallback' && route.role !== 'secondary') {
      refuse('strategy', route.strategy, `needs role secondary, and this route has role ${route.role}`);
    }
    if (route.serverProxyProtocol !== 'none' && route.protocol === 'x')
      refuse(
        'serverProxyProtocol',
        route.serverProxyProtocol,
        'needs protocol classic: no server reads it on X Protocol',
      );
    const why = whyNoConsistency(route, settings);
    if (route.consistency !== undefined && why !== '') refuse('consistency', route.consistency, why);
    const tlsProblems = checkRouteTls(route, settings, (key, value, rule) => {
      const own = route[key] !== undefined;
      const origin = originOf(own ? ['routes', index, key] : ['tls', key]);
      return { key: own ? `routes[${index}].${key}` : `tls.${key}`, value, rule, origin };
    });
    return [...problems, ...tlsProblems];
  });
  // What is wrong with a key of `tls` is said once, though several routes are concerned.
  return all.filter(
    (problem, index) => all.findIndex((other) => isDeepStrictEqual(other, problem)) === index,
  );
}

/** Why the router cannot set variables in the sessions of a route; empty where it can. */
function whyNoConsistency(route: RouteSettings, { tls, relay }: Settled['settings']): string {
  if (route.protocol === 'x') return 'needs protocol classic';
  if (!relay.tracking) return 'needs relay.tracking: a session that is reset has to be noticed';
  if ((route.clientSslMode ?? tls.clientSslMode) !== 'passthrough') return '';
  return 'needs clientSslMode preferred, required or disabled: within TLS that is passed through the router cannot set it';
}

function checkAdmin({ settings, refused, originOf }: Checked): readonly Problem[] {
  if (refused.has('admin.listen')) return [];
  const { listen } = settings.admin;
  const route = settings.routes.find((other) => listensCollide(other.listen, listen));
  if (route === undefined) return [];
  const rule = `collides with ${listener(route)}`;
  return [
    {
      key: 'admin.listen',
      value: `"${formatHostPort(listen)}"`,
      rule,
      origin: originOf(['admin', 'listen']),
    },
  ];
}

function checkTimes({ settings, refused, originOf }: Checked): readonly Problem[] {
  const { probe, drain, dns } = settings;
  const problems: Problem[] = [];
  const isJudged = (...keys: readonly string[]) => keys.every((key) => !refused.has(key));
  if (isJudged('probe.confirmationTtl', 'probe.interval') && probe.confirmationTtl <= 2 * probe.interval) {
    problems.push({
      key: 'probe.confirmationTtl',
      value: formatDuration(probe.confirmationTtl),
      rule: `must be more than twice probe.interval = ${formatDuration(probe.interval)}${elsewhere(originOf(['probe', 'interval']))}, or every confirmation lapses before the next probe`,
      origin: originOf(['probe', 'confirmationTtl']),
    });
  }
  if (isJudged('dns.minTtl', 'dns.maxTtl') && dns.minTtl > dns.maxTtl) {
    problems.push({
      key: 'dns.minTtl',
      value: formatDuration(dns.minTtl),
      rule: `must not be longer than dns.maxTtl = ${formatDuration(dns.maxTtl)}${elsewhere(originOf(['dns', 'maxTtl']))}`,
      origin: originOf(['dns', 'minTtl']),
    });
  }
  if (isJudged('drain.delay', 'drain.timeout') && drain.delay > drain.timeout) {
    problems.push({
      key: 'drain.delay',
      value: formatDuration(drain.delay),
      rule: `must not be longer than drain.timeout = ${formatDuration(drain.timeout)}${elsewhere(originOf(['drain', 'timeout']))}, which counts from the same moment`,
      origin: originOf(['drain', 'delay']),
    });
  }
  return problems;
}

function checkReadiness({ settings, refused, originOf }: Checked): readonly Problem[] {
  const isPossible = settings.routes.some((route) => route.role === 'primary');
  const isRoutesRefused = [...refused].some((key) => key.startsWith('routes'));
  if (settings.readiness !== 'primary' || isPossible || isRoutesRefused) return [];
  const rule = 'needs a route with role primary, and there is none: the router would never be ready';
  return [{ key: 'readiness', value: '"primary"', rule, origin: originOf(['readiness']) }];
}

function listener(route: RouteSettings): string {
  return `route "${route.name}" on ${formatHostPort(route.listen)}`;
}

function shownListen(route: RouteSettings): string {
  return `"${formatHostPort(route.listen)}"`;
}

function elsewhere(origin: string): string {
  return origin === NOWHERE ? ' (the default)' : ` (${origin})`;
}

function namesElsewhere(variable: string, flag: string): string {
  return `by environment variable FAIRLEAD_${variable} or by flag --${flag}`;
}
