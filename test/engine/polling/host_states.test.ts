/** What is a change of a host, and what is not. */
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/contracts/outcome.ts';
import { HostStates, newsOf } from '../../../src/engine/polling/host_states.ts';
import { OUTCOMES } from '../../output/helpers.ts';

const OK: Outcome = { kind: 'ok', began: 'yes', status: 0 };
const GONE: Outcome = { kind: 'unreachable', began: 'no', cause: 'refused', message: '' };
const NOT_RUN: Outcome = { kind: 'not-run', began: 'no' };

/** `a`, `b`: answers · `-`: a failure · `.`: nothing that says anything. */
function changes(story: string, failAfter: number): (string | undefined)[] {
  const states = new HostStates(1, failAfter, 0);
  return [...story].map((letter, place) => {
    const outcome = letter === '-' ? GONE : letter === '.' ? NOT_RUN : OK;
    return states.take(0, newsOf(outcome), place, () => [letter.charCodeAt(0), 1]);
  });
}

describe('HostStates', () => {
  it.each([
    ['aaa', 1, []],
    ['ab', 1, ['answer@1']],
    ['aba', 1, ['answer@1', 'answer@2']],
    ['-', 1, ['down@0']],
    ['---', 1, ['down@0']],
    ['-a', 1, ['down@0', 'up@1']],
    ['a-a', 1, ['down@1', 'up@2']],
    ['a-b', 1, ['down@1', 'up@2']],
    ['a-bc', 1, ['down@1', 'up@2', 'answer@3']],
    ['a-a-a', 2, []],
    ['a-b', 2, ['answer@2']],
    ['a--a', 2, ['down@2', 'up@3']],
    ['a-.-a', 2, ['down@3', 'up@4']],
    ['a.a', 1, []],
    ['--a', 3, []],
    ['...', 1, []],
  ])('%s, fail-after %d: %j', (story, failAfter, expected) => {
    const seen = changes(story, failAfter).flatMap((change, at) => (change === undefined ? [] : [`${change}@${at}`]));
    expect(seen).toEqual(expected);
  });

  it('every outcome is an answer, a failure, or says nothing of the host', () => {
    const said = new Map<string, string>();
    for (const outcome of OUTCOMES) {
      const states = new HostStates(1, 1, 0);
      states.take(0, newsOf(OK), 0, () => [1, 1]);
      if (outcome.kind !== 'ok') expect(newsOf(outcome, 'ok')).toBe(newsOf(outcome) === 'none' ? 'none' : 'failure');
      said.set(outcome.kind, states.take(0, newsOf(outcome), 1, () => [2, 2]) ?? 'nothing');
    }
    expect(Object.fromEntries(said)).toEqual({
      ok: 'answer',
      failed: 'answer',
      signalled: 'answer',
      'no-status': 'answer',
      refused: 'down',
      timeout: 'down',
      unreachable: 'down',
      'auth-failed': 'down',
      'host-key': 'down',
      protocol: 'down',
      lost: 'down',
      cancelled: 'nothing',
      skipped: 'nothing',
      'not-run': 'nothing',
      error: 'nothing',
    });
  });

  it('counts states, stale answers and the oldest one', () => {
    const states = new HostStates(4, 1, 1000);
    states.take(0, newsOf(OK), 2000, () => [1, 1]);
    states.take(1, newsOf(OK), 7000, () => [1, 1]);
    states.take(2, newsOf(GONE), 7000, () => [1, 1]);
    expect(states.counts(8000, 3000)).toEqual({ up: 2, down: 1, unknown: 1, stale: 3, oldestMs: 7000 });
    states.take(2, newsOf(OK), 8000, () => [1, 1]);
    states.take(3, newsOf(OK), 8000, () => [1, 1]);
    expect(states.counts(8000, 3000)).toEqual({ up: 4, down: 0, unknown: 0, stale: 1, oldestMs: 6000 });
  });

  it.each([
    [true, 14.1e6],
    [false, 6.1e6],
  ])('keeps 14 bytes a host, 6 where answers are not compared', (compares, most) => {
    const before = process.memoryUsage().arrayBuffers;
    const states = new HostStates(1_000_000, 1, 0, compares);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(most);
    expect(states.counts(0, 1).unknown).toBe(1_000_000);
  });

  it('answers that are not compared are all the same', () => {
    const states = new HostStates(1, 1, 0, false);
    const never = () => {
      throw new Error('nobody compares it');
    };
    const seen = ['a', 'b', '-', 'a'].map((letter, at) =>
      states.take(0, letter === '-' ? 'failure' : 'answer', at, never),
    );
    expect(seen).toEqual([undefined, undefined, 'down', 'up']);
  });
});
