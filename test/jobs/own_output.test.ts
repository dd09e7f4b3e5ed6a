/** What jobs of the caller's own keep and write: bounded, in order. */
import { describe, expect, it } from 'vitest';
import { CollectedOutput, HeldWriter } from '../../src/jobs/own_output.ts';

describe('what is collected of a command', () => {
  it('is bounded over both streams, the rest is counted', () => {
    let heard = 0;
    const output = new CollectedOutput(5, () => heard++);
    const chunk = Buffer.from('abc');
    for (const stream of ['stdout', 'stderr', 'stdout'] as const) expect(output.write(stream, chunk)).toBe(true);
    // The chunk was the transport's.
    chunk.fill(0);
    const kept = (['stdout', 'stderr'] as const).map((stream) => output.output(stream));
    expect(kept.map((each) => [each.text(), each.total, each.truncated])).toEqual([
      ['abc', 6, true],
      ['ab', 3, true],
    ]);
    expect(heard).toBe(3);
  });

  it.each([-1, 1.5, Number.NaN])('a bound of %s is refused', (most) => {
    expect(() => new CollectedOutput(most, () => {})).toThrow(/maxOutput must be a whole number of bytes, not/);
  });
});

describe('what is written', () => {
  /** A sink that takes one piece at a time. */
  function held() {
    const taken: string[] = [];
    const writer = new HeldWriter({
      write: (_stream, chunk) => {
        taken.push(Buffer.from(chunk).toString());
        return false;
      },
    });
    return { taken, writer };
  }

  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('waits for room, and keeps its order', async () => {
    const { taken, writer } = held();
    const done: string[] = [];
    for (const text of ['a', 'b', 'c']) writer.write(Buffer.from(text)).then(() => done.push(text));
    for (const expected of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
      await settle();
      expect(taken).toEqual(expected);
      expect(done).toEqual(expected.slice(0, -1));
      writer.roomAgain();
    }
    await settle();
    expect(done).toEqual(['a', 'b', 'c']);
    expect(writer.pending).toBeUndefined();
  });

  it('a mebibyte waits, and no more', async () => {
    const { taken, writer } = held();
    const piece = Buffer.alloc(512 * 1024);
    for (let i = 0; i < 3; i++) void writer.write(piece);
    expect(() => writer.write(Buffer.alloc(1))).toThrow(/more than 1 MiB waits for who reads the output; await each/);
    writer.roomAgain();
    await settle();
    expect(taken).toHaveLength(2);
    void writer.write(piece);
  });
});
