/**
 * Reads the certificate and key files of one route and tries them out, so that what reaches the data threads works.
 */
import { Buffer } from 'node:buffer';
import { constants, randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { RouteConfig } from '../../config/config.ts';
import type { RouteTlsMaterial } from '../../shared/tls-material.ts';

/** Something is wrong with a file: which one, and what. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

/** A certificate with its key, for routes without one of their own. */
export type OwnCertificate = { readonly cert: string; readonly key: string };

/** @throws TlsFileError; null for a route that passes TLS through */
export async function readMaterial(
  route: RouteConfig,
  own: OwnCertificate,
  authKey: string | null,
): Promise<RouteTlsMaterial | null> {
  const { client, server, minVersion } = route.tls;
  if (client.mode === 'passthrough') return null;
  const read = (key: string, path: string | null) => readPem(`route ${route.name}: ${key}`, path);
  const [cert, key, clientCa, clientCrl, serverCa, folderCas, serverCrl, serverCert, serverKey] =
    await Promise.all([
      read('clientSslCert', client.certFile),
      read('clientSslKey', client.keyFile),
      read('clientSslCa', client.caFile),
      read('clientSslCrl', client.crlFile),
      read('serverSslCa', server.caFile),
      readFolder(`route ${route.name}: serverSslCapath`, server.caFolder),
      read('serverSslCrl', server.crlFile),
      read('serverSslCert', server.certFile),
      read('serverSslKey', server.keyFile),
    ]);
  const cas = [...(serverCa === null ? [] : [serverCa]), ...folderCas];
  const material: RouteTlsMaterial = {
    minVersion,
    toClients: {
      mode: client.mode,
      cert: cert ?? own.cert,
      key: key ?? own.key,
      ca: clientCa,
      crl: clientCrl,
      ciphers: client.ciphers,
      ticketKeys: client.hasSessionCache ? randomBytes(TICKET_KEYS_BYTES) : null,
    },
    toServers: {
      mode: server.mode,
      verify: server.verify,
      ca: cas.length === 0 ? null : cas,
      crl: serverCrl,
      cert: serverCert,
      key: serverKey,
      ciphers: server.ciphers,
      hasSessionCache: server.hasSessionCache,
    },
    authKey,
  };
  tryOut(route, 'clientSsl', () => clientContext(material));
  tryOut(route, 'serverSsl', () => serverContext(material));
  return material;
}

/** What the router shows to clients. */
export function clientContext({ minVersion, toClients }: RouteTlsMaterial) {
  const { cert, key, ca, crl, ciphers, ticketKeys } = toClients;
  return createSecureContext({
    minVersion,
    cert,
    key,
    honorCipherOrder: true,
    // Without tickets each thread would know only sessions of its own.
    ...(ticketKeys === null ? NO_TICKETS : { ticketKeys: Buffer.from(ticketKeys) }),
    // A session that was begun with a certificate is resumed only where the same is asked for.
    sessionIdContext: 'fairlead',
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    ...(ciphers === null ? {} : { ciphers }),
  });
}

/** What the router goes by with members. */
export function serverContext({ minVersion, toServers }: RouteTlsMaterial) {
  const { ca, crl, cert, key, ciphers } = toServers;
  return createSecureContext({
    minVersion,
    ...(ca === null ? {} : { ca: [...ca] }),
    ...(crl === null ? {} : { crl }),
    ...(cert === null || key === null ? {} : { cert, key }),
    ...(ciphers === null ? {} : { ciphers }),
  });
}

/** Every file a route reads, to be watched. */
export function filesOf({ tls: { client, server } }: RouteConfig): readonly string[] {
  if (client.mode === 'passthrough') return [];
  const { certFile, keyFile, caFile, crlFile } = client;
  const paths = [certFile, keyFile, caFile, crlFile, server.caFile, server.caFolder];
  return [...paths, server.crlFile, server.certFile, server.keyFile].filter((path) => path !== null);
}

/** Changes when a file behind the path does, be it written to, replaced, or reached by another link. */
export async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path);
    return `${path} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (error) {
    return `${path} ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function readPem(what: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    const text = await readFile(path, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (error) {
    throw new TlsFileError(`${what} = "${path}" cannot be read: ${messageOf(error)}`);
  }
  throw new TlsFileError(`${what} = "${path}" is not PEM: nothing in it begins with -----BEGIN`);
}

async function readFolder(what: string, path: string | null): Promise<readonly string[]> {
  if (path === null) return [];
  try {
    const entries = await readdir(path);
    const names = entries.filter((name) => !name.startsWith('.')).sort();
    const texts = await Promise.all(names.map((name) => readPem(what, join(path, name))));
    if (texts.length > 0) return texts.filter((text) => text !== null);
  } catch (error) {
    if (error instanceof TlsFileError) throw error;
    throw new TlsFileError(`${what} = "${path}" cannot be read: ${messageOf(error)}`);
  }
  throw new TlsFileError(`${what} = "${path}" is empty`);
}

function tryOut({ name }: RouteConfig, side: 'clientSsl' | 'serverSsl', make: () => unknown): void {
  try {
    make();
  } catch (error) {
    const keys = ['Cert', 'Key', 'Ca', 'Crl', 'Cipher'].map((key) => `${side}${key}`).join(', ');
    throw new TlsFileError(`route ${name}: what ${keys} say cannot be used together: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const NO_TICKETS = { secureOptions: constants.SSL_OP_NO_TICKET } as const;

/** Name, AES and HMAC key, 16 bytes each. */
const TICKET_KEYS_BYTES = 48;
