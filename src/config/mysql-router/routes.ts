/** `[routing:…]` of a mysqlrouter.conf as a route of Fairlead. */
import type { IniSection } from './ini.ts';
import type { Note, OptionReader } from './options.ts';

export type TranslatedRoute = {
  readonly settings: Readonly<Record<string, unknown>>;
  /** "host:port", where it names servers and no cluster. */
  readonly servers: readonly string[];
};

/** @returns null where it has nothing a route could be made of, which is noted */
export function translateRoute(
  section: IniSection,
  options: OptionReader,
  note: (text: Note) => void,
): TranslatedRoute | null {
  const listen = listenOf(options);
  if (listen === null) {
    note('has no bind_port, and Fairlead listens on no Unix socket: the route is left out');
    return null;
  }
  const written = options.take('destinations') ?? '';
  const isX = options.take('protocol')?.toLowerCase() === 'x';
  const isSplit = options.take('access_mode')?.toLowerCase() === 'auto';
  const destination = isSplit ? PRIMARY_ONLY : destinationOf(written);
  if (destination === null) {
    note('its destinations are neither metadata-cache://… nor host:port: the route is left out');
    return null;
  }
  if (isSplit)
    note(
      'access_mode = auto: reads and writes are not told apart here. The route leads to the primary, where everything works; let reads connect to the route of role secondary',
    );
  if (destination.query.get('disconnect_on_metadata_unavailable') === 'yes')
    note('disconnect_on_metadata_unavailable has no counterpart: sessions that work are kept');
  const strategy = isSplit ? undefined : options.take('routing_strategy')?.toLowerCase();
  if (isSplit) options.take('routing_strategy');
  const maxConnections = options.number('max_connections');
  return {
    settings: {
      name: nameOf(section),
      listen,
      ...(isX ? { protocol: 'x' } : {}),
      role: destination.role,
      ...(strategy === undefined ? {} : { strategy }),
      ...(maxConnections === null ? {} : { maxConnections }),
      ...(isX ? {} : tlsSettings(options)),
    },
    servers: destination.servers,
  };
}

/** TLS keys that have a value here. Their names are Router's own, written otherwise. */
export function tlsSettings(options: OptionReader): Readonly<Record<string, unknown>> {
  const settings: Record<string, unknown> = {};
  for (const [option, key] of TLS_MODES) {
    const value = options.take(option);
    if (value !== undefined && value !== '') settings[key] = value.toLowerCase().replaceAll('_', '-');
  }
  for (const [option, key] of TLS_TEXTS) {
    const value = options.take(option);
    if (value !== undefined && value !== '') settings[key] = value;
  }
  return settings;
}

type Destination = {
  readonly role: 'primary' | 'secondary' | 'primary-and-secondary';
  readonly servers: readonly string[];
  readonly query: URLSearchParams;
};

function destinationOf(written: string): Destination | null {
  if (/^metadata-cache:\/\//i.test(written)) {
    const query = new URLSearchParams(written.replace(/^[^?]*\??/, ''));
    const role = query.get('role')?.toUpperCase();
    if (role === 'PRIMARY') return { role: 'primary', servers: [], query };
    if (role === 'SECONDARY') return { role: 'secondary', servers: [], query };
    return role === 'PRIMARY_AND_SECONDARY' ? { role: 'primary-and-secondary', servers: [], query } : null;
  }
  const servers = written.split(',').map((server) => server.trim());
  if (servers.some((server) => server === '' || server.includes('/'))) return null;
  return { role: 'primary-and-secondary', servers, query: new URLSearchParams() };
}

function listenOf(options: OptionReader): string | null {
  const address = options.take('bind_address') ?? '127.0.0.1';
  const port = options.take('bind_port');
  if (port !== undefined)
    return `${address.includes(':') && !address.startsWith('[') ? `[${address}]` : address}:${port}`;
  return /[^:]:\d+$/.test(address) ? address : null;
}

/** "rw" of "bootstrap_rw"; what a route may not be called becomes something it may. */
function nameOf({ key, line }: IniSection): string {
  const name = key
    .toLowerCase()
    .replace(/^bootstrap_/, '')
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
    .slice(0, 32);
  return name === '' ? `route-${line}` : name;
}

const PRIMARY_ONLY: Destination = { role: 'primary', servers: [], query: new URLSearchParams() };

const TLS_MODES = [
  ['client_ssl_mode', 'clientSslMode'],
  ['server_ssl_mode', 'serverSslMode'],
  ['server_ssl_verify', 'serverSslVerify'],
] as const;

const TLS_TEXTS = [
  ['client_ssl_cert', 'clientSslCert'],
  ['client_ssl_key', 'clientSslKey'],
  ['client_ssl_ca', 'clientSslCa'],
  ['client_ssl_capath', 'clientSslCapath'],
  ['client_ssl_crl', 'clientSslCrl'],
  ['client_ssl_crlpath', 'clientSslCrlpath'],
  ['client_ssl_cipher', 'clientSslCipher'],
  ['server_ssl_cert', 'serverSslCert'],
  ['server_ssl_key', 'serverSslKey'],
  ['server_ssl_ca', 'serverSslCa'],
  ['server_ssl_capath', 'serverSslCapath'],
  ['server_ssl_crl', 'serverSslCrl'],
  ['server_ssl_crlpath', 'serverSslCrlpath'],
  ['server_ssl_cipher', 'serverSslCipher'],
] as const;
