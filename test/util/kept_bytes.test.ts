import { expect, it } from 'vitest';
import { keptCopy, keptRoom } from '../../src/util/kept_bytes.ts';

it('gives each its own bytes', () => {
  const rooms = Array.from({ length: 5000 }, (_, at) => keptRoom(at % 97).fill(at & 255));
  expect(rooms.every((room, at) => room.length === at % 97 && room.every((byte) => byte === (at & 255)))).toBe(true);
});

it('copies', () => {
  const bytes = Buffer.from('some bytes');
  const copy = keptCopy(bytes.subarray(5));
  bytes.fill(0);
  expect(copy.toString()).toBe('bytes');
});

it('gives what is large a buffer of its own, so that little never keeps it', () => {
  expect(keptRoom(5000).buffer.byteLength).toBe(5000);
});

it('keeps little more than what is kept, whatever else is allocated meanwhile', () => {
  const held = (keep: (bytes: Buffer) => Buffer): number => {
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 1000; i++) {
      buffers.add(keep(Buffer.from('x'.repeat(100))).buffer);
      for (let j = 0; j < 10; j++) Buffer.from('y'.repeat(500));
    }
    return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0) / 1000;
  };
  expect(held(keptCopy)).toBeLessThan(150);
  // What it is there for: Node's own pool.
  expect(held((bytes) => Buffer.from(bytes))).toBeGreaterThan(1000);
});
