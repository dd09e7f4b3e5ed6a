import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOST_KEY_ALGORITHMS } from '../../src/ssh/algorithms.ts';
import {
  CERTIFICATE_ALGORITHMS,
  CERTIFICATE_KEY_TYPES,
  FOREVER,
  isCertificateType,
  plainName,
  validityProblem,
} from '../../src/ssh/certificate.ts';
import { hostCertificateProblem } from '../../src/ssh/certificate_host.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import { checkSignature, fingerprintOf, PublicKeyCache } from '../../src/ssh/public_key.ts';
import { seededRandom, str, u32 } from './bytes.ts';
import {
  blobOf,
  type CertificateFields,
  certificateBlob,
  ED25519_CERT,
  ed25519Pair,
  parseCertificate,
  readAlone,
  signKey,
} from './certificate_tools.ts';
import { haveSshKeygen, makeKey, temporaryDirectory } from './private_key_tools.ts';

const AUTHORITY = ed25519Pair();
const HOST = ed25519Pair();
const make = (fields: CertificateFields = {}) => certificateBlob(HOST.blob, AUTHORITY, fields);

function failure(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

function reasonOf(blob: Buffer): string {
  const error = failure(() => parseCertificate(blob));
  return error === undefined ? 'read' : error instanceof SshError ? error.reason : String(error);
}

describe('what is read', () => {
  it('every field', () => {
    const fields = { keyId: 'ein Schlüssel', extensions: ['permit-pty'], criticalOptions: ['a@b', 'c@d'] };
    const blob = make({ ...fields, serial: 2n ** 63n + 1n, principals: ['a', 'b'], validAfter: 5n, validBefore: 9n });
    const { key, authority, ...rest } = parseCertificate(blob);
    expect(rest).toEqual({
      ...fields,
      keyType: ED25519_CERT,
      plainKeyType: 'ssh-ed25519',
      blob,
      plainBlob: HOST.blob,
      serial: 2n ** 63n + 1n,
      kind: 'host',
      principals: ['a', 'b'],
      validAfter: 5n,
      validBefore: 9n,
      signatureAlgorithm: 'ssh-ed25519',
    });
    expect(key.asymmetricKeyType).toBe('ed25519');
    expect(authority).toMatchObject({ keyType: 'ssh-ed25519', fingerprint: fingerprintOf(AUTHORITY.blob) });
    expect(authority.blob).toEqual(AUTHORITY.blob);
  });

  it('256 principals, and those of a user', () => {
    const principals = Array.from({ length: 256 }, (_, i) => `host${i}`);
    expect(parseCertificate(make({ principals })).principals).toEqual(principals);
    expect(parseCertificate(make({ kind: 1, principals: [] }))).toMatchObject({ kind: 'user', principals: [] });
  });

  it('names of types and algorithms', () => {
    expect(CERTIFICATE_KEY_TYPES.map(plainName)).toEqual([
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'ssh-rsa',
    ]);
    expect(CERTIFICATE_ALGORITHMS.map(plainName)).toEqual([
      ...CERTIFICATE_KEY_TYPES.slice(0, 4).map(plainName),
      'rsa-sha2-512',
      'rsa-sha2-256',
    ]);
    expect(HOST_KEY_ALGORITHMS.filter(isCertificateType)).toEqual(CERTIFICATE_ALGORITHMS);
    expect(HOST_KEY_ALGORITHMS.slice(0, 6).some(isCertificateType)).toBe(false);
    expect(plainName('ssh-ed25519')).toBe('ssh-ed25519');
    // Types of security keys have the domain in their plain form, too.
    expect(plainName('sk-ssh-ed25519-cert-v01@openssh.com')).toBe('sk-ssh-ed25519@openssh.com');
    expect(plainName('sk-ecdsa-sha2-nistp256-cert-v01@openssh.com')).toBe('sk-ecdsa-sha2-nistp256@openssh.com');
    expect(plainName('sk-ssh-ed25519@openssh.com')).toBe('sk-ssh-ed25519@openssh.com');
  });
});

describe('what is refused as `protocol`', () => {
  const rsaSigned = (signed: Buffer) => Buffer.concat([str('ssh-rsa'), str(signed.subarray(0, 64))]);
  it.each<[string, Buffer, RegExp?]>([
    ['a kind that is none', make({ kind: 3 }), /a user \(1\) or a host \(2\), got 3/],
    ['257 principals', make({ principals: Array.from({ length: 257 }, () => 'a') }), /at most 256 principals/],
    ['an empty principal', make({ principals: ['a', ''] }), /principals are names/],
    ['a principal with a zero byte', make({ principals: ['a\0b'] }), /principals are names/],
    ['principals that end early', make({ principals: Buffer.concat([str('a'), u32(9)]) })],
    ['options that end early', make({ criticalOptions: Buffer.concat([str('a'), u32(1)]) })],
    ['an option without data', make({ extensions: str('permit-pty') })],
    ['257 options', make({ extensions: Array.from({ length: 257 }, (_, i) => `${i}`) }), /at most 256 options/],
    ['something after it', make({ after: Buffer.of(0) }), /nothing after the certificate/],
    ['more than 32 KiB', make({ keyId: 'x'.repeat(33_000) }), /at most 32768 bytes/],
    ['a DSA certificate', make({ type: 'ssh-dss-cert-v01@openssh.com' }), /certificate of a known type/],
    ['a certificate of nothing', make({ type: '-cert-v01@openssh.com' }), /certificate of a known type/],
    ['another type than its key', make({ type: 'ecdsa-sha2-nistp256-cert-v01@openssh.com' })],
    ['the signature of another', certificateBlob(HOST.blob, { ...AUTHORITY, privateKey: HOST.privateKey })],
    ['no signature', make({ signature: () => Buffer.alloc(0) })],
    ['a chain', make({ authority: make() }), /an authority's key of a known type/],
    ['an authority that is no key', make({ authority: str('ssh-ed25519') })],
    ['an authority in a security key', make({ authority: str('sk-ssh-ed25519@openssh.com') }), /authority's key/],
    [
      'SHA-1',
      make({
        authority: Buffer.concat([str('ssh-rsa'), str(Buffer.of(3)), str(Buffer.alloc(256))]),
        signature: rsaSigned,
      }),
      /signed by rsa-sha2-512 or rsa-sha2-256, got "ssh-rsa"/,
    ],
  ])('%s', (_what, blob, message = /expected/) => {
    const error = failure(() => parseCertificate(blob));
    expect(error).toBeInstanceOf(SshError);
    expect(error).toMatchObject({ reason: 'protocol', message: expect.stringMatching(message) });
  });

  it('every truncation', () => {
    const blob = make({ extensions: ['permit-pty'] });
    expect(reasonOf(blob)).toBe('read');
    for (let length = 0; length < blob.length; length++) expect(reasonOf(blob.subarray(0, length))).toBe('protocol');
  });

  it('every change of a byte', () => {
    const random = seededRandom(11);
    const blob = make({ criticalOptions: ['a@b'], extensions: ['permit-pty'] });
    for (let at = 0; at < blob.length; at++) {
      const changed = Buffer.from(blob);
      changed[at]! ^= 1 + random.below(255);
      expect(reasonOf(changed)).toBe('protocol');
    }
  });

  it('noise after a type', () => {
    const type = fc.constantFrom(...CERTIFICATE_KEY_TYPES);
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 300 }), (name, bytes) => {
        expect(reasonOf(Buffer.concat([str(name), bytes]))).toBe('protocol');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the cache', () => {
  it('verifies a certificate once, and reads an authority once', () => {
    const cache = new PublicKeyCache();
    const blob = make();
    const first = cache.get(blob);
    expect(cache.get(Buffer.from(blob))).toBe(first);
    const other = cache.get(make({ serial: 8n }));
    expect(other.certificate).not.toBe(first.certificate);
    expect(other.certificate!.authority).toBe(first.certificate!.authority);
    expect(cache.get(AUTHORITY.blob)).toBe(first.certificate!.authority);
    expect(cache.get(HOST.blob).certificate).toBeUndefined();
    expect(first.fingerprint).toBe(fingerprintOf(HOST.blob));
  });

  it('works without room, and keeps no large ones', () => {
    const cache = new PublicKeyCache(1);
    const blob = make();
    expect(cache.get(blob).certificate).toBeDefined();
    const large = make({ keyId: 'x'.repeat(5000) });
    expect(cache.get(large)).not.toBe(cache.get(large));
    expect(readAlone(large).keyId).toHaveLength(5000);
  });
});

describe('what a host certificate must say', () => {
  const now = Date.UTC(2026, 0, 31, 12);
  const seconds = BigInt(now / 1000);
  const long = Array.from({ length: 10 }, (_, i) => `h${i}`);
  it.each<[string, CertificateFields, string, string | undefined]>([
    ['all good', {}, 'web1.example.org', undefined],
    ['the name in capitals', {}, 'WEB1.example.org', undefined],
    ['an address', { principals: ['192.0.2.1', '2001:db8::1'] }, '2001:db8::1', undefined],
    ['the last second', { validBefore: seconds + 1n }, 'web1.example.org', undefined],
    ['the first second', { validAfter: seconds }, 'web1.example.org', undefined],
    ['extensions nobody knows', { extensions: ['x@y'] }, 'web1.example.org', undefined],
    ["a user's", { kind: 1 }, 'web1.example.org', 'is for users, not for hosts: give sshd a HostCertificate'],
    ['expired', { validBefore: seconds }, 'web1.example.org', 'expired at 2026-01-31T12:00:00Z: have'],
    ['early', { validAfter: seconds + 1n }, 'web1.example.org', 'is not valid before 2026-01-31T12:00:01Z: check this'],
    ['never valid', { validAfter: FOREVER }, 'web1.example.org', 'is not valid before second 18446744073709551615'],
    ['no principals', { principals: [] }, 'web1.example.org', 'names no host: sign it with -n'],
    ['another name', {}, 'Web2', 'is for ["web1.example.org"] and not for "web2": sign it with -n'],
    ['a name in capitals', { principals: ['WEB1'] }, 'web1', 'is for ["WEB1"] and not for "web1"'],
    ['a wildcard', { principals: ['*'] }, 'web1', 'is for ["*"] and not for "web1"'],
    ['many names', { principals: long }, 'x', '"h7", and 2 more] and not for "x"'],
    ['a name that acts on terminals', { principals: ['\x1b[2J'] }, 'x', 'is for ["?[2J"]'],
    ['critical options', { criticalOptions: ['x@y'] }, 'web1.example.org', 'has critical options that are not known'],
  ])('%s', (_what, fields, name, problem) => {
    const found = hostCertificateProblem(parseCertificate(make(fields)), name, now);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });

  it('validity is said in dates', () => {
    const certificate = parseCertificate(make({ validAfter: 0n, validBefore: 1n }));
    expect(validityProblem(certificate, 999)).toBeUndefined();
    expect(validityProblem(certificate, 1000)).toBe('expired at 1970-01-01T00:00:01Z');
    expect(validityProblem(certificate, -1)).toBe('is not valid before 1970-01-01T00:00:00Z');
  });
});

describe.skipIf(!haveSshKeygen())('certificates by ssh-keygen', () => {
  const directory = temporaryDirectory();
  const types = [
    ['ed25519', '256', 'ssh-ed25519'],
    ['ecdsa', '256', 'ecdsa-sha2-nistp256'],
    ['ecdsa', '384', 'ecdsa-sha2-nistp384'],
    ['ecdsa', '521', 'ecdsa-sha2-nistp521'],
    ['rsa', '2048', 'ssh-rsa'],
  ] as const;
  const files = new Map<string, string>();
  const fileOf = (name: string, type: string, bits: string): string => {
    const known = files.get(name);
    if (known !== undefined) return known;
    const file = makeKey(join(directory, name), '-t', type, '-b', bits);
    files.set(name, file);
    return file;
  };
  const hostKey = (n: number) => fileOf(`key${n}`, types[n]![0], types[n]![1]);
  const authority = (n: number) => fileOf(`ca${n}`, types[n]![0], types[n]![1]);

  const pairs = types.flatMap((_, key) => types.map((_, ca) => [types[key]![2], types[ca]![2], key, ca] as const));
  it.each(pairs)('%s signed by %s', (keyType, caType, key, ca) => {
    const options = ['-I', `${keyType} by ${caType}`, '-h', '-n', 'a.example.org,192.0.2.1', '-z', '99'];
    const validity = ['-V', '20260101000000Z:20270101000000Z', '-O', 'critical:x@y=1', '-O', 'extension:z@y'];
    const file = signKey(directory, authority(ca), hostKey(key), ...options, ...validity);
    const { key: _key, blob: _blob, plainBlob, authority: signer, ...rest } = parseCertificate(blobOf(file));
    expect(rest).toEqual({
      keyType: `${keyType}-cert-v01@openssh.com`,
      plainKeyType: keyType,
      serial: 99n,
      kind: 'host',
      keyId: `${keyType} by ${caType}`,
      principals: ['a.example.org', '192.0.2.1'],
      validAfter: BigInt(Date.UTC(2026, 0) / 1000),
      validBefore: BigInt(Date.UTC(2027, 0) / 1000),
      criticalOptions: ['x@y'],
      extensions: ['z@y'],
      signatureAlgorithm: caType === 'ssh-rsa' ? expect.stringMatching(/^rsa-sha2-(256|512)$/) : caType,
    });
    expect(plainBlob).toEqual(blobOf(`${hostKey(key)}.pub`));
    expect(signer.blob).toEqual(blobOf(`${authority(ca)}.pub`));
  });

  it.each(['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa'])('an RSA authority that signs by %s', (algorithm) => {
    const file = signKey(directory, authority(4), hostKey(0), '-I', 'x', '-h', '-n', 'a', '-t', algorithm);
    expect(reasonOf(blobOf(file))).toBe(algorithm === 'ssh-rsa' ? 'protocol' : 'read');
  });

  it.each(types.map((type, n) => [type[2], n] as const))('a %s certificate verifies what its key signs', (type, n) => {
    const file = signKey(directory, authority(0), hostKey(n), '-I', 'x', '-h', '-n', 'a');
    const key = new PublicKeyCache().get(blobOf(file));
    const own = parsePrivateKey(readFileSync(hostKey(n)), { source: 'key' });
    const data = Buffer.from('what was signed');
    for (const plain of own.signatureAlgorithms) {
      const signature = own.sign(data, plain) as Buffer;
      const algorithm = `${plain}-cert-v01@openssh.com`;
      expect(checkSignature(key, algorithm, data, signature)).toBeUndefined();
      expect(() => checkSignature(key, algorithm, Buffer.from('else'), signature)).toThrow('a valid signature');
      expect(() => checkSignature(key, plain, data, signature)).toThrow(`expected a ${type} key as negotiated`);
      const bare = new PublicKeyCache().get(own.publicBlob);
      expect(checkSignature(bare, plain, data, signature)).toBeUndefined();
      expect(() => checkSignature(bare, algorithm, data, signature)).toThrow(`got ${type}`);
    }
  });
});
