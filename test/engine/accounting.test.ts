import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OUTCOME_KINDS, type Outcome } from '../../src/contracts/outcome.ts';
import { Bytes, type TaskResult } from '../../src/contracts/task.ts';
import { Accounting } from '../../src/engine/accounting.ts';

const FACTS = { durationMs: 5, stopped: 'no', stopReason: '', limitedBy: '' } as const;

function resultOf(index: number, outcome: Outcome, more: Partial<TaskResult> = {}): TaskResult {
  return {
    run: 'r1',
    round: 0,
    index,
    attempt: 1,
    host: { label: `h${index}`, name: `h${index}` },
    iteration: 1,
    outcome,
    reached: undefined,
    startedAt: 0,
    durationMs: 1,
    phases: {},
    executor: 'main',
    stdout: Bytes.empty,
    stderr: Bytes.empty,
    notes: [],
    ...more,
  };
}

const ok: Outcome = { kind: 'ok', began: 'yes', status: 0 };
const failed = (status: number): Outcome => ({ kind: 'failed', began: 'yes', status });

/** Each outcome with the counters it belongs to. */
const COUNTED: readonly [Outcome, ...('unreached' | 'uncertain' | 'cutOff')[]][] = [
  [ok],
  [failed(2)],
  [{ kind: 'signalled', began: 'yes', signal: 'TERM', coreDumped: false }],
  [{ kind: 'no-status', began: 'yes' }],
  [{ kind: 'refused', began: 'no', what: 'exec', reason: 'no' }, 'unreached'],
  [{ kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' }, 'unreached'],
  [{ kind: 'timeout', began: 'maybe', phase: 'open', remote: 'unknown' }, 'cutOff'],
  [{ kind: 'timeout', began: 'yes', phase: 'command', remote: 'killed' }, 'cutOff'],
  [{ kind: 'unreachable', began: 'no', cause: 'dns', message: '' }, 'unreached'],
  [{ kind: 'auth-failed', began: 'no', tried: [], allowed: [] }, 'unreached'],
  [{ kind: 'host-key', began: 'no', cause: 'changed', keyType: '', fingerprint: '', advice: '' }, 'unreached'],
  [{ kind: 'protocol', began: 'no', message: '' }, 'unreached'],
  [{ kind: 'protocol', began: 'maybe', message: '' }, 'uncertain'],
  [{ kind: 'lost', began: 'yes', cause: 'reset', message: '' }, 'uncertain'],
  [{ kind: 'cancelled', began: 'no', remote: 'none' }, 'unreached'],
  [{ kind: 'cancelled', began: 'yes', remote: 'killed' }],
  [{ kind: 'skipped', began: 'no' }],
  [{ kind: 'not-run', began: 'no' }, 'unreached'],
  [{ kind: 'error', began: 'no', code: 'internal', message: '' }, 'unreached'],
  [{ kind: 'error', began: 'yes', code: 'internal', message: '' }, 'uncertain'],
];

describe('accounting', () => {
  test.each(COUNTED)('%o counts as %s', (outcome, ...counters) => {
    const accounting = new Accounting('r1');
    accounting.startRound(0, 1);
    accounting.add(resultOf(0, outcome));
    accounting.endRound(0);
    const summary = accounting.summary(FACTS);
    for (const name of ['unreached', 'uncertain', 'cutOff'] as const) {
      expect([name, summary[name]]).toEqual([name, counters.includes(name) ? 1 : 0]);
    }
    expect(summary.outcomes[outcome.kind]).toBe(1);
    expect(Object.keys(summary.outcomes)).toEqual(OUTCOME_KINDS);
  });

  test('causes are grouped by label, most frequent first, with their indices ascending', () => {
    const accounting = new Accounting('r1');
    accounting.startRound(0, 6);
    for (const index of [5, 1, 3]) accounting.add(resultOf(index, failed(1)));
    accounting.add(resultOf(0, ok));
    for (const index of [4, 2]) accounting.add(resultOf(index, failed(7)));
    accounting.endRound(0);
    const { causes, maxStatus, planned } = accounting.summary(FACTS);
    expect(planned).toBe(6);
    expect(maxStatus).toBe(7);
    expect(causes.map((cause) => [cause.label, cause.count, [...cause.indices()]])).toEqual([
      ['failed(1)', 3, [1, 3, 5]],
      ['failed(7)', 2, [2, 4]],
      ['ok', 1, [0]],
    ]);
    expect(causes[0]!.example).toEqual(failed(1));
  });

  test('notes, retries and bytes are summed', () => {
    const accounting = new Accounting('r1');
    accounting.startRound(0, 3);
    const stdout = new Bytes(Buffer.from('abc'), 10);
    accounting.add(resultOf(0, ok, { attempt: 4, stdout, notes: ['stdout truncated', 'stderr truncated'] }));
    accounting.add(resultOf(1, ok, { attempt: 2, stderr: stdout, notes: ['output left open'] }));
    const reached = { transport: 'openssh', address: 'a', port: 22, fingerprint: '', software: '' } as const;
    accounting.add(resultOf(2, ok, { stdout, notes: ['output cut'], reached }));
    accounting.endRound(0);
    const summary = accounting.summary({ ...FACTS, durationMs: 9, stopped: 'deadline', limitedBy: 'fanout' });
    expect(summary).toMatchObject({
      retries: 4,
      truncated: 1,
      leftOpen: 1,
      outputCut: 1,
      byOpenssh: 1,
      stdoutBytes: 20,
      stderrBytes: 10,
    });
    expect(summary).toMatchObject({ durationMs: 9, stopped: 'deadline', limitedBy: 'fanout', maxStatus: 0 });
  });

  test('rounds are counted together', () => {
    const accounting = new Accounting('r1');
    for (const round of [0, 1, 2]) {
      accounting.startRound(round, 2);
      for (const index of [0, 1]) accounting.add(resultOf(index, ok, { round }));
      accounting.endRound(round);
    }
    const { planned, causes } = accounting.summary(FACTS);
    expect([planned, causes[0]!.count, [...causes[0]!.indices()]]).toEqual([6, 6, [0, 1]]);
  });

  test('labels that hosts invent are bounded', () => {
    const accounting = new Accounting('r1');
    accounting.startRound(0, 5_000);
    for (let index = 0; index < 5_000; index++) {
      accounting.add(resultOf(index, { kind: 'signalled', began: 'yes', signal: `S${index}`, coreDumped: false }));
    }
    accounting.endRound(0);
    const { causes } = accounting.summary(FACTS);
    expect(causes.length).toBeLessThanOrEqual(513);
    expect(causes[0]).toMatchObject({ label: 'signalled(…)', count: 5_000 - 512 });
    expect(causes.reduce((sum, cause) => sum + cause.count, 0)).toBe(5_000);
  });

  test.each([
    ['a result that comes twice', (accounting: Accounting) => accounting.add(resultOf(0, ok)), 'task 0'],
    ['a result beyond the plan', (accounting: Accounting) => accounting.add(resultOf(2, ok)), 'only 2 are planned'],
    ['half an index', (accounting: Accounting) => accounting.add(resultOf(0.5, ok)), 'only 2 are planned'],
    ['a result of another run', (accounting: Accounting) => accounting.add(resultOf(1, ok, { run: 'r2' })), 'run r2'],
    ['a result of another round', (accounting: Accounting) => accounting.add(resultOf(1, ok, { round: 1 })), 'round 1'],
    ['a task without an outcome', (accounting: Accounting) => accounting.endRound(0), '1 have an outcome'],
    ['an open round', (accounting: Accounting) => void accounting.summary(FACTS), '1 rounds are open'],
    ['a round that begins again', (accounting: Accounting) => accounting.startRound(0, 2), 'round 0 began'],
  ])('%s is an internal error', (_, broken, words) => {
    const accounting = new Accounting('r1');
    accounting.startRound(0, 2);
    accounting.add(resultOf(0, ok));
    const thrown = expect(() => broken(accounting));
    thrown.toThrow(words);
    expect(() => broken(accounting)).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  test('any order of results gives one summary', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...COUNTED.keys()], { minLength: COUNTED.length }), (order) => {
        const accounting = new Accounting('r1');
        accounting.startRound(0, COUNTED.length);
        for (const index of order) accounting.add(resultOf(index, COUNTED[index]![0]));
        accounting.endRound(0);
        const summary = accounting.summary(FACTS);
        expect(Object.values(summary.outcomes).reduce((sum, count) => sum + count, 0)).toBe(COUNTED.length);
        expect(summary).toMatchObject({ unreached: 9, uncertain: 3, cutOff: 2 });
        expect(summary.causes.reduce((sum, cause) => sum + [...cause.indices()].length, 0)).toBe(COUNTED.length);
      }),
    );
  });
});
