/** Waves and limits as their user gives them: what is refused, what is said, and how a run in waves is stopped. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRun } from '../../src/cli/run_options.ts';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { launch, myriad, ROOT, reach, totals } from './command.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

let fleet: SimulatedFleet;
let there: string[];
beforeAll(async () => {
  fleet = await simulate({ hosts: 6 });
  there = ['-w', '127.1.0.[0-5]', ...reach(fleet)];
});
afterAll(() => fleet?.[Symbol.asyncDispose]());

const local = (hosts: string, ...words: string[]) => ['run', '--local', '-w', hosts, ...words];

describe('what is refused, in one sentence', () => {
  it.each([
    [['--serial', '0'], '--serial: expected sizes such as 1,5%,100%, from 1 or above 0% to 100%, got "0"'],
    [['--serial', '1,0%'], 'got "1,0%"'],
    [['--serial', '1,101%'], 'got "1,101%"'],
    [['--serial', '1,,5'], 'got "1,,5"'],
    [
      ['--max-fail', '0%'],
      '--max-fail: expected a number such as 5, or a percentage above 0% and up to 100%, got "0%"',
    ],
    [['--max-fail', '101%'], 'got "101%"'],
    [['--max-unreached', 'few'], '--max-unreached: expected a number'],
    [['--fail-fast', '--max-fail', '5'], '--fail-fast and --max-fail 5: give one of them'],
    [['--check', 'true'], '--check: there are no waves; add --serial'],
    [['--check-on', 'true'], '--check-on: there are no waves; add --serial'],
    [['--between', '10s'], '--between: there are no waves; add --serial'],
    [['--serial', '1', '--check-timeout', '5s'], '--check-timeout: there is no check; add --check or --check-on'],
    [['--serial', '1', '--check', ' '], '--check: expected a command, got " "'],
    [['--serial', '1', '--between', '0'], '--between: expected a duration above 0'],
    [['--splay', '1m', '--deadline', '30s'], '--splay 1 m 0 s: the run is over before, by --deadline 30.0 s'],
    [['--serial', '1', '--between', '1h', '--deadline', '30m'], '--between 1 h 0 m: the run is over before'],
    [['--local', '--serial', '1', '--check-on', 'true'], '--check-on: nothing logs in with --local'],
  ])('%j', (words, message) => {
    const parse = (): unknown => parseRun(['-w', 'a,b', ...words, '--', 'true']);
    expect(parse).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }));
  });

  it('before anything connects: exit 2', async () => {
    const { code, stdout, stderr } = await myriad(['-w', 'a,b', '--fail-fast', '--max-fail', '5', 'true']);
    expect([code, stdout, stderr]).toEqual([2, '', 'myriad: --fail-fast and --max-fail 5: give one of them\n']);
  });
});

describe.concurrent('a run in waves', () => {
  it('says what became of each, and its summary why it stopped', async () => {
    const check = 'echo on $(wc -l <"$MYRIAD_WAVE_HOSTS"); test "$MYRIAD_WAVE" -lt 2';
    const { code, stderr, stdout } = await myriad([...there, '--serial', '1,50%', '--check', check, '--', 'echo up']);
    expect(code).toBe(6);
    expect(stdout.trim().split('\n')).toHaveLength(4);
    expect(stderr).toMatch(
      /^check: on 1\nwave 1 of 3 passed: 1 ok\ncheck: on 3\nwave 2 of 3 did not pass, the check ended with status 1: 3 ok\n/,
    );
    expect(totals(stderr)).toEqual({ ok: 4, 'not-run': 2 });
    expect(stderr).toMatch(/^stopped: wave 2 of 3: the check ended with status 1$/m);
  });

  it('goes through hosts, checks on them, and exits as without waves', async () => {
    const waves = ['--serial', '2', '--check-on', 'true', '--check', 'true', '--between', '10ms', '--splay', '20ms'];
    const { code, stderr } = await myriad([...there, ...waves, '--max-fail', '0', '--', 'true']);
    expect([code, totals(stderr)]).toEqual([0, { ok: 6 }]);
    expect(stderr.match(/^wave \d of 3 passed: 2 ok$/gm)).toHaveLength(3);
  });

  it('as ndjson: its events are those of the schema, each after its tasks', async () => {
    const waves = ['--serial', '4', '--check', 'printf "a\\377"'];
    const { code, stdout, stderr } = await myriad([...there, ...waves, '--output', 'ndjson', '--', 'true']);
    expect(code, stderr).toBe(0);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);
    for (const event of events) expect([validate(event), validate.errors]).toEqual([true, null]);
    const ends = events.filter(({ type }) => type === 'task:end' || type === 'wave:end').map(({ type }) => type[0]);
    expect(ends.join('')).toBe('ttttwttw');
    expect(events.find(({ type }) => type === 'wave:end')).toMatchObject({
      wave: 1,
      waves: 2,
      tasks: 4,
      hosts: '127.1.0.[0-3]',
      hostsOmitted: 0,
      outcomes: { ok: 4, failed: 0 },
      passed: true,
      reason: '',
      output: 'a\ufffd',
    });
  });

  it('-q says nothing of them', async () => {
    const { code, stderr } = await myriad([...there, '-q', '--serial', '3', '--check', 'echo x', '--', 'true']);
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe.concurrent('limits', () => {
  it.each([
    ['--fail-fast', 'began and did not end ok, max-fail is 0'],
    ['--max-fail=10%', 'began and did not end ok, max-fail is 10% \\(2\\)'],
  ])('%s stops it: exit 6, with the numbers', async (option, reason) => {
    const { code, stderr } = await myriad(local('w[1-20]', option, '--', 'false'));
    expect(code).toBe(6);
    const { failed = 0, 'not-run': rest = 0 } = totals(stderr);
    expect(failed + rest).toBe(20);
    expect(stderr).toMatch(new RegExp(`^stopped: \\d of 20 tasks ${reason}$`, 'm'));
  });

  it('a dry run says waves, and what can be at risk', async () => {
    const { code, stdout } = await myriad([
      '-w',
      'w[1-10000]',
      '-F',
      'none',
      '-f',
      '64',
      '--threads',
      '1',
      '--dry-run',
      '--serial',
      '1,5%,20%',
      '--max-fail',
      '0.5%',
      '--',
      'true',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^7 waves of 1, 500, 2,000, 2,000, 2,000, 2,000, 1,499$/m);
    expect(stdout).toMatch(
      /^when --max-fail 0.5% stops it, at most 108 tasks can have begun without having ended ok$/m,
    );
    const many = await myriad(['-w', 'w[1-50]', '-F', 'none', '--dry-run', '--serial', '1', '--fail-fast', 'true']);
    expect(many.stdout).toMatch(
      /^50 waves of 1, 1, 1, 1, 1, 1, 1, 1 and 42 more\nwhen --fail-fast stops it, at most 1 task /m,
    );
  });
});

describe.concurrent('stopping', () => {
  const processes = (mark: string) =>
    execFileSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).split(mark).length - 1;

  it('SIGTERM during a check ends it with its children', async () => {
    const mark = `103.${process.pid}1`;
    const check = `sleep ${mark} & echo up >&3; sleep ${mark}`;
    const running = launch(
      local('a,b', '--serial', '1', '--check', check.replace('&3', '/dev/null'), '--', 'echo', 'ran'),
    );
    await running.shows(/a: ran/);
    while (processes(`sleep ${mark}`) < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect([code, totals(stderr)]).toEqual([130, { ok: 1, 'not-run': 1 }]);
    expect(stderr).toMatch(/^wave 1 of 2 did not pass, the run was stopped: 1 ok$/m);
    expect(processes(`sleep ${mark}`)).toBe(0);
  });

  it.runIf(present('script'))('^C between waves pauses; c goes on, a second ^C ends the run', async () => {
    const words = local('a,b,c', '--serial', '1', '--between', '1500ms', '--', 'echo', 'ran');
    const terminal = new Terminal(words);
    await terminal.shows(/wave 1 of 3 passed/);
    terminal.type(CONTROL_C);
    await terminal.shows(/wave 1 of 3: passed, paused[\s\S]*paused: no new command starts/);
    terminal.type('c');
    await terminal.shows(/wave 2 of 3 passed/);
    terminal.type(CONTROL_C);
    await terminal.shows(/wave 2 of 3: passed, paused/);
    terminal.type(CONTROL_C);
    const { code, stdout } = await terminal.ended;
    expect([code, totals(stdout.replaceAll(/[^\n]*\x1b\[K|\r/g, ''))]).toEqual([130, { ok: 2, 'not-run': 1 }]);
  });
});

it('docs/waves.md: every line that calls the command is taken by it', () => {
  const page = readFileSync(join(ROOT, 'docs/waves.md'), 'utf8');
  const lines = [...page.matchAll(/^myriad ((?:run )?-.*)$/gm)].map(([, line]) => line!);
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) {
    const script = `printf '%s\\0' ${line}`;
    const words = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
    expect(parseRun(words[0] === 'run' ? words.slice(1) : words).words.length, line).toBeGreaterThan(0);
  }
});
