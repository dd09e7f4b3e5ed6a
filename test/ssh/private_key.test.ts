import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MyriadError } from '../../src/contracts/errors.ts';
import { parsePrivateKey, publicBlobOf, type UserKey } from '../../src/ssh/private_key.ts';
import { Reader } from '../../src/ssh/wire.ts';
import { haveSshKeygen, makeKey, temporaryDirectory } from './private_key_tools.ts';

const KINDS = [
  ['ed25519', ['-t', 'ed25519'], 'ssh-ed25519'],
  ['nistp256', ['-t', 'ecdsa', '-b', '256'], 'ecdsa-sha2-nistp256'],
  ['nistp384', ['-t', 'ecdsa', '-b', '384'], 'ecdsa-sha2-nistp384'],
  ['nistp521', ['-t', 'ecdsa', '-b', '521'], 'ecdsa-sha2-nistp521'],
  ['rsa', ['-t', 'rsa', '-b', '2048'], 'ssh-rsa'],
] as const;
const CIPHERS = [
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'aes128-cbc',
  'aes192-cbc',
  'aes256-cbc',
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
];
const HASHES: Record<string, string | null> = {
  'ssh-ed25519': null,
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
};

/** Whether an RFC signature blob verifies with node:crypto. */
function verifies(key: UserKey, data: Buffer, blob: Buffer, algorithm: string): boolean {
  const reader = new Reader(blob);
  expect(reader.text()).toBe(algorithm);
  let signature = reader.string();
  expect(reader.remaining).toBe(0);
  if (algorithm.startsWith('ecdsa')) {
    const size = { 'ecdsa-sha2-nistp256': 32, 'ecdsa-sha2-nistp384': 48 }[algorithm] ?? 66;
    const pair = new Reader(signature);
    const halves = [pair.mpint(), pair.mpint()].map((half) => Buffer.concat([Buffer.alloc(size - half.length), half]));
    expect(pair.remaining).toBe(0);
    signature = Buffer.concat(halves);
  }
  const publicKey = createPublicKey(key.privateKey);
  return verify(HASHES[algorithm]!, data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

function failure(text: string | Buffer, passphrase?: string): MyriadError {
  try {
    parsePrivateKey(text, { source: '/keys/id', passphrase });
  } catch (error) {
    expect(error).toBeInstanceOf(MyriadError);
    return error as MyriadError;
  }
  throw new Error('the key was taken');
}

describe.skipIf(!haveSshKeygen())('keys made by ssh-keygen', () => {
  const directory = temporaryDirectory();
  const made = new Map(KINDS.map(([name, options]) => [name, makeKey(join(directory, name), ...options)]));

  /** Everything that must hold for a parsed key, whatever file it came from. */
  function expectWhole(key: UserKey, file: string, type: string, comment: string): void {
    const [publicType, publicBase64] = readFileSync(`${file}.pub`, 'latin1').split(' ');
    expect(publicType).toBe(type);
    expect(key.keyType).toBe(type);
    expect(key.publicBlob.toString('base64')).toBe(publicBase64);
    expect(key.fingerprint).toBe(execFileSync('ssh-keygen', ['-l', '-f', file]).toString().split(' ')[1]);
    expect(key.comment).toBe(comment);
    for (const algorithm of key.signatureAlgorithms) {
      // Often enough that r or s with a leading zero and with a leading one bit occur.
      for (let i = 0; i < 20; i++) {
        const data = Buffer.from(`data ${i}`);
        expect(verifies(key, data, key.sign(data, algorithm), algorithm)).toBe(true);
        expect(verifies(key, Buffer.from('other'), key.sign(data, algorithm), algorithm)).toBe(false);
      }
    }
  }

  it.each(KINDS)('%s in the OpenSSH format', (name, _options, type) => {
    const file = made.get(name)!;
    expectWhole(parsePrivateKey(readFileSync(file), { source: file }), file, type, 'a comment');
    const dos = readFileSync(file, 'latin1').replaceAll('\n', '\r\n');
    expectWhole(parsePrivateKey(dos, { source: file, passphrase: 'not needed' }), file, type, 'a comment');
  });

  it.each(CIPHERS)('encrypted with %s', (cipher) => {
    const file = makeKey(join(directory, cipher), '-t', 'ed25519', '-Z', cipher, '-a', '2', '-N', 'open sesame');
    const text = readFileSync(file);
    const key = parsePrivateKey(text, { source: file, passphrase: Buffer.from('open sesame') });
    const data = Buffer.from('x');
    expect(verifies(key, data, key.sign(data, 'ssh-ed25519'), 'ssh-ed25519')).toBe(true);
    expect(`ssh-ed25519 ${key.publicBlob.toString('base64')} a comment\n`).toBe(readFileSync(`${file}.pub`, 'latin1'));
    expect(failure(text, 'open sesamE').message).toBe(
      'the passphrase for the private key /keys/id is wrong (or the file is damaged)',
    );
    for (const none of [undefined, '']) {
      expect(failure(text, none)).toMatchObject({
        code: 'passphrase',
        message: 'the private key /keys/id is encrypted: it needs its passphrase',
      });
    }
  });

  it.each(KINDS)('%s encrypted as ssh-keygen does by default', (name, options, type) => {
    const file = makeKey(join(directory, `${name}-default`), ...options, '-a', '1', '-N', 'pässword');
    const key = parsePrivateKey(readFileSync(file), { source: file, passphrase: 'pässword' });
    const data = Buffer.from('x');
    const algorithm = key.signatureAlgorithms[0]!;
    expect(key.keyType).toBe(type);
    expect(verifies(key, data, key.sign(data, algorithm), algorithm)).toBe(true);
  });

  const PEM = KINDS.slice(1).flatMap(([name, options, type]) =>
    ['PEM', 'PKCS8'].flatMap((format) => ['', 'open sesame'].map((pass) => ({ name, options, type, format, pass }))),
  );
  it.each(PEM)('$name as $format, passphrase "$pass"', ({ name, options, type, format, pass }) => {
    const file = join(directory, `${name}-${format}-${pass.length}`);
    makeKey(file, ...options, '-m', format, '-N', pass);
    const text = readFileSync(file);
    // ssh-keygen -l reads the comment from the .pub file: PEM has none.
    expectWhole(parsePrivateKey(text, { source: file, passphrase: pass }), file, type, '');
    if (pass === '') return;
    expect(failure(text).code).toBe('passphrase');
    expect(failure(text, 'wrong').code).toBe('passphrase');
  });

  it('refuses a cipher that it has not, by name', () => {
    const options = ['-t', 'ed25519', '-Z', 'chacha20-poly1305@openssh.com', '-a', '1', '-N', 'open sesame'];
    const error = failure(readFileSync(makeKey(join(directory, 'chacha'), ...options)), 'open sesame');
    expect(error).toMatchObject({ code: 'key' });
    expect(error.message).toContain('"chacha20-poly1305@openssh.com"');
  });

  it('tells a public key, in every spelling', () => {
    const file = made.get('rsa')!;
    const spellings = ['RFC4716', 'PKCS8', 'PEM'].map((format) =>
      execFileSync('ssh-keygen', ['-e', '-f', `${file}.pub`, '-m', format]).toString(),
    );
    for (const text of [readFileSync(`${file}.pub`, 'latin1'), ...spellings]) {
      expect(failure(text)).toMatchObject({
        code: 'key',
        message: '/keys/id: that is a public key; give the private key file',
      });
    }
  });

  it('takes no key whose halves do not belong together', () => {
    for (const name of ['ed25519', 'nistp256', 'rsa'] as const) {
      const other = makeKey(join(directory, `${name}-other`), ...KINDS.find(([kind]) => kind === name)![1]);
      const [own, foreign] = [made.get(name)!, other].map((file) => ({
        blob: Buffer.from(readFileSync(`${file}.pub`, 'latin1').split(' ')[1]!, 'base64'),
        raw: Buffer.from(readFileSync(file, 'latin1').replace(/-----.*-----|\s/g, ''), 'base64'),
      }));
      // The public key stands outside the private part once.
      const at = own!.raw.indexOf(own!.blob);
      expect(at).toBeGreaterThan(0);
      foreign!.blob.copy(own!.raw, at);
      expect(failure(wrap(own!.raw)).message).toBe('the private key /keys/id is damaged');
    }
  });

  it('checks the padding and what a file declares', () => {
    const raw = Buffer.from(readFileSync(made.get('ed25519')!, 'latin1').replace(/-----.*-----|\s/g, ''), 'base64');
    const change = (edit: (copy: Buffer) => void): MyriadError => {
      const copy = Buffer.from(raw);
      edit(copy);
      return failure(wrap(copy));
    };
    // 'a comment' leaves padding; its last byte is its length.
    const padding = raw[raw.length - 1]!;
    expect(padding).toBeGreaterThan(0);
    const damaged = 'the private key /keys/id is damaged';
    expect(change((copy) => copy.writeUInt8(padding + 1, copy.length - 1)).message).toBe(damaged);
    expect(change((copy) => copy.write('x', 0)).message).toBe(damaged);
    expect(failure(wrap(raw.subarray(0, raw.length - 8))).message).toBe(damaged);
    expect(failure(wrap(Buffer.concat([raw, Buffer.alloc(8)]))).message).toBe(damaged);
    // The number of keys follows the magic and "none", "none", "".
    expect(change((copy) => copy.writeUInt32BE(2, 15 + 8 + 8 + 4)).message).toContain('several keys');
    // A length of 4 GiB.
    expect(change((copy) => copy.writeUInt32BE(0xffffffff, 15 + 8 + 8 + 8)).message).toBe(damaged);
  });

  it('takes no file that asks for hours of bcrypt', () => {
    const file = makeKey(join(directory, 'rounds'), '-t', 'ed25519', '-a', '1', '-N', 'x');
    const raw = Buffer.from(readFileSync(file, 'latin1').replace(/-----.*-----|\s/g, ''), 'base64');
    const options = raw.indexOf('bcrypt') + 6;
    expect(raw.readUInt32BE(options)).toBe(24);
    raw.writeUInt32BE(1_000_000, options + 24);
    expect(failure(wrap(raw), 'x')).toMatchObject({ code: 'key' });
    expect(failure(wrap(raw), 'x').message).toContain('1000000 bcrypt rounds');
  });

  it('answers damage with MyriadError and nothing else', () => {
    const files = [
      ...KINDS.map(([name]) => readFileSync(made.get(name)!)),
      readFileSync(makeKey(join(directory, 'small-pem'), '-t', 'ecdsa', '-m', 'PEM')),
      readFileSync(makeKey(join(directory, 'small-pkcs8'), '-t', 'ecdsa', '-m', 'PKCS8')),
    ];
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...files), flips, fc.boolean(), (file, changes, inside) => {
        // Inside the base64, so that damage gets past the armour; and anywhere in the text.
        const opened = /-----BEGIN OPENSSH/.test(file.toString('latin1')) && inside;
        const bytes = opened
          ? Buffer.from(file.toString('latin1').replace(/-----.*-----|\s/g, ''), 'base64')
          : Buffer.from(file);
        for (const [at, mask] of changes) bytes[at % bytes.length]! ^= mask;
        try {
          const key = parsePrivateKey(opened ? wrap(bytes) : bytes, { source: 's' });
          const algorithm = key.signatureAlgorithms[0]!;
          expect(verifies(key, Buffer.from('x'), key.sign(Buffer.from('x'), algorithm), algorithm)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MyriadError);
          expect((error as MyriadError).message).toMatch(/^[^\n]{1,300}$/);
        }
      }),
      { numRuns: 600 },
    );
  });

  it('notices every damaged byte of the private part of an Ed25519 key', () => {
    const raw = Buffer.from(readFileSync(made.get('ed25519')!, 'latin1').replace(/-----.*-----|\s/g, ''), 'base64');
    const comment = raw.indexOf('a comment');
    for (let at = 0; at < raw.length; at++) {
      if (at >= comment && at < comment + 'a comment'.length) continue;
      const copy = Buffer.from(raw);
      copy[at]! ^= 1;
      expect(failure(wrap(copy)).code).toBe('key');
    }
  });
});

/** The armour around an OpenSSH key. */
function wrap(raw: Buffer): string {
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${raw.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** An OpenSSH file that holds no private key, for types that cannot be used. */
function fileOfType(type: string): string {
  const text = (value: string | Buffer): Buffer => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const one = Buffer.of(0, 0, 0, 1);
  const publicKey = text(Buffer.concat([text(type), text('x')]));
  const head = Buffer.concat([Buffer.from('openssh-key-v1\0'), text('none'), text('none'), text(''), one]);
  return wrap(Buffer.concat([head, publicKey, text(Buffer.alloc(64))]));
}

describe('files that are no usable private key', () => {
  const pkcs8 = (type: 'x25519' | 'ed448'): string =>
    createPrivateKey(
      type === 'x25519'
        ? generateKeyPairSync('x25519', { privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey
        : generateKeyPairSync('ed448', { privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey,
    )
      .export({ type: 'pkcs8', format: 'pem' })
      .toString();
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey.export({ type: 'pkcs1', format: 'pem' });
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({
    type: 'sec1',
    format: 'pem',
  });

  it.each([
    ['nothing', '', 'is not a private key'],
    ['some text', 'hello\n', 'is not a private key'],
    ['PuTTY', 'PuTTY-User-Key-File-3: ssh-ed25519\n', 'puttygen'],
    ['DSA', '-----BEGIN DSA PRIVATE KEY-----\n', '(DSA)'],
    ['DSA in the OpenSSH format', fileOfType('ssh-dss'), '(DSA)'],
    ['a security key', fileOfType('sk-ssh-ed25519@openssh.com'), 'needs the agent'],
    ['an unknown type', fileOfType('ssh-xmss@openssh.com'), '(ssh-xmss@openssh.com)'],
    ['a type of control characters', fileOfType('\u001b[31m'), 'is damaged'],
    ['x25519', pkcs8('x25519'), '(x25519)'],
    ['ed448', pkcs8('ed448'), '(ed448)'],
    ['a short RSA key', weak.toString(), 'RSA key of 512 bits'],
    ['another curve', curve.toString(), '(EC on this curve)'],
    ['a huge file', 'A'.repeat(70_000), 'more than 64 KiB'],
  ])('%s', (_what, text, words) => {
    const error = failure(text);
    expect(error.code).toBe('key');
    expect(error.message).toContain(words);
    expect(error.message).toContain('/keys/id');
  });

  it('reads Ed25519 in PKCS#8, which ssh-keygen does not write', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const key = parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }), { source: 's' });
    expect(key.publicBlob).toEqual(publicBlobOf(publicKey));
    expect(verifies(key, Buffer.from('x'), key.sign(Buffer.from('x'), 'ssh-ed25519'), 'ssh-ed25519')).toBe(true);
  });

  it('signs with SHA-1 where that is asked for, which it never says of itself', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { source: 's' });
    expect(key.signatureAlgorithms).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
    const blob = key.sign(Buffer.from('x'), 'ssh-rsa');
    expect(blob.subarray(0, 11)).toEqual(Buffer.concat([Buffer.of(0, 0, 0, 7), Buffer.from('ssh-rsa')]));
    expect(verify('sha1', Buffer.from('x'), publicKey, blob.subarray(15))).toBe(true);
  });

  it('signs with its own algorithms only', () => {
    for (const [type, foreign] of [
      ['ed25519', 'rsa-sha2-256'],
      ['rsa', 'ssh-ed25519'],
      ['ec', 'ecdsa-sha2-nistp384'],
    ] as const) {
      const { privateKey } =
        type === 'rsa'
          ? generateKeyPairSync('rsa', { modulusLength: 2048 })
          : type === 'ec'
            ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
            : generateKeyPairSync('ed25519');
      const key = parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { source: 's' });
      expect(() => key.sign(Buffer.from('x'), foreign)).toThrow(`cannot sign with "${foreign}"`);
    }
  });
});
