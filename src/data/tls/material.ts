/**
 * Reads the certificate and key files of one route and tries them out, so that what reaches the data threads works.
 */
import { Buffer } from 'node:buffer';
import { constants, randomBytes } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { RouteConfig } from '../../config/config.ts';
import { messageOf } from '../../shared/message-of.ts';
import type { RouteTlsMaterial } from '../../shared/tls-material.ts';
import { type PemKind, readPem, readPemFolder, TlsFileError } from './pem-files.ts';

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
  const readAll = async (key: string, file: string | null, folder: string | null, kind: PemKind) => {
    const one = await read(key, file);
    const more = await readPemFolder(`route ${route.name}: ${key}path`, folder, kind);
    const all = [...(one === null ? [] : [one]), ...more];
    return all.length === 0 ? null : all;
  };
  const [cert, key, clientCa, clientCrl, serverCa, serverCrl, serverCert, serverKey] = await Promise.all([
    read('clientSslCert', client.certFile),
    read('clientSslKey', client.keyFile),
    readAll('clientSslCa', client.caFile, client.caFolder, 'certificate'),
    readAll('clientSslCrl', client.crlFile, client.crlFolder, 'revocation list'),
    readAll('serverSslCa', server.caFile, server.caFolder, 'certificate'),
    readAll('serverSslCrl', server.crlFile, server.crlFolder, 'revocation list'),
    read('serverSslCert', server.certFile),
    read('serverSslKey', server.keyFile),
  ]);
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
      ca: serverCa,
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
    ...(ca === null ? {} : { ca: [...ca] }),
    ...(crl === null ? {} : { crl: [...crl] }),
    ...(ciphers === null ? {} : { ciphers }),
  });
}

/** What the router goes by with members. */
export function serverContext({ minVersion, toServers }: RouteTlsMaterial) {
  const { ca, crl, cert, key, ciphers } = toServers;
  return createSecureContext({
    minVersion,
    ...(ca === null ? {} : { ca: [...ca] }),
    ...(crl === null ? {} : { crl: [...crl] }),
    ...(cert === null || key === null ? {} : { cert, key }),
    ...(ciphers === null ? {} : { ciphers }),
  });
}

/** Every file and folder a route reads, to be watched. */
export function filesOf({ tls: { client, server } }: RouteConfig): readonly string[] {
  if (client.mode === 'passthrough') return [];
  return [client, server]
    .flatMap((side) => [
      side.certFile,
      side.keyFile,
      side.caFile,
      side.caFolder,
      side.crlFile,
      side.crlFolder,
    ])
    .filter((path) => path !== null);
}

function tryOut({ name }: RouteConfig, side: 'clientSsl' | 'serverSsl', make: () => unknown): void {
  try {
    make();
  } catch (error) {
    const keys = ['Cert', 'Key', 'Ca', 'Crl', 'Cipher'].map((key) => `${side}${key}`).join(', ');
    throw new TlsFileError(`route ${name}: what ${keys} say cannot be used together: ${messageOf(error)}`);
  }
}

const NO_TICKETS = { secureOptions: constants.SSL_OP_NO_TICKET } as const;

/** Name, AES and HMAC key, 16 bytes each. */
const TICKET_KEYS_BYTES = 48;
