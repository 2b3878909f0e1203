import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import t from 'tap';
import { createCertificate } from '../../../src/data/tls/certificate.ts';
import { bitString, explicit, integer, objectIdentifier, sequence, time } from '../../../src/data/tls/der.ts';

t.test('DER elements, byte by byte', async (t) => {
  const table: readonly (readonly [what: string, element: Buffer, hex: string])[] = [
    ['a small number', integer(Buffer.from([5])), '020105'],
    ['leading zeros are left out', integer(Buffer.from([0, 0, 5])), '020105'],
    ['nothing but zeros', integer(Buffer.from([0, 0])), '020100'],
    ['the highest bit would make it negative', integer(Buffer.from([0x80])), '02020080'],
    ['an object identifier', objectIdentifier('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    ['a bit string', bitString(Buffer.from([0x80]), 7), '03020780'],
    ['a tag of its own', explicit(3, integer(Buffer.from([1]))), 'a303020101'],
    [
      'a time',
      time(new Date('2026-01-02T03:04:05.678Z')),
      `180f${Buffer.from('20260102030405Z').toString('hex')}`,
    ],
    ['a long length', sequence(Buffer.alloc(300)).subarray(0, 4), '3082012c'],
    ['a length of 128', sequence(Buffer.alloc(128)).subarray(0, 3), '308180'],
  ];
  for (const [what, element, hex] of table) t.equal(element.toString('hex'), hex, what);
});

t.test('a certificate is what it was asked to be, signed with either kind of key', async (t) => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  for (const [kind, issuer] of [['ec', ec] as const, ['rsa', rsa] as const]) {
    const common = {
      issuer: { commonName: 'CA', privateKey: issuer.privateKey },
      serialNumber: Buffer.from([0x91, 2, 3]),
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new Date('2126-01-01T00:00:00Z'),
    };
    const authority = new X509Certificate(
      createCertificate({
        ...common,
        commonName: 'CA',
        publicKey: issuer.publicKey,
        names: [],
        isAuthority: true,
      }),
    );
    const names = ['db.example', '127.0.0.1', '2001:db8::1', '::'];
    const leaf = new X509Certificate(
      createCertificate({ ...common, commonName: 'db', publicKey: rsa.publicKey, names, isAuthority: false }),
    );
    t.equal(leaf.subject, 'CN=db', kind);
    t.equal(leaf.issuer, 'CN=CA');
    t.equal(leaf.serialNumber, '910203');
    t.equal(leaf.validTo, 'Jan  1 00:00:00 2126 GMT');
    t.same([authority.ca, leaf.ca], [true, false]);
    t.ok(authority.checkIssued(authority) && leaf.checkIssued(authority));
    t.ok(leaf.verify(issuer.publicKey) && authority.verify(issuer.publicKey));
    t.ok(leaf.checkPrivateKey(rsa.privateKey));
    t.equal(leaf.checkHost('db.example'), 'db.example');
    for (const address of ['127.0.0.1', '2001:db8::1', '::']) t.equal(leaf.checkIP(address), address);
    t.equal(leaf.checkIP('127.0.0.2'), undefined);
  }
});
