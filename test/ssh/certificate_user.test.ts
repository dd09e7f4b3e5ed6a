import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { MyriadError } from '../../src/contracts/errors.ts';
import { loadCertificate } from '../../src/ssh/certificate_user.ts';
import { parsePrivateKey, type UserKey } from '../../src/ssh/private_key.ts';
import { checkSignature, PublicKeyCache } from '../../src/ssh/public_key.ts';
import { certificateBlob, ED25519_CERT, ed25519Pair, signKey } from './certificate_tools.ts';
import { haveSshKeygen, makeKey, temporaryDirectory } from './private_key_tools.ts';

describe.skipIf(!haveSshKeygen())('user certificates', () => {
  const directory = temporaryDirectory();
  const types = [
    ['ed25519', '256', ['ssh-ed25519-cert-v01@openssh.com']],
    ['ecdsa', '384', ['ecdsa-sha2-nistp384-cert-v01@openssh.com']],
    ['rsa', '2048', ['rsa-sha2-512-cert-v01@openssh.com', 'rsa-sha2-256-cert-v01@openssh.com']],
  ] as const;
  const file = (name: string) => join(directory, name);
  const keyOf = (name: string): UserKey => parsePrivateKey(readFileSync(file(name)), { source: name });

  beforeAll(() => {
    makeKey(file('ca'), '-t', 'ed25519');
    for (const [type, bits] of types) makeKey(file(type), '-t', type, '-b', bits);
  });

  it.each(types)('%s: the key signs in as certified', (type, _bits, algorithms) => {
    const key = keyOf(type);
    const text = readFileSync(signKey(directory, file('ca'), file(type), '-I', 'alice', '-n', 'root', '-z', '5'));
    const certified = loadCertificate(text, 'id-cert.pub', key);
    expect(certified).toMatchObject({
      keyType: expect.stringMatching(/^(ssh|ecdsa)-.*-cert-v01@openssh\.com$/),
      signatureAlgorithms: algorithms,
      fingerprint: key.fingerprint,
      comment: key.comment,
      certificate: { kind: 'user', keyId: 'alice', serial: 5n, principals: ['root'] },
    });
    const shown = new PublicKeyCache().get(certified.publicBlob);
    const data = Buffer.from('a request');
    for (const algorithm of certified.signatureAlgorithms) {
      expect(checkSignature(shown, algorithm, data, certified.sign(data, algorithm) as Buffer)).toBeUndefined();
    }
    expect(() => certified.sign(data, 'ssh-dss')).toThrow('cannot sign with "ssh-dss"');
    expect(loadCertificate(`\n ${text.toString().trim()}\r\n`, 'x', key).publicBlob).toEqual(certified.publicBlob);
  });

  it('what cannot be used is said in one sentence', () => {
    const key = keyOf('ed25519');
    const authority = ed25519Pair();
    const line = (blob: Buffer, type = ED25519_CERT) => `${type} ${blob.toString('base64')} comment`;
    const own = certificateBlob(key.publicBlob, authority, { kind: 1 });
    expect(loadCertificate(line(own), 'F', key).certificate.kind).toBe('user');
    const cases: readonly (readonly [string, string])[] = [
      ['', 'F is no certificate: expected one line: type, base64, comment'],
      [readFileSync(file('ed25519.pub'), 'latin1'), 'F is no certificate: expected one line: type, base64, comment'],
      [readFileSync(file('ed25519'), 'latin1'), 'F is no certificate: expected one line: type, base64, comment'],
      [ED25519_CERT, 'F is no certificate: its base64 is damaged'],
      [`${ED25519_CERT} AAA*`, 'F is no certificate: its base64 is damaged'],
      [line(own, 'ssh-rsa-cert-v01@openssh.com'), 'F is no certificate: it is not of the type it names'],
      [line(key.publicBlob), 'F is no certificate: it is not of the type it names'],
      ['x'.repeat(70_000), 'F is no certificate: it has more than 64 KiB'],
      [line(own.subarray(0, 200)), 'the certificate F is damaged: expected'],
      [line(certificateBlob(key.publicBlob, authority)), "the certificate F is a host's; a user's is needed"],
      [
        line(certificateBlob(ed25519Pair().blob, authority, { kind: 1 })),
        `the certificate F is for another key than ${key.fingerprint}`,
      ],
    ];
    for (const [text, message] of cases) {
      const load = () => loadCertificate(Buffer.from(text), 'F', key);
      expect(load).toThrow(MyriadError);
      expect(load).toThrow(message);
    }
  });
});
