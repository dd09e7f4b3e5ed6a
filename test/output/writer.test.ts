import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Writer } from '../../src/output/writer.ts';

/** A stream whose writes end when told to. */
class SlowStream extends Writable {
  readonly pieces: Buffer[] = [];
  #done: ((error?: Error | null) => void) | undefined;

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.pieces.push(Buffer.from(piece));
    this.#done = done;
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }

  /** Ends the write that is in progress; false where none is. */
  finish(error?: Error): boolean {
    const done = this.#done;
    this.#done = undefined;
    done?.(error);
    return done !== undefined;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const epipe = (): Error => Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });

async function letAllOut(stream: SlowStream): Promise<void> {
  do await turn();
  while (stream.finish());
}

describe('Writer', () => {
  it('writes what one turn collects in one piece', async () => {
    const stream = new SlowStream();
    const writer = new Writer(stream);
    writer.write('a');
    writer.write(Buffer.from('b'));
    writer.write('€');
    expect(writer.pending).toBe(5);
    expect(stream.pieces).toEqual([]);
    await turn();
    expect(stream.pieces.map(String)).toEqual(['ab€']);
    expect(writer.pending).toBe(5);
    await letAllOut(stream);
    expect(writer.pending).toBe(0);
  });

  it('copies what it is given', async () => {
    const stream = new SlowStream();
    const writer = new Writer(stream);
    for (const size of [3, 100_000]) {
      const bytes = Buffer.alloc(size, 'a');
      writer.write(bytes);
      bytes.fill('b');
    }
    await letAllOut(stream);
    expect(stream.text).toBe('a'.repeat(100_003));
  });

  it('flush hands over at once', () => {
    const stream = new SlowStream();
    const writer = new Writer(stream);
    writer.write('now');
    writer.flush();
    expect(stream.text).toBe('now');
  });

  it('writes every byte in order, whatever the sizes and the reader', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(10), fc.constantFrom(65_535, 65_536, 65_537, 200_000)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.boolean()), async (lengths, turns) => {
        const stream = new SlowStream();
        const writer = new Writer(stream);
        const expected: Buffer[] = [];
        for (const [number, length] of lengths.entries()) {
          const bytes = Buffer.alloc(length, number + 1);
          expected.push(bytes);
          writer.write(number % 2 === 0 ? bytes : bytes.toString('latin1'));
          if (turns[number]) await turn();
          if (turns[number + 1]) stream.finish();
        }
        const end = writer.end();
        await letAllOut(stream);
        await end;
        expect(Buffer.concat(stream.pieces).equals(Buffer.concat(expected))).toBe(true);
        expect(writer.pending).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('is full beyond its bound and drained at half of it', async () => {
    const stream = new SlowStream();
    const writer = new Writer(stream, { bound: 100_000 });
    for (let number = 0; number < 10; number++) writer.write(Buffer.alloc(10_000));
    expect(writer.full).toBe(false);
    await writer.drained();
    writer.write(Buffer.alloc(50_000));
    expect(writer.full).toBe(true);
    let drained = false;
    const waiting = writer.drained().then(() => {
      drained = true;
    });
    await turn();
    expect(drained).toBe(false);
    while (writer.pending > 50_000) {
      expect(drained).toBe(false);
      stream.finish();
      await turn();
    }
    await waiting;
    expect(writer.full).toBe(false);
    await letAllOut(stream);
  });

  it.each(['callback', 'destroy'])('survives a reader that goes away (%s)', async (how) => {
    const stream = new SlowStream();
    const closed: string[] = [];
    const writer = new Writer(stream, { bound: 1, onClosed: (error) => closed.push(error.message) });
    writer.write('first');
    await turn();
    writer.write('second');
    const drained = writer.drained();
    const end = writer.end();
    if (how === 'callback') stream.finish(epipe());
    else stream.destroy();
    await Promise.all([drained, end]);
    await turn();
    expect(writer.closed).toBe(true);
    expect(writer.full).toBe(false);
    expect(writer.pending).toBe(0);
    writer.write('third');
    await writer.end();
    expect(closed).toEqual([how === 'callback' ? 'write EPIPE' : 'the output stream was closed']);
    expect(writer.error?.message).toBe(closed[0]);
    expect(stream.text).toBe('first');
  });

  it('ends when all has left, and takes nothing more', async () => {
    const stream = new SlowStream();
    const writer = new Writer(stream);
    writer.write('a');
    let ended = false;
    const end = writer.end().then(() => {
      ended = true;
    });
    await turn();
    expect(ended).toBe(false);
    expect(() => writer.write('b')).toThrow(expect.objectContaining({ code: 'internal' }));
    stream.finish();
    await end;
    expect(() => writer.write('b')).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(stream.text).toBe('a');
    expect(stream.listenerCount('error')).toBe(0);
    expect(stream.writableEnded).toBe(false);
    await writer.end();
  });

  it('knows a terminal by its stream', () => {
    expect(new Writer(new SlowStream()).terminal).toBe(false);
    expect(new Writer(Object.assign(new SlowStream(), { isTTY: true })).terminal).toBe(true);
    expect(new Writer(new SlowStream(), { terminal: true }).terminal).toBe(true);
  });
});

/** Writes more than a pipe holds, says on stderr what became of it, and ends by itself. */
const PROGRAM = `
  import { Writer } from ${JSON.stringify(new URL('../../src/output/writer.ts', import.meta.url).href)};
  let told = 0;
  const writer = new Writer(process.stdout, { onClosed: (error) => { told++; process.stderr.write(error.code + ' '); } });
  for (let number = 0; number < 200; number++) {
    writer.write('x'.repeat(9999) + '\\n');
    if (number % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await writer.end();
  process.stderr.write('told ' + told + ' closed ' + writer.closed);
`;

describe('Writer on a real pipe', () => {
  it.each([
    ['reads all', Number.POSITIVE_INFINITY, 'told 0 closed false'],
    ['goes away', 1, 'EPIPE told 1 closed true'],
  ])('the reader %s', async (_, enough, said) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let received = 0;
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => {
      received += data.length;
      if (received >= enough) child.stdout.destroy();
    });
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    const [code] = await once(child, 'close');
    expect(stderr).toBe(said);
    expect(code).toBe(0);
    if (enough === Number.POSITIVE_INFINITY) expect(received).toBe(2_000_000);
  });
});
