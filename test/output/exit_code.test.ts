import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/contracts/outcome.ts';
import type { Summary } from '../../src/contracts/summary.ts';
import { accountingError, exitCode } from '../../src/output/exit_code.ts';
import { OK, OUTCOMES, summaryOf } from './helpers.ts';

const failed = (status: number): Outcome => ({ kind: 'failed', began: 'yes', status });
const refused: Outcome = { kind: 'unreachable', began: 'no', cause: 'refused', message: 'm' };
const cutOff: Outcome = { kind: 'timeout', began: 'yes', phase: 'command', remote: 'killed' };
const connectTimeout: Outcome = { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
const openTimeout: Outcome = { kind: 'timeout', began: 'maybe', phase: 'open', remote: 'unknown' };
const lost: Outcome = { kind: 'lost', began: 'maybe', cause: 'reset', message: 'm' };
const notRun: Outcome = { kind: 'not-run', began: 'no' };
const skipped: Outcome = { kind: 'skipped', began: 'no' };
const cancelled: Outcome = { kind: 'cancelled', began: 'yes', remote: 'killed' };
const error: Outcome = { kind: 'error', began: 'no', code: 'internal', message: 'm' };
const noStatus: Outcome = { kind: 'no-status', began: 'yes' };
const signalled: Outcome = { kind: 'signalled', began: 'yes', signal: 'KILL', coreDumped: false };
const authFailed: Outcome = { kind: 'auth-failed', began: 'no', tried: [], allowed: [] };
const protocolNo: Outcome = { kind: 'protocol', began: 'no', message: 'm' };
const protocolYes: Outcome = { kind: 'protocol', began: 'yes', message: 'm' };

/** Outcomes beside an ok one; the code; the code with -S. */
const TABLE: readonly (readonly [string, readonly Outcome[], number, number])[] = [
  ['all ok', [], 0, 0],
  ['skipped is as good', [skipped], 0, 0],
  ['failed', [failed(3)], 5, 3],
  ['signalled', [signalled], 5, 5],
  ['no-status', [noStatus], 5, 5],
  ['not reached', [refused], 4, 255],
  ['not let in', [authFailed], 4, 255],
  ['connect timeout', [connectTimeout], 4, 255],
  ['no SSH server', [protocolNo], 4, 255],
  ['cut off', [cutOff], 3, 3],
  ['lost', [lost], 7, 7],
  ['began maybe', [openTimeout], 7, 7],
  ['protocol after it began', [protocolYes], 7, 7],
  ['not run', [notRun], 6, 6],
  ['error', [error], 1, 1],
  ['cancelled', [cancelled], 130, 130],
  ['3 before 5', [cutOff, failed(9)], 3, 9],
  ['4 before 3', [refused, cutOff, failed(9)], 4, 255],
  ['7 before 4', [lost, refused, cutOff, failed(9)], 7, 255],
  ['6 before 7', [notRun, lost, failed(9)], 6, 9],
  ['1 before 6', [error, notRun, lost, refused, failed(9)], 1, 1],
  ['130 before 1', [cancelled, error, notRun, lost, refused, cutOff, failed(9)], 130, 130],
  ['-S: the largest', [failed(3), failed(77), signalled], 5, 77],
  ['-S: 256 does not become 0', [failed(256)], 5, 255],
  ['skipped does not count as not reached', [skipped, failed(1)], 5, 1],
];

const summary = (outcomes: readonly Outcome[], changes: Partial<Summary> = {}): Summary =>
  summaryOf([[OK, 1], ...outcomes.map((outcome) => [outcome, 1] as const)], changes);

describe('exitCode', () => {
  it.each(TABLE)('%s', (_, outcomes, code, largest) => {
    expect(exitCode(summary(outcomes))).toBe(code);
    expect(exitCode(summary(outcomes), { largestStatus: true })).toBe(largest);
  });

  it('takes the smallest rank over every combination', () => {
    const single: readonly (readonly [Outcome, number])[] = [
      [cancelled, 130],
      [error, 1],
      [notRun, 6],
      [lost, 7],
      [refused, 4],
      [cutOff, 3],
      [failed(2), 5],
      [skipped, 0],
    ];
    for (let mask = 0; mask < 2 ** single.length; mask++) {
      const chosen = single.filter((_, bit) => (mask & (1 << bit)) !== 0);
      expect(exitCode(summary(chosen.map(([outcome]) => outcome)))).toBe(chosen[0]?.[1] ?? 0);
    }
  });

  it('is 0 only where every task is ok or skipped, whatever the other fields say', () => {
    const task = fc.constantFrom(...OUTCOMES);
    fc.assert(
      fc.property(fc.array(task, { minLength: 1, maxLength: 5 }), fc.boolean(), fc.boolean(), (tasks, blank, most) => {
        const blanked = blank ? { unreached: 0, uncertain: 0, cutOff: 0, maxStatus: null } : {};
        const code = exitCode(
          summaryOf(
            tasks.map((task) => [task, 1] as const),
            blanked,
          ),
          { largestStatus: most },
        );
        expect(code === 0).toBe(tasks.every(({ kind }) => kind === 'ok' || kind === 'skipped'));
        expect([0, 1, 3, 4, 5, 6, 7, 130].includes(code) || (most && code <= 255)).toBe(true);
      }),
    );
  });

  it('130 where the user stopped it, even if nothing was running', () => {
    expect(exitCode(summary([notRun], { stopped: 'cancelled' }))).toBe(130);
    expect(exitCode(summary([notRun], { stopped: 'guard' }))).toBe(6);
    expect(exitCode(summary([], { stopped: 'guard' }))).toBe(6);
    expect(exitCode(summary([notRun], { stopped: 'journal' }))).toBe(1);
    expect(exitCode(summary([], { stopped: 'journal' }), { largestStatus: true })).toBe(1);
  });

  it('a host that was accepted with another status counts for -S', () => {
    const accepted: Outcome = { kind: 'ok', began: 'yes', status: 1 };
    expect(exitCode(summary([accepted]), { largestStatus: true })).toBe(1);
  });

  it('1 where the outcomes do not add up', () => {
    for (const changes of [{ planned: 3 }, { causes: [] }]) {
      expect(exitCode(summary([], changes))).toBe(1);
      expect(accountingError(summary([], changes))).toMatch(/were counted/);
    }
    expect(accountingError(summary([]))).toBeUndefined();
  });

  it('refuses a run of no tasks', () => {
    expect(() => exitCode(summaryOf([]))).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});
