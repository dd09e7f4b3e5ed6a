import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CIPHERS } from '../../src/ssh/algorithms.ts';
import { streamOf } from '../../src/ssh/cipher/aes_stream.ts';
import { seededRandom } from './bytes.ts';

const NAMED = CIPHERS.filter(({ mode }) => mode === 'ctr' || mode === 'cbc').map((spec) => [spec.name, spec] as const);

describe.each(NAMED)('%s, stretch by stretch', (_name, spec) => {
  const random = seededRandom(spec.keyLength);
  const [key, iv] = [random.bytes(spec.keyLength), random.bytes(spec.ivLength)];
  const context = () => createCipheriv(spec.algorithm, key, iv);
  const unit = spec.mode === 'cbc' ? 16 : 1;

  it('gives what the cipher gives for all of them at once, and leaves what is around them alone', () => {
    // Packets of a command, and of a copy.
    const size = fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 200, max: 600 }));
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 40 }), (counts) => {
        const sizes = counts.map((count) => count * unit);
        const plain = random.bytes(sizes.reduce((sum, count) => sum + count, 0));
        const stream = streamOf(spec, context());
        let at = 0;
        const pieces = sizes.map((count) => {
          const padded = Buffer.concat([Buffer.alloc(3, 1), plain.subarray(at, at + count), Buffer.alloc(2, 2)]);
          at += count;
          stream.apply(padded, 3, 3 + count);
          expect([padded.subarray(0, 3), padded.subarray(3 + count)]).toEqual([Buffer.alloc(3, 1), Buffer.alloc(2, 2)]);
          return padded.subarray(3, 3 + count);
        });
        expect(Buffer.concat(pieces)).toEqual(context().setAutoPadding(false).update(plain));
      }),
      { numRuns: 60 },
    );
  });
});

it('aes-ctr: a context is called once for sixteen blocks, however small the packets are', () => {
  const spec = CIPHERS.find(({ mode }) => mode === 'ctr')!;
  const context = createCipheriv(spec.algorithm, Buffer.alloc(spec.keyLength), Buffer.alloc(16));
  const update = context.update.bind(context);
  let calls = 0;
  context.update = ((bytes: Buffer) => {
    calls += 1;
    return update(bytes);
  }) as typeof context.update;
  const stream = streamOf(spec, context);
  for (let i = 0; i < 32; i++) stream.apply(Buffer.alloc(16), 0, 16);
  expect(calls).toBe(2);
  stream.apply(Buffer.alloc(32_768), 0, 32_768);
  expect(calls).toBe(3);
});
