/** The parts of a sweep that know nothing of each other: orders, tags, packets, addresses, pace, round trips. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addresses, packAddresses } from '../../src/ping/addresses.ts';
import { Banner } from '../../src/ping/banner.ts';
import { Pace } from '../../src/ping/pace.ts';
import { answersOnly, checksum, Incoming, type Probe, sequenceOf, writeProbe } from '../../src/ping/packet.ts';
import { Permutation } from '../../src/ping/permutation.ts';
import { bucketOf, HISTOGRAM, middleOf, percentile } from '../../src/ping/shared.ts';
import { Tagger } from '../../src/ping/tag.ts';

describe('a permutation', () => {
  it('gives every place once, whatever the count and the seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer(), (count, seed) => {
        const order = new Permutation(count, seed);
        const seen = new Set(Array.from({ length: count }, (_, i) => order.at(i)));
        expect(seen.size).toBe(count);
        expect(Math.max(...seen)).toBe(count - 1);
      }),
    );
  });

  it('is another one with another seed, and none without', () => {
    const of = (seed: number | undefined) => {
      const order = new Permutation(1000, seed);
      return Array.from({ length: 1000 }, (_, i) => order.at(i));
    };
    expect(of(1)).not.toEqual(of(2));
    expect(of(undefined)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    // Neighbours are not asked one after the other.
    const near = of(1).filter((value, i, all) => i > 0 && Math.abs(value - all[i - 1]!) < 10).length;
    expect(near).toBeLessThan(60);
  });
});

describe('a tag', () => {
  const address = Uint32Array.of(0x7f000001);
  const tagOf = (secret: [number, number], words: number[], to = address) =>
    new Tagger(secret).tag(words[0]!, words[1]!, words[2]!, words[3]!, to);

  it('changes with each of its words, the address and the secret', () => {
    const base = tagOf([1, 2], [3, 4, 5, 6]);
    const others = [
      tagOf([0, 2], [3, 4, 5, 6]),
      tagOf([1, 3], [3, 4, 5, 6]),
      ...[0, 1, 2, 3].map((i) => tagOf([1, 2], [3, 4, 5, 6].with(i, 77))),
      tagOf([1, 2], [3, 4, 5, 6], Uint32Array.of(0x7f000002)),
    ];
    expect(new Set([base, ...others]).size).toBe(others.length + 1);
    expect(tagOf([1, 2], [3, 4, 5, 6])).toBe(base);
  });

  it('spreads over 32 bits', () => {
    const tagger = new Tagger([7, 8]);
    const tags = new Set(Array.from({ length: 20_000 }, (_, i) => tagger.tag(i, 0, 0, 0, address)));
    expect(tags.size).toBeGreaterThan(19_990);
    const ones = [...tags].reduce((sum, tag) => sum + (tag & 1), 0);
    expect(ones / tags.size).toBeCloseTo(0.5, 1);
  });
});

describe('packets', () => {
  const probe: Probe = { tag: 0xdeadbeef, position: 70_000, block: 3, pass: 2, time: 0xfffffff0 };

  it('come back as they were sent', () => {
    const bytes = new Uint8Array(64);
    writeProbe(bytes, 0, 4, 0xabcd, 0x1234, probe);
    expect(checksum(bytes, 0, 28)).toBe(0);
    bytes[0] = 0;
    const incoming = new Incoming();
    incoming.read(bytes, 0, 28, 4, false);
    expect(incoming).toMatchObject({ kind: 'answer', identifier: 0xabcd, sequence: 0x1234, whole: true, probe });
  });

  it('of any bytes are read without a fault', () => {
    const incoming = new Incoming();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 256 }),
        fc.constantFrom(4 as const, 6 as const),
        fc.boolean(),
        (bytes, family, headed) => {
          const room = new Uint8Array(256);
          room.set(bytes);
          incoming.read(room, 0, bytes.length, family, headed);
          expect(['answer', 'error', 'other']).toContain(incoming.kind);
        },
      ),
    );
  });

  it('that are shorter than they say are none', () => {
    const incoming = new Incoming();
    const bytes = new Uint8Array(256);
    bytes[0] = 0x4f;
    incoming.read(bytes, 0, 40, 4, true);
    expect(incoming.kind).toBe('other');
    bytes[0] = 3;
    bytes[8] = 0x4f;
    incoming.read(bytes, 0, 30, 4, false);
    expect(incoming.kind).toBe('other');
  });

  it('have a sequence that depends on the secret, the place and the pass', () => {
    expect(sequenceOf(1, 5, 1)).toBe((sequenceOf(1, 5, 0) + 1) & 0xffff);
    const salts = new Set(Array.from({ length: 100 }, (_, salt) => sequenceOf(salt, 5, 0)));
    expect(salts.size).toBeGreaterThan(90);
  });

  it('pass a filter whose jumps end within it', () => {
    for (const family of [4, 6] as const) {
      const program = answersOnly(family, 7);
      program.forEach(([code, yes, no], at) => {
        if ((code & 7) === 5) expect(at + 1 + Math.max(yes, no)).toBeLessThan(program.length);
      });
      expect(program.at(-1)![0] & 7).toBe(6);
    }
  });
});

describe('addresses', () => {
  it('are indexed over ranges, and found again', () => {
    const ranges = [
      { low: 0x0a000005, count: 3 },
      { low: 0xfffffff0, count: 16 },
      { low: 1, count: 1 },
    ];
    const addresses = new Addresses(packAddresses(4, ranges));
    expect(addresses.count).toBe(20);
    expect([0, 2, 3, 18, 19].map((i) => addresses.text(i))).toEqual([
      '10.0.0.5',
      '10.0.0.7',
      '255.255.255.240',
      '255.255.255.255',
      '0.0.0.1',
    ]);
    for (let i = 0; i < 20; i++) {
      addresses.find(i);
      expect(addresses.indexOf4(addresses.found[0]!)).toBe(i);
    }
    expect(addresses.indexOf4(0x0a000008)).toBeUndefined();
    expect(addresses.indexOf4(0)).toBeUndefined();
  });

  it('of IPv6 carry over their words', () => {
    const low = [0x2001, 0xdb8, 0, 0, 0, 0, 0xffff, 0xfffe];
    const addresses = new Addresses(packAddresses(6, [{ low, count: 4 }]));
    expect([0, 1, 2, 3].map((i) => addresses.text(i))).toEqual([
      '2001:db8::ffff:fffe',
      '2001:db8::ffff:ffff',
      '2001:db8::1:0:0',
      '2001:db8::1:0:1',
    ]);
    const bytes = new Uint8Array(16);
    addresses.write(2, bytes, 0);
    expect(Buffer.from(bytes).toString('hex')).toBe('20010db8000000000000000100000000');
  });
});

describe('pace', () => {
  it('gives what time has filled, and no more than a hundredth of a second at once', () => {
    const pace = new Pace(10_000, 0);
    expect(pace.available(0, 1000)).toBe(1);
    pace.take(1);
    expect(pace.available(0, 1000)).toBe(0);
    expect(pace.wait()).toBeCloseTo(100);
    expect(pace.available(1000, 1000)).toBe(10);
    expect(pace.available(5e6, 1000)).toBe(100);
    expect(pace.available(5e6, 30)).toBe(30);
  });

  it('has no bound where there is none', () => {
    const pace = new Pace(Number.POSITIVE_INFINITY, 0);
    pace.take(1e9);
    expect(pace.available(0, 128)).toBe(128);
    expect(pace.wait()).toBe(0);
  });
});

describe('round trips', () => {
  it('fall into places whose middle is at most 4 % off', () => {
    for (let micros = 1; micros < 4e9; micros = Math.ceil(micros * 1.01)) {
      const bucket = bucketOf(micros);
      expect(bucket).toBeLessThan(HISTOGRAM);
      if (micros >= 16) expect(Math.abs(middleOf(bucket) - micros) / micros).toBeLessThan(0.04);
    }
  });

  it('have percentiles', () => {
    const histogram = new Float64Array(HISTOGRAM);
    expect(percentile(histogram, 0.5)).toBe(0);
    for (let micros = 1; micros <= 1000; micros++) histogram[bucketOf(micros)]!++;
    expect(percentile(histogram, 0.5)).toBeGreaterThan(480);
    expect(percentile(histogram, 0.5)).toBeLessThan(520);
    expect(percentile(histogram, 0.99)).toBeGreaterThan(950);
  });
});

describe('a banner', () => {
  const read = (...chunks: string[]) => {
    const banner = new Banner();
    let found: string | undefined;
    for (const chunk of chunks) found = banner.read(Buffer.from(chunk, 'latin1'));
    return found;
  };

  it.each([
    [['SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'], 'OpenSSH_9.2p1 Debian-2'],
    [['SSH-1.99-Cisco-1.25\n'], 'Cisco-1.25'],
    [['welcome\r\n', 'SSH-2', '.0-x\r', '\n'], 'x'],
    [['SSH-2.0-cut'], undefined],
    [['SSH-1.5-old\r\n'], ''],
    [['SSH-2.0-bad\x1b[2J\r\n'], ''],
    [[`SSH-2.0-${'x'.repeat(300)}\r\n`], ''],
    [['\n'.repeat(9000)], ''],
    [['x'.repeat(5000), 'x'.repeat(5000)], ''],
  ])('%j', (chunks, software) => {
    expect(read(...chunks)).toBe(software);
  });
});
