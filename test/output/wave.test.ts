import { describe, expect, it } from 'vitest';
import type { WaveEndEvent } from '../../src/contracts/events.ts';
import { progressLine } from '../../src/output/progress.ts';
import { TextRenderer } from '../../src/output/text.ts';
import { waveLines, waveProgress } from '../../src/output/wave.ts';
import { sinks, summaryOf } from './helpers.ts';

const { outcomes } = summaryOf([]);
const event: WaveEndEvent = {
  type: 'wave:end',
  time: 1,
  run: 'r1',
  round: 0,
  wave: 2,
  waves: 1_200,
  tasks: 2_001,
  indices: () => [],
  outcomes: { ...outcomes, ok: 2_000, failed: 1 },
  passed: true,
  reason: '',
  output: '',
};

describe('waves', () => {
  it.each<[string, Partial<WaveEndEvent>, string]>([
    ['passed', {}, 'wave 2 of 1,200 passed: 2,000 ok, 1 failed\n'],
    [
      'did not pass, and its check has something to say',
      { passed: false, reason: 'the check ended with status 1', output: '\none\n\n\x1b[2Jtwo' },
      'check: one\ncheck: ^[[2Jtwo\nwave 2 of 1,200 did not pass, the check ended with status 1: 2,000 ok, 1 failed\n',
    ],
  ])('%s', (_, changes, text) => {
    expect(waveLines({ ...event, ...changes })).toBe(text);
  });

  it('are told of on stderr, unless nobody wants to hear of anything', () => {
    for (const quiet of [false, true]) {
      const both = sinks();
      new TextRenderer(both, { quiet }).listener(event);
      expect([both.stdout.text, both.stderr.text]).toEqual(['', quiet ? '' : waveLines(event)]);
    }
  });

  it('stand in the progress', () => {
    expect(waveProgress({ number: 2, count: 7, mode: 'running' })).toBe('wave 2 of 7');
    expect(waveProgress({ number: 2, count: 7, mode: 'checking' })).toBe('wave 2 of 7: being checked');
    const status = { planned: 10, outcomes: { ok: 3 }, connecting: 0, handshaking: 0, running: 1, limitedBy: '' };
    expect(progressLine({ ...status, wave: { number: 2, count: 7, mode: 'between' } }, 0)).toBe(
      '3/10 30%, wave 2 of 7: passed, 0/s, 1 running',
    );
  });
});
