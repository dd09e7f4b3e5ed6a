/** What is another answer, and what is the same one. */
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/contracts/outcome.ts';
import { Bytes } from '../../../src/contracts/task.ts';
import { Rounds } from '../../../src/engine/polling/rounds.ts';
import { ended } from '../../output/helpers.ts';

const clock = { now: () => 0, epoch: () => 0, setTimer: () => ({ cancel: () => {} }) };
const roundsOf = (upWhen?: 'answered' | 'ok') =>
  new Rounds({
    run: 'r',
    rules: { everyMs: 1000, jitterMs: 0, rounds: Infinity },
    count: 1,
    failAfter: 1,
    clock,
    upWhen,
  });

const ok = (status: number | null = 0): Outcome => ({ kind: 'ok', began: 'yes', status });
const FAILED: Outcome = { kind: 'failed', began: 'yes', status: 1 };

const answer = (stdout: string | Buffer, outcome = ok(), total?: number) => {
  const bytes = Buffer.from(stdout);
  return { ...ended(0, { outcome }).result, stdout: new Bytes(bytes, total ?? bytes.length) };
};

describe('answers', () => {
  it.each<[string, ReturnType<typeof answer>, ReturnType<typeof answer>, string | undefined]>([
    ['the same', answer('up 3 days\n'), answer('up 3 days\n'), undefined],
    ['nothing, twice', answer(''), answer(''), undefined],
    ['one byte more', answer('up 3 days'), answer('up 3 days\n'), 'answer'],
    ['a NUL more', answer(''), answer('\0'), 'answer'],
    ['bytes changed places', answer('ab'), answer('ba'), 'answer'],
    ['another status that is ok', answer('x', ok(0)), answer('x', ok(2)), 'answer'],
    ['no status', answer('x', ok(0)), answer('x', ok(null)), 'answer'],
    ['failed with the same words', answer('x'), answer('x', FAILED), 'answer'],
    ['as much was kept, and more came', answer('x', ok(), 5), answer('x', ok(), 6), 'answer'],
    ['long ones', answer('y'.repeat(9000)), answer('y'.repeat(9000)), undefined],
    ['long ones that differ', answer('y'.repeat(9000)), answer(`${'y'.repeat(8999)}z`), 'answer'],
    ['by a byte at 512', answer('y'.repeat(512)), answer('y'.repeat(513)), 'answer'],
  ])('%s', (_what, before, after, change) => {
    const rounds = roundsOf();
    rounds.take(before);
    expect(rounds.take(after)?.change).toBe(change);
  });

  it('numbers that count up are all different', () => {
    const rounds = roundsOf();
    let changes = 0;
    for (let i = 0; i < 50_000; i++)
      if (rounds.take(answer(`load ${i / 100}, ${i % 7} users`)) !== undefined) changes += 1;
    expect(changes).toBe(49_999);
  });

  it('are not compared where a host is up when it is ok', () => {
    const rounds = roundsOf('ok');
    const told = [answer('a'), answer('b'), answer('b', FAILED), answer('c')].map((each) => rounds.take(each)?.change);
    expect(told).toEqual([undefined, undefined, 'down', 'up']);
  });
});
