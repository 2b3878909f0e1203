/** A certificate authority of the test's own, and one certificate for everything on 127.0.0.1. */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sandbox, Variables } from '../../src/sandbox/index.ts';

export type Certificates = { readonly ca: string; readonly certificate: string; readonly key: string };

export async function createCertificates(sandbox: Sandbox): Promise<Certificates> {
  const directory = join(sandbox.directory, 'certificates');
  const [ca, caKey, certificate, key, config] = [
    'ca.pem',
    'ca-key.pem',
    'cert.pem',
    'key.pem',
    'openssl.cnf',
  ].map((name) => join(directory, name));
  if (!ca || !caKey || !certificate || !key || !config) throw new TypeError('five names make five paths');
  await mkdir(directory, { recursive: true });
  await writeFile(config, OPENSSL_SETTINGS);
  const request = ['req', '-x509', '-config', config, '-days', '30', '-newkey', 'rsa:2048', '-noenc'];
  const subject = (name: string): readonly string[] => ['-subj', `/CN=${name}`];
  await sandbox.run('mariadb', 'openssl', [
    ...[...request, ...subject('test authority'), '-extensions', 'authority'],
    ...['-keyout', caKey, '-out', ca],
  ]);
  await sandbox.run('mariadb', 'openssl', [
    ...[...request, ...subject('localhost'), '-extensions', 'server'],
    ...['-CA', ca, '-CAkey', caKey, '-keyout', key, '-out', certificate],
  ]);
  // The whole chain, as servers send it that know their CA.
  await appendFile(certificate, await readFile(ca));
  return { ca, certificate, key };
}

/** What makes a server use them. */
export function certificateVariables({ ca, certificate, key }: Certificates): Variables {
  return { ssl_ca: ca, ssl_cert: certificate, ssl_key: key };
}

const OPENSSL_SETTINGS = `
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost
`;
