/**
 * TLS of one route: what its own keys and the defaults of `tls` come to, and what of it cannot work together.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Problem } from './problems.ts';
import type { RouteSettings, Settings } from './schema.ts';
import type { Path } from './tree.ts';

export type RouteTls = {
  readonly client: ClientTls;
  readonly server: ServerTls;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
};

/** The side on which the router is a TLS server. */
export type ClientTls = {
  readonly mode: 'disabled' | 'preferred' | 'required' | 'passthrough';
  /** Paths; null where none is given. Certificate and key are given together or not at all. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
  /** File or folder given, clients need a certificate. */
  readonly caFile: string | null;
  readonly caFolder: string | null;
  readonly crlFile: string | null;
  readonly crlFolder: string | null;
  readonly ciphers: string | null;
  readonly hasSessionCache: boolean;
};

/** The side on which the router is a TLS client. */
export type ServerTls = {
  readonly mode: 'disabled' | 'preferred' | 'required' | 'as-client';
  readonly verify: 'disabled' | 'verify-ca' | 'verify-identity';
  readonly caFile: string | null;
  readonly caFolder: string | null;
  readonly crlFile: string | null;
  readonly crlFolder: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly ciphers: string | null;
  readonly hasSessionCache: boolean;
};

/** `pathOf` makes a path as it was written, at a place of the configuration, one to open. */
export function toRouteTls(
  route: RouteSettings,
  settings: Settings,
  index: number,
  pathOf: (at: Path, written: string) => string,
): RouteTls {
  if (route.protocol === 'x') return PASSED_THROUGH;
  const { tls } = settings;
  const path = (key: FileKey): string | null => {
    const own = route[key];
    if (own !== undefined) return pathOf(['routes', index, key], own);
    const shared = tls[key];
    return shared === undefined ? null : pathOf(['tls', key], shared);
  };
  return {
    client: {
      mode: route.clientSslMode ?? tls.clientSslMode,
      certFile: path('clientSslCert'),
      keyFile: path('clientSslKey'),
      caFile: path('clientSslCa'),
      caFolder: path('clientSslCapath'),
      crlFile: path('clientSslCrl'),
      crlFolder: path('clientSslCrlpath'),
      ciphers: route.clientSslCipher ?? tls.clientSslCipher ?? null,
      hasSessionCache: route.clientSslSessionCache ?? tls.clientSslSessionCache,
    },
    server: {
      mode: route.serverSslMode ?? tls.serverSslMode,
      verify: route.serverSslVerify ?? tls.serverSslVerify,
      caFile: path('serverSslCa'),
      caFolder: path('serverSslCapath'),
      crlFile: path('serverSslCrl'),
      crlFolder: path('serverSslCrlpath'),
      certFile: path('serverSslCert'),
      keyFile: path('serverSslKey'),
      ciphers: route.serverSslCipher ?? tls.serverSslCipher ?? null,
      hasSessionCache: route.serverSslSessionCache ?? tls.serverSslSessionCache,
    },
    minVersion: route.sslMinVersion ?? tls.sslMinVersion,
  };
}

/** What cannot work. `report` names the key and where it was written. */
export function checkRouteTls(
  route: RouteSettings,
  settings: Settings,
  report: (key: keyof RouteSettings & keyof Settings['tls'], value: string, rule: string) => Problem,
): readonly Problem[] {
  if (route.protocol === 'x') {
    const rule = 'is for protocol classic, and this route has protocol x: there TLS is passed through';
    const own = KEYS.filter((key) => route[key] !== undefined);
    return own.map((key) => report(key, shown(String(route[key])), rule));
  }
  const { client, server } = toRouteTls(route, settings, 0, (_at, written) => written);
  const problems: Problem[] = [];
  const refuse = (...problem: Parameters<typeof report>) => problems.push(report(...problem));
  if ((client.certFile === null) !== (client.keyFile === null)) {
    const [given, missing] =
      client.certFile === null
        ? (['clientSslKey', 'clientSslCert'] as const)
        : (['clientSslCert', 'clientSslKey'] as const);
    refuse(given, shown(client.certFile ?? client.keyFile), `needs ${missing} beside it`);
  }
  if ((server.certFile === null) !== (server.keyFile === null)) {
    const [given, missing] =
      server.certFile === null
        ? (['serverSslKey', 'serverSslCert'] as const)
        : (['serverSslCert', 'serverSslKey'] as const);
    refuse(given, shown(server.certFile ?? server.keyFile), `needs ${missing} beside it`);
  }
  if (client.mode === 'passthrough') {
    if (server.mode !== 'as-client') {
      const rule =
        'cannot be kept where clientSslMode is passthrough: TLS is between client and member; use as-client';
      refuse('serverSslMode', shown(server.mode), rule);
    }
    if (server.verify !== 'disabled') {
      const rule =
        'cannot be kept where clientSslMode is passthrough: only the client sees the certificate; use disabled';
      refuse('serverSslVerify', shown(server.verify), rule);
    }
    // Shared defaults may hold a CA for other routes.
    for (const key of ['clientSslCa', 'clientSslCapath'] as const) {
      if (route[key] === undefined) continue;
      refuse(key, shown(route[key]), 'needs clientSslMode required, and it is passthrough');
    }
    return problems;
  }
  for (const [key, path] of [
    ['clientSslCa', client.caFile],
    ['clientSslCapath', client.caFolder],
  ] as const) {
    if (path === null || client.mode === 'required') continue;
    const rule = `needs clientSslMode required, and it is ${client.mode}: clients without TLS show no certificate`;
    refuse(key, shown(path), rule);
  }
  for (const [key, path] of [
    ['clientSslCrl', client.crlFile],
    ['clientSslCrlpath', client.crlFolder],
  ] as const) {
    if (path !== null && client.caFile === null && client.caFolder === null)
      refuse(key, shown(path), 'needs clientSslCa or clientSslCapath beside it');
  }
  if (server.verify === 'disabled') return problems;
  if (server.caFile === null && server.caFolder === null)
    refuse('serverSslVerify', shown(server.verify), 'needs serverSslCa or serverSslCapath');
  if (server.mode === 'disabled' || server.mode === 'preferred') {
    const rule = `needs serverSslMode required or as-client, and it is ${server.mode}: a member without TLS shows no certificate`;
    refuse('serverSslVerify', shown(server.verify), rule);
  }
  return problems;
}

/** The keys of a route as an operator would write them, those left out that are as in `shared`. */
export function routeTlsSettings(tls: RouteTls, shared: RouteTls): Readonly<Record<string, unknown>> {
  if (tls === PASSED_THROUGH) return {};
  const own = flat(tls);
  const defaults = new Map(Object.entries(flat(shared)));
  return Object.fromEntries(
    Object.entries(own).filter(
      ([key, value]) => value !== null && !isDeepStrictEqual(value, defaults.get(key)),
    ),
  );
}

/** As the section `tls` shows it. */
export function sharedTlsSettings(tls: RouteTls): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(flat(tls)).filter(([, value]) => value !== null));
}

function flat({ client, server, minVersion }: RouteTls): Readonly<Record<string, unknown>> {
  return {
    clientSslMode: client.mode,
    serverSslMode: server.mode,
    serverSslVerify: server.verify,
    clientSslCert: client.certFile,
    clientSslKey: client.keyFile,
    clientSslCa: client.caFile,
    clientSslCapath: client.caFolder,
    clientSslCrl: client.crlFile,
    clientSslCrlpath: client.crlFolder,
    clientSslCipher: client.ciphers,
    serverSslCa: server.caFile,
    serverSslCapath: server.caFolder,
    serverSslCrl: server.crlFile,
    serverSslCrlpath: server.crlFolder,
    serverSslCert: server.certFile,
    serverSslKey: server.keyFile,
    serverSslCipher: server.ciphers,
    sslMinVersion: minVersion,
    clientSslSessionCache: client.hasSessionCache,
    serverSslSessionCache: server.hasSessionCache,
  };
}

function shown(value: string | null): string {
  return `"${value ?? ''}"`;
}

const KEYS = [
  'clientSslMode',
  'serverSslMode',
  'serverSslVerify',
  'clientSslCert',
  'clientSslKey',
  'clientSslCa',
  'clientSslCapath',
  'clientSslCrl',
  'clientSslCrlpath',
  'clientSslCipher',
  'serverSslCa',
  'serverSslCapath',
  'serverSslCrl',
  'serverSslCrlpath',
  'serverSslCert',
  'serverSslKey',
  'serverSslCipher',
  'sslMinVersion',
  'clientSslSessionCache',
  'serverSslSessionCache',
] as const satisfies readonly (keyof RouteSettings & keyof Settings['tls'])[];

/** What a route of X Protocol has: the router does not end TLS there. */
const PASSED_THROUGH: RouteTls = {
  client: {
    mode: 'passthrough',
    certFile: null,
    keyFile: null,
    caFile: null,
    caFolder: null,
    crlFile: null,
    crlFolder: null,
    ciphers: null,
    hasSessionCache: true,
  },
  server: {
    mode: 'as-client',
    verify: 'disabled',
    caFile: null,
    caFolder: null,
    crlFile: null,
    crlFolder: null,
    certFile: null,
    keyFile: null,
    ciphers: null,
    hasSessionCache: true,
  },
  minVersion: 'TLSv1.2',
};

type FileKey =
  | 'clientSslCert'
  | 'clientSslKey'
  | 'clientSslCa'
  | 'clientSslCapath'
  | 'clientSslCrl'
  | 'clientSslCrlpath'
  | 'serverSslCa'
  | 'serverSslCapath'
  | 'serverSslCrl'
  | 'serverSslCrlpath'
  | 'serverSslCert'
  | 'serverSslKey';
