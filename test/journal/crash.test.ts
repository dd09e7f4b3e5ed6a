import { expect, it } from 'vitest';
import { crashAndResume } from './crash.ts';
import { temporary } from './kit.ts';

it.each([1, 700, 1_999])(
  'a process killed after %i of 2,000 commands loses nothing that was confirmed',
  async (killAt) => {
    const finding = await crashAndResume({ folder: temporary(), count: 2_000, fanout: 1_000, killIn: 'tasks', killAt });
    expect(finding.problems).toEqual([]);
    expect(finding.executed).toBe(killAt);
    // At least what the server saw last had no result yet.
    expect(finding.lost).toBeGreaterThan(0);
  },
);

it('a process killed while it stores its plan leaves a run that began nothing', async () => {
  const finding = await crashAndResume({
    folder: temporary(),
    count: 50_000,
    fanout: 1,
    killIn: 'plan',
    killAt: 40_000,
  });
  expect(finding.problems).toEqual([]);
});
