/**
 * TLS of control sessions: whether a member is asked with it, and what is read for that. Files are read each time a session
 * begins, so new ones count from the next on.
 */
import { isIP } from 'node:net';
import type { SslOptions } from 'mysql2/promise';
import type { ClusterConfig } from '../config/config.ts';
import { messageOf } from '../shared/message-of.ts';
import { MAX_PEM_BYTES, readTextFile } from '../shared/text-file.ts';
import { ControlFailure } from './control-failure.ts';

export type ControlTls = ClusterConfig['tls'];

/** How a login is to begin. `either`: without TLS, and with it where the member wants it so. */
export type FirstTransport = 'plaintext' | 'tls' | 'either';

/** @throws ControlFailure when TLS is demanded and not offered */
export function firstTransport({ mode }: ControlTls, offersTls: boolean): FirstTransport {
  switch (mode) {
    case 'disabled':
      return 'plaintext';
    case 'as-needed':
      return 'either';
    case 'preferred':
      return offersTls ? 'tls' : 'plaintext';
    case 'required':
      if (offersTls) return 'tls';
      throw new ControlFailure('tls-failed', 'cluster.sslMode is required, and the server offers no TLS');
    default:
      return mode satisfies never;
  }
}

/** @throws ControlFailure when a file cannot be read, or the name cannot be checked */
export async function tlsOptions(tls: ControlTls, memberHost: string): Promise<SslOptions> {
  const [ca, cert, key] = await Promise.all([
    read('sslCa', tls.caFile),
    read('sslCert', tls.certFile),
    read('sslKey', tls.keyFile),
  ]);
  const verifyIdentity = tls.verify === 'verify-identity';
  if (verifyIdentity && isIP(memberHost) !== 0)
    throw new ControlFailure(
      'tls-failed',
      `cluster.sslVerify is verify-identity, and ${memberHost} is no name; use verify-ca`,
    );
  return {
    rejectUnauthorized: tls.verify !== 'disabled',
    verifyIdentity,
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  };
}

async function read(key: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    return await readTextFile(path, MAX_PEM_BYTES);
  } catch (error) {
    const why = messageOf(error);
    throw new ControlFailure('tls-failed', `cluster.${key} = "${path}" cannot be read: ${why}`);
  }
}
