import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KnownHosts } from '../../src/ssh/known_hosts.ts';
import { knownHostsLine } from '../../src/ssh/known_hosts_entry.ts';
import { ed25519Blob, haveSshKeygen, makeKey, temporaryDirectory } from './private_key_tools.ts';

/** The nth made-up key; a key for every line tells which line an answer came from. */
function blob(n: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(n);
  return ed25519Blob(bytes);
}

function ed25519(n: number): string {
  return `ssh-ed25519 ${blob(n).toString('base64')}`;
}

function rsaBlob(n: number): Buffer {
  const string = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const modulus = Buffer.alloc(257, n);
  modulus[0] = 0;
  return Buffer.concat([string(Buffer.from('ssh-rsa')), string(Buffer.of(1, 0, 1)), string(modulus)]);
}

function hashed(name: string, salt = Buffer.alloc(20, 7)): string {
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

function parse(...texts: string[]): KnownHosts {
  return KnownHosts.parse(texts.map((text, i) => ({ file: `/known_hosts${i}`, text: Buffer.from(text) })));
}

describe('answers', () => {
  const rsa = `ssh-rsa ${rsaBlob(9).toString('base64')}`;
  const known = parse(
    [
      '# a comment',
      '',
      `web1,192.0.2.1 ${ed25519(1)} a comment`,
      `\t web2\t\t${ed25519(2).replace(' ', '\t')}\t`,
      `[web1]:2222 ${ed25519(3)}`,
      `*.dc,!bad.dc ${ed25519(4)}`,
      `${hashed('secret')} ${ed25519(5)}`,
      `@revoked * ${ed25519(6)}`,
      `@cert-authority *.example.org ${ed25519(7)}`,
      `two ${ed25519(8)}`,
      `two ${rsa}`,
      `CASE.Example ${ed25519(10)}\r`,
      `any,${'x'.repeat(900)} ${ed25519(11)}`,
      `2001:db8::1 ${ed25519(12)}`,
      `@revoked ${hashed('secret')} ${ed25519(13)}`,
      `${hashed('[secret]:2022')} ${rsa}`,
    ].join('\n'),
    `web1 ${ed25519(20)}\ntwo ${ed25519(21)}`,
    `last ${ed25519(22)}`,
  );
  const at = (line: number, file = 0): object => ({ file: `/known_hosts${file}`, line });

  it.each([
    ['a plain name', 'web1', 22, blob(1), { kind: 'known', ...at(3) }],
    ['another name of the line', '192.0.2.1', 22, blob(1), { kind: 'known', ...at(3) }],
    ['blanks and tabs', 'web2', 22, blob(2), { kind: 'known', ...at(4) }],
    ['a line of another file', 'web1', 22, blob(20), { kind: 'known', ...at(1, 1) }],
    ['the last line of the last file', 'last', 22, blob(22), { kind: 'known', ...at(1, 2) }],
    ['no regard to case in the name', 'WEB1', 22, blob(1), { kind: 'known' }],
    ['no regard to case in the file', 'case.example', 22, blob(10), { kind: 'known', ...at(12) }],
    ['a port', 'web1', 2222, blob(3), { kind: 'known', ...at(5) }],
    ['the bare name for a port without lines', 'web2', 2222, blob(2), { kind: 'known', ...at(4) }],
    ['another key of the bare name for such a port', 'web2', 2222, blob(1), { kind: 'unknown', knownTypes: [] }],
    ['the bare name for a port with lines', 'web1', 2222, blob(1), { kind: 'changed', ...at(5) }],
    ['a pattern', 'a.dc', 22, blob(4), { kind: 'known', ...at(6) }],
    ['a negated pattern', 'bad.dc', 22, blob(4), { kind: 'unknown', knownTypes: [] }],
    ['a hashed name', 'Secret', 22, blob(5), { kind: 'known', ...at(7) }],
    ['another key of a hashed name', 'secret', 22, blob(1), { kind: 'changed', ...at(7), knownTypes: ['ssh-ed25519'] }],
    ['a hashed name with port', 'secret', 2022, rsaBlob(9), { kind: 'known', ...at(16) }],
    ['a revoked key', 'web1', 22, blob(6), { kind: 'revoked', ...at(8) }],
    ['a revoked key on a port', 'nowhere', 2222, blob(6), { kind: 'revoked', ...at(8) }],
    ['a key revoked for a hashed name', 'secret', 22, blob(13), { kind: 'revoked', ...at(15) }],
    ['a key revoked for the bare name', 'secret', 2022, blob(13), { kind: 'revoked', ...at(15) }],
    ['a key revoked for another host', 'web1', 22, blob(13), { kind: 'changed' }],
    ['the key of an authority', 'a.example.org', 22, blob(7), { kind: 'unknown', knownTypes: [] }],
    ['another key', 'web1', 22, blob(2), { kind: 'changed', ...at(3), knownTypes: ['ssh-ed25519'] }],
    ['a key of another type', 'web2', 22, rsaBlob(1), { kind: 'changed', ...at(4), knownTypes: ['ssh-ed25519'] }],
    ['the line of the same type', 'two', 22, rsaBlob(1), { kind: 'changed', ...at(11) }],
    ['all types', 'two', 22, blob(1), { kind: 'changed', ...at(10), knownTypes: ['ssh-ed25519', 'ssh-rsa'] }],
    ['a long name', 'x'.repeat(900), 22, blob(11), { kind: 'known' }],
    ['a name too long', 'x'.repeat(5000), 22, blob(11), { kind: 'unknown' }],
    ['a wide name too long', 'ß'.repeat(700), 22, blob(11), { kind: 'unknown' }],
    ['a prefix of a name', 'web', 22, blob(1), { kind: 'unknown' }],
    ['no name', '', 22, blob(1), { kind: 'unknown' }],
    ['an IPv6 address', '2001:DB8::1', 22, blob(12), { kind: 'known' }],
    ['no key', 'web1', 22, Buffer.alloc(0), { kind: 'changed' }],
    ['a huge key', 'web1', 22, Buffer.alloc(100_000), { kind: 'changed' }],
  ])('%s', (_what, name, port, key, answer) => {
    expect(known.check(name, port, key)).toMatchObject(answer);
  });

  it('counts lines and authorities', () => {
    expect(known.problems).toEqual([]);
    expect(known.size).toBe(17);
    expect(known.authorities).toBe(1);
  });

  it('knows which types to ask for', () => {
    expect(known.keyTypesFor('two', 22)).toEqual(['ssh-ed25519', 'ssh-rsa']);
    expect(known.keyTypesFor('TWO', 2222)).toEqual(['ssh-ed25519', 'ssh-rsa']);
    expect(known.keyTypesFor('secret', 22)).toEqual(['ssh-ed25519']);
    expect(known.keyTypesFor('secret', 2022)).toEqual(['ssh-rsa']);
    expect(known.keyTypesFor('bad.dc', 22)).toEqual([]);
    expect(known.keyTypesFor('a.example.org', 22)).toEqual([]);
  });

  it('asks for types in file order across plain names and patterns', () => {
    const mixed = parse(`a* ${rsa}\nab ${ed25519(1)}\n`);
    expect(mixed.keyTypesFor('ab', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
  });

  it('asks for the usual type among many hashed lines, and for the rare one where the host has it', () => {
    const lines = Array.from({ length: 1500 }, (_, i) => `${hashed(`h${i}`)} ${i === 7 ? rsa : ed25519(i)}\n`);
    const many = parse(lines.join(''));
    expect(many.keyTypesFor('h8', 22)).toEqual(['ssh-ed25519']);
    expect(many.keyTypesFor('h7', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
    expect(many.check('h7', 22, rsaBlob(9))).toMatchObject({ kind: 'known', line: 8 });
    expect(many.check('h8', 22, blob(7))).toMatchObject({ kind: 'changed', line: 9 });
    const even = parse(lines.join('') + lines.map((line) => line.replace(/ssh-ed25519 .*/, rsa)).join(''));
    expect(even.keyTypesFor('h8', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
  });

  it('remembers what is added', () => {
    const memory = parse(`web1 ${ed25519(1)}`);
    for (let i = 0; i < 3000; i++) memory.add(`new${i}`, i % 2 ? 22 : 2200, 'ssh-ed25519', blob(i));
    for (let i = 0; i < 3000; i++) {
      const port = i % 2 ? 22 : 2200;
      expect(memory.check(`NEW${i}`, port, blob(i))).toEqual({ kind: 'known', knownTypes: [] });
      expect(memory.check(`new${i}`, port, blob(i + 1))).toEqual({ kind: 'changed', knownTypes: ['ssh-ed25519'] });
    }
    expect(memory.check('web1', 22, blob(1))).toMatchObject({ kind: 'known', file: '/known_hosts0', line: 1 });
    expect(memory.size).toBe(3001);
    expect(() => memory.add('x', 22, 'ssh-rsa', blob(1))).toThrow('the host key of "x" is not a key of type "ssh-rsa"');
    expect(memory.check('x', 22, blob(1)).kind).toBe('unknown');
    expect(memory.size).toBe(3001);
  });

  it('works without files, and with empty ones', () => {
    for (const empty of [KnownHosts.parse([]), parse(''), parse('', '\n', '')]) {
      expect(empty.check('a', 22, blob(1))).toEqual({ kind: 'unknown', knownTypes: [] });
      expect(empty.problems).toEqual([]);
      empty.add('a', 22, 'ssh-ed25519', blob(1));
      expect(empty.check('a', 22, blob(1)).kind).toBe('known');
    }
  });

  it('keeps the index small and finds every name', () => {
    const count = 20_000;
    const lines = Array.from({ length: count }, (_, i) => `host${i}.example.org ${ed25519(i)}\n`).join('');
    const many = parse(lines);
    expect(many.indexBytes / count).toBeLessThanOrEqual(40);
    for (let i = 0; i < count; i++) {
      expect(many.check(`host${i}.example.org`, 22, blob(i))).toMatchObject({ kind: 'known', line: i + 1 });
    }
    const same = parse(Array.from({ length: count }, (_, i) => `host ${ed25519(i)}\n`).join(''));
    expect(same.check('host', 22, blob(count - 1))).toMatchObject({ kind: 'known', line: count });
  });
});

describe('lines that do not count', () => {
  const key = blob(1).toString('base64');
  it.each([
    ['web1', 'the key is missing'],
    ['web1 ssh-ed25519', 'the key is missing'],
    ['@revoked', 'the key is missing'],
    [`web1 ssh-foo ${key}`, 'the key type is not known'],
    ['web1 1024 35 1234567890', 'the key type is not known'],
    [`web1 ssh-rsa ${key}`, 'the key is not of the type the line names'],
    [`web1 ssh-ed25519 ${key.slice(0, -4)}`, 'the key is damaged'],
    [`web1 ssh-ed25519 ${key.slice(0, 20)}`, 'the key is damaged'],
    [`web1 ssh-ed25519 ${key.slice(0, -1)}`, 'the key is not base64'],
    [`web1 ssh-ed25519 ${key.replace('A', '*')}`, 'the key is not base64'],
    [`web1 ssh-ed25519 ${'A'.repeat(6000)}`, 'the key is too long'],
    [`@trusted web1 ssh-ed25519 ${key}`, 'the marker is neither @revoked nor @cert-authority'],
    [`@revoked @cert-authority web1 ssh-ed25519 ${key}`, 'a line has one marker at most'],
    [`|1|abc|def ssh-ed25519 ${key}`, 'the hashed host name is damaged'],
    [`|2${hashed('a').slice(2)} ssh-ed25519 ${key}`, 'the hashed host name is damaged'],
    [`${'n'.repeat(1001)} ssh-ed25519 ${key}`, 'a host name is longer than 1000 bytes'],
  ])('%.60s', (line, reason) => {
    const known = parse(`# first\n${line}\nweb2 ${ed25519(2)}\n`);
    expect(known.problems).toEqual([{ file: '/known_hosts0', line: 2, reason }]);
    expect(known.size).toBe(1);
    expect(known.check('web1', 22, blob(1)).kind).toBe('unknown');
    expect(known.check('web2', 22, blob(2))).toMatchObject({ kind: 'known', line: 3 });
  });

  it('are listed up to a bound', () => {
    const known = parse('x\n'.repeat(5000));
    expect(known.problems).toHaveLength(1000);
    expect(known.problemCount).toBe(5000);
  });

  it('never make parsing or asking throw', () => {
    const word = fc.constantFrom(
      'web1',
      ' ',
      '\t',
      '\n',
      '\r',
      '@revoked',
      '|1|',
      '*',
      '!',
      ',',
      '[',
      'ssh-rsa',
      key,
      '=',
    );
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.oneof(word, fc.constantFrom(ed25519(1), `${hashed('web1')} ${ed25519(1)}`)), { maxLength: 60 })
        .map((words) => Buffer.from(words.join(''))),
    );
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 3 }),
        fc.string(),
        fc.nat(70_000),
        fc.uint8Array(),
        (texts, name, port, bytes) => {
          const known = KnownHosts.parse(texts.map((text, i) => ({ file: `${i}`, text })));
          for (const presented of [bytes, blob(1)]) {
            expect(known.check(name, port, presented).kind).toMatch(/^(known|unknown|changed|revoked)$/);
            expect(known.check('web1', 22, presented).kind).toMatch(/^(known|unknown|changed|revoked)$/);
          }
          expect(Array.isArray(known.keyTypesFor(name, port))).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('lines that are written', () => {
  it('have the bare name for port 22 only', () => {
    expect(knownHostsLine('web1', 22, blob(1))).toBe(`web1 ${ed25519(1)}\n`);
    expect(knownHostsLine('web1', 2222, blob(1))).toBe(`[web1]:2222 ${ed25519(1)}\n`);
    expect(knownHostsLine('2001:db8::1', 22, rsaBlob(1))).toBe(
      `2001:db8::1 ssh-rsa ${rsaBlob(1).toString('base64')}\n`,
    );
  });

  it.each(['', 'a b', 'a,b', 'a*', '?', '!a', '|1|a', '@a', '#a', 'a\nb', 'a\u0000', 'n'.repeat(1000)])(
    '%j is no name',
    (name) => {
      expect(() => knownHostsLine(name, 22, blob(1))).toThrow('cannot stand in a known_hosts file');
    },
  );

  it('have a key', () => {
    expect(() => knownHostsLine('a', 22, Buffer.from('x'))).toThrow('the host key of "a" has a type that known_hosts');
  });
});

describe.skipIf(!haveSshKeygen())('the same answers as ssh-keygen -F', () => {
  const directory = temporaryDirectory();

  /** The lines that ssh-keygen finds for each form of a name, by line number. */
  function oracle(file: string, forms: readonly string[]): Map<string, Set<number>> {
    const script = 'f=$1; shift; for n; do printf "== %s\\n" "$n"; ssh-keygen -f "$f" -F "$n" 2>/dev/null; done; true';
    const output = execFileSync('sh', ['-c', script, 'sh', file, ...forms], { maxBuffer: 2 ** 26 }).toString();
    const found = new Map<string, Set<number>>();
    for (const section of output.split(/^== /m).slice(1)) {
      const form = section.slice(0, section.indexOf('\n'));
      const lines = [...section.matchAll(/^# Host .* found: line (\d+)/gm)].map((match) => Number(match[1]));
      found.set(form, new Set(lines));
    }
    expect(found.size).toBe(new Set(forms).size);
    return found;
  }

  const label = fc.constantFrom('a', 'b', 'web1', 'web2', 'WEB1', 'db-7');
  const plain = fc.tuple(label, fc.constantFrom('', '.dc', '.example.org')).map((parts) => parts.join(''));
  const address = fc.constantFrom('192.0.2.1', '192.0.2.17', '2001:db8::1', 'fe80::1%eth0');
  const port = fc.constantFrom(22, 22, 22, 2222, 2022);
  const name = fc.oneof({ weight: 3, arbitrary: plain }, { weight: 1, arbitrary: address });
  const pattern = fc.constantFrom(
    '*',
    '*.dc',
    'web?',
    'w*1',
    '192.0.2.*',
    '[*]:2222',
    '[web?.dc]:*',
    '??',
    '*b*',
    'WEB*',
    '**',
    'a*a',
  );
  const entry = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(name, port).map(([host, p]) => (p === 22 ? host : `[${host}]:${p}`)) },
    { weight: 2, arbitrary: pattern },
    { weight: 1, arbitrary: fc.oneof(name, pattern).map((text) => `!${text}`) },
    { weight: 1, arbitrary: fc.constantFrom('', '!', '[', '[web1]', '[web1]:22', ':22') },
  );
  const hosts = fc.oneof(
    { weight: 4, arbitrary: fc.array(entry, { minLength: 1, maxLength: 4 }).map((list) => list.join(',')) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(name, port, fc.uint8Array({ minLength: 20, maxLength: 20 }))
        .map(([host, p, salt]) => hashed((p === 22 ? host : `[${host}]:${p}`).toLowerCase(), Buffer.from(salt))),
    },
  );
  const marker = fc.constantFrom('', '', '', '', '', '@revoked ', '@cert-authority ');
  const line = fc.tuple(marker, hosts);

  const form = (host: string, p: number): string => (p === 22 ? host : `[${host}]:${p}`);

  /** What ssh would say to the key of line `n`, from the lines that ssh-keygen finds for the name with its port and for the bare one. */
  function expectation(markers: readonly string[], own: Set<number>, bare: Set<number>): (n: number) => string {
    const marked = (lines: Iterable<number>, mark: string): number[] =>
      [...lines].filter((n) => markers[n - 1] === mark);
    const revoked = marked([...own, ...bare], '@revoked ');
    const plainOwn = marked(own, '');
    const trusted = plainOwn.length > 0 ? plainOwn : marked(bare, '');
    return (n) => {
      if (revoked.includes(n)) return 'revoked';
      if (trusted.includes(n)) return 'known';
      return plainOwn.length > 0 ? 'changed' : 'unknown';
    };
  }

  it('for generated files, names and ports', () => {
    const seen = { known: 0, unknown: 0, changed: 0, revoked: 0 };
    let cases = 0;
    const twelve = fc.array(line, { minLength: 12, maxLength: 12 });
    const ten = fc.uniqueArray(fc.tuple(name, port), {
      minLength: 10,
      maxLength: 10,
      selector: ([host, p]) => form(host, p),
    });
    fc.assert(
      fc.property(twelve, ten, (lines, questions) => {
        const text = lines.map(([mark, list], i) => `${mark}${list === '' ? '-' : list} ${ed25519(i)}\n`).join('');
        const file = join(directory, 'generated');
        writeFileSync(file, text);
        const known = KnownHosts.parse([{ file, text: Buffer.from(text) }]);
        expect(known.problems).toEqual([]);
        // ssh folds the name before it looks it up; ssh-keygen -F leaves that to the caller.
        const folded = questions.map(([host, p]) => [host.toLowerCase(), p] as const);
        const found = oracle(file, [...new Set(folded.flatMap(([host, p]) => [form(host, p), host]))]);
        const markers = lines.map(([mark]) => mark);
        for (const [index, [host, p]] of folded.entries()) {
          const expected = expectation(markers, found.get(form(host, p))!, found.get(host)!);
          const asked = questions[index]![0];
          for (let n = 1; n <= lines.length; n++) {
            const answer = known.check(asked, p, blob(n - 1));
            expect(`${answer.kind} ${asked} ${p} ${n}\n${text}`).toBe(`${expected(n)} ${asked} ${p} ${n}\n${text}`);
            if (answer.kind === 'revoked' || answer.kind === 'known') expect(answer.line).toBe(n);
            seen[answer.kind]++;
          }
          cases++;
        }
      }),
      { numRuns: 55 },
    );
    expect(cases).toBeGreaterThanOrEqual(500);
    for (const count of Object.values(seen)) expect(count).toBeGreaterThanOrEqual(50);
  }, 120_000);

  it('for a file that ssh-keygen -H has hashed', () => {
    const file = join(directory, 'hashed');
    const names = Array.from({ length: 50 }, (_, i) => (i % 5 === 0 ? `[host${i}.dc]:2222` : `host${i}.dc`));
    writeFileSync(file, names.map((text, i) => `${text} ${ed25519(i)}\n`).join(''));
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    const text = readFileSync(file);
    expect(text.includes('host')).toBe(false);
    const known = KnownHosts.parse([{ file, text }]);
    expect(known.problems).toEqual([]);
    for (let i = 0; i < names.length; i++) {
      const port = i % 5 === 0 ? 2222 : 22;
      expect(known.check(`HOST${i}.dc`, port, blob(i))).toMatchObject({ kind: 'known', line: i + 1 });
      expect(known.check(`host${i}.dc`, port, blob(99))).toMatchObject({ kind: 'changed', line: i + 1 });
      expect(known.check(`other${i}.dc`, port, blob(i)).kind).toBe('unknown');
    }
  });

  it('for real keys of all types', () => {
    const types = [
      ['ed25519', '256'],
      ['ecdsa', '256'],
      ['ecdsa', '384'],
      ['ecdsa', '521'],
      ['rsa', '2048'],
    ] as const;
    const keys = types.map(([type, bits]) => {
      const file = makeKey(join(directory, `host-${type}-${bits}`), '-t', type, '-b', bits);
      return readFileSync(`${file}.pub`, 'latin1');
    });
    const known = parse(keys.map((key, i) => `host${i} ${key}`).join(''));
    expect(known.problems).toEqual([]);
    for (const [i, key] of keys.entries()) {
      const [type, base64] = key.split(' ') as [string, string];
      expect(known.check(`host${i}`, 22, Buffer.from(base64, 'base64'))).toMatchObject({ kind: 'known', line: i + 1 });
      expect(known.keyTypesFor(`host${i}`, 22)).toEqual([type]);
    }
  });

  it('reads the lines that it writes', () => {
    const file = join(directory, 'written');
    writeFileSync(file, knownHostsLine('web1', 22, blob(1)) + knownHostsLine('2001:db8::1', 2222, blob(2)));
    const found = oracle(file, ['web1', '[2001:db8::1]:2222', 'web2']);
    expect([...found.values()].map((lines) => [...lines])).toEqual([[1], [2], []]);
  });
});
