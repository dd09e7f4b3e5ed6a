/** What one thread has read of known_hosts, read by others. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KnownHosts } from '../../src/ssh/known_hosts.ts';
import { ed25519Blob } from './private_key_tools.ts';

function blob(n: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(n);
  return ed25519Blob(bytes);
}

const key = (n: number) => `ssh-ed25519 ${blob(n).toString('base64')}`;

function hashed(name: string): string {
  const salt = Buffer.alloc(20, 7);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

/** As it comes out of a message to another thread: memory is shared, all else is copied. */
const across = (known: KnownHosts): KnownHosts => KnownHosts.from(structuredClone(known.share()));

const lineOf = (name: string, kind: number, n: number): string => {
  const hosts = [name, hashed(name), `*${name}`, `@revoked ${name}`, `@cert-authority ${name}`, `${name},${name}x`][
    kind
  ]!;
  return kind === 6 ? 'no line' : `${hosts ?? name} ${key(n)}`;
};

/** Everything that can be asked of it. */
function answers(known: KnownHosts, names: readonly string[], keys: number) {
  return names.map((name) => ({
    checks: Array.from({ length: keys }, (_, n) => [known.check(name, 22, blob(n)), known.check(name, 23, blob(n))]),
    types: known.keyTypesFor(name, 22),
    authorities: known.authoritiesFor(name, 22),
    has: known.has(name, 22),
    revoked: known.revoked(name, 22, blob(1)),
  }));
}

describe('known_hosts across threads', () => {
  it('answers as it does where it was read, file and line included', () => {
    const line = fc.tuple(fc.constantFrom('a', 'b', 'c', 'ab'), fc.nat(6), fc.nat(4));
    const file = fc.array(line, { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(file, { minLength: 1, maxLength: 3 }), fc.boolean(), (files, open) => {
        const texts = files.map((lines, place) => ({
          file: `/known_hosts${place}`,
          text: Buffer.from(lines.map((each) => `${lineOf(...each)}\n`).join('') + (open ? `last ${key(9)}` : '')),
        }));
        const [alone, known] = [KnownHosts.parse(texts), KnownHosts.parse(texts)];
        const other = across(known);
        const names = ['a', 'b', 'c', 'ab', 'last', 'nobody'];
        const expected = answers(alone, names, 5);
        expect(answers(other, names, 5)).toEqual(expected);
        expect(answers(known, names, 5)).toEqual(expected);
        expect([other.size, other.problems, other.problemCount]).toEqual([
          alone.size,
          alone.problems,
          alone.problemCount,
        ]);
      }),
      { numRuns: 200 },
    );
  });

  it('takes the memory of its lines once', () => {
    const text = Buffer.from(Array.from({ length: 10_000 }, (_, n) => `host${n} ${key(n)}\n`).join(''));
    const known = KnownHosts.parse([{ file: '/k', text }]);
    const shared = known.share();
    const { text: bytes, plain } = shared.index;
    for (const { buffer } of [bytes, plain.slots, plain.offsets, plain.hashes, plain.next, shared.lines.marks]) {
      expect(buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    const other = KnownHosts.from(shared);
    expect(other.text.buffer).toBe(known.text.buffer);
    expect(known.share().index.text.buffer).toBe(bytes.buffer);
  });

  it('what one adds, it alone knows, and nobody else is harmed', () => {
    const text = Buffer.from(Array.from({ length: 100 }, (_, n) => `host${n} ${key(n)}\n`).join(''));
    const known = KnownHosts.parse([{ file: '/k', text }]);
    const [one, two] = [across(known), across(known)];
    const states = [known, one, two];
    states.forEach((each, place) => {
      for (let n = 0; n < 200; n++) each.add(`new${n}`, 22, 'ssh-ed25519', blob(1000 * (place + 1) + n));
      each.add('host7', 22, 'ssh-ed25519', blob(5000 + place));
    });
    states.forEach((each, place) => {
      for (let n = 0; n < 200; n++) {
        for (const owner of [0, 1, 2]) {
          const { kind } = each.check(`new${n}`, 22, blob(1000 * (owner + 1) + n));
          expect(kind).toBe(owner === place ? 'known' : 'changed');
        }
      }
      for (let n = 0; n < 100; n++) {
        expect(each.check(`host${n}`, 22, blob(n))).toEqual({ kind: 'known', file: '/k', line: n + 1, knownTypes: [] });
      }
      const kinds = [0, 1, 2].map((other) => each.check('host7', 22, blob(5000 + other)).kind);
      expect(kinds).toEqual([0, 1, 2].map((other) => (other === place ? 'known' : 'changed')));
    });
    // With what was learnt since.
    expect(across(known).check('new5', 22, blob(1005)).kind).toBe('known');
  });
});
