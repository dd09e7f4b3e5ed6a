/** Stdin of a run: files by position, streams by way of a private file. */
import { appendFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type OpenStdin, openStdin } from '../../src/fleet/stdin.ts';

const dir = mkdtempSync(join(tmpdir(), 'myriad-stdin-test-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

/** Bytes that tell where they stand. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 7 + (at >> 8) * 13 + (at >> 16)) & 0xff;
  return bytes;
}

async function readAll(source: OpenStdin): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = 0; ; ) {
    const piece = await source.read(at);
    if (piece === undefined) return Buffer.concat(parts);
    expect(piece.length).toBeGreaterThan(0);
    expect(piece.length).toBeLessThanOrEqual(32 * 1024);
    parts.push(piece);
    at += piece.length;
  }
}

const SIZES = [0, 1, 32_767, 32_768, 32_769, 9 * 32_768 + 17];

describe('a file', () => {
  test.each(SIZES)('%i bytes, read by several at once', async (size) => {
    const bytes = pattern(size);
    const source = await openStdin({ file: file('whole', bytes) }, dir);
    const readers = await Promise.all([readAll(source), readAll(source), readAll(source)]);
    for (const read of readers) expect(read.equals(bytes)).toBe(true);
    await source.close();
    expect(await source.read(0)).toBeUndefined();
  });

  test('readers at one place share the bytes', async () => {
    const source = await openStdin({ file: file('shared', pattern(200_000)) }, dir);
    const [a, b] = await Promise.all([source.read(65_536), source.read(65_536)]);
    expect(a).toBe(b);
    expect(await source.read(65_536)).toBe(a);
    await source.close();
  });

  test.each<[string, (path: string) => void, RegExp]>([
    ['is cut', (path) => truncateSync(path, 70_000), /had 200000 bytes, it has 70000/],
    ['grows', (path) => appendFileSync(path, 'x'), /had 200000 bytes, it has 200001/],
    ['is written anew', (path) => utimesSync(path, 1, 1), /changed while it was sent/],
  ])('that %s while it is read is an error, not an end', async (_name, change, message) => {
    const path = file('changing', pattern(200_000));
    const source = await openStdin({ file: path }, dir);
    await source.read(0);
    change(path);
    await expect(readAll(source)).rejects.toThrow(message);
    await expect(readAll(source)).rejects.toThrow(expect.objectContaining({ code: 'file' }));
    await source.close();
  });

  test.each([
    ['is not there', () => join(dir, 'nothing'), /"[^"]*nothing" cannot be read \(ENOENT\)/],
    ['is a directory', () => dir, /is a directory/],
  ])('that %s', async (_name, path, message) => {
    await expect(openStdin({ file: path() }, dir)).rejects.toThrow(message);
  });
});

describe('a stream', () => {
  test.each(SIZES)('%i bytes in odd pieces, read by several at once and once more', async (size) => {
    const bytes = pattern(size);
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += 30_001) yield bytes.subarray(at, at + 30_001);
    }
    const source = await openStdin(pieces(), dir);
    const readers = await Promise.all([readAll(source), readAll(source), readAll(source)]);
    for (const read of [...readers, await readAll(source)]) expect(read.equals(bytes)).toBe(true);
    await source.close();
  });

  test('what has come is there before the rest has; nothing of it has a name', async () => {
    const gate = Promise.withResolvers<void>();
    async function* pieces() {
      yield Buffer.from('first');
      await gate.promise;
      yield Buffer.from('second');
    }
    const source = await openStdin(pieces(), dir);
    expect(String(await source.read(0))).toBe('first');
    expect(readdirSync(dir).filter((name) => name.startsWith('myriad-stdin'))).toEqual([]);
    const late = source.read(5);
    gate.resolve();
    expect(String(await late)).toBe('second');
    expect(await source.read(11)).toBeUndefined();
    await source.close();
  });

  test('that breaks off is an error behind what has come', async () => {
    async function* pieces() {
      yield Buffer.from('first');
      throw new Error('the other end went away');
    }
    const source = await openStdin(pieces(), dir);
    expect(String(await source.read(0))).toBe('first');
    await expect(source.read(5)).rejects.toThrow('stdin broke off after 5 bytes (the other end went away)');
    await source.close();
  });

  test('that gives no bytes', async () => {
    async function* pieces() {
      yield 'text' as unknown as Uint8Array;
    }
    const source = await openStdin(pieces(), dir);
    await expect(source.read(0)).rejects.toThrow('it gives something that is no Uint8Array');
    await source.close();
  });

  test('closing lets go of who waits, and of the stream', async () => {
    let returned = false;
    const source = await openStdin(
      {
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
          return: async () => {
            returned = true;
            return { done: true, value: undefined };
          },
        }),
      },
      dir,
    );
    const waiting = source.read(0);
    await source.close();
    expect([await waiting, returned]).toEqual([undefined, true]);
  });

  test('where it cannot be kept', async () => {
    async function* none() {}
    await expect(openStdin(none(), join(dir, 'no-folder'))).rejects.toThrow(/cannot be kept in .*no-folder \(ENOENT\)/);
  });
});
