/** The metrics page, read as strictly as its format is written. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { PollMetrics } from '../../../src/fleet/polling/metrics.ts';
import { fleet } from '../../../src/index.ts';
import { ended, OUTCOMES, roundEnd } from '../../output/helpers.ts';

interface Family {
  readonly type: string;
  readonly samples: Map<string, number>;
}

/** Version 0.0.4: HELP, TYPE, then samples of that name alone; every family and sample once; a histogram is one. */
function parse(text: string): Map<string, Family> {
  expect(text.endsWith('\n')).toBe(true);
  const families = new Map<string, Family>();
  let name = '';
  let helped = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_]+) (\S.*)$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    if (help) helped = help[1]!;
    else if (type) {
      name = type[1]!;
      expect([helped, families.has(name)]).toEqual([name, false]);
      families.set(name, { type: type[2]!, samples: new Map() });
    } else {
      const sample = /^([a-z_]+)(\{[a-z]+="[^"\\\n]*"\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/.exec(line);
      if (!sample) throw new Error(`no sample: ${line}`);
      const [, of, labels = '', value] = sample;
      const family = families.get(name)!;
      if (family.type === 'histogram') expect(of).toMatch(new RegExp(`^${name}_(bucket|sum|count)$`));
      else expect(of).toBe(name);
      const key = of!.slice(name.length) + labels;
      expect(family.samples.has(key)).toBe(false);
      family.samples.set(key, Number(value));
    }
  }
  for (const [of, { type, samples }] of families) if (type === 'histogram') checkHistogram(of, samples);
  return families;
}

function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const buckets = [...samples].filter(([key]) => key.startsWith('_bucket'));
  const bounds = buckets.map(([key]) => Number(/le="(.*)"/.exec(key)![1]!.replace('+Inf', 'Infinity')));
  expect([name, bounds]).toEqual([name, [...bounds].sort((a, b) => a - b)]);
  const counts = buckets.map(([, count]) => count);
  expect([name, counts]).toEqual([name, [...counts].sort((a, b) => a - b)]);
  expect([bounds.at(-1), counts.at(-1)]).toEqual([Infinity, samples.get('_count')]);
  expect(samples.has('_sum')).toBe(true);
}

const NOW = {
  hosts: { up: 3, down: 2, unknown: 1, stale: 2, oldestMs: 1500 },
  overruns: 4,
  programs: { ok: 5, failed: 6, dropped: 7 },
  residentBytes: 1e8,
  cpuSeconds: 1.25,
};

describe('metrics', () => {
  it('count every outcome, put durations into buckets, and have no label for a host', () => {
    const metrics = new PollMetrics();
    for (const outcome of OUTCOMES) metrics.take(ended(0, { outcome, changes: { durationMs: 30 } }));
    metrics.take(ended(0, { changes: { durationMs: 90_000 } }));
    metrics.take({ type: 'change', time: 1, change: 'down', value: null, result: ended(0).result });
    metrics.take(roundEnd(0));
    const text = metrics.text(NOW);
    const families = parse(text);
    const tasks = families.get('myriad_tasks_total')!.samples;
    expect([...tasks.values()].reduce((sum, count) => sum + count, 0)).toBe(OUTCOMES.length + 1);
    const durations = families.get('myriad_task_duration_seconds')!.samples;
    expect(durations.get('_bucket{le="0.025"}')).toBe(0);
    expect(durations.get('_bucket{le="0.05"}')).toBe(OUTCOMES.length);
    expect(durations.get('_bucket{le="60"}')).toBe(OUTCOMES.length);
    expect(durations.get('_sum')).toBeCloseTo(90 + OUTCOMES.length * 0.03);
    expect(families.get('myriad_changes_total')!.samples.get('{change="down"}')).toBe(1);
    expect(families.get('myriad_hosts')!.samples.get('{state="down"}')).toBe(2);
    expect(families.get('myriad_oldest_answer_seconds')!.samples.get('')).toBe(1.5);
    expect(text).not.toContain('web1');
  });

  it('are served while the run is on, at the address that was asked for, and no longer', async () => {
    await using hosts = fleet({ hosts: 'a,b' });
    const run = hosts.local('true', [], { everyMs: 60_000, metrics: '127.0.0.1:0' });
    const over = new Promise<void>((resolve) => run.on(({ type }) => void (type === 'round:end' && resolve())));
    const summary = run.summary();
    await over;
    const url = run.metricsUrl!;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const answer = await fetch(url);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parse(await answer.text());
    expect(families.get('myriad_tasks_total')!.samples.get('{outcome="ok"}')).toBe(2);
    expect(families.get('myriad_rounds_total')!.samples.get('')).toBe(1);
    expect((await fetch(new URL('/', url))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    const elsewhere = hosts.local('true', [], { everyMs: 1000, metrics: new URL(url).host });
    await expect(elsewhere.summary()).rejects.toThrow(/something listens there already/);
    run.cancel();
    await summary;
    await hosts.close();
    const refused = new Promise((resolve) => connect(Number(new URL(url).port), '127.0.0.1').on('error', resolve));
    expect(await refused).toMatchObject({ code: 'ECONNREFUSED' });
  });
});
