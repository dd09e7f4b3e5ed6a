import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inSharedMemory, readFileShared } from '../../src/util/shared_memory.ts';

test.each([0, 1, 1024 * 1024 - 1, 1024 * 1024, 3_000_001])('a file of %d bytes is read whole', (size) => {
  const dir = mkdtempSync(join(tmpdir(), 'shared-memory-'));
  try {
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 31) & 255));
    writeFileSync(join(dir, 'file'), Buffer.alloc(size, bytes));
    const read = readFileShared(join(dir, 'file'));
    expect(read.equals(Buffer.alloc(size, bytes))).toBe(true);
    expect(read.buffer instanceof SharedArrayBuffer).toBe(size >= 1024 * 1024);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('what has no size is read, and what is not there is an error', () => {
  expect(readFileShared('/proc/self/status').length).toBeGreaterThan(0);
  expect(readFileShared('/dev/null')).toHaveLength(0);
  let error: unknown;
  try {
    readFileSync('/not/there');
  } catch (thrown) {
    error = thrown;
  }
  expect(() => readFileShared('/not/there')).toThrow(error as Error);
});

test('numbers keep their kind, and those that are shared are not copied again', () => {
  for (const numbers of [Int32Array.of(-1, 2), Uint32Array.of(7, 2 ** 32 - 1), Uint8Array.of(1, 2, 255)]) {
    const shared = inSharedMemory(numbers);
    expect(shared).toEqual(numbers);
    expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(inSharedMemory(shared)).toBe(shared);
  }
});
