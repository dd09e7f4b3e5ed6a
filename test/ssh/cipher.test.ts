import { createCipheriv, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CIPHERS, MACS } from '../../src/ssh/algorithms.ts';
import type { Opener } from '../../src/ssh/cipher/packet.ts';
import { PlainCipher } from '../../src/ssh/cipher/plain.ts';
import { createOpener, createSealer, type DirectionKeys } from '../../src/ssh/cipher.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { MAX_PACKET } from '../../src/ssh/messages.ts';
import { Writer } from '../../src/ssh/wire.ts';
import { plainPacket, seededRandom, u32 } from './bytes.ts';

const SUITES = CIPHERS.flatMap((cipher) => (cipher.aead ? [undefined] : MACS).map((mac) => ({ cipher, mac })));
const NAMED = SUITES.map((suite) => [`${suite.cipher.name} ${suite.mac?.name ?? ''}`.trim(), suite] as const);

function keysFor({ cipher, mac }: (typeof SUITES)[number], iv?: Buffer): DirectionKeys {
  const random = seededRandom(cipher.keyLength * 100 + (mac?.keyLength ?? 0));
  return {
    cipher,
    mac,
    key: random.bytes(cipher.keyLength),
    iv: iv ?? random.bytes(cipher.ivLength),
    macKey: random.bytes(mac?.keyLength ?? 0),
  };
}

const zeros = (target: Buffer, offset: number, count: number) => void target.fill(0, offset, offset + count);

/** The packets of these payloads, sealed one after the other, counted from `sequence`. */
function seal(keys: DirectionKeys | undefined, payloads: readonly Uint8Array[], sequence = 0): Buffer[] {
  const sealer = keys ? createSealer(keys, zeros) : new PlainCipher();
  return payloads.map((payload, i) => {
    const packet = new Writer(64);
    packet.length = 5;
    packet.raw(payload);
    const out = new Writer(16);
    sealer.seal(packet, (sequence + i) >>> 0, out);
    return out.copy();
  });
}

/** Opens what comes in chunks of these sizes, asking for the size at each of them. */
function open(opener: Opener, bytes: Buffer, sizes: readonly number[], sequence = 0): Buffer[] {
  const payloads: Buffer[] = [];
  let pending = Buffer.alloc(0);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const chunk = bytes.subarray(at, at + sizes[i % sizes.length]!);
    at += chunk.length;
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const size = opener.size(pending, 0, pending.length, (sequence + payloads.length) >>> 0);
      if (size === 0 || size > pending.length) break;
      const { plain, start, end } = opener.open(pending, 0, size, (sequence + payloads.length) >>> 0);
      payloads.push(Buffer.from(plain.subarray(start, end)));
      pending = pending.subarray(size);
    }
  }
  return payloads;
}

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
  return 'opened';
}

const GARBAGE = seededRandom(1).bytes(MAX_PACKET + 1024);

describe.each(NAMED)('%s', (_name, suite) => {
  it.each([
    ['in any chunks', { bytes: 200, packets: [1, 6], chunk: [1, 90], chunks: 5, numRuns: 30 }],
    ['many of them together', { bytes: 600, packets: [8, 24], chunk: [500, 9000], chunks: 3, numRuns: 20 }],
  ] as const)('opens what it sealed, %s, from any sequence number', (_how, of) => {
    const [[fewest, most], [least, largest]] = [of.packets, of.chunk];
    const payload = fc.uint8Array({ minLength: 1, maxLength: of.bytes });
    const payloads = fc.array(payload, { minLength: fewest, maxLength: most });
    const sizes = fc.array(fc.integer({ min: least, max: largest }), { minLength: 1, maxLength: of.chunks });
    fc.assert(
      fc.property(payloads, sizes, fc.nat(0xffffffff), (plain, cut, sequence) => {
        const keys = keysFor(suite);
        const bytes = Buffer.concat(seal(keys, plain, sequence));
        expect(open(createOpener(keys), bytes, cut, sequence)).toEqual(plain.map((payload) => Buffer.from(payload)));
      }),
      { numRuns: of.numRuns },
    );
  });

  it('takes each in its turn, wherever it lies by then, and stops at the one that is not true', () => {
    const keys = keysFor(suite);
    const [first, second, third] = seal(keys, [Buffer.from('first'), Buffer.from('second'), Buffer.from('third')]);
    third![third!.length - 1]! ^= 1;
    const opener = createOpener(keys);
    const openAt = (bytes: Buffer, offset: number, sequence: number) => {
      const size = opener.size(bytes, offset, bytes.length - offset, sequence);
      const { plain, start, end } = opener.open(bytes, offset, size, sequence);
      return plain.toString('latin1', start, end);
    };
    const together = Buffer.concat([first!, second!, third!]);
    expect(openAt(together, 0, 0)).toBe('first');
    together.fill(0xee);
    const moved = Buffer.concat([Buffer.alloc(7), second!, third!]);
    expect(openAt(moved, 7, 1)).toBe('second');
    expect(reasonOf(() => openAt(moved, 7 + second!.length, 2))).toBe('protocol');
  });

  it.each([1, 15, 16, 17, 32_768, 35_000])('takes a payload of %d bytes', (length) => {
    const keys = keysFor(suite);
    const payload = seededRandom(length).bytes(length);
    const [packet] = seal(keys, [payload]);
    expect(open(createOpener(keys), packet!, [packet!.length])).toEqual([payload]);
    expect(open(createOpener(keys), packet!, [1000])).toEqual([payload]);
  });

  it('refuses a packet with any byte changed, at the latest when as many bytes have come as it claims', () => {
    const keys = keysFor(suite);
    const [packet, next] = seal(keys, [Buffer.from('a payload of some length'), Buffer.from('the next')]);
    for (let at = 0; at < packet!.length; at++) {
      for (const bit of [1, 0x80]) {
        const bytes = Buffer.concat([packet!, next!]);
        bytes[at]! ^= bit;
        // The length of aes-ctr without etm is encrypted, so a change of it may claim up to 256 KiB.
        const opener = createOpener(keys);
        const size = reasonOf(() => open(opener, bytes, [bytes.length]));
        const reason = size === 'opened' ? reasonOf(() => openOne(keys, Buffer.concat([bytes, GARBAGE]))) : size;
        expect([at, reason]).toEqual([at, 'protocol']);
      }
    }
  });

  it('refuses a packet out of its turn: dropped, repeated, or counted otherwise', () => {
    const keys = keysFor(suite);
    const [first, second] = seal(keys, [Buffer.from('first'), Buffer.from('second')]);
    expect(reasonOf(() => openOne(keys, Buffer.concat([second!, GARBAGE])))).toBe('protocol');
    const repeated = Buffer.concat([first!, first!, GARBAGE]);
    expect(reasonOf(() => open(createOpener(keys), repeated, [repeated.length]))).toBe('protocol');
    // AES-GCM counts by its nonce, not by the sequence number.
    const counted = reasonOf(() => openOne(keys, Buffer.concat([first!, GARBAGE]), 1));
    expect(counted).toBe(suite.cipher.mode === 'gcm' ? 'opened' : 'protocol');
  });

  it('refuses a packet under other keys', () => {
    const [packet] = seal(keysFor(suite), [Buffer.from('hello')]);
    const other = { ...keysFor(suite), key: Buffer.alloc(suite.cipher.keyLength, 7) };
    const bytes = Buffer.concat([packet!, GARBAGE]);
    expect(reasonOf(() => openOne(other, bytes))).toBe('protocol');
  });
});

/** Opens the first packet of `bytes` with fresh keys. */
function openOne(keys: DirectionKeys, bytes: Buffer, sequence = 0): void {
  const opener = createOpener(keys);
  opener.open(bytes, 0, opener.size(bytes, 0, bytes.length, sequence), sequence);
}

/** Of RFC 8439 §2.5, in numbers of any size, so that the library's is not checked with itself. */
function poly1305(key: Buffer, message: Buffer): Buffer {
  const littleEndian = (bytes: Buffer) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);
  const r = littleEndian(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = Buffer.concat([message.subarray(at, at + 16), Buffer.of(1)]);
    sum = ((sum + littleEndian(block)) * r) % (2n ** 130n - 5n);
  }
  const tag = (sum + littleEndian(key.subarray(16))) % 2n ** 128n;
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse();
}

/** The plain packet that all suites protect, padded to blocks with zeros. */
function padded(payload: Buffer, lengthCounts: boolean, block = 16): Buffer {
  const head = lengthCounts ? 5 : 1;
  let padding = block - ((head + payload.length) % block);
  if (padding < 4) padding += block;
  return Buffer.concat([u32(1 + payload.length + padding), Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

describe('on the wire', () => {
  const payload = Buffer.from('what is said');

  it.each([
    ['000000000000000000000000', '000000000000000000000001'],
    ['0123456700000000ffffffff', '012345670000000100000000'],
    ['ffffffffffffffffffffffff', 'ffffffff0000000000000000'],
  ])('aes-gcm: length, ciphertext, tag; nonce %s is followed by %s', (iv, next) => {
    const suite = SUITES.find(({ cipher }) => cipher.name === 'aes256-gcm@openssh.com')!;
    const keys = keysFor(suite, Buffer.from(iv, 'hex'));
    const byHand = [iv, next].map((nonce) => {
      const plain = padded(payload, false);
      const cipher = createCipheriv('aes-256-gcm', keys.key, Buffer.from(nonce, 'hex'));
      cipher.setAAD(plain.subarray(0, 4));
      const text = Buffer.concat([cipher.update(plain.subarray(4)), cipher.final()]);
      return Buffer.concat([plain.subarray(0, 4), text, cipher.getAuthTag()]);
    });
    expect(seal(keys, [payload, payload])).toEqual(byHand);
  });

  it.each(MACS.map((mac) => [mac.name, mac] as const))('aes-ctr with %s: MAC over what, and where', (_name, mac) => {
    const suite = SUITES.find(({ cipher, mac: candidate }) => cipher.name === 'aes128-ctr' && candidate === mac)!;
    const keys = keysFor(suite);
    const cipher = createCipheriv('aes-128-ctr', keys.key, keys.iv);
    const sequence = 0xfffffffe;
    const byHand = [sequence, sequence + 1, 0].map((number) => {
      const plain = padded(payload, !mac.etm);
      const text = mac.etm
        ? Buffer.concat([plain.subarray(0, 4), cipher.update(plain.subarray(4))])
        : cipher.update(plain);
      const covered = mac.etm ? text : plain;
      return Buffer.concat([text, createHmac(mac.hash, keys.macKey).update(u32(number)).update(covered).digest()]);
    });
    expect(seal(keys, [payload, payload, payload], sequence)).toEqual(byHand);
  });

  it('poly1305 by hand is that of RFC 8439 §2.5.2', () => {
    const key = Buffer.from('85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b', 'hex');
    const tag = poly1305(key, Buffer.from('Cryptographic Forum Research Group'));
    expect(tag.toString('hex')).toBe('a8061dc1305136c6c22b8baf0c0127a9');
  });

  it('chacha20-poly1305: length and packet by a key each, and a tag over both', () => {
    const suite = SUITES.find(({ cipher }) => cipher.mode === 'chacha')!;
    const keys = keysFor(suite);
    const stream = (key: Buffer, counter: number, sequence: number, bytes: Buffer) => {
      const iv = Buffer.concat([Buffer.of(counter), Buffer.alloc(7), u32(0), u32(sequence)]);
      return createCipheriv('chacha20', key, iv).update(bytes);
    };
    const [main, length] = [keys.key.subarray(0, 32), keys.key.subarray(32)];
    const sequence = 0xfffffffe;
    const byHand = [sequence, sequence + 1, 0].map((number) => {
      const plain = padded(payload, false, 8);
      const head = stream(length, 0, number, plain.subarray(0, 4));
      const text = Buffer.concat([head, stream(main, 1, number, plain.subarray(4))]);
      return Buffer.concat([text, poly1305(stream(main, 0, number, Buffer.alloc(32)), text)]);
    });
    expect(seal(keys, [payload, payload, payload], sequence)).toEqual(byHand);
  });

  it.each(MACS.map((mac) => [mac.name, mac] as const))('aes-cbc with %s: one chain over all packets', (_name, mac) => {
    const suite = SUITES.find(({ cipher, mac: candidate }) => cipher.name === 'aes256-cbc' && candidate === mac)!;
    const keys = keysFor(suite);
    const cipher = createCipheriv('aes-256-cbc', keys.key, keys.iv).setAutoPadding(false);
    const byHand = [0, 1].map((number) => {
      const plain = padded(payload, !mac.etm);
      const text = mac.etm
        ? Buffer.concat([plain.subarray(0, 4), cipher.update(plain.subarray(4))])
        : cipher.update(plain);
      const covered = mac.etm ? text : plain;
      return Buffer.concat([text, createHmac(mac.hash, keys.macKey).update(u32(number)).update(covered).digest()]);
    });
    expect(seal(keys, [payload, payload])).toEqual(byHand);
  });

  it('without protection: blocks of 8, at least 4 bytes of padding', () => {
    for (let length = 1; length < 40; length++) {
      const bytes = Buffer.alloc(length, 7);
      expect(seal(undefined, [bytes])).toEqual([plainPacket(bytes)]);
    }
  });
});

describe('lengths that lie', () => {
  const plain = new PlainCipher();

  it.each([0, 1, 4, 11, 13, MAX_PACKET + 4, 0x7fffffff, 0x80000000, 0xffffffff])(
    'a plain packet of %d bytes',
    (length) => {
      const bytes = Buffer.concat([u32(length), Buffer.alloc(64)]);
      expect(reasonOf(() => plain.size(bytes, 0, bytes.length))).toBe('protocol');
    },
  );

  it.each([0, 1, 3, 12, 20, 255])('%d bytes of padding in a packet of 12', (padding) => {
    const bytes = plainPacket(Buffer.alloc(3, 9), { padding });
    expect(bytes.length).toBe(16);
    expect(reasonOf(() => plain.open(bytes, 0, plain.size(bytes, 0, bytes.length)))).toBe('protocol');
  });

  it.each(NAMED)('under %s', (_name, suite) => {
    for (const length of [0, 15, 17, MAX_PACKET + 16, 0xfffffff0]) {
      const bytes = Buffer.concat([u32(length), Buffer.alloc(64)]);
      // Where the length is encrypted these are other lengths, and mostly impossible ones too.
      if ((suite.mac && !suite.mac.etm) || suite.cipher.mode === 'chacha') continue;
      expect(reasonOf(() => createOpener(keysFor(suite)).size(bytes, 0, bytes.length, 0))).toBe('protocol');
    }
    expect(createOpener(keysFor(suite)).size(Buffer.alloc(3), 0, 3, 0)).toBe(0);
  });

  it('aes-cbc: whatever is wrong with a packet, it ends the connection after as many bytes, so that nobody learns which', () => {
    const suite = SUITES.find(({ cipher, mac }) => cipher.name === 'aes128-cbc' && mac?.etm === false)!;
    const keys = keysFor(suite);
    const [packet] = seal(keys, [Buffer.alloc(100)]);
    for (const at of [0, 3, 40, packet!.length - 1]) {
      const bytes = Buffer.concat([packet!, GARBAGE]);
      bytes[at]! ^= 1;
      const opener = createOpener(keys);
      for (const available of [16, packet!.length, 5000, MAX_PACKET - 1]) {
        const size = opener.size(bytes.subarray(0, available), 0, available, 0);
        // Before all of it is here, a packet whose length is possible is as long as it says.
        expect([at, size === MAX_PACKET || (available < packet!.length && size === packet!.length)]).toEqual([
          at,
          true,
        ]);
      }
      expect(reasonOf(() => opener.open(bytes, 0, MAX_PACKET, 0))).toBe('protocol');
    }
  });
});
