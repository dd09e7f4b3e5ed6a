import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { IDENTIFICATION, IdentificationReader } from '../../src/ssh/identification.ts';

/** Feeds `bytes` cut at these sizes, over and over; returns what follows the identification, undefined where none came. */
function feed(reader: IdentificationReader, bytes: Buffer, sizes: readonly number[], serverSide = false) {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const chunk = bytes.subarray(at, at + sizes[i % sizes.length]!);
    const next = reader.read(chunk, 0, serverSide);
    if (next >= 0) return bytes.subarray(at + next);
    at += chunk.length;
  }
  return undefined;
}

function reasonOf(bytes: Buffer, sizes: readonly number[], serverSide = false): string {
  try {
    return feed(new IdentificationReader(), bytes, sizes, serverSide) === undefined ? 'more' : 'read';
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const line = fc.stringMatching(/^[ -RT-~][ -~]{0,60}$/);
const software = fc.stringMatching(/^[!-,.-~]{1,40}$/);

describe('identification', () => {
  it('is read whatever the chunks, the lines before it, the line ends, and what follows', () => {
    const end = fc.constantFrom('\n', '\r\n');
    const after = fc.uint8Array({ maxLength: 20 });
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.tuple(line, end), { maxLength: 5 }),
        software,
        end,
        after,
        (cut, before, name, eol, rest) => {
          const text = `${before.map(([words, lineEnd]) => words + lineEnd).join('')}SSH-2.0-${name}${eol}`;
          const reader = new IdentificationReader();
          const left = feed(reader, Buffer.concat([Buffer.from(text), rest]), cut);
          expect(reader.identification).toBe(`SSH-2.0-${name}`);
          expect(left).toEqual(Buffer.from(rest));
        },
      ),
    );
  });

  it('of our own is one that we take', () => {
    const reader = new IdentificationReader();
    feed(reader, Buffer.from(`${IDENTIFICATION}\r\n`), [7], true);
    expect(reader.identification).toBe(IDENTIFICATION);
  });

  it.each<[string, string]>([
    ['only one carriage return belongs to the line end', 'SSH-2.0-a\r\r\n'],
    ['a carriage return inside is kept', 'SSH-2.0-a\rb\r\n'],
    ['comments are part of it', 'SSH-2.0-a some words\r\n'],
    ['1.99 means 2.0 too', 'SSH-1.99-a\r\n'],
    ['255 characters', `SSH-2.0-${'x'.repeat(247)}\r\n`],
  ])('%s', (_what, text) => {
    const reader = new IdentificationReader();
    expect(feed(reader, Buffer.from(text), [3])).toEqual(Buffer.alloc(0));
    expect(reader.identification).toBe(text.slice(0, text.endsWith('\r\n') ? -2 : -1));
  });

  it.each<[string, Buffer]>([
    ['version 1', Buffer.from('SSH-1.5-old\r\n')],
    ['version 3', Buffer.from('SSH-3.0-new\r\n')],
    ['256 characters', Buffer.from(`SSH-2.0-${'x'.repeat(248)}\r\n`)],
    ['a NUL', Buffer.from('SSH-2.0-a\0b\r\n')],
    ['8 KiB and no line end', Buffer.alloc(8 * 1024 + 1, 'x')],
    ['8 KiB in lines', Buffer.from(`${'x'.repeat(99)}\n`.repeat(90))],
    ['8 KiB of a line after lines', Buffer.from(`hello\r\n${'x'.repeat(9000)}`)],
    ['64 KiB of empty lines', Buffer.alloc(64 * 1024, '\n')],
    ['64 KiB of empty lines with carriage returns', Buffer.from('\r\n'.repeat(32 * 1024))],
  ])('refuses %s', (_what, bytes) => {
    for (const size of [1, 1000, bytes.length]) expect(reasonOf(bytes, [size])).toBe('protocol');
  });

  it('from a client must be the first line', () => {
    expect(reasonOf(Buffer.from('hello\r\n'), [100], true)).toBe('protocol');
    expect(reasonOf(Buffer.from('SSH-2.0-x\r\n'), [1], true)).toBe('read');
  });

  it('never throws anything but `protocol`, and asks for no more than 8 KiB', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9000, size: 'max' }), sizes, fc.boolean(), (bytes, cut, serverSide) => {
        const reason = reasonOf(Buffer.from(bytes), cut, serverSide);
        expect(['more', 'read', 'protocol']).toContain(reason);
        if (bytes.length > 8 * 1024) expect(reason).not.toBe('more');
      }),
      { numRuns: 50 },
    );
  });
});

describe('text instead of an identification', () => {
  it.each([
    ['Exceeded MaxStartups\r\n', 'Exceeded MaxStartups'],
    ['no line end', 'no line end'],
    ['HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n', 'HTTP/1.1 400 Bad Request Server: x'],
    ['a\x1b[31mred\x07\n', 'a [31mred'],
    ['x'.repeat(500), 'x'.repeat(200)],
    ['', ''],
  ])('%j is kept as %j', (text, received) => {
    const reader = new IdentificationReader();
    feed(reader, Buffer.from(text), [5]);
    expect(reader.received).toBe(received);
  });
});
