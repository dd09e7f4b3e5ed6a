/** Runs in rounds as their user gives them: what is refused, what is shown, how they are stopped, and what `show` draws. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { parseRun } from '../../src/cli/run_options.ts';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { simulate } from '../kit/fleet.ts';
import { launch, myriad, ROOT, reach, totals } from './command.ts';

const scratch = mkdtempSync(join(tmpdir(), 'myriad-poll-cli-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const validate = new Ajv2020({ allErrors: true }).compile(schema);

const here = (...words: string[]) => ['run', '--local', '-w', 'a,b', ...words];

describe('what is refused, in one sentence', () => {
  it.each([
    [['--rounds', '3'], '--rounds: the run is not repeated; add --every, such as --every 60s'],
    [['--changes-only'], '--changes-only: the run is not repeated'],
    [['--jitter', '1s'], '--jitter: the run is not repeated'],
    [['--every', '0'], '--every: expected a duration above 0'],
    [['--every', '1m', '--rounds', '0'], '--rounds: expected a whole number of at least 1, got "0"'],
    [['--every', '1m', '--jitter', '1m'], '--jitter 1 m 0 s: it must be shorter than --every 1 m 0 s'],
    [['--every', '1h', '--deadline', '30m'], '--every 1 h 0 m: the run is over before, by --deadline 30 m 0 s'],
    [['--every', '1m', '--serial', '1'], '--serial: a run in rounds (--every) has no waves'],
    [['--every', '1m', '--fail-fast'], '--fail-fast: a run in rounds (--every) has no waves'],
    [['--every', '1m', '-b'], '--gather-same (-b): answers of many rounds (--every) are not folded'],
    [['--every', '1m', '--outdir', '/tmp/x'], '--outdir: a file holds one answer of a host'],
    [['--every', '1m', '--changes-only', '--output', 'csv'], '--changes-only: csv has no changes'],
    [
      ['--every', '1m', '--changes-only', '--gather', 'stream'],
      '--changes-only: only collected output can be compared',
    ],
  ])('%j', (words, message) => {
    const parse = (): unknown => parseRun(['-w', 'a,b', ...words, '--', 'true']);
    expect(parse).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }));
  });

  it('before anything runs: exit 2', async () => {
    const { code, stdout, stderr } = await myriad(here('--every', '1m', '--metrics', 'nowhere', '--', 'true'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^myriad: metrics: expected ADDRESS:PORT.*got "nowhere"\n$/);
  });
});

describe.concurrent('a run in rounds', () => {
  it('shows each round, says what all came to, and exits as a run does', async () => {
    const { code, stdout, stderr } = await myriad(
      here('--no-journal', '--every', '100ms', '--rounds', '3', '--', 'echo', 'hi'),
    );
    expect([code, stdout.split('\n').sort().join(' ').trim()]).toEqual([0, 'a: hi a: hi a: hi b: hi b: hi b: hi']);
    expect(stderr.match(/^round \d+: 2 ok in /gm)).toEqual([
      'round 1: 2 ok in ',
      'round 2: 2 ok in ',
      'round 3: 2 ok in ',
    ]);
    expect(totals(stderr)).toEqual({ ok: 6 });
    expect(stderr).toContain('3 rounds, 0 changes, at the end 2 up, 0 down\n');
  });

  it('logs in once to each host', async () => {
    await using fleet = await simulate({ hosts: 5 });
    const words = ['--no-journal', '--every', '200ms', '--rounds', '3', '--', 'echo', 'hi'];
    const { code, stderr } = await myriad(['-w', '127.1.0.[0-4]', ...reach(fleet), ...words]);
    expect([code, totals(stderr)]).toEqual([0, { ok: 15 }]);
    expect(fleet.simulator.stats).toEqual({ connections: 5, logins: 5, commands: 15 });
  });

  it('--changes-only: nothing but what changes', async () => {
    const line = 'echo $PPID; if ! test -e "$0.$1"; then touch "$0.$1"; echo new; fi';
    const words = [
      '--every',
      '200ms',
      '--rounds',
      '3',
      '--changes-only',
      '--',
      'sh',
      '-c',
      line,
      join(scratch, 'seen'),
    ];
    const { code, stdout } = await myriad(here('--no-journal', ...words, '{host}'));
    expect(code).toBe(0);
    expect(stdout.split('\n').sort()).toEqual([
      '',
      expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ a answers: \d+$/),
      expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ b answers: \d+$/),
    ]);
  });

  it('--output ndjson: every line is as the schema says, changes and rounds among them', async () => {
    const words = [
      '--every',
      '100ms',
      '--rounds',
      '2',
      '--extract',
      '\\d+',
      '--output',
      'ndjson',
      '--',
      'sh',
      '-c',
      'echo $$',
    ];
    const { stdout } = await myriad(here('--no-journal', ...words));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const line of lines) expect([validate(line), validate.errors]).toEqual([true, null]);
    const types = lines.map(({ type }) => type);
    expect(types.filter((type) => type === 'round:end')).toHaveLength(2);
    expect(types.filter((type) => type === 'change')).toHaveLength(2);
    for (const { type, value } of lines) if (type === 'change') expect(value).toMatch(/^\d+$/);
    expect(lines.at(-1)).toMatchObject({ type: 'run:end', planned: 4, polling: { rounds: 2, changes: 2 } });
  });

  it('is ended between two rounds by SIGTERM: exit 130, all accounted for', async () => {
    const running = launch(here('--no-journal', '--every', '1h', '--', 'echo', 'once'));
    await running.shows(/round 1: 2 ok/);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect([code, totals(stderr)]).toEqual([130, { ok: 2 }]);
    expect(stderr).toContain('1 round, 0 changes');
  });

  it('says where metrics are, and what its programs came to', async () => {
    const words = [
      '--every',
      '150ms',
      '--rounds',
      '2',
      '--metrics',
      '0',
      '--on-change',
      'exit 9',
      '--',
      'sh',
      '-c',
      'echo $$',
    ];
    const { code, stderr } = await myriad(here('--no-journal', ...words));
    expect(code).toBe(0);
    expect(stderr).toMatch(/^metrics: http:\/\/127\.0\.0\.1:\d+\/metrics$/m);
    expect(stderr).toMatch(/^myriad: onChange: 2 of its programs did not end with status 0$/m);
  });

  it('is drawn by show --series, by what the run extracted or by something else', async () => {
    const journal = join(scratch, 'journal');
    const counter = join(scratch, 'counter');
    writeFileSync(counter, '');
    const line = `echo x >> ${counter}; echo "load $(wc -l < ${counter}) of 9"`;
    const words = ['--every', '100ms', '--rounds', '4', '--extract', 'load (\\d+)', '--', 'sh', '-c', line];
    await myriad(['run', '--local', '-w', 'a', '--journal', journal, ...words]);
    const shown = async (...more: string[]) => (await myriad(['show', 'last', '--journal', journal, ...more])).stdout;
    expect(await shown('--series', 'a')).toMatch(/^a: 4 rounds\n {2}4 {4}█\n(.*\n){6} {2}1 ▁███\n/);
    expect(await shown('--series', 'a', '--extract', 'of (\\d+)')).toMatch(/^a: 4 rounds\n/);
    const csv = (await shown('--series', 'a', '--output', 'csv')).split('\n');
    expect(csv.filter((line) => /(?:^|,)a,/.test(line))).toHaveLength(4);
    const { code, stderr } = await myriad(['show', 'last', '--journal', journal, '--series', 'c']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--series: "c" matches none of the hosts')]);
  });
});

it('docs/polling.md: every line that calls the command is taken by it', () => {
  const page = readFileSync(join(ROOT, 'docs/polling.md'), 'utf8');
  const lines = [...page.matchAll(/^myriad ((?:run )?-.*)$/gm)].map(([, line]) => line!);
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) {
    const script = `printf '%s\\0' ${line}`;
    const words = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
    expect(parseRun(words).words.length, line).toBeGreaterThan(0);
  }
});
