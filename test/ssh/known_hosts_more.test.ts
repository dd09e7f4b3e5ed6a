/** What stands around plain lines: authorities, scans in turns, KnownHostsCommand, SSHFP, certificates before the policies. */
import { execFileSync } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CERTIFICATE_ALGORITHMS } from '../../src/ssh/certificate.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { createHostKeyVerifier, type HostKeyVerifierOptions } from '../../src/ssh/host_key_policy.ts';
import { type HostKeyAnswer, KnownHosts } from '../../src/ssh/known_hosts.ts';
import { mergeAnswers } from '../../src/ssh/known_hosts_command.ts';
import { knownHostsLine } from '../../src/ssh/known_hosts_entry.ts';
import { compareSshfp, readSshfp, type SshfpAnswer } from '../../src/ssh/sshfp.ts';
import {
  type CertificateFields,
  certificateBlob,
  ED25519_CERT,
  ed25519Pair,
  parseCertificate,
} from './certificate_tools.ts';
import { ed25519Blob, haveSshKeygen, makeKey, temporaryDirectory } from './private_key_tools.ts';

const TYPE = 'ssh-ed25519';
const NAME = 'web1.example.org';
const NOW = Date.UTC(2026, 0, 31, 12);
const directory = temporaryDirectory();
let files = 0;
const newFile = () => join(directory, `known_hosts_${files++}`);

function blob(n: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(n);
  return ed25519Blob(bytes);
}

const line = (hosts: string, key: Buffer, marker = '') => `${marker}${hosts} ${TYPE} ${key.toString('base64')}\n`;
const authorityLine = (hosts: string, key: Buffer) => line(hosts, key, '@cert-authority ');
const parse = (...texts: string[]) =>
  KnownHosts.parse(texts.map((text, i) => ({ file: `/f${i}`, text: Buffer.from(text) })));

function hashed(name: string, salt: number): string {
  const bytes = Buffer.alloc(20, salt);
  bytes.writeUInt32BE(salt);
  return `|1|${bytes.toString('base64')}|${createHmac('sha1', bytes).update(name).digest('base64')}`;
}

async function refusal(verify: () => void | Promise<void>): Promise<SshError> {
  try {
    await verify();
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    return error as SshError;
  }
  throw new Error('the key was accepted');
}

describe('authorities', () => {
  const known = parse(
    authorityLine('*.example.org,!bad.example.org', blob(1)) +
      authorityLine('web1.example.org,other', blob(2)) +
      authorityLine('[web1.example.org]:2222', blob(3)) +
      line('web1.example.org', blob(9)),
    authorityLine(hashed('secret', 1), blob(4)) + authorityLine('OTHER', blob(5)) + authorityLine('[*]:2022', blob(6)),
  );

  it.each<[string, number, (readonly [number, string, number, boolean])[]]>([
    ['a.example.org', 22, [[1, '/f0', 1, false]]],
    ['bad.example.org', 22, []],
    [
      'web1.example.org',
      22,
      [
        [1, '/f0', 1, false],
        [2, '/f0', 2, false],
      ],
    ],
    ['WEB1.example.org', 2222, [[3, '/f0', 3, false]]],
    [
      'web1.example.org',
      2200,
      [
        [1, '/f0', 1, true],
        [2, '/f0', 2, true],
      ],
    ],
    [
      'other',
      22,
      [
        [2, '/f0', 2, false],
        [5, '/f1', 2, false],
      ],
    ],
    ['Secret', 22, [[4, '/f1', 1, false]]],
    ['secret', 99, [[4, '/f1', 1, true]]],
    ['secret', 2022, [[6, '/f1', 3, false]]],
    ['nowhere', 22, []],
    ['', 22, []],
  ])('%s port %i', (name, port, expected) => {
    const found = known
      .authoritiesFor(name, port)
      .map(({ blob: key, ...rest }) => ({ key: key.toString('hex'), ...rest }));
    expect(found).toEqual(
      expected.map(([n, file, at, bare]) => ({ key: blob(n).toString('hex'), file, line: at, bare })),
    );
  });

  it('say nothing about plain keys, and plain keys nothing about them', () => {
    expect(known.authorities).toBe(6);
    expect(known.check('a.example.org', 22, blob(1)).kind).toBe('unknown');
    expect(parse(line('a', blob(1))).authoritiesFor('a', 22)).toEqual([]);
  });

  it.skipIf(!haveSshKeygen())('are those that ssh-keygen -F marks as CA', () => {
    const name = fc.constantFrom('a', 'b', 'a.dc', 'b.dc', '[a]:2222', '[a.dc]:2222');
    const host = fc.constantFrom('*', '*.dc', '!a.dc', '[*]:2222', 'a,b', '[a.dc]:*', 'a.dc', 'b', '[a]:2222');
    const entry = fc.tuple(
      fc.boolean(),
      fc.oneof(
        host,
        fc.tuple(name, fc.nat(99)).map(([text, n]) => hashed(text, n)),
      ),
    );
    const cases = fc.tuple(fc.array(entry, { minLength: 12, maxLength: 12 }), name);
    for (const [lines, form] of fc.sample(cases, { numRuns: 60, seed: 3 })) {
      const file = newFile();
      writeFileSync(file, lines.map(([ca, text], i) => line(text, blob(i), ca ? '@cert-authority ' : '')).join(''));
      const script = 'ssh-keygen -f "$1" -F "$2" 2>/dev/null; true';
      const output = execFileSync('sh', ['-c', script, 'sh', file, form]).toString();
      const found = [...output.matchAll(/^# Host .* found: line (\d+) CA/gm)].map((match) => Number(match[1]));
      const own = KnownHosts.parse([{ file, text: readFileSync(file) }]).authoritiesFor(form, 22);
      expect(own.map((authority) => authority.line)).toEqual(found);
    }
  });
});

it('places are right across files that end in a line break, do not, or are empty', () => {
  const text = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => line(`h${from + i}`, blob(from + i))).join('');
  const known = parse(text(0, 20), text(100, 3).trimEnd(), '', '\n', `\n\n${text(200, 40)}`, '', text(300, 1));
  for (const [from, count, file, skipped] of [
    [0, 20, '/f0', 0],
    [100, 3, '/f1', 0],
    [200, 40, '/f4', 2],
    [300, 1, '/f6', 0],
  ] as const) {
    for (let i = 0; i < count; i++) {
      expect(known.check(`h${from + i}`, 22, blob(from + i))).toMatchObject({
        kind: 'known',
        file,
        line: i + 1 + skipped,
      });
    }
  }
});

describe('many hashed lines', () => {
  const count = 2000;
  const text = Array.from({ length: count }, (_, i) => line(hashed(`h${i}`, i), blob(i))).join('');

  it('are asked in turns, with the answer of `check`', async () => {
    const cases: readonly (readonly [string, number, Buffer])[] = [
      ['h5', 22, blob(5)],
      ['h5', 22, blob(6)],
      ['h1999', 22, blob(0)],
      ['nowhere', 22, blob(0)],
      ['h7', 2222, blob(7)],
      ['h7', 2222, blob(8)],
    ];
    for (const [name, port, key] of cases) {
      const answer = parse(text).ask(name, port, key);
      const expected = parse(text).check(name, port, key);
      expect(answer instanceof Promise).toBe(!(expected.kind === 'known' && port === 22));
      expect(await answer).toEqual(expected);
    }
  });

  it('leave the loop to others meanwhile, and are remembered', async () => {
    const known = parse(text);
    let turns = 0;
    let done = false;
    const tick = (): void => {
      turns++;
      if (!done) setImmediate(tick);
    };
    setImmediate(tick);
    const answers = await Promise.all(['x', 'y', 'x'].map((name) => known.ask(name, 22, blob(1))));
    done = true;
    expect(answers.map(({ kind }) => kind)).toEqual(['unknown', 'unknown', 'unknown']);
    // Two scans of eight turns, one after the other.
    expect(turns).toBeGreaterThanOrEqual(14);
    expect(known.ask('x', 22, blob(1))).toEqual({ kind: 'unknown', knownTypes: [] });
  });

  it('see what was learnt meanwhile', async () => {
    const known = parse(text);
    const answer = known.ask('new', 22, blob(1));
    known.add('new', 22, TYPE, blob(2));
    expect(await answer).toEqual({ kind: 'changed', knownTypes: [TYPE] });
  });

  it('hold a verifier up no longer than they must', async () => {
    const verifier = createHostKeyVerifier({ policy: 'strict', known: parse(text), file: '/f' });
    expect(verifier.verify({ name: 'h9', port: 22 }, TYPE, blob(9))).toBeUndefined();
    const error = await refusal(() => verifier.verify({ name: 'h9', port: 22 }, TYPE, blob(8)));
    expect(error.detail.hostKey).toMatchObject({ cause: 'changed', advice: expect.stringContaining('/f0:10') });
  });
});

describe('certificates', () => {
  const authority = ed25519Pair();
  const stranger = ed25519Pair();
  const key = ed25519Pair().blob;
  const trusted = authorityLine('*.example.org', authority.blob);

  interface Shown extends CertificateFields {
    readonly by?: typeof authority;
    readonly host?: { readonly name: string; readonly port: number };
  }

  function verify(text: string, shown: Shown = {}, more: Partial<HostKeyVerifierOptions> = {}): void | Promise<void> {
    const certificate = certificateBlob(key, shown.by ?? authority, shown);
    const options = { policy: 'strict', known: parse(text), file: '/f0', now: () => NOW, ...more } as const;
    const host = shown.host ?? { name: NAME, port: 22 };
    return createHostKeyVerifier(options).verify(host, ED25519_CERT, certificate);
  }

  it.each<[string, string, Shown]>([
    ['of a known authority', trusted, {}],
    ['on another port', trusted, { host: { name: NAME, port: 2222 } }],
    ['of an authority by plain name', authorityLine(NAME, authority.blob), {}],
    ['whose plain key is known, of no known authority', line(NAME, key), {}],
    ['whose plain key is known, of another authority', trusted + line(NAME, key), { by: stranger }],
    ['whose plain key is known, expired', trusted + line(NAME, key), { validBefore: 1n }],
    ['with another plain key known', trusted + line(NAME, blob(1)), {}],
    ['with another revoked', `${trusted}${line('*', stranger.blob, '@revoked ')}`, {}],
    ['with a key that is revoked for another host', `${trusted}${line('x', authority.blob, '@revoked ')}`, {}],
  ])('%s are taken', (_what, text, shown) => {
    expect(verify(text, shown)).toBeUndefined();
  });

  it.each<[string, string, string, string, Shown]>([
    ['expired', trusted, 'certificate', '"web1" (serial 7) expired at 1970-01-01T00:00:01Z', { validBefore: 1n }],
    ['early', trusted, 'certificate', 'is not valid before 2255', { validAfter: 9_000_000_000n }],
    ['of another host', trusted, 'certificate', 'is for ["b"] and not for "web1.example.org"', { principals: ['b'] }],
    ['of no host', trusted, 'certificate', 'names no host', { principals: [] }],
    ['of a user', trusted, 'certificate', 'is for users, not for hosts', { kind: 1 }],
    ['with options', trusted, 'certificate', 'critical options', { criticalOptions: ['x@y'] }],
    ['expired, with another key known', trusted + line(NAME, blob(1)), 'certificate', 'expired', { validBefore: 1n }],
    [
      'of another authority',
      trusted,
      'unknown',
      'no @cert-authority line for this host has that key; add',
      { by: stranger },
    ],
    ['of nobody known', '', 'unknown', `its certificate is signed by ${TYPE} SHA256:`, {}],
    ['of an authority for other hosts', authorityLine('*.dc', authority.blob), 'unknown', 'is signed by', {}],
    ['of nobody known, with another key', line(NAME, blob(1)), 'changed', 'the key in /f0:1 differs', {}],
    [
      'with a revoked key',
      `${trusted}${line('*', key, '@revoked ')}`,
      'revoked',
      'the key is marked @revoked in /f0:2',
      {},
    ],
    [
      'of a revoked authority',
      `${line(NAME, key)}${trusted}${line('*', authority.blob, '@revoked ')}`,
      'revoked',
      'is marked @revoked in /f0:3: have',
      {},
    ],
  ])('%s are refused', async (_what, text, cause, advice, shown) => {
    const { detail, message } = await refusal(() => verify(text, shown));
    expect(detail.hostKey).toMatchObject({ cause, keyType: ED25519_CERT, advice: expect.stringContaining(advice) });
    expect(detail.hostKey!.fingerprint).toBe(
      `SHA256:${createHash('sha256').update(key).digest('base64').replace('=', '')}`,
    );
    expect(message).toContain(cause === 'certificate' ? 'the host certificate is refused' : `the host key is ${cause}`);
    expect(detail.hostKey!.advice).not.toContain('\n');
  });

  it('one that was read already is not read again', () => {
    const read = parseCertificate(certificateBlob(key, authority));
    const verifier = createHostKeyVerifier({ policy: 'strict', known: parse(trusted), file: undefined });
    expect(verifier.verify({ name: NAME, port: 22 }, ED25519_CERT, Buffer.alloc(0), read)).toBeUndefined();
  });

  it('that are damaged are `protocol`', async () => {
    const verifier = createHostKeyVerifier({ policy: 'strict', known: parse(trusted), file: undefined });
    const damaged = certificateBlob(key, { ...authority, privateKey: stranger.privateKey });
    const error = await refusal(() => verifier.verify({ name: NAME, port: 22 }, ED25519_CERT, damaged));
    expect(error.reason).toBe('protocol');
  });

  it('accept-new learns the plain key of an unknown authority, and nothing where a known one does not vouch', async () => {
    const file = newFile();
    await verify(trusted, { by: stranger }, { policy: 'accept-new', file });
    expect(readFileSync(file, 'latin1')).toBe(knownHostsLine(NAME, 22, key));
    const error = await refusal(() => verify(trusted, { validBefore: 1n }, { policy: 'accept-new', file: newFile() }));
    expect(error.detail.hostKey?.cause).toBe('certificate');
  });

  it('are asked for first where an authority is known', () => {
    const known = parse(trusted + line(NAME, blob(1)) + line('db1', blob(2)));
    const verifier = createHostKeyVerifier({ policy: 'strict', known, file: undefined });
    expect(verifier.typesFor({ name: NAME, port: 22 })).toEqual([...CERTIFICATE_ALGORITHMS, TYPE]);
    expect(verifier.typesFor({ name: 'new.example.org', port: 2222 })).toEqual(CERTIFICATE_ALGORITHMS);
    expect(verifier.typesFor({ name: 'db1', port: 22 })).toEqual([TYPE]);
    expect(verifier.typesFor({ name: 'db2', port: 22 })).toEqual([]);
  });
});

describe('KnownHostsCommand', () => {
  const host = (name: string, port = 22) => ({ name, port });
  const program = (print: (args: readonly string[]) => string | Promise<string>, arg: (name: string) => string[]) => {
    const runs: string[] = [];
    const command = {
      args: ({ name }: { name: string }) => ['/bin/lines', ...arg(name)],
      run: async (args: readonly string[]) => {
        runs.push(args.slice(1).join(' '));
        return print(args);
      },
    };
    return { runs, command };
  };
  const perHost = (name: string) => [name];

  it('adds lines, and runs once for a host', async () => {
    const { runs, command } = program((args) => line(args[1]!, blob(1)), perHost);
    const verifier = createHostKeyVerifier({ policy: 'strict', known: parse(''), file: '/f', command });
    expect(verifier.typesFor({ name: 'a', port: 22 })).toEqual([]);
    await verifier.prepare({ name: 'a', port: 22 });
    expect(verifier.prepare({ name: 'a', port: 22 })).toBeUndefined();
    expect(verifier.typesFor({ name: 'a', port: 22 })).toEqual([TYPE]);
    expect(verifier.verify(host('a'), TYPE, blob(1))).toBeUndefined();
    await Promise.all([1, 2, 3].map(() => verifier.verify(host('b'), TYPE, blob(1))));
    const error = await refusal(() => verifier.verify(host('b'), TYPE, blob(2)));
    expect(error.detail.hostKey).toMatchObject({ cause: 'changed', advice: expect.stringContaining('/bin/lines:1') });
    expect(runs).toEqual(['a', 'b']);
  });

  it('runs once at all where it is not told the host', async () => {
    const { runs, command } = program(
      () => line('*', blob(1)),
      () => [],
    );
    const verifier = createHostKeyVerifier({ policy: 'strict', known: parse(''), file: '/f', command });
    for (const name of ['a', 'b', 'c']) await verifier.verify(host(name), TYPE, blob(1));
    expect(runs).toEqual(['']);
  });

  it('can revoke, and name authorities', async () => {
    const authority = ed25519Pair();
    const key = ed25519Pair().blob;
    const text = line('*', blob(1), '@revoked ') + authorityLine(NAME, authority.blob);
    const { command } = program(() => text, perHost);
    const known = parse(line('a', blob(1)));
    const verifier = createHostKeyVerifier({ policy: 'strict', known, file: '/f', command, now: () => NOW });
    expect((await refusal(() => verifier.verify(host('a'), TYPE, blob(1)))).detail.hostKey?.cause).toBe('revoked');
    await verifier.verify(host(NAME), ED25519_CERT, certificateBlob(key, authority));
    await verifier.prepare({ name: NAME, port: 22 });
    expect(verifier.typesFor({ name: NAME, port: 22 })).toEqual(CERTIFICATE_ALGORITHMS);
  });

  it.each([
    [
      'fails',
      () => Promise.reject(new Error('exit status 1')),
      'the KnownHostsCommand "/bin/lines" failed: exit status 1',
    ],
    ['prints without end', () => 'x'.repeat(1024 * 1024 + 1), 'printed more than 1 MiB'],
  ])('one that %s stops its host', async (_what, print, message) => {
    const { command } = program(print, perHost);
    const options = { policy: 'accept-new', known: parse(line('a', blob(1))), file: undefined, command } as const;
    const error = await refusal(() => createHostKeyVerifier(options).verify(host('a'), TYPE, blob(1)));
    expect(error).toMatchObject({ reason: 'local', message: expect.stringContaining(message) });
    await expect(createHostKeyVerifier(options).prepare({ name: 'a', port: 22 })).rejects.toMatchObject({
      reason: 'local',
    });
  });

  it('counts as if its lines stood in the files', () => {
    const text = fc.array(
      fc.tuple(fc.constantFrom('', '', '@revoked '), fc.constantFrom('a', '[a]:2222', 'b', '*'), fc.nat(2)),
      { maxLength: 4 },
    );
    const seen = new Set<HostKeyAnswer['kind']>();
    fc.assert(
      fc.property(text, text, fc.constantFrom(22, 2222), fc.nat(2), (one, two, port, n) => {
        const texts = [one, two].map((lines) => lines.map(([mark, hosts, k]) => line(hosts, blob(k), mark)).join(''));
        const [first, second] = texts.map((content) => parse(content).check('a', port, blob(n)));
        const together = parse(...texts).check('a', port, blob(n));
        const merged = mergeAnswers(first!, second!);
        expect(merged.kind).toBe(together.kind);
        expect(merged.knownTypes).toEqual(together.knownTypes);
        seen.add(merged.kind);
      }),
      { numRuns: 2000 },
    );
    expect([...seen].sort()).toEqual(['changed', 'known', 'revoked', 'unknown']);
  });
});

describe('SSHFP', () => {
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  const record = (key: Buffer, algorithm = 4, type = 2) => ({
    algorithm,
    type,
    fingerprint: type === 1 ? createHash('sha1').update(key).digest() : sha256(key),
  });

  it.each([
    ['the key', [record(blob(1))], 'match'],
    ['the key among others', [record(blob(2)), record(blob(3), 1), record(blob(1))], 'match'],
    ['another key', [record(blob(2))], 'mismatch'],
    ['keys of other algorithms', [record(blob(1), 1)], 'mismatch'],
    ['nothing', [], 'none'],
    ['SHA-1 only', [record(blob(1), 4, 1)], 'none'],
    ['types nobody knows', [{ ...record(blob(1)), type: 3 }], 'none'],
    ['a short fingerprint', [{ ...record(blob(1)), fingerprint: sha256(blob(1)).subarray(1) }], 'none'],
  ] as const)('records of %s', (_what, records, verdict) => {
    expect(compareSshfp(records, blob(1))).toBe(verdict);
  });

  it('SHA-1 counts where it is asked for', () => {
    expect(compareSshfp([record(blob(1), 4, 1)], blob(1), true)).toBe('match');
    expect(compareSshfp([record(blob(2), 4, 1)], blob(1), true)).toBe('mismatch');
    expect(compareSshfp([record(Buffer.from('x'))], Buffer.from('x'))).toBe('mismatch');
  });

  it('data of records', () => {
    const print = sha256(blob(1));
    expect(readSshfp(Buffer.concat([Buffer.of(4, 2), print]))).toEqual({
      algorithm: 4,
      type: 2,
      fingerprint: new Uint8Array(print),
    });
    for (const data of [Buffer.alloc(0), Buffer.of(4), Buffer.of(4, 2), Buffer.concat([Buffer.of(4, 1), print])]) {
      expect(readSshfp(data)).toBeUndefined();
    }
    expect(readSshfp(Buffer.of(4, 9, 1))).toMatchObject({ type: 9 });
  });

  it.skipIf(!haveSshKeygen())('are those that ssh-keygen -r prints', () => {
    for (const [type, bits] of [
      ['ed25519', '256'],
      ['ecdsa', '256'],
      ['ecdsa', '521'],
      ['rsa', '2048'],
    ] as const) {
      const file = makeKey(join(directory, `sshfp-${type}-${bits}`), '-t', type, '-b', bits);
      const key = Buffer.from(readFileSync(`${file}.pub`, 'latin1').split(' ')[1]!, 'base64');
      const output = execFileSync('ssh-keygen', ['-r', 'host', '-f', `${file}.pub`])
        .toString()
        .trim()
        .split('\n');
      const records = output.map((text) => {
        const [algorithm, kind, hex] = text.split(' ').slice(3);
        return readSshfp(Buffer.concat([Buffer.of(Number(algorithm), Number(kind)), Buffer.from(hex!, 'hex')]))!;
      });
      expect(records.map((one) => one.type)).toEqual([1, 2]);
      expect(compareSshfp(records, key)).toBe('match');
      expect(compareSshfp(records.slice(0, 1), key, true)).toBe('match');
      expect(compareSshfp(records, blob(1))).toBe('mismatch');
    }
  });

  const verifier = (
    answer: SshfpAnswer | Error,
    mode: 'yes' | 'ask' = 'yes',
    more: Partial<HostKeyVerifierOptions> = {},
  ) => {
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const options = { policy: 'strict', known: parse(line('a', blob(1))), file: '/f', dns: { mode, resolve } } as const;
    return { asked, verifier: createHostKeyVerifier({ ...options, ...more }) };
  };
  const host = (name: string) => ({ name, port: 22 });
  const match = { records: [record(blob(2))], secure: true };

  it('is not asked for a key that is known or revoked', async () => {
    const { asked, verifier: own } = verifier(match);
    expect(own.verify(host('a'), TYPE, blob(1))).toBeUndefined();
    expect(asked).toEqual([]);
    const revoking = verifier(match, 'yes', { known: parse(line('*', blob(2), '@revoked ')) });
    await refusal(() => revoking.verifier.verify(host('b'), TYPE, blob(2)));
    expect(revoking.asked).toEqual([]);
  });

  it('takes a key that DNSSEC vouches for, known ones changed or not', async () => {
    const { asked, verifier: own } = verifier(match);
    await own.verify(host('b'), TYPE, blob(2));
    await own.verify(host('a'), TYPE, blob(2));
    expect(asked).toEqual(['b', 'a']);
    const authority = ed25519Pair();
    const key = ed25519Pair().blob;
    const certified = verifier({ records: [record(key)], secure: true }).verifier;
    await certified.verify(host('b'), ED25519_CERT, certificateBlob(key, authority));
  });

  it.each<[string, SshfpAnswer | Error, 'yes' | 'ask', RegExp]>([
    [
      'without DNSSEC',
      { ...match, secure: false },
      'yes',
      /^its SSHFP record in DNS has this key, but DNSSEC .*; add it with/,
    ],
    ['asked only', match, 'ask', /^its SSHFP record in DNS has this key, validated by DNSSEC; add it with/],
    [
      'of other keys',
      { records: [record(blob(3))], secure: false },
      'yes',
      /^its SSHFP records in DNS name other keys; add/,
    ],
    ['of other keys, secure', { records: [record(blob(3))], secure: true }, 'yes', /validated by DNSSEC, name other/],
    ['that are none', { records: [], secure: true }, 'yes', /^add it with/],
    ['that cannot be had', new Error('SERVFAIL'), 'yes', /^add it with/],
  ])('records %s leave it to known_hosts, and to the advice', async (_what, answer, mode, advice) => {
    const error = await refusal(() => verifier(answer, mode).verifier.verify(host('b'), TYPE, blob(2)));
    expect(error.detail.hostKey).toMatchObject({ cause: 'unknown', advice: expect.stringMatching(advice) });
    const changed = await refusal(() => verifier(answer, mode).verifier.verify(host('a'), TYPE, blob(2)));
    expect(changed.detail.hostKey?.cause).toBe('changed');
  });

  it('accept-new learns what DNS does not speak against', async () => {
    const learning = { policy: 'accept-new', file: undefined } as const;
    const silent = verifier({ records: [], secure: false }, 'yes', learning).verifier;
    await silent.verify(host('b'), TYPE, blob(2));
    expect(silent.accepted).toBe(1);
    const against = verifier({ records: [record(blob(3))], secure: false }, 'yes', learning).verifier;
    expect((await refusal(() => against.verify(host('b'), TYPE, blob(2)))).detail.hostKey?.cause).toBe('unknown');
    expect(against.accepted).toBe(0);
  });

  it('accept-new takes one of two keys that a host shows while DNS is asked', async () => {
    const { verifier: own } = verifier({ records: [], secure: false }, 'yes', {
      policy: 'accept-new',
      file: newFile(),
    });
    const first = own.verify(host('b'), TYPE, blob(2));
    const again = own.verify(host('b'), TYPE, blob(2));
    const error = refusal(() => own.verify(host('b'), TYPE, blob(3)));
    await Promise.all([first, again]);
    expect((await error).detail.hostKey?.cause).toBe('changed');
    expect(own.accepted).toBe(1);
  });
});

describe('new lines', () => {
  it.skipIf(!haveSshKeygen())('are hashed on request, and found by ssh-keygen and by us', async () => {
    const file = newFile();
    const options = { policy: 'accept-new', known: parse(''), file, hashNames: true } as const;
    const verifier = createHostKeyVerifier(options);
    await verifier.verify({ name: 'Web1', port: 22 }, TYPE, blob(1));
    await verifier.verify({ name: 'web2', port: 2222 }, TYPE, blob(2));
    const text = readFileSync(file);
    expect(text.toString()).toMatch(/^(\|1\|.{28}\|.{28} ssh-ed25519 .*\n){2}$/);
    for (const form of ['web1', '[web2]:2222']) {
      expect(execFileSync('ssh-keygen', ['-f', file, '-F', form]).toString()).toContain(`# Host ${form} found`);
    }
    const known = KnownHosts.parse([{ file, text }]);
    expect(known.check('web1', 22, blob(1)).kind).toBe('known');
    expect(known.check('web2', 2222, blob(2)).kind).toBe('known');
  });
});
