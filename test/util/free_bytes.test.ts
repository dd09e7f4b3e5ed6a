import { createCipheriv } from 'node:crypto';
import { expect, it } from 'vitest';
import { freeBytes } from '../../src/util/free_bytes.ts';

it('gives back what is large and its own', () => {
  const own = Buffer.allocUnsafeSlow(8192);
  freeBytes(own);
  expect(own.length).toBe(0);
  const sealed = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(8192));
  freeBytes(sealed);
  expect(sealed.length).toBe(0);
});

it('leaves what is little, shared, or a part', () => {
  const little = Buffer.allocUnsafeSlow(100);
  const pooled = Buffer.from('from the pool');
  const whole = Buffer.allocUnsafeSlow(16_384);
  const part = whole.subarray(0, 8192);
  const shared = new Uint8Array(new SharedArrayBuffer(8192));
  for (const bytes of [little, pooled, part, shared]) freeBytes(bytes);
  expect([little.length, pooled.length, part.length, whole.length, shared.length]).toEqual([
    100, 13, 8192, 16_384, 8192,
  ]);
});
