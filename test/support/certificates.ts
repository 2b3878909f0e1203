/** Certificates for tests: an authority, what it signs, and what it withdraws. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { createCertificate, createRevocationList } from '../../src/data/tls/certificate.ts';

export type Issued = {
  readonly cert: string;
  readonly key: string;
  readonly serialNumber: Buffer;
};

export type Authority = {
  /** PEM of its own certificate. */
  readonly cert: string;
  issue(commonName: string, names?: readonly string[]): Issued;
  revocationList(...revoked: readonly Issued[]): string;
};

export function createAuthority(commonName = 'Test CA'): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { commonName, privateKey: own.privateKey };
  const notBefore = new Date(Date.now() - HOUR_MS);
  const notAfter = new Date(Date.now() + HOUR_MS);
  const certificateOf = (name: string, publicKey: typeof own.publicKey, names: readonly string[]) => {
    const serialNumber = randomBytes(12).fill(0x41, 0, 1);
    const isAuthority = publicKey === own.publicKey;
    const facts = { commonName: name, publicKey, issuer, names, isAuthority, serialNumber };
    return { cert: createCertificate({ ...facts, notBefore, notAfter }), serialNumber };
  };
  return {
    cert: certificateOf(commonName, own.publicKey, []).cert,
    issue(name, names = []) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
      return { ...certificateOf(name, publicKey, names), key };
    },
    revocationList: (...revoked) =>
      createRevocationList({
        issuer,
        revoked: revoked.map(({ serialNumber }) => serialNumber),
        thisUpdate: notBefore,
        nextUpdate: notAfter,
      }),
  };
}

/** Writes files into a folder of their own, which is gone at the end of `t`; answers its path. */
export async function writeFiles(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

const HOUR_MS = 3_600_000;
