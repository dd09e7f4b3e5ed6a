import { describe, expect, it } from 'vitest';
import { OUTCOME_KINDS, type Outcome } from '../../src/contracts/outcome.ts';
import { outcomeAdvice } from '../../src/output/advice.ts';
import { renderSummary } from '../../src/output/summary.ts';
import { fold, label, OK, OUTCOMES, summaryOf } from './helpers.ts';

const options = { label, fold, hostKeysVerified: true };
const refused: Outcome = {
  kind: 'unreachable',
  began: 'no',
  cause: 'refused',
  message: 'connect ECONNREFUSED 10.0.0.1:22',
};

describe('renderSummary', () => {
  it('shows what was planned, every cause with its hosts, and how fast it was', () => {
    const summary = summaryOf(
      [
        [OK, 9900],
        [{ kind: 'failed', began: 'yes', status: 1 }, 60],
        [refused, 40],
      ],
      { durationMs: 12_300, retries: 1, limitedBy: 'jump host b1, MaxStartups' },
    );
    expect(renderSummary(summary, options)).toBe(
      [
        '10,000 planned: 9,900 ok, 60 failed, 40 unreachable',
        '  60 failed(1): web[9901-9960]',
        '       exit status 1',
        '  40 unreachable(refused): web[9961-10000]',
        '       for example: connect ECONNREFUSED 10.0.0.1:22; nothing listens there: check -p and that sshd runs',
        'not ok: web[9901-10000]',
        '10,000 hosts in 12.3 s, 813/s, 1 retry, limited by: jump host b1, MaxStartups',
        '',
      ].join('\n'),
    );
  });

  it('all ok is two lines', () => {
    expect(renderSummary(summaryOf([[OK, 2]]), options)).toBe('2 planned: 2 ok\n2 hosts in 1.0 s, 2/s\n');
  });

  it('says aloud what has to be known', () => {
    const counts = { cutOff: 1, uncertain: 2, truncated: 1, leftOpen: 2, outputCut: 1, byOpenssh: 2 };
    const summary = summaryOf([[OK, 3]], { ...counts, stopped: 'deadline' });
    const text = renderSummary(summary, { ...options, hostKeysVerified: false });
    for (const line of [
      'host keys were NOT verified',
      '1 command cut off by a deadline',
      '2 tasks may have run, result not known',
      '1 output truncated (--max-output)',
      '2 outputs left open by something still running there',
      '1 output cut off by the end of the connection, after the status',
      '2 hosts reached by the ssh program',
      'stopped at the deadline of the run (--deadline)',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(renderSummary(summary, options)).not.toContain('NOT verified');
    expect(renderSummary(summaryOf([[OK, 3]], { stopped: 'cancelled' }), options)).toContain('\nstopped by the user\n');
    const guarded = summaryOf([[OK, 3]], { stopped: 'guard', stopReason: 'no\x1b[2J more' });
    expect(renderSummary(guarded, options)).toContain('\nstopped: no^[[2J more\n');
    const recorded = summaryOf([[OK, 3]], { stopped: 'journal', stopReason: 'the disk is full', resumed: 2 });
    expect(renderSummary(recorded, options)).toContain(
      '\nstopped: the disk is full\n2 results from before the run was resumed\n',
    );
  });

  it('counts skipped and not-run as not done', () => {
    const summary = summaryOf([
      [OK, 1],
      [{ kind: 'skipped', began: 'no' }, 5],
      [{ kind: 'not-run', began: 'no' }, 4],
    ]);
    const text = renderSummary(summary, options);
    expect(text).toContain('10 planned: 1 ok, 5 skipped, 4 not-run\n');
    expect(text).toContain('  4 not-run: web[7-10]\n');
    expect(text).not.toContain('skipped: ');
    expect(text).toContain('\n1 host in 1.0 s, 1/s\n');
  });

  it('bounds hosts, messages and causes', () => {
    const message = `${'loud '.repeat(100)}`;
    const summary = summaryOf([
      [{ ...refused, message }, 100],
      ...Array.from({ length: 30 }, (_, n) => [{ kind: 'failed', began: 'yes', status: n + 1 }, 2] as const),
    ]);
    const text = renderSummary(summary, { ...options, label: (index) => `host-${index}.example.org` });
    const first = text.split('\n')[1]!;
    expect(first.length).toBeLessThan(280);
    const shown = first.match(/host-/g)!.length;
    expect(first.endsWith(` … and ${100 - shown} more`)).toBe(true);
    expect(text.split('\n')[2]!.length).toBeLessThan(400);
    expect(text).toContain('  … and 11 more causes (22 tasks)\n');
  });

  it("lets no host's words control the terminal", () => {
    const text = renderSummary(
      summaryOf(
        [
          [{ ...refused, message: 'bye\n\x1b[2J' }, 1],
          [{ kind: 'signalled', began: 'yes', signal: 'X\x1b[2J\n', coreDumped: false }, 1],
        ],
        { limitedBy: 'host \x1b[2J' },
      ),
      { ...options, label: () => 'evil\x1b[2J\n' },
    );
    expect(text).not.toContain('\x1b');
    expect(text.split('\n').length).toBe(8);
  });

  it('wraps sentences, never host sets', () => {
    const parts = OUTCOMES.map((outcome) => [outcome, 3] as const);
    const text = renderSummary(summaryOf(parts), { ...options, columns: 80 });
    const sentences = text.split('\n').filter((line) => !/^ +\d+ /.test(line));
    expect(sentences.length).toBeGreaterThan(20);
    for (const line of sentences) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toContain('for example: exec refused: no (1);');
  });

  it('says loudly when it does not add up', () => {
    expect(renderSummary(summaryOf([[OK, 3]], { planned: 4 }), options)).toContain(
      'INTERNAL ERROR: 4 tasks were planned, but 3 outcomes were counted; please report this\n',
    );
  });
});

describe('outcomeAdvice', () => {
  it('has at most one line for every kind', () => {
    expect(new Set(OUTCOMES.map((outcome) => outcome.kind)).size).toBe(OUTCOME_KINDS.length);
    for (const outcome of OUTCOMES) expect(outcomeAdvice(outcome)).toMatch(/^[^\n]{0,120}$/);
  });

  it.each(['refused', 'timeout', 'unreachable', 'auth-failed', 'lost', 'protocol'])(
    'says what to do about %s',
    (kind) => {
      const advice = OUTCOMES.filter((outcome) => outcome.kind === kind).map(outcomeAdvice);
      expect(advice.length).toBeGreaterThan(0);
      expect(advice).not.toContain('');
    },
  );
});
