/**
 * The settings a `mysqlrouter.conf` stands for, in the shape of Fairlead's own file, and a note on everything that has no
 * counterpart. What Router keeps for itself (folders, keyring, its own account's name in the process list) is left out silently.
 */
import type { IniSection } from './ini.ts';
import { createOptionReader, type Note, type OptionReader } from './options.ts';
import { type TranslatedRoute, tlsSettings, translateRoute } from './routes.ts';

export type Translation = {
  readonly settings: Readonly<Record<string, unknown>>;
  /** What the operator has to look at, in the order of the file. */
  readonly notes: readonly Note[];
};

/** What the program around it has read. */
export type TranslationInput = {
  readonly sections: readonly IniSection[];
  /** "host:port" of the members in the file that `dynamic_state` names; empty where it could not be read. */
  readonly knownMembers: readonly string[];
};

export function translate({ sections, knownMembers }: TranslationInput): Translation {
  const notes: Note[] = [];
  const readers = sections.map((section) => ({ section, options: createOptionReader(section.options) }));
  const named = (name: string) => readers.filter(({ section }) => section.name === name);
  const [defaults] = named('default');
  const [cache] = named('metadata_cache');
  const promoted = sections.some(({ options }) =>
    /disconnect_on_promoted_to_primary=yes/i.test(options.get('destinations') ?? ''),
  );

  const routes = named('routing').flatMap(({ section, options }): TranslatedRoute[] => {
    const route = translateRoute(section, options, (text) => notes.push(`${titleOf(section)}: ${text}`));
    return route === null ? [] : [route];
  });
  const shared = defaults === undefined ? {} : sharedSettings(defaults.options, named('routing'));
  const cluster = clusterSettings(cache?.options ?? null, routes, knownMembers, notes);
  const [quarantine] = named('destination_status');
  const [logger] = named('logger');
  const [threads] = named('io');
  const settings = {
    cluster,
    routes: rolesOf(routes, cache !== undefined, notes),
    ...shared,
    ...(quarantine === undefined ? {} : quarantineSettings(quarantine.options)),
    ...(promoted ? { closeRoOnPromotion: true } : {}),
    ...(threads === undefined ? {} : threadSettings(threads.options)),
    ...(logger === undefined ? {} : logSettings(logger.options)),
  };
  for (const { section, options } of readers) {
    if (OWN_SECTIONS.has(section.name)) continue;
    if (ADMIN_SECTIONS.has(section.name)) {
      if (section.name === 'http_server')
        notes.push(
          `${titleOf(section)}: the REST API is another one here, HTTP without accounts at admin.listen: docs/api.md`,
        );
      continue;
    }
    const rest = options
      .rest()
      .filter((option) => !OWN_OPTIONS.has(option) && section.options.get(option) !== '');
    if (!KNOWN_SECTIONS.has(section.name)) notes.push(`${titleOf(section)} has no counterpart`);
    else if (rest.length > 0) notes.push(`${titleOf(section)}: no counterpart: ${rest.join(', ')}`);
  }
  return { settings, notes };
}

function clusterSettings(
  cache: OptionReader | null,
  routes: readonly TranslatedRoute[],
  knownMembers: readonly string[],
  notes: Note[],
): Readonly<Record<string, unknown>> {
  const named = [...new Set(routes.flatMap(({ servers }) => servers))];
  if (cache === null) {
    if (hasOneList(routes)) return { topology: 'static', seeds: named };
    notes.push(
      'the routes name different servers: Fairlead asks all of them who is primary, with the account below, and does not go by the lists',
    );
    return { seeds: named, user: 'router', passwordFile: PASSWORD_FILE };
  }
  const type = cache.take('cluster_type');
  const old = (cache.take('bootstrap_server_addresses') ?? '').split(',').map((url) => url.trim());
  const seeds = [...knownMembers, ...old.filter((url) => url !== '').map(withoutScheme)];
  if (seeds.length === 0)
    notes.push('no member is known from the file that dynamic_state names: fill in cluster.seeds');
  notes.push(
    `the password of the account is in Router's keyring: 'mysqlrouter_keyring get --master-key-file=<master_key_path> <keyring_path> <user> password' tells it; put it into ${PASSWORD_FILE}, or name another account`,
  );
  return {
    topology: type === 'rs' ? 'replicaset' : 'innodb-cluster',
    seeds,
    user: cache.take('user') ?? 'router',
    passwordFile: PASSWORD_FILE,
  };
}

/** Routes that name different servers stand for who writes and who reads. */
function rolesOf(
  routes: readonly TranslatedRoute[],
  hasMetadata: boolean,
  notes: Note[],
): readonly unknown[] {
  const isByLists = !hasMetadata && !hasOneList(routes);
  return routes.flatMap(({ settings, servers }) => {
    if (hasMetadata && servers.length > 0) {
      notes.push(
        `route ${String(settings['name'])} names servers and not the cluster: it is left out, and needs a Fairlead of its own`,
      );
      return [];
    }
    if (!isByLists) return [settings];
    const { strategy, ...rest } = settings;
    const isForWrites =
      strategy === undefined || strategy === 'first-available' || strategy === 'next-available';
    return [{ ...rest, role: isForWrites ? 'primary' : 'secondary' }];
  });
}

function hasOneList(routes: readonly TranslatedRoute[]): boolean {
  return new Set(routes.map(({ servers }) => servers.join())).size <= 1;
}

/** Of [DEFAULT]; some of it stands in routes where it is older, and is one setting here. */
function sharedSettings(
  options: OptionReader,
  routes: readonly { readonly options: OptionReader }[],
): Readonly<Record<string, unknown>> {
  const ofAny = (option: string) =>
    routes.reduce<number | null>((found, route) => route.options.number(option) ?? found, null) ??
    options.number(option);
  const total = options.number('max_total_connections');
  const errors = ofAny('max_connect_errors');
  const handshake = ofAny('client_connect_timeout');
  const connect = ofAny('connect_timeout') ?? options.number('destination_connect_timeout');
  const limits = {
    // What MySQL Router does where nothing is said.
    maxConnections: total ?? ROUTER_TOTAL_CONNECTIONS,
    ...(errors === null ? {} : { maxConnectErrors: errors > MOST_CONNECT_ERRORS ? 0 : errors }),
    ...(handshake === null ? {} : { clientHandshakeTimeout: `${handshake}s` }),
  };
  const tls = tlsSettings(options);
  return {
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(connect === null ? {} : { dial: { connectTimeout: `${Math.min(connect, 60)}s` } }),
    limits,
  };
}

function quarantineSettings(options: OptionReader): Readonly<Record<string, unknown>> {
  const threshold = options.number('error_quarantine_threshold');
  const interval = options.number('error_quarantine_interval');
  if (threshold === null && interval === null) return {};
  return {
    quarantine: {
      ...(threshold === null ? {} : { threshold }),
      ...(interval === null ? {} : { interval: `${interval}s` }),
    },
  };
}

function threadSettings(options: OptionReader): Readonly<Record<string, unknown>> {
  const threads = options.number('threads');
  return threads === null || threads === 0 ? {} : { threads };
}

function logSettings(options: OptionReader): Readonly<Record<string, unknown>> {
  const level = LOG_LEVELS.get((options.take('level') ?? '').toLowerCase());
  return level === undefined ? {} : { log: { level } };
}

function withoutScheme(url: string): string {
  return url.replace(/^[a-z]+:\/\//i, '').replace(/\/$/, '');
}

function titleOf({ name, key, line }: IniSection): string {
  return `line ${line}, [${name === 'default' ? 'DEFAULT' : name}${key === '' ? '' : `:${key}`}]`;
}

const PASSWORD_FILE = 'router-password';
const ROUTER_TOTAL_CONNECTIONS = 512;
/** As far as `limits.maxConnectErrors` goes; who set more meant never. */
const MOST_CONNECT_ERRORS = 4000;

const LOG_LEVELS: ReadonlyMap<string, string> = new Map([
  ['fatal', 'fatal'],
  ['system', 'error'],
  ['error', 'error'],
  ['warning', 'warn'],
  ['note', 'info'],
  ['info', 'info'],
  ['debug', 'debug'],
]);

const KNOWN_SECTIONS: ReadonlySet<string> = new Set([
  'default',
  'routing',
  'metadata_cache',
  'destination_status',
  'logger',
  'io',
]);
/** How Router writes its log. */
const OWN_SECTIONS: ReadonlySet<string> = new Set(['consolelog', 'filelog', 'syslog', 'eventlog']);
const ADMIN_SECTIONS: ReadonlySet<string> = new Set([
  'http_server',
  'http_auth_realm',
  'http_auth_backend',
  'rest_api',
  'rest_router',
  'rest_routing',
  'rest_metadata_cache',
  'rest_connection_pool',
]);
/** Where Router keeps its things, and what it knows by other means than Fairlead. */
const OWN_OPTIONS: ReadonlySet<string> = new Set([
  'name',
  'user',
  'logging_folder',
  'runtime_folder',
  'data_folder',
  'config_folder',
  'plugin_folder',
  'keyring_path',
  'master_key_path',
  'master_key_reader',
  'master_key_writer',
  'dynamic_state',
  'pid_file',
  'unknown_config_option',
  'router_id',
  'metadata_cluster',
  'ttl',
  'use_gr_notifications',
  'auth_cache_ttl',
  'auth_cache_refresh_interval',
  'read_timeout',
  'net_buffer_length',
  'filename',
  'destination',
  'timestamp_precision',
]);
