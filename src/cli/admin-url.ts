/**
 * Where a running router's admin server is to be found.
 */
import type { Listen } from '../config/config.ts';
import { formatHostPort, parseListen } from '../config/values.ts';

/** A URL, or "host:port" for short, or a port of this machine; null for anything else. */
export function parseAdminUrl(text: string): URL | null {
  // As a URL a lone number is an address: 8404 would be 0.0.32.212.
  if (/^:?\d{1,5}$/.test(text)) return URL.parse(`http://127.0.0.1:${text.replace(':', '')}`);
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  const isPlain = url !== null && url.username === '' && url.password === '' && url.hostname !== '';
  return isPlain ? url : null;
}

/** The router of this machine; in its container the environment tells the port. */
export function defaultAdminUrl(environment: Readonly<Record<string, string | undefined>>): URL {
  const listen = parseListen(environment['FAIRLEAD_ADMIN_LISTEN'] ?? '');
  if (listen === null || listen.port === 0) return new URL('http://127.0.0.1:8404');
  return urlOfListen(listen);
}

/** Where an admin server that listens so can be reached from its own machine. */
export function urlOfListen({ host, port }: Listen): URL {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`http://${formatHostPort({ host: reachable, port })}`);
}
