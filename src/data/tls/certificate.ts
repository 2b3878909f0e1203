/**
 * X.509 certificates (RFC 5280) made here, because node:crypto reads them but does not write them: the router's own where
 * an operator gives none, and those of tests.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

export type CertificateRequest = {
  /** Of the subject. */
  readonly commonName: string;
  /** EC or RSA. */
  readonly publicKey: KeyObject;
  /** The signer; the subject itself for a self-signed certificate. */
  readonly issuer: { readonly commonName: string; readonly privateKey: KeyObject };
  /** DNS names and IP addresses the certificate is good for. */
  readonly names: readonly string[];
  /** Whether it may sign others. */
  readonly isAuthority: boolean;
  /** Not 0; at most 20 bytes. */
  readonly serialNumber: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
};

/** The certificate, PEM. */
export function createCertificate(request: CertificateRequest): string {
  const { issuer, publicKey } = request;
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([VERSION_3]))),
    integer(request.serialNumber),
    algorithm,
    nameOf(issuer.commonName),
    sequence(time(request.notBefore), time(request.notAfter)),
    nameOf(request.commonName),
    publicKey.export({ format: 'der', type: 'spki' }),
    explicit(3, sequence(...extensions(request))),
  );
  const signature = sign('sha256', toBeSigned, issuer.privateKey);
  return pem('CERTIFICATE', sequence(toBeSigned, algorithm, bitString(signature)));
}

export type RevocationRequest = {
  readonly issuer: { readonly commonName: string; readonly privateKey: KeyObject };
  readonly revoked: readonly Buffer[];
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
};

/** A certificate revocation list, PEM. */
export function createRevocationList({ issuer, revoked, thisUpdate, nextUpdate }: RevocationRequest): string {
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const entries = revoked.map((serialNumber) => sequence(integer(serialNumber), time(thisUpdate)));
  const toBeSigned = sequence(
    integer(Buffer.from([VERSION_2])),
    algorithm,
    nameOf(issuer.commonName),
    time(thisUpdate),
    time(nextUpdate),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
  );
  const signature = sign('sha256', toBeSigned, issuer.privateKey);
  return pem('X509 CRL', sequence(toBeSigned, algorithm, bitString(signature)));
}

function extensions({ publicKey, issuer, names, isAuthority }: CertificateRequest): readonly Buffer[] {
  const usage = isAuthority ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0x80]), 7);
  return [
    extension('2.5.29.19', true, sequence(...(isAuthority ? [boolean(true)] : []))),
    extension('2.5.29.15', true, usage),
    extension('2.5.29.14', false, octetString(keyIdentifier(publicKey))),
    extension('2.5.29.35', false, sequence(implicit(0, keyIdentifier(createPublicKey(issuer.privateKey))))),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names.map(generalName)))]),
  ];
}

function extension(identifier: string, isCritical: boolean, value: Buffer): Buffer {
  const critical = isCritical ? [boolean(true)] : [];
  return sequence(objectIdentifier(identifier), ...critical, octetString(value));
}

/** dNSName is [2], iPAddress [7]. */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const words = (text: string) =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const [front, back] = [words(head), words(tail ?? '')];
  const gap = tail === undefined ? 0 : IPV6_WORDS - front.length - back.length;
  const bytes = Buffer.alloc(IPV6_WORDS * 2);
  [...front, ...Array.from({ length: gap }, () => 0), ...back].forEach((word, index) => {
    bytes.writeUInt16BE(word, index * 2);
  });
  return bytes;
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest()
    .subarray(0, 20);
}

function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return sequence(objectIdentifier('1.2.840.10045.4.3.2'));
  return sequence(objectIdentifier('1.2.840.113549.1.1.11'), nothing());
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

const VERSION_2 = 1;
const VERSION_3 = 2;
const IPV6_WORDS = 8;
